// SPDX-License-Identifier: Apache-2.0
//
// The thread that replicates what clients and operators did. What it does grows with traffic, so it
// has a loop of its own, and ordinary priority.

internal import ConfigurationCore
internal import EventLoop
internal import LinuxIO
internal import ProxyService
internal import ReplicationService
internal import Telemetry
internal import WireCore

/// What other threads tell the replication thread by.
struct ReplicationWires: Sendable {
    /// The virtual addresses whose connections are told.
    let addresses: [IPAddress]
    /// Which connections there are.
    let journal: ConnectionJournal
    /// What happens to addresses and channels.
    let commands: Mailbox<ReplicationCommand>
}

/// Runs the replicator.
enum ReplicationThread {
    /// Starts the thread.
    static func start(
        _ wires: ReplicationWires, _ settings: PairLinkSettings, dataPlane: DataPlane,
        boards: StateBoards?, events: Mailbox<PairEvent>, logger: Logger
    ) throws(Errno) {
        try KernelThread.start(name: "replication") {
            do {
                let loop = try EventLoop()
                let tables = try boards?.makeTables(on: loop) ?? []
                let replicator = try makeReplicator(
                    wires, settings, dataPlane: dataPlane, tables: tables, loop: loop,
                    logger: logger)
                events.post(.replicating(replicator.report))
                withExtendedLifetime(replicator) { loop.run() }
            } catch {
                events.post(.failed(String(describing: error)))
            }
        }
    }

    private static func makeReplicator(
        _ wires: ReplicationWires, _ settings: PairLinkSettings, dataPlane: DataPlane,
        tables: [any ReplicatedTable], loop: EventLoop, logger: Logger
    ) throws -> ClientReplicator {
        let shadows = ShadowChannelSettings(workerCount: dataPlane.workerCount) { grant in
            dataPlane.openShadowChannel(grant, worker: grant.worker)
        }
        let replicator = try ClientReplicator(
            loop: loop, settings: settings, journal: wires.journal.mailbox,
            commands: wires.commands, logger: logger, shadows: shadows, tables: tables)
        if ConnectionRepair.isPermitted() {
            let silence = ResetSilence.make(for: wires.addresses, logger: logger)
            replicator.carryOver(
                silencer: silence,
                surrendering: { keys in
                    let order = dataPlane.surrender(keys)
                    return { order.isDone }
                },
                to: { dataPlane.adopt($0) })
        } else {
            logger.warning(
                "connections cannot be carried over: this kernel does not make them again",
                ["needs": "CONFIG_CHECKPOINT_RESTORE and CAP_NET_ADMIN"])
        }
        replicator.onTaken = { dataPlane.life.noteRestored(at: Clock.now()) }
        do {
            try replicator.start()
        } catch {
            throw PairStartError(
                "replication: cannot listen on \(settings.own.address):"
                    + "\(settings.port &+ 1): \(error)")
        }
        return replicator
    }
}
