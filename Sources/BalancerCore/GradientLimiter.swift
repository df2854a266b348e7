// SPDX-License-Identifier: Apache-2.0
//
// A limit of requests in flight that follows the latency: it grows while latency is near the best
// there was, and shrinks when requests begin to wait somewhere behind us.
//
//   gradient = (baseline + headroom) / latency, 0.5 to 2.0
//   limit    = gradient x limit + sqrt(limit)
//
// Both latencies are the ninetieth percentile, of a window and of the best there was. The baseline
// is measured anew now and then, since backends change: with half the limit, so that nothing waits
// behind us meanwhile. Envoy lowers the limit to 3 for that, which refuses requests of a healthy
// pool; here it never falls below the configured floor, and who has no queue for the rest asks for
// the limit that holds otherwise.

public import WireCore

/// The settings of an adaptive limit.
public struct GradientSettings: Hashable, Sendable {
    /// The limit never falls below.
    public var limitMin = 10
    /// The limit never grows beyond: the configured one.
    public var limitMax = 1_024
    /// How often the limit is computed.
    public var interval = TimeSpan.milliseconds(100)
    /// How often the baseline is measured anew.
    public var baselineInterval = TimeSpan.seconds(60)
    /// The baseline's interval is longer by up to this share, so that workers do not measure at
    /// once.
    public var jitterPercent = 10
    /// Latency above the baseline that is no sign of waiting, as a share of the baseline.
    public var headroomPercent = 25
    /// Requests that a window or a measurement needs.
    public var samplesMin = 50

    /// The defaults; see each property.
    public init() {}
}

/// Computes the limit; feed it every answer.
public struct GradientLimiter: Sendable {
    /// A measurement that has not found enough requests takes no longer than this.
    public static let measurementTimeMax = TimeSpan.seconds(1)

    /// The settings.
    public private(set) var settings: GradientSettings
    /// True while the baseline is measured.
    public private(set) var isMeasuring = true

    private var generator: SeededGenerator
    private var window = LatencyWindow()
    private var settled: Double
    private var baselineNanoseconds = 0.0
    private var windowEndsAt: Instant
    private var measuresAt: Instant
    private var measurementEndsAt: Instant
    /// Answers to requests that began before this were sent under the limit before.
    private var countsSince: Instant

    /// Begins at the largest limit, measuring.
    public init(settings: GradientSettings, seed: UInt64, now: Instant) {
        self.settings = settings
        generator = SeededGenerator(seed: seed)
        settled = Double(max(settings.limitMax, 1))
        windowEndsAt = now + settings.interval
        measuresAt = now
        measurementEndsAt = .distantFuture
        countsSince = now
    }

    /// The requests that may be in flight; those above it wait.
    public var limit: Int {
        guard isMeasuring, baselineNanoseconds > 0 else { return settledLimit }
        return max(min(settings.limitMin, settledLimit), settledLimit / 2)
    }

    /// The limit that holds while nothing is measured: for requests that cannot wait.
    public var settledLimit: Int { Int(settled) }

    /// The latency that counts as good; `nil` before it was measured.
    public var baseline: TimeSpan? {
        baselineNanoseconds > 0 ? TimeSpan(nanoseconds: UInt64(baselineNanoseconds)) : nil
    }

    /// An answer's head came; `latency` after the request was sent.
    ///
    /// - Returns: true when `limit` changed.
    @discardableResult
    public mutating func answered(latency: TimeSpan, now: Instant) -> Bool {
        let before = limit
        if isMeasuring {
            // A request that was sent before the limit was lowered says how it was then.
            if countsSince + latency <= now || baselineNanoseconds == 0 { window.add(latency) }
            if window.count >= settings.samplesMin || now >= measurementEndsAt {
                endMeasurement(now: now)
            }
        } else {
            window.add(latency)
            if now >= windowEndsAt { endWindow(now: now) }
        }
        return limit != before
    }

    private mutating func endWindow(now: Instant) {
        if window.count >= min(settings.samplesMin, 10) {
            let latency = max(window.percentile(90), 1)
            let target = baselineNanoseconds * Double(100 + settings.headroomPercent) / 100
            let gradient = min(2, max(0.5, target / latency))
            settled = clamped(gradient * settled + settled.squareRoot())
            window.removeAll()
        }
        windowEndsAt = now + settings.interval
        if now >= measuresAt { beginMeasurement(now: now) }
    }

    private mutating func beginMeasurement(now: Instant) {
        isMeasuring = true
        window.removeAll()
        countsSince = now
        measurementEndsAt = now + Self.measurementTimeMax
    }

    private mutating func endMeasurement(now: Instant) {
        if window.count >= min(settings.samplesMin, 10) || baselineNanoseconds == 0 {
            baselineNanoseconds = max(window.percentile(90), 1)
        }
        window.removeAll()
        isMeasuring = false
        windowEndsAt = now + settings.interval
        let percent = UInt64(min(max(settings.jitterPercent, 0), 100))
        let swing = settings.baselineInterval.divided(by: 100).multiplied(by: percent)
        measuresAt = now + settings.baselineInterval + generator.span(upTo: swing)
    }

    private func clamped(_ limit: Double) -> Double {
        let largest = Double(max(settings.limitMax, 1))
        return min(largest, max(Double(max(settings.limitMin, 1)), limit))
    }
}
