// SPDX-License-Identifier: Apache-2.0
//
// One worker's choices in one pool: turns, latency averages, random draws. It owns what a single
// thread learns; what threads share comes in, as BackendLoads and as standings.

public import WireCore

/// Chooses the backend of each request of one pool, on one worker.
///
/// A plain value: keep it in one place and change it there, a copy would take turns of its own.
/// Choosing never allocates. Who may be chosen is told by `setStandings`, which costs a walk over
/// the pool and is called when something changed, not for each choice.
///
/// A choice first draws a group by its share of the traffic (`PoolView`), then a backend inside
/// it by the policy. Up to `fullScanBackendsMax` backends of a group are all looked at; in larger
/// ones two random backends are compared, since a full view is worth less than its cost there.
/// When nobody in a group has room, the other groups are tried, so a zone at its limit spills.
///
/// Backends on trial are in no group; `trialCount` says how to give them their one request.
public struct PoolBalancer: Sendable {
    /// The largest group whose every backend is looked at for a choice.
    public static let fullScanBackendsMax = 64
    /// The largest weight that counts; larger ones are cut to it.
    public static let weightMax = 65_535
    /// More requests in flight than this count as this many.
    @usableFromInline static let inFlightMax = 1 << 32
    /// Random draws for a backend with room in a large group before it is searched in order.
    @usableFromInline static let drawsMax = 16
    /// The pool's median latency is recomputed at most this often, and over at most 64 backends.
    static let medianInterval = TimeSpan.milliseconds(100)

    /// The policy in force.
    public private(set) var policy: SelectionPolicy
    /// The groups and their shares as the last standings made them.
    public internal(set) var view: PoolView
    @usableFromInline var backends: [BalancedBackend]
    /// Indexes of the backends that are given work, group by group.
    @usableFromInline var members: [Int32] = []
    @usableFromInline var groups: [BalancedGroup] = []
    /// Backends on trial.
    @usableFromInline var trials: [Int32] = []
    /// Requests in flight as read by the choice in progress, by position in the group.
    @usableFromInline var inFlight = [Int](repeating: 0, count: fullScanBackendsMax)
    /// Sums of the weights up to and including each member of a large group; for weighted draws.
    @usableFromInline var weightSums: [UInt64] = []
    /// Large groups in turns: a heap of their members, the next in turn first.
    @usableFromInline var turnHeap: [Int32] = []
    @usableFromInline var hashTable: HashTable?
    /// The bound of hashing over the mean load; 0 without one.
    @usableFromInline var loadBoundPercent = 0
    /// Numbers the choices that look at several groups.
    @usableFromInline var spillNumber: UInt64 = 0
    let tuning: LeastTimeTuning
    @usableFromInline var generator: SeededGenerator
    var placements: [BackendPlacement]
    var sharing: PoolSharing
    var medianNanoseconds: Double
    var medianDueAt = Instant(nanoseconds: 0)
    var sample: [Double] = []

    /// Makes the balancer of a pool without zones, priorities or hashing.
    ///
    /// A weight of 0 takes a backend out of the rotation. Give each worker its own seed, or all
    /// of them draw the same backends at the same time.
    public init(
        policy: SelectionPolicy, weights: [Int], seed: UInt64,
        tuning: LeastTimeTuning = LeastTimeTuning()
    ) {
        self.init(PoolShape(policy: policy, weights: weights), seed: seed, tuning: tuning)
    }

    /// Makes the balancer of a pool; every backend serves until standings say otherwise.
    public init(
        _ shape: PoolShape, seed: UInt64, tuning: LeastTimeTuning = LeastTimeTuning()
    ) {
        policy = shape.policy
        self.tuning = tuning
        generator = SeededGenerator(seed: seed)
        backends = []
        placements = []
        sharing = shape.sharing
        view = PoolView(standings: [], placements: [], sharing: shape.sharing)
        // Until something is measured all backends look alike, and least time counts requests.
        medianNanoseconds = Double(tuning.failurePenalty.nanoseconds)
        sample.reserveCapacity(Self.fullScanBackendsMax)
        adopt(shape, previous: [], previousIndexes: shape.weights.map { _ in nil })
    }

    /// How many backends the pool has.
    @inlinable public var backendCount: Int { backends.count }

    /// The backend for a request, or why there is none.
    ///
    /// `loads` has the pool's backends under this balancer's indexes. A backend in `attempted` was
    /// tried before and is not chosen again. `key` is what a hash policy goes by; without one the
    /// choice is drawn at random.
    @inlinable
    public mutating func choose(
        now: Instant, loads: borrowing some BackendLoads & ~Copyable,
        excluding attempted: AttemptedBackends = AttemptedBackends(), key: UInt64? = nil
    ) -> BackendChoice {
        guard groups.count > 1 else {
            guard groups.count == 1 else { return .noneAvailable }
            return choose(inGroup: 0, now: now, loads: loads, excluding: attempted, key: key)
        }
        return chooseAmongGroups(now: now, loads: loads, excluding: attempted, key: key)
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

    /// Takes over an average of the other node for a backend that nothing was heard of for long, or
    /// ever.
    public mutating func seedLatency(_ latency: TimeSpan, at index: Int, now: Instant) {
        guard backends.indices.contains(index), latency > .zero else { return }
        let isNew = backends[index].latency.seed(
            nanoseconds: Double(min(latency, tuning.failurePenaltyMax).nanoseconds), now: now,
            tuning: tuning)
        if isNew { refreshMedian(now: now) }
    }

    /// True when an average of the other node would count for a backend.
    public func wantsLatency(at index: Int, now: Instant) -> Bool {
        guard backends.indices.contains(index) else { return false }
        return backends[index].latency.isCold(now: now, tuning: tuning)
    }

    /// The weight of a backend, its ramp not applied; 0 for an index that does not exist.
    public func weight(at index: Int) -> Int {
        backends.indices.contains(index) ? Int(backends[index].standing.weight) : 0
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
    /// Standings are kept but for the weights, which are those of the shape again: call
    /// `setStandings` afterwards when they are others.
    public mutating func reconfigure(_ shape: PoolShape, previousIndexes: [Int?]) {
        precondition(
            shape.weights.count == previousIndexes.count, "one previous index per backend")
        policy = shape.policy
        sharing = shape.sharing
        adopt(shape, previous: backends, previousIndexes: previousIndexes)
    }

    /// Takes over a reloaded pool without zones, priorities or hashing.
    public mutating func reconfigure(
        policy: SelectionPolicy, weights: [Int], previousIndexes: [Int?]
    ) {
        reconfigure(
            PoolShape(policy: policy, weights: weights), previousIndexes: previousIndexes)
    }

    private mutating func adopt(
        _ shape: PoolShape, previous: [BalancedBackend], previousIndexes: [Int?]
    ) {
        placements = shape.placements
        hashTable = shape.policy.usesHash ? shape.hashTable : nil
        let isBound = shape.policy.usesHash && shape.policy != .ipHash
        loadBoundPercent = isBound ? shape.loadBoundPercent.map { max($0, 100) } ?? 0 : 0
        backends = zip(shape.weights, previousIndexes).map { weight, index in
            var backend = BalancedBackend(weight: UInt16(clamping: weight))
            guard let index, previous.indices.contains(index) else { return backend }
            backend.standing.admission = previous[index].standing.admission
            backend.standing.rampPercent = previous[index].standing.rampPercent
            backend.latency = previous[index].latency
            // It was there before: what is known about it stays.
            backend.wasMember = previous[index].wasMember
            return backend
        }
        regroup()
    }
}

/// What a balancer keeps about one backend.
@usableFromInline
struct BalancedBackend: Sendable {
    @usableFromInline var standing: BackendStanding
    /// The weight of its standing in hundredths, with the ramp; 0 while it is in no group.
    @usableFromInline var weight = 0
    var inverseWeight = 0.0
    /// The group it belongs to, -1 for none.
    @usableFromInline var group: Int32 = -1
    /// Of 2^32 keys that fall to it, it keeps so many; `max` keeps all.
    @usableFromInline var keptKeys = UInt32.max
    /// Standing in the smooth weighted rotation.
    @usableFromInline var turn = 0
    /// Large groups: when its next turn is due, and the distance of its turns.
    @usableFromInline var dueTurn: UInt64 = 0
    @usableFromInline var turnPeriod: UInt64 = 0
    var latency = LatencyAverage()
    /// It was in a group before the standings changed.
    var wasMember = true

    init(weight: UInt16) {
        standing = BackendStanding(weight: weight)
    }

    /// Joins a group, or none.
    mutating func join(_ newGroup: Int32) {
        group = newGroup
        weight = newGroup >= 0 ? standing.effectiveWeight : 0
        inverseWeight = weight > 0 ? 1 / Double(weight) : 0
    }
}

/// A group as choices use it.
@usableFromInline
struct BalancedGroup: Sendable {
    /// Its first member and how many there are.
    @usableFromInline let start: Int
    @usableFromInline let count: Int
    @usableFromInline let priority: Int
    @usableFromInline let shareBasisPoints: UInt64
    /// The sum of its members' weights as choices use them.
    @usableFromInline var weight = 0
    /// The last choice that tried it in vain.
    @usableFromInline var spillNumber: UInt64 = 0
    /// Large groups under bounded load: the requests in flight as last added up.
    @usableFromInline var addedUp = 0
    /// Choices since then.
    @usableFromInline var choicesSince = Int.max
    /// The latest turn that was taken.
    @usableFromInline var turn: UInt64 = 0

    init(_ group: PoolView.Group) {
        start = group.range.lowerBound
        count = group.range.count
        priority = group.priority
        shareBasisPoints = UInt64(group.shareBasisPoints)
    }
}
