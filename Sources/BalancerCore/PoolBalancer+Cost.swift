// SPDX-License-Identifier: Apache-2.0
//
// What a backend costs under each policy, and the pool's median latency that costs refer to.

public import WireCore

extension PoolBalancer {
    /// Expected nanoseconds until one more request would be done, for its weight.
    func cost(of index: Int, inFlight: Double, now: Instant) -> Double {
        let average = backends[index].latency.nanoseconds(
            now: now, median: medianNanoseconds, tuning: tuning)
        return average * (1 + inFlight) * backends[index].inverseWeight
    }

    /// True unless the second of two backends is cheaper under the policy.
    @usableFromInline
    func isFirstBetter(
        _ first: Int, inFlight firstLoad: Int, _ second: Int, inFlight secondLoad: Int,
        now: Instant
    ) -> Bool {
        if policy == .leastTime {
            let firstCost = cost(of: first, inFlight: Double(firstLoad), now: now)
            let secondCost = cost(of: second, inFlight: Double(secondLoad), now: now)
            return firstCost <= secondCost
        }
        let firstShare = firstLoad &* backends[second].weight
        let secondShare = secondLoad &* backends[first].weight
        return firstShare <= secondShare
    }

    /// Recomputes the median latency of the pool.
    ///
    /// It is taken over the available backends whose last request succeeded, so that failing
    /// backends do not declare failure normal; over all measured ones when none succeeded. Of an
    /// even number the lower middle counts: of two backends the healthy one is the norm.
    mutating func refreshMedian(now: Instant) {
        medianDueAt = now + Self.medianInterval
        collectSample(now: now, onlySucceeding: true)
        if sample.isEmpty { collectSample(now: now, onlySucceeding: false) }
        guard !sample.isEmpty else { return }
        sample.sort()
        medianNanoseconds = sample[(sample.count - 1) / 2]
    }

    private mutating func collectSample(now: Instant, onlySucceeding: Bool) {
        sample.removeAll(keepingCapacity: true)
        let isSmall = backends.count <= Self.fullScanBackendsMax
        let step = isSmall ? 1 : backends.count / Self.fullScanBackendsMax
        let start = isSmall ? 0 : Int(generator.number(below: UInt64(step)))
        for index in stride(from: start, to: backends.count, by: step) {
            if sample.count == Self.fullScanBackendsMax { return }
            let latency = backends[index].latency
            guard latency.isMeasured, !(onlySucceeding && latency.lastFailed) else { continue }
            if isSmall, backends[index].group < 0 { continue }
            sample.append(
                latency.nanoseconds(now: now, median: medianNanoseconds, tuning: tuning))
        }
    }
}
