// SPDX-License-Identifier: Apache-2.0
//
// Which remembered cookies the other node has to hear of: each worker writes down what it learned
// and what was used again, and hands it over once a turn.

internal import EventLoop
internal import LinuxIO
internal import Synchronization
internal import WireCore

/// An entry of a sticky table that is new, changed or used again; the table says how.
struct StickyChange: Hashable, Sendable {
    /// The key of the entry.
    let key: UInt64
    /// `StickyTable.number`.
    let table: UInt32
}

/// Where workers report remembered cookies.
final class StickyJournal: Sendable {
    /// Entries that a worker reports a turn; with more the peer gets the whole table.
    static let changesPerTurnMax = 4_096
    /// Reports that may wait.
    static let reportsMax = 1_024

    /// The reports of all workers.
    let mailbox: Mailbox<[StickyChange]>
    /// Somebody wants to hear of changes.
    let isWanted = Atomic<Bool>(false)
    /// Something was not reported.
    let hasLost = Atomic<Bool>(false)

    init() throws(Errno) {
        mailbox = try Mailbox(capacity: Self.reportsMax)
    }
}

extension Worker {
    /// Writes down that the other node should hear of an entry; without one this is a branch.
    @inline(__always)
    mutating func noteRemembered(_ key: UInt64, in table: StickyTable) {
        guard let journal = setup.stickyJournal else { return }
        noteRemembered(StickyChange(key: key, table: table.number), in: journal)
    }

    private mutating func noteRemembered(_ change: StickyChange, in journal: StickyJournal) {
        guard journal.isWanted.load(ordering: .relaxed) else { return }
        guard stickyChanges.count < StickyJournal.changesPerTurnMax else {
            journal.hasLost.store(true, ordering: .releasing)
            return
        }
        stickyChanges.append(change)
    }

    /// Hands this turn's entries over; called when there are some.
    mutating func handOverSticky() {
        let changes = stickyChanges
        stickyChanges = []
        guard let journal = setup.stickyJournal, !journal.mailbox.post(changes) else { return }
        journal.hasLost.store(true, ordering: .releasing)
    }
}
