// SPDX-License-Identifier: Apache-2.0
//
// The replication thread: a loop with the replicator on it. Decides nothing.

internal import ConfigurationCore
internal import EventLoop
internal import LinuxIO
internal import ProxyService
internal import ReplicationService
internal import Telemetry
internal import WireCore

/// Starts the replication thread.
enum ReplicationThread {
    /// Starts the thread; what happens to `addresses` arrives in `commands`.
    static func start(
        for addresses: [IPAddress], _ settings: PairLinkSettings, journal: ConnectionJournal,
        commands: Mailbox<ReplicationCommand>, events: Mailbox<PairEvent>, logger: Logger
    ) throws(Errno) {
        try KernelThread.start(name: "replication") {
            do {
                let loop = try EventLoop()
                let replicator = try ClientReplicator(
                    loop: loop, settings: settings, journal: journal.mailbox, commands: commands,
                    logger: logger)
                do {
                    try replicator.start()
                } catch {
                    throw PairStartError(
                        "replication: cannot listen on \(settings.own.address):"
                            + "\(settings.port &+ 1): \(error)")
                }
                let filter = FarewellFilter.make(for: addresses, logger: logger)
                events.post(.replicating(replicator.report))
                withExtendedLifetime((replicator, filter)) { loop.run() }
            } catch {
                events.post(.failed(String(describing: error)))
            }
        }
    }
}
