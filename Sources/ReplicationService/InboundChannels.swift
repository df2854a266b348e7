// SPDX-License-Identifier: Apache-2.0
//
// The connections the peer dials to the replication port: one for its state, one for each of its
// workers, all of one process of the peer. What is said on them is their readers'.

import EventLoop
import LinuxIO
import ReplicationCore
import Telemetry
import WireCore

/// Reads the peer's state channel.
protocol StateChannelReceiver: AnyObject {
    /// A new channel counts from now on.
    func stateChannelBegan(incarnation: UInt64)
    /// A frame came; false when it makes no sense.
    func stateChannelReceived(_ frame: OpenedLinkFrame) -> Bool
    /// The channel ended.
    func stateChannelEnded()
}

/// How a shadow channel ended.
public enum ShadowChannelEnding: Hashable, Sendable {
    /// A FIN behind the last byte: the peer's process ended, and what it told is true.
    case endOfStream
    /// The worker gave the channel up, or the network did: the worker went on without telling.
    case reset
    /// What came made no sense: nothing of it counts.
    case fault
    /// A newer channel of the same worker took its place.
    case replaced
    /// This node closed it.
    case stopped
}

/// Reads the shadow channels of the peer's workers, on the replication thread.
public protocol ShadowChannelReceiver: AnyObject {
    /// A new channel of the worker counts from now on; a former one has ended before.
    func shadowChannelBegan(worker: Int, incarnation: UInt64)
    /// Whether the channel goes on with a frame of this type; otherwise it ends, and the peer's
    /// worker gets a new one.
    func shadowChannelCounts(worker: Int, type: UInt8) -> Bool
    /// An authentic frame came, in order and without gaps.
    ///
    /// - Returns: false when it makes no sense; the channel ends then.
    func shadowChannelReceived(worker: Int, type: UInt8, payload: [UInt8]) -> Bool
    /// The channel ended.
    func shadowChannelEnded(worker: Int, _ ending: ShadowChannelEnding)
}

extension ShadowChannelReceiver {
    /// Every channel counts.
    public func shadowChannelCounts(worker: Int, type: UInt8) -> Bool { true }
}

/// Holds the peer's channels.
final class InboundChannels: InboundLinkOwner {
    private let counters: LinkCounters
    private let door: InboundDoor
    private var channels: [ReplicationChannel: InboundLink] = [:]
    /// Which process of the peer the channels belong to.
    private(set) var incarnation: UInt64?
    weak var stateReceiver: (any StateChannelReceiver)?
    weak var shadowReceiver: (any ShadowChannelReceiver)?

    init(
        loop: EventLoop, settings: PairLinkSettings, identity: LinkIdentity,
        counters: LinkCounters, logger: Logger
    ) {
        self.counters = counters
        door = InboundDoor(
            loop: loop, settings: settings, identity: identity, counters: counters,
            logger: logger)
    }

    /// Shadow channels that are open.
    var shadowChannelCount: Int { channels.count - (channels[.state] == nil ? 0 : 1) }

    /// Begins to listen.
    func start() throws(Errno) {
        door.owner = self
        try door.start()
    }

    /// Closes everything, the listener first.
    func stop() {
        door.closeListener()
        for channel in ordered { end(channel, .stopped) }
        door.closePending()
    }

    /// Takes what has arrived on all channels but was not handled yet.
    func readNow() {
        for channel in ordered { channels[channel]?.readAll() }
    }

    /// Takes what has arrived on the state channel.
    func readState() {
        channels[.state]?.readAll()
    }

    /// Closes the state channel; the peer, if it is there, dials again.
    func endState() {
        end(.state, .stopped)
    }

    /// The state first: it is the smallest.
    private var ordered: [ReplicationChannel] {
        func number(_ channel: ReplicationChannel) -> Int {
            switch channel {
            case .state: -1
            case .shadows(let worker): worker
            }
        }
        return channels.keys.sorted { number($0) < number($1) }
    }

    // MARK: - From the connections

    func inboundEstablished(_ link: InboundLink) {
        door.admitted(link)
    }

    func inboundReceived(_ frame: OpenedLinkFrame, on link: InboundLink) -> Bool {
        switch link.channel {
        case nil:
            guard let opening = try? ChannelOpening(frame) else { return false }
            began(opening, on: link)
            return true
        case .state:
            return stateReceiver?.stateChannelReceived(frame) ?? true
        case .shadows(let worker):
            guard let shadowReceiver else { return true }
            guard shadowReceiver.shadowChannelCounts(worker: worker, type: frame.type) else {
                end(.shadows(worker: worker), .reset)
                return true
            }
            return shadowReceiver.shadowChannelReceived(
                worker: worker, type: frame.type, payload: frame.payload)
        }
    }

    func inboundEnded(_ link: InboundLink, _ ending: LinkEnding) {
        if ending == .fault { door.brokeProtocol() }
        guard let channel = link.channel, channels[channel] === link else { return }
        channels[channel] = nil
        switch ending {
        case .endOfStream: tellEnd(of: channel, .endOfStream)
        case .reset: tellEnd(of: channel, .reset)
        case .fault: tellEnd(of: channel, .fault)
        }
    }

    func inboundFailed(_ link: InboundLink, _ failure: InboundLink.Failure) {
        door.failed(link, failure)
    }

    // MARK: - Beginnings and ends

    private func began(_ opening: ChannelOpening, on link: InboundLink) {
        if opening.incarnation != incarnation {
            // The last words of the process before count before the first ones of this.
            readNow()
            for channel in ordered { end(channel, .replaced) }
            incarnation = opening.incarnation
        } else if let older = channels[opening.channel] {
            older.readAll()
            end(opening.channel, .replaced)
        }
        channels[opening.channel] = link
        link.channel = opening.channel
        switch opening.channel {
        case .state:
            stateReceiver?.stateChannelBegan(incarnation: opening.incarnation)
        case .shadows(let worker):
            shadowReceiver?.shadowChannelBegan(worker: worker, incarnation: opening.incarnation)
        }
    }

    private func end(_ channel: ReplicationChannel, _ ending: ShadowChannelEnding) {
        guard let link = channels.removeValue(forKey: channel) else { return }
        link.close()
        tellEnd(of: channel, ending)
    }

    private func tellEnd(of channel: ReplicationChannel, _ ending: ShadowChannelEnding) {
        switch channel {
        case .state: stateReceiver?.stateChannelEnded()
        case .shadows(let worker): shadowReceiver?.shadowChannelEnded(worker: worker, ending)
        }
    }
}
