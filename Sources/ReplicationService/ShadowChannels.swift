// SPDX-License-Identifier: Apache-2.0
//
// The connections that this node's workers write their shadows on: dials one for each worker and
// gives it away. What is written is the data plane's.

import EventLoop
public import LinuxIO
import ReplicationCore
import Telemetry
import WireCore

/// Who gets shadow channels.
public struct ShadowChannelSettings {
    /// Workers of this node; those beyond ``ChannelOpening/shadowChannelCountMax`` get none.
    public var workerCount: Int
    /// Takes a connected and authenticated channel, on the replication thread.
    public var grant: (ShadowChannelGrant) -> Void

    /// Makes settings from their parts.
    public init(workerCount: Int, grant: @escaping (ShadowChannelGrant) -> Void) {
        self.workerCount = workerCount
        self.grant = grant
    }
}

/// Dials a channel for each worker.
final class ShadowChannels {
    private let commands: Mailbox<ReplicationCommand>
    private let grant: (ShadowChannelGrant) -> Void
    private var links: [OutboundLink] = []
    private var isStarted = false
    /// Channels given away and not known to be lost.
    private(set) var lentCount = 0

    init(
        _ shadows: ShadowChannelSettings, incarnation: UInt64, loop: EventLoop,
        commands: Mailbox<ReplicationCommand>, settings: PairLinkSettings, identity: LinkIdentity,
        counters: LinkCounters, logger: Logger
    ) {
        self.commands = commands
        grant = shadows.grant
        let count = min(max(shadows.workerCount, 0), ChannelOpening.shadowChannelCountMax)
        links = (0..<count).map { worker in
            var settings = settings
            settings.seed &+= UInt64(worker) &+ 1
            let opening = ChannelOpening(.shadows(worker: worker), incarnation: incarnation)
            return OutboundLink(
                loop: loop, settings: settings, identity: identity, counters: counters,
                logger: logger, opening: opening, failureLevel: .debug)
        }
        for (worker, link) in links.enumerated() {
            link.onEstablished = { [weak self, weak link] in
                guard let self, let link else { return }
                give(link, to: worker)
            }
        }
    }

    /// The peer takes channels: dials all of them, or at once those that wait.
    func peerIsThere() {
        for link in links {
            if isStarted { link.peerIsThere() } else { link.start() }
        }
        isStarted = true
    }

    /// A worker gave its channel up or lost it.
    func isLost(worker: Int) {
        guard links.indices.contains(worker) else { return }
        if links[worker].lentIsLost() { lentCount -= 1 }
    }

    /// Dials no more.
    func stop() {
        for link in links { link.stop() }
        links = []
    }

    private func give(_ link: OutboundLink, to worker: Int) {
        guard let connection = link.lend() else {
            // Its first frame did not fit into a new socket: nothing can be given away.
            link.breakConnection()
            return
        }
        lentCount += 1
        let (key, sequence) = (connection.key.bytes, connection.nextSequence)
        let commands = commands
        grant(
            ShadowChannelGrant(
                connection.takeDescriptor(), worker: worker, key: key, nextSequence: sequence
            ) { commands.post(.shadowChannelLost(worker: worker)) })
    }
}
