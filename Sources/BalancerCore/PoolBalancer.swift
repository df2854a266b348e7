// SPDX-License-Identifier: Apache-2.0
//
// One worker's choices in one pool: turns, latency averages, random draws. It owns what a single
// thread learns; what threads share (requests in flight, availability) comes in as BackendLoads.

public import WireCore

/// Chooses the backend of each request of one pool, on one worker.
///
/// A plain value: keep it in one place and change it there, a copy would take turns of its own.
/// Choosing never allocates. Up to `fullScanBackendsMax` backends every candidate is looked at;
/// larger pools compare two random ones, since a full view is worth less than its cost there.
///
/// **When nothing is available** `choose` returns `nil` and the caller answers 503. Failing open
/// (using every backend although all checks fail) is right when the checks share a cause, but it
/// needs a panic threshold that tells a broken check from a dead pool, and it says so loudly;
/// until the pool has one, "no healthy backend" is the honest answer, as in HAProxy and nginx.
public struct PoolBalancer: Sendable {
    /// The largest pool whose every backend is looked at for a choice.
    public static let fullScanBackendsMax = 64
    /// The largest weight that counts; larger ones are cut to it.
    public static let weightMax = 65_536
    /// More requests in flight than this count as this many.
    @usableFromInline static let inFlightMax = 1 << 32
    /// Random draws for an available backend of a large pool before the pool is searched in order.
    @usableFromInline static let drawsMax = 16
    /// The pool's median latency is recomputed at most this often, and over at most 64 backends.
    static let medianInterval = TimeSpan.milliseconds(100)

    /// The policy in force.
    public private(set) var policy: SelectionPolicy
    @usableFromInline var backends: [BalancedBackend]
    /// Requests in flight as read by the choice in progress.
    @usableFromInline var inFlight: [Int]
    let tuning: LeastTimeTuning
    var generator: SeededGenerator
    /// Sums of the weights up to and including each backend; for weighted draws.
    var weightSums: [UInt64] = []
    /// Available backends as seen by the last choice, one bit each; small pools only.
    var lastAvailable: UInt64 = .max
    var medianNanoseconds: Double
    var medianDueAt = Instant(nanoseconds: 0)
    var sample: [Double] = []

    /// Makes the balancer of a pool whose backends have these weights, in index order.
    ///
    /// A weight of 0 takes a backend out of the rotation. Give each worker its own seed, or all
    /// of them draw the same backends at the same time.
    public init(
        policy: SelectionPolicy, weights: [Int], seed: UInt64,
        tuning: LeastTimeTuning = LeastTimeTuning()
    ) {
        self.policy = policy
        self.tuning = tuning
        generator = SeededGenerator(seed: seed)
        backends = weights.map { BalancedBackend(weight: $0) }
        inFlight = [Int](repeating: 0, count: weights.count)
        // Until something is measured all backends look alike, and least time counts requests.
        medianNanoseconds = Double(tuning.failurePenalty.nanoseconds)
        sample.reserveCapacity(Self.fullScanBackendsMax)
        rebuildWeightSums()
    }

    /// How many backends the pool has.
    @inlinable public var backendCount: Int { backends.count }

    /// The backend for a request; `nil` when none is available that was not tried before.
    @inlinable
    public mutating func choose(
        now: Instant, loads: borrowing some BackendLoads & ~Copyable,
        excluding attempted: AttemptedBackends = AttemptedBackends()
    ) -> Int? {
        guard backends.count <= Self.fullScanBackendsMax else {
            return chooseFromLargePool(now: now, loads: loads, excluding: attempted)
        }
        var available: UInt64 = 0
        for index in 0..<backends.count
        where backends[index].weight > 0 && loads.isAvailable(at: index) {
            available |= 1 &<< UInt64(index)
            // Shared counters may be seen in the middle of a change; products must not overflow.
            inFlight[index] = min(max(loads.requestsInFlight(at: index), 0), Self.inFlightMax)
        }
        return choose(among: available, excluding: attempted, now: now)
    }

    /// Learns how a request ended.
    ///
    /// `latency` runs from the choice to the response head (or to the failure). A failure is a
    /// connection error, a time-out, or a 5xx answer; it counts at least the failure penalty, so
    /// that a backend which fails fast does not look fast. `retryAfter` is the backend's own
    /// Retry-After, zero without one.
    public mutating func finished(
        index: Int, latency: TimeSpan, failed: Bool, retryAfter: TimeSpan = .zero, now: Instant
    ) {
        guard backends.indices.contains(index) else { return }
        var observed = latency
        if failed {
            let hint = min(retryAfter, tuning.failurePenaltyMax)
            observed = max(observed, max(tuning.failurePenalty, hint))
        }
        let isFirst = !backends[index].latency.isMeasured
        backends[index].latency.observe(
            nanoseconds: Double(max(observed.nanoseconds, 1)), failed: failed, now: now,
            median: medianNanoseconds, tuning: tuning)
        if isFirst || now >= medianDueAt { refreshMedian(now: now) }
    }

    /// Gives a backend another weight from the next choice on; 0 takes it out of the rotation.
    public mutating func setWeight(_ weight: Int, at index: Int) {
        guard backends.indices.contains(index) else { return }
        backends[index].setWeight(weight)
        rebuildWeightSums()
    }

    /// The weight of a backend; 0 for an index that does not exist.
    public func weight(at index: Int) -> Int {
        backends.indices.contains(index) ? backends[index].weight : 0
    }

    /// The latency that a backend is believed to have at `now`; `nil` before its first request.
    public func averageLatency(at index: Int, now: Instant) -> TimeSpan? {
        guard backends.indices.contains(index), backends[index].latency.isMeasured else {
            return nil
        }
        let nanoseconds = backends[index].latency.nanoseconds(
            now: now, median: medianNanoseconds, tuning: tuning)
        return TimeSpan(nanoseconds: UInt64(max(0, min(nanoseconds, 1e18))))
    }

    /// Takes over a reloaded pool: backends keep what was learned about them.
    ///
    /// `previousIndexes` holds, for each new backend, the index it had before, or `nil` for one
    /// that is new. Requests begun under the old indexes must not be reported under the new ones.
    public mutating func reconfigure(
        policy: SelectionPolicy, weights: [Int], previousIndexes: [Int?]
    ) {
        precondition(weights.count == previousIndexes.count, "one previous index per backend")
        let old = backends
        self.policy = policy
        backends = zip(weights, previousIndexes).map { weight, previous in
            var backend = BalancedBackend(weight: weight)
            if let previous, old.indices.contains(previous) {
                backend.latency = old[previous].latency
            }
            return backend
        }
        inFlight = [Int](repeating: 0, count: backends.count)
        lastAvailable = .max
        rebuildWeightSums()
    }
}

/// What a balancer keeps about one backend.
@usableFromInline
struct BalancedBackend: Sendable {
    @usableFromInline private(set) var weight = 0
    private(set) var inverseWeight = 0.0
    /// Standing in the smooth weighted rotation.
    @usableFromInline var turn = 0
    var latency = LatencyAverage()

    init(weight: Int) {
        setWeight(weight)
    }

    mutating func setWeight(_ weight: Int) {
        self.weight = min(max(weight, 0), PoolBalancer.weightMax)
        inverseWeight = self.weight > 0 ? 1 / Double(self.weight) : 0
    }
}
