// SPDX-License-Identifier: Apache-2.0
//
// Adaptive concurrency: each worker learns a limit from the answers that it sees, and the limits of
// all workers together are that of the pool. So nobody waits for anybody, and a worker with few
// clients leaves its share to the others.

internal import BalancerCore
internal import ConfigurationCore
internal import Synchronization
internal import WireCore

/// What the workers' limits add up to.
final class AdaptiveShares: Sendable {
    /// The share of one worker; 0 while it has none.
    private final class Share: Sendable {
        let limit = Atomic<Int>(0)
        let settledLimit = Atomic<Int>(0)
        /// The latency that counts as good, in nanoseconds; 0 before it was measured here.
        let baseline = Atomic<UInt64>(0)
    }

    /// Requests that may be in flight; `Int.max` without adaptive concurrency, and while a worker
    /// has not joined in.
    let limit = Atomic<Int>(Int.max)
    /// The same for requests that cannot wait: it is not lowered while latency is measured.
    let settledLimit = Atomic<Int>(Int.max)
    private let shares: [Share]

    init(workerCount: Int) {
        shares = (0..<workerCount).map { _ in Share() }
    }

    /// What the other node learned for the pool: the limit, and the latency that counts as good in
    /// microseconds; and when that was heard, in seconds.
    let peerLimit = Atomic<Int>(0)
    let peerBaselineMicroseconds = Atomic<UInt64>(0)
    let peerSeconds = Atomic<UInt32>(0)

    /// The latency that counts as good: the best that a worker knows; `nil` before one does.
    var baseline: TimeSpan? {
        let known = shares.map { $0.baseline.load(ordering: .relaxed) }.filter { $0 > 0 }
        return known.min().map { TimeSpan(nanoseconds: $0) }
    }

    /// Makes known what a worker takes for a good latency; `nil` when it has measured none itself.
    func set(baseline: TimeSpan?, worker: Int) {
        shares[worker].baseline.store(baseline?.nanoseconds ?? 0, ordering: .relaxed)
    }

    /// Replaces the share of a worker; 0 for none.
    ///
    /// Two workers that do this at once may leave a sum that lacks the last change of one; its next
    /// change mends that.
    func set(_ share: Int, settled: Int, worker: Int) {
        shares[worker].limit.store(share, ordering: .relaxed)
        shares[worker].settledLimit.store(settled, ordering: .relaxed)
        limit.store(sum { $0.limit.load(ordering: .relaxed) }, ordering: .relaxed)
        settledLimit.store(sum { $0.settledLimit.load(ordering: .relaxed) }, ordering: .relaxed)
    }

    /// Takes the share of a worker away, and so the limit.
    func withdraw(_ worker: Int) { set(0, settled: 0, worker: worker) }

    private func sum(_ share: (Share) -> Int) -> Int {
        var sum = 0
        for row in shares {
            let share = share(row)
            guard share > 0 else { return .max }
            sum &+= share
        }
        return sum
    }
}

/// The limit that one worker learns for one pool.
struct AdaptiveLimit {
    /// The largest limit of a pool that configures none.
    private static let requestsMax = 1_000_000

    private var limiter: GradientLimiter
    private let configuration: AdaptiveConcurrencyConfiguration
    private let requests: Int?
    private let worker: Int
    private let workerCount: Int

    /// Begins to learn what `plan` wants learned; `nil` when it wants nothing.
    init?(_ plan: PoolPlan, worker: Int, workerCount: Int, seed: UInt64, now: Instant) {
        guard let configuration = plan.configuration.adaptiveConcurrency else { return nil }
        self.configuration = configuration
        requests = plan.configuration.limits.requests
        self.worker = worker
        self.workerCount = workerCount
        func share(_ limit: Int) -> Int { max(1, (limit + workerCount - 1) / workerCount) }
        var settings = GradientSettings()
        settings.limitMax = share(requests ?? Self.requestsMax)
        settings.limitMin = min(share(configuration.requestsMin), settings.limitMax)
        settings.interval = configuration.interval
        settings.baselineInterval = configuration.baselineInterval
        limiter = GradientLimiter(settings: settings, seed: seed, now: now)
    }

    /// True when what was learned under another configuration still holds.
    func isSame(as other: AdaptiveLimit) -> Bool {
        configuration == other.configuration && requests == other.requests
    }

    /// An answer that is no failure took so long.
    mutating func answered(latency: TimeSpan, now: Instant, _ pool: Unmanaged<SharedPool>) {
        let inFlight = pool._withUnsafeGuaranteedRef {
            $0.requestsInFlight.load(ordering: .relaxed)
        }
        // A worker's own requests are not counted; clients spread, so its share is about even.
        let share = (max(inFlight, 1) + workerCount - 1) / workerCount
        if limiter.answered(latency: latency, inFlight: share, now: now) { publish(pool) }
    }

    /// Makes known what was learned here, and takes what the other node has learned when nothing
    /// was for a while.
    mutating func share(_ pool: Unmanaged<SharedPool>, now: Instant) {
        let hint = pool._withUnsafeGuaranteedRef { pool -> (limit: Int, baseline: TimeSpan)? in
            pool.adaptive.set(
                baseline: limiter.isCold(now: now) ? nil : limiter.baseline, worker: worker)
            let seconds = pool.adaptive.peerSeconds.load(ordering: .acquiring)
            guard PeerHint.isFresh(seconds, now: now) else { return nil }
            return (
                pool.adaptive.peerLimit.load(ordering: .relaxed),
                .microseconds(pool.adaptive.peerBaselineMicroseconds.load(ordering: .relaxed))
            )
        }
        guard let hint, hint.limit > 0 else { return }
        let share = max(1, (hint.limit + workerCount - 1) / workerCount)
        if limiter.seed(limit: share, baseline: hint.baseline, now: now) { publish(pool) }
    }

    /// Makes the limit count.
    func publish(_ pool: Unmanaged<SharedPool>) {
        pool._withUnsafeGuaranteedRef {
            $0.adaptive.set(limiter.limit, settled: limiter.settledLimit, worker: worker)
        }
    }
}

extension WorkerPool {
    /// Goes on with what the pool learned before a reload, or begins, or stops.
    mutating func adoptLimit(
        of old: UnsafeMutablePointer<WorkerPool>?, _ setup: WorkerSetup, now: Instant
    ) {
        let fresh = AdaptiveLimit(
            plan, worker: setup.index, workerCount: setup.workerCount,
            seed: setup.seed ^ UInt64(truncatingIfNeeded: setup.index), now: now)
        guard let fresh else {
            if old?.pointee.adaptiveLimit != nil { plan.shared.adaptive.withdraw(setup.index) }
            return
        }
        if let known = old?.pointee.adaptiveLimit, known.isSame(as: fresh) {
            adaptiveLimit = known
        } else {
            adaptiveLimit = fresh
        }
        adaptiveLimit?.publish(shared)
    }

    /// Learns from an answer that is no failure.
    @inline(__always)
    mutating func learnLimit(latency: TimeSpan, now: Instant) {
        if adaptiveLimit != nil {
            adaptiveLimit?.answered(latency: latency, now: now, shared)
        }
    }
}
