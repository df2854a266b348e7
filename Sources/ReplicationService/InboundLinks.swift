// SPDX-License-Identifier: Apache-2.0
//
// The connections the peer dials to the pair link's port: which one counts.

import EventLoop
import LinuxIO
import ReplicationCore
import Telemetry
import WireCore

/// What the connections from the peer tell the pair link.
protocol InboundLinksOwner: AnyObject {
    /// A new link counts from now on; an older one is closed.
    func peerLinkEstablished(_ link: LinkGeneration)
    /// An authenticated frame came on the link that counts.
    func peerLinkReceived(_ message: LinkMessage, on link: LinkGeneration)
    /// The link that counted ended.
    func peerLinkEnded(_ link: LinkGeneration, _ ending: LinkEnding)
}

/// Holds the one connection of the peer that counts.
final class InboundLinks: InboundLinkOwner {
    private let counters: LinkCounters
    private let door: InboundDoor
    private var current: InboundLink?
    weak var owner: (any InboundLinksOwner)?

    init(
        loop: EventLoop, settings: PairLinkSettings, identity: LinkIdentity,
        counters: LinkCounters, logger: Logger
    ) {
        self.counters = counters
        door = InboundDoor(
            loop: loop, settings: settings, identity: identity, counters: counters,
            logger: logger)
    }

    var lastRefusal: LinkRefusal? { door.lastRefusal }

    /// Begins to listen.
    func start() throws(Errno) {
        door.owner = self
        try door.start()
    }

    /// Closes everything, the listener first.
    func stop() {
        door.closeListener()
        current?.close()
        current = nil
        door.closePending()
    }

    /// Takes what has arrived on the link that counts but was not handled yet.
    func readNow() {
        current?.readFrames()
    }

    // MARK: - From the connections

    func inboundEstablished(_ link: InboundLink) {
        door.admitted(link)
        current?.close()
        current = link
        owner?.peerLinkEstablished(link.generation)
    }

    func inboundReceived(_ frame: OpenedLinkFrame, on link: InboundLink) -> Bool {
        do throws(LinkSessionFault) {
            let message = try LinkMessage(frame)
            if case .unknown = message { counters.count(.unknownFramesSkipped) }
            owner?.peerLinkReceived(message, on: link.generation)
            return true
        } catch {
            return false
        }
    }

    func inboundEnded(_ link: InboundLink, _ ending: LinkEnding) {
        if ending == .fault { door.brokeProtocol() }
        if current === link { current = nil }
        owner?.peerLinkEnded(link.generation, ending)
    }

    func inboundFailed(_ link: InboundLink, _ failure: InboundLink.Failure) {
        door.failed(link, failure)
    }
}
