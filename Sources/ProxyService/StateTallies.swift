// SPDX-License-Identifier: Apache-2.0
//
// What is counted about the replicated tables of the data plane: written by the replication thread,
// read by the control thread.

public import ReplicationCore
internal import Synchronization

/// The counts of one replicated table.
final class SharedStateTally: Sendable {
    private let tally = Mutex(StateTally())

    /// Changes the counts.
    func count(_ body: (inout StateTally) -> Void) {
        tally.withLock { body(&$0) }
    }

    var value: StateTally { tally.withLock { $0 } }
}

/// The counts of all replicated tables of a data plane.
final class StateTallies: Sendable {
    let sticky = SharedStateTally()
    let rates = SharedStateTally()
    let clocks = SharedStateTally()
    let concurrency = SharedStateTally()
}

extension DataPlane {
    /// What became of the entries of each replicated table, by the name of the table.
    public var replicatedEntries: [(table: String, tally: StateTally)] {
        [
            ("sticky", stateTallies.sticky.value), ("rates", stateTallies.rates.value),
            ("clocks", stateTallies.clocks.value),
            ("concurrency", stateTallies.concurrency.value),
        ]
    }
}
