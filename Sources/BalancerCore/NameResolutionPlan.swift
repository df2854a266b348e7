// SPDX-License-Identifier: Apache-2.0
//
// How often names are asked for and how long their answers are believed.

public import WireCore

/// The settings of a name table.
public struct NameResolutionPlan: Hashable, Sendable {
    /// An answer is kept at least so long, whatever its time to live.
    public var ttlMin: TimeSpan
    /// An answer is asked for again after so long at the latest.
    public var ttlMax: TimeSpan
    /// Addresses outlive an answer that there are none by so long.
    public var hold: TimeSpan
    /// The wait after the first failure; each further one doubles it.
    public var retryMin = TimeSpan.seconds(1)
    /// The longest wait after a failure.
    public var retryMax = TimeSpan.seconds(30)
    /// Each wait is shortened by a random part of it, up to this share: questions spread out.
    public var jitterPercent: UInt64 = 10
    /// Names that are asked for at once; more wait in line.
    public var lookupsAtOnceMax = 32
    /// Backends that one name may stand for; further ones are left out.
    public var targetsMax = 64
    /// Names that may be wanted; further ones are refused.
    public var namesMax = 1_000
    /// Hosts that SRV records may name in all, beyond those that are wanted; further ones are left
    /// out.
    public var serviceHostsMax = 1_000

    /// Makes a plan; a longest time below its shortest one counts as that.
    public init(
        ttlMin: TimeSpan = .seconds(1), ttlMax: TimeSpan = .seconds(300),
        hold: TimeSpan = .seconds(30)
    ) {
        self.ttlMin = ttlMin
        self.ttlMax = max(ttlMin, ttlMax)
        self.hold = hold
    }

    /// The wait after an answer that is valid for `ttl`.
    func wait(afterAnswerValidFor ttl: TimeSpan, using generator: inout SeededGenerator) -> TimeSpan
    {
        let bounded = min(max(ttl, ttlMin), ttlMax)
        // Never shorter than the minimum, which is there to protect the servers.
        return max(ttlMin, jittered(bounded, using: &generator))
    }

    /// The wait after so many failures in a row.
    func wait(afterFailures count: Int, using generator: inout SeededGenerator) -> TimeSpan {
        let doublings = UInt64(min(max(count, 1) - 1, 20))
        let full = min(retryMin.multiplied(by: 1 << doublings), max(retryMin, retryMax))
        return jittered(full, using: &generator)
    }

    private func jittered(_ span: TimeSpan, using generator: inout SeededGenerator) -> TimeSpan {
        let part = span.divided(by: 100).multiplied(by: min(jitterPercent, 100))
        return span - generator.span(upTo: part)
    }
}
