// SPDX-License-Identifier: Apache-2.0
//
// A pool as all threads see it: the word that tells workers to look at its backends again, and what
// all workers together have under way in it. Found by name, so it outlives reloads; what is in
// flight goes on being counted in the place where it began.

internal import Synchronization

/// A pool as all threads see it.
final class SharedPool: Sendable {
    let name: String
    /// Moves after each change of a standing in the pool: workers that choose compare it with what
    /// they saw, and read the standings again when it moved.
    let epoch = Atomic<UInt32>(1)
    /// Requests at its backends, connecting ones and copies included, tunnels not.
    let requestsInFlight = Atomic<Int>(0)
    /// Connections to its backends, idle ones and tunnels included.
    let connections = Atomic<Int>(0)
    /// Requests that are with a backend after another attempt of theirs failed.
    let retriesInFlight = Atomic<Int>(0)
    /// Requests in its queue.
    let waiting = Atomic<Int>(0)
    /// Requests that may be in flight as latency has it.
    let adaptive: AdaptiveShares

    /// The workers that have requests waiting.
    let line: SharedLine
    /// One row for each worker.
    let tallies: [PoolTallies]

    init(name: String, workerCount: Int) {
        self.name = name
        line = SharedLine(workerCount: workerCount)
        tallies = (0..<workerCount).map { _ in PoolTallies() }
        adaptive = AdaptiveShares(workerCount: workerCount)
    }

    /// Makes workers read the standings before their next choice; call it after storing them.
    func announceStandings() {
        epoch.wrappingAdd(1, ordering: .releasing)
    }
}
