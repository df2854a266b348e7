// SPDX-License-Identifier: Apache-2.0
//
// What backends were sent and how fast they were, lately: the counters of now against those of some
// seconds ago. The control thread keeps the earlier ones.

internal import Synchronization
internal import WireCore

/// Counters of all backends at two earlier moments.
final class TrafficSamples: Sendable {
    /// How often counters are remembered; what is lately is between one and two of these.
    static let interval = TimeSpan.seconds(10)

    /// One backend at one moment.
    struct Sample: Sendable {
        /// Keeps the object, so that its identity is nobody else's.
        let backend: SharedBackend
        let requests: UInt64
        let latencies: LatencyCounts
    }

    private struct Moment: Sendable {
        var at: Instant
        var samples: [ObjectIdentifier: Sample] = [:]
    }

    private let moments = Mutex<[Moment]>([])

    /// Remembers the present counters.
    func take(_ pools: [PoolPlan], now: Instant) {
        var moment = Moment(at: now)
        for backend in pools.flatMap(\.backends) {
            moment.samples[ObjectIdentifier(backend)] = Sample(
                backend: backend, requests: backend.requestsBegun, latencies: backend.latencies)
        }
        let taken = moment
        moments.withLock { moments in
            if moments.count == 2 { moments.removeFirst() }
            moments.append(taken)
        }
    }

    /// When the time began that counts as lately; `nil` before anything was remembered.
    var began: Instant? { moments.withLock { $0.first?.at } }

    /// A backend at that time; `nil` for one that is newer.
    func sample(of backend: SharedBackend) -> Sample? {
        moments.withLock { $0.first?.samples[ObjectIdentifier(backend)] }
    }
}

extension SharedBackend {
    /// Requests sent to it, by all workers.
    var requestsBegun: UInt64 { tallies.reduce(0) { $0 &+ $1.requests.value } }

    /// How long it took to answer, all workers together.
    var latencies: LatencyCounts {
        var sum = LatencyCounts()
        for row in tallies { row.latencies.collect(into: &sum) }
        return sum
    }
}
