// SPDX-License-Identifier: Apache-2.0
//
// When this process last showed that it runs and has its addresses, so that threads that wake up
// after all of it was stopped wait for the one that knows whether another node took over meanwhile.

internal import Synchronization
public import WireCore

/// Written by the thread that speaks for the node, read by workers.
public final class LifeClock: Sendable {
    /// Without a sign for so long the process was stopped, or is too late for what others expect.
    static let freshNanoseconds: UInt64 = 30_000_000

    private let shown = Atomic<UInt64>(0)
    private let replaced = Atomic<UInt64>(0)

    init() {}

    /// A sign of life: the node looked at the clock and is still what it was.
    ///
    /// Workers ask for signs once there was one.
    public func show(at now: Instant) { shown.store(now.nanoseconds, ordering: .releasing) }

    /// The node was stopped and another one took over: its connections are not its own any more.
    ///
    /// Comes before the next sign of life.
    public func noteReplaced(at now: Instant) {
        replaced.store(now.nanoseconds, ordering: .releasing)
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

    /// When the node was last replaced, as a number; 0 when it never was.
    var replacedAt: UInt64 { replaced.load(ordering: .acquiring) }
}
