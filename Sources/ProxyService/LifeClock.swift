// SPDX-License-Identifier: Apache-2.0
//
// When this process last showed that it runs and has its addresses, so that threads that wake up
// after all of it was stopped wait for the one that knows whether another node took over meanwhile.
//
//     doubt ---- another node is active -----------> replaced
//       |
//       +------- this node is active again: -------> restored
//                nobody else was

internal import Synchronization
public import WireCore

/// Written by the threads that speak for the node, read by workers.
public final class LifeClock: Sendable {
    /// Without a sign for so long the process was stopped, or is too late for what others expect.
    static let freshNanoseconds: UInt64 = 30_000_000

    /// What became of a node that gave its addresses up because it was late.
    enum Verdict {
        /// Nobody knows yet.
        case open
        /// Another node has its connections.
        case replaced
        /// It has its addresses again, and nobody else had them.
        case restored
    }

    private let shown = Atomic<UInt64>(0)
    private let doubted = Atomic<UInt64>(0)
    private let replaced = Atomic<UInt64>(0)
    private let restored = Atomic<UInt64>(0)

    init() {}

    /// A sign of life: the node looked at the clock and is still what it was.
    ///
    /// Workers ask for signs once there was one.
    public func show(at now: Instant) { shown.store(now.nanoseconds, ordering: .releasing) }

    /// The node was stopped or late, and gave its addresses up: another one may have taken over.
    ///
    /// Comes before the next sign of life.
    public func noteDoubt(at now: Instant) {
        doubted.store(now.nanoseconds, ordering: .releasing)
    }

    /// Another node has the addresses: the connections of this one are not its own any more.
    public func noteReplaced(at now: Instant) {
        replaced.store(now.nanoseconds, ordering: .releasing)
    }

    /// The node has its addresses again; what another node had of their connections was
    /// surrendered before.
    public func noteRestored(at now: Instant) {
        restored.store(now.nanoseconds, ordering: .releasing)
    }

    /// Whether there was no sign of life for too long.
    func isStale(at now: Instant) -> Bool {
        let shown = shown.load(ordering: .acquiring)
        return shown != 0 && now.nanoseconds > shown &+ Self.freshNanoseconds
    }

    /// Whether there was a sign of life since.
    func isShown(since instant: Instant) -> Bool {
        shown.load(ordering: .acquiring) >= instant.nanoseconds
    }

    /// When the node was last in doubt, as a number; 0 when it never was.
    var doubtedAt: UInt64 { doubted.load(ordering: .acquiring) }

    /// What became of a doubt.
    func verdict(on doubt: UInt64) -> Verdict {
        if replaced.load(ordering: .acquiring) >= doubt { return .replaced }
        return restored.load(ordering: .acquiring) >= doubt ? .restored : .open
    }
}
