// SPDX-License-Identifier: Apache-2.0
//
// A limit of requests in flight that follows the latency: it grows while latency is near the best
// there was, and shrinks when requests begin to wait somewhere behind us.
//
//   gradient = (baseline + headroom) / latency, 0.5 to 2.0
//   limit    = gradient x limit + sqrt(limit)
//
// Both latencies are the ninetieth percentile, of a window and of the best there was. The baseline
// is measured anew now and then, since backends change. While latency is near it, that takes
// nothing: a better one counts, a worse one does not, or the baseline would creep up. Otherwise
// half of the requests that are in flight are let in for the time of a few answers, to see what the
// backends are like when nothing waits there. Envoy lowers the limit to 3 for that, which refuses
// requests of a healthy pool; here it never falls below the configured floor, and who has no
// queue for the rest asks for the limit that holds otherwise.

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
    /// A measurement takes no longer than this.
    public static let measurementTimeMax = TimeSpan.seconds(5)
    /// A measurement takes at least so many times the latency it finds: the requests that end
    /// first are the fast ones.
    static let measurementLatencies: UInt64 = 4
    /// A window takes at least so many times the latency of the last one: a limit that is changed
    /// before the last change can be seen swings from one end to the other.
    static let windowLatencies = 2.0
    /// Without an answer for so long, what was learned is another node's business.
    static let coldAfter = TimeSpan.seconds(10)
    /// While a measurement finds a tenth less than the last one, the next comes so soon.
    static let soon = TimeSpan.seconds(5)

    private enum Phase: Hashable, Sendable {
        /// The limit follows the latency.
        case following(since: Instant, measureAt: Instant)
        /// The baseline is measured; `loweredTo` is the limit meanwhile, when it is another one.
        case measuring(since: Instant, loweredTo: Int?)
    }

    /// The settings.
    public let settings: GradientSettings
    private var generator: SeededGenerator
    private var phase: Phase
    private var window = LatencyWindow()
    private var settled: Double
    private var baselineNanoseconds = 0.0
    /// What the last window found, at most a minute.
    private var lastLatency = 0.0
    /// The most requests in flight that were seen in this window and in the last one.
    private var inFlightMax = 0
    private var inFlightMaxBefore = 0
    /// When an answer came last; `nil` before the first.
    private var answeredAt: Instant?
    /// The first measurement may be of a pool that is full.
    private var isDoubtful = true

    /// Begins at the largest limit, measuring.
    public init(settings: GradientSettings, seed: UInt64, now: Instant) {
        self.settings = settings
        generator = SeededGenerator(seed: seed)
        settled = Double(max(settings.limitMax, 1))
        phase = .measuring(since: now, loweredTo: nil)
    }

    /// The requests that may be in flight; those above it wait.
    public var limit: Int {
        if case .measuring(_, loweredTo: let lowered?) = phase { return lowered }
        return settledLimit
    }

    /// The limit that holds while nothing is measured: for requests that cannot wait.
    public var settledLimit: Int { Int(settled) }

    /// True while the baseline is measured.
    public var isMeasuring: Bool {
        if case .measuring = phase { true } else { false }
    }

    /// The latency that counts as good; `nil` before it was measured.
    public var baseline: TimeSpan? {
        baselineNanoseconds > 0 ? TimeSpan(nanoseconds: UInt64(baselineNanoseconds)) : nil
    }

    /// True when nothing was learned here for so long that another node knows better.
    public func isCold(now: Instant) -> Bool {
        guard let answeredAt else { return true }
        return now - answeredAt >= Self.coldAfter
    }

    /// Goes on with what another node learned, unless something was learned here of late.
    ///
    /// - Parameters:
    ///   - limit: requests in flight.
    ///   - baseline: the latency that counts as good.
    ///   - now: the time.
    /// - Returns: true when `limit` changed.
    public mutating func seed(limit: Int, baseline: TimeSpan, now: Instant) -> Bool {
        guard isCold(now: now), baseline > .zero, limit > 0 else { return false }
        let before = self.limit
        window.removeAll()
        settled = clamped(Double(limit))
        baselineNanoseconds = Double(baseline.nanoseconds)
        // The backends may be others soon: it is measured anew as after any interval.
        phase = .following(since: now, measureAt: now + settings.baselineInterval)
        return self.limit != before
    }

    /// An answer's head came.
    ///
    /// - Parameters:
    ///   - latency: since the request was sent.
    ///   - inFlight: requests in flight, this one included.
    ///   - now: the time.
    /// - Returns: true when `limit` changed.
    @discardableResult
    public mutating func answered(latency: TimeSpan, inFlight: Int, now: Instant) -> Bool {
        let before = limit
        answeredAt = now
        inFlightMax = max(inFlightMax, min(inFlight, 1 << 30))
        switch phase {
        case .measuring(let since, let lowered):
            // A request that was sent under the limit before says how it was then.
            if lowered == nil || since + latency <= now { window.add(latency) }
            if isMeasured(since: since, now: now) { endMeasurement(lowered, now: now) }
        case .following(let since, let measureAt):
            if since + latency <= now { window.add(latency) }
            if now - since >= windowSpan { endWindow(since: since, measureAt: measureAt, now: now) }
        }
        return limit != before
    }

    /// Answers that make a percentile.
    private var samplesMin: Int { max(settings.samplesMin, 1) }

    private var windowSpan: TimeSpan {
        max(settings.interval, TimeSpan(nanoseconds: UInt64(lastLatency * Self.windowLatencies)))
    }

    private var target: Double {
        baselineNanoseconds * Double(100 + max(settings.headroomPercent, 0)) / 100
    }

    private mutating func endWindow(since: Instant, measureAt: Instant, now: Instant) {
        var start = since
        if window.count >= samplesMin {
            start = now
            lastLatency = min(max(window.percentile(90), 1), 60e9)
            let gradient = min(2, max(0.5, target / lastLatency))
            // A limit that nobody reached says nothing: it shrinks from what was in flight.
            let reached = Double(max(inFlightMax, 1))
            let from = gradient < 1 ? min(settled, reached) : settled
            settled = clamped(gradient * from + from.squareRoot())
            window.removeAll()
            inFlightMaxBefore = inFlightMax
            inFlightMax = 0
        }
        phase = .following(since: start, measureAt: measureAt)
        if now >= measureAt { beginMeasurement(now: now) }
    }

    private mutating func beginMeasurement(now: Instant) {
        window.removeAll()
        var lowered: Int?
        if isDoubtful || lastLatency > target {
            let half = max(inFlightMax, inFlightMaxBefore) / 2
            lowered = min(settledLimit, max(half, max(settings.limitMin, 1)))
        }
        phase = .measuring(since: now, loweredTo: lowered)
    }

    private func isMeasured(since: Instant, now: Instant) -> Bool {
        let elapsed = now - since
        if elapsed >= Self.measurementTimeMax { return window.count > 0 }
        guard window.count >= samplesMin, elapsed >= settings.interval else {
            return false
        }
        // Looked at every few answers: a percentile is a walk over the histogram.
        guard window.count.isMultiple(of: 8) else { return false }
        let latency = window.percentile(90) * Double(Self.measurementLatencies)
        return Double(elapsed.nanoseconds) >= latency
    }

    private mutating func endMeasurement(_ lowered: Int?, now: Instant) {
        let measured = max(window.percentile(90), 1)
        let isFirst = baselineNanoseconds == 0
        let isMuchBetter = measured < baselineNanoseconds * 0.9
        baselineNanoseconds =
            isFirst || lowered != nil ? measured : min(baselineNanoseconds, measured)
        if lowered != nil { isDoubtful = isMuchBetter }
        window.removeAll()
        let percent = UInt64(min(max(settings.jitterPercent, 0), 100))
        let swing = settings.baselineInterval.divided(by: 100).multiplied(by: percent)
        let wait =
            isDoubtful
            ? min(Self.soon, settings.baselineInterval)
            : settings.baselineInterval + generator.span(upTo: swing)
        phase = .following(since: now, measureAt: now + wait)
    }

    private func clamped(_ limit: Double) -> Double {
        let largest = Double(max(settings.limitMax, 1))
        return min(largest, max(Double(max(settings.limitMin, 1)), limit))
    }
}
