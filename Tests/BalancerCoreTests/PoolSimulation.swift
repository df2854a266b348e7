// SPDX-License-Identifier: Apache-2.0
//
// A pool in virtual time: Poisson arrivals, backends that serve first come first served with
// several workers each, and one balancer that sees all traffic. Replays from its seed.

import BalancerCore
import Glibc
import WireCore

/// What a simulated backend does.
struct SimulatedBackend {
    /// Factor on every service time.
    var slowness = 1.0
    /// While this holds, each request fails after one millisecond.
    var failsBetween: Range<Double>?
    var isFailing: (Double) -> Bool {
        { time in failsBetween?.contains(time) ?? false }
    }
}

/// Runs requests through a balancer and records what became of them.
struct PoolSimulation {
    /// Workers per backend: requests it serves at once.
    static let workers = 8
    /// Mean service time of a backend that is not slow, in seconds.
    static let serviceMean = 0.020

    struct Outcome {
        var latencies: [Double] = []
        var failures = 0
        var served: [Int]
        /// Start times of the requests sent to backend 0.
        var sentToFirst: [Double] = []

        func percentile(_ share: Double) -> Double {
            let sorted = latencies.sorted()
            return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
        }
    }

    private struct Completion {
        var time: Double
        var index: Int
        var latency: Double
        var failed: Bool
    }

    let backends: [SimulatedBackend]
    /// Share of the pool's capacity that arrives.
    let utilisation: Double
    var generator: SeededGenerator
    private var freeAt: [[Double]]
    private var loads: ScriptedLoads
    private var completions: [Completion] = []

    init(backends: [SimulatedBackend], utilisation: Double, seed: UInt64) {
        self.backends = backends
        self.utilisation = utilisation
        generator = SeededGenerator(seed: seed)
        freeAt = backends.map { _ in [Double](repeating: 0, count: Self.workers) }
        loads = ScriptedLoads(count: backends.count)
    }

    /// Sends `count` requests; those of the first fifth only warm the pool up.
    mutating func run(_ balancer: inout PoolBalancer, requests count: Int) -> Outcome {
        var outcome = Outcome(served: [Int](repeating: 0, count: backends.count))
        let capacity = backends.map { Double(Self.workers) / (Self.serviceMean * $0.slowness) }
        let rate = utilisation * capacity.reduce(0, +)
        var time = 0.0
        for number in 0..<count {
            time += exponential(mean: 1 / rate)
            finish(until: time, &balancer)
            guard let index = balancer.pick(instant(time), loads) else { continue }
            let completion = serve(index, at: time)
            insert(completion)
            loads.inFlight[index] += 1
            if index == 0 { outcome.sentToFirst.append(time) }
            guard number >= count / 5 else { continue }
            outcome.served[index] += 1
            outcome.latencies.append(completion.latency)
            if completion.failed { outcome.failures += 1 }
        }
        return outcome
    }

    private mutating func serve(_ index: Int, at time: Double) -> Completion {
        if backends[index].isFailing(time) {
            return Completion(time: time + 0.001, index: index, latency: 0.001, failed: true)
        }
        var worker = 0
        for other in 1..<Self.workers where freeAt[index][other] < freeAt[index][worker] {
            worker = other
        }
        let begin = max(time, freeAt[index][worker])
        let end = begin + logNormal() * backends[index].slowness
        freeAt[index][worker] = end
        return Completion(time: end, index: index, latency: end - time, failed: false)
    }

    private mutating func insert(_ completion: Completion) {
        // Newest first, so that the next one to finish is last.
        var low = 0
        var high = completions.count
        while low < high {
            let middle = (low + high) / 2
            if completions[middle].time > completion.time {
                low = middle + 1
            } else {
                high = middle
            }
        }
        completions.insert(completion, at: low)
    }

    private mutating func finish(until time: Double, _ balancer: inout PoolBalancer) {
        while let next = completions.last, next.time <= time {
            completions.removeLast()
            loads.inFlight[next.index] -= 1
            balancer.finished(
                index: next.index, latency: TimeSpan(nanoseconds: UInt64(next.latency * 1e9)),
                failed: next.failed, now: instant(next.time))
        }
    }

    private func instant(_ seconds: Double) -> Instant {
        Instant(nanoseconds: UInt64((seconds + 1) * 1e9))
    }

    private mutating func unit() -> Double {
        (Double(generator.next() >> 11) + 0.5) / Double(1 << 53)
    }

    private mutating func exponential(mean: Double) -> Double {
        -mean * log(unit())
    }

    /// Mean `serviceMean`, sigma 1.
    private mutating func logNormal() -> Double {
        let normal = sqrt(-2 * log(unit())) * cos(2 * Double.pi * unit())
        return Self.serviceMean * exp(normal - 0.5)
    }
}
