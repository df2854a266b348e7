// SPDX-License-Identifier: Apache-2.0
//
// What of the data plane both nodes of a pair have, as tables for the replication thread.

public import EventLoop
public import LinuxIO

/// The replicated tables of a data plane; they belong to the thread that made them.
public struct ReplicatedTraffic {
    /// Remembered cookies.
    public let sticky: StickyReplication?
    /// Rate limits.
    public let rates: RateLimitReplication
    /// Latencies that choices go by.
    public let clocks: ClockReplication
    /// Adaptive limits.
    public let concurrency: ConcurrencyReplication
}

extension DataPlane {
    /// Makes the tables; once, on the replication thread.
    ///
    /// - Parameter loop: the loop of that thread; without one changes wait until asked for.
    /// - Returns: the tables.
    /// - Throws: when the loop can watch no further descriptor.
    public func replicatedTraffic(on loop: EventLoop?) throws(Errno) -> ReplicatedTraffic {
        ReplicatedTraffic(
            sticky: try StickyReplication(self, on: loop), rates: RateLimitReplication(self),
            clocks: ClockReplication(self), concurrency: ConcurrencyReplication(self))
    }
}
