// SPDX-License-Identifier: Apache-2.0
//
// Every probe around the fault, one strip a run. Pure.

internal import WireCore

/// Draws the probes of all runs on one time axis.
enum TimelinePlot {
    /// Strips drawn; of more runs, those with the longest gaps.
    static let stripsMax = 60

    private static let width = 1_000.0
    private static let labelWidth = 52.0
    private static let stripHeight = 58.0
    private static let failureLane = 8.0
    private static let latencyTop = 16.0
    private static let latencyBottom = 52.0
    /// Latencies from 100 us to 10 s fit the strip.
    private static let decadeLow = -1.0
    private static let decadeHigh = 4.0

    static func render(_ report: DrillReport) -> String {
        let runs = shown(report.results)
        guard !runs.isEmpty else { return "<p>No run was measured.</p>" }
        let offsets = runs.flatMap { [$0.points.first, $0.points.last].compactMap { $0 } }
            .map { Double($0.offsetNanoseconds) / 1e6 }
        let scale = PlotScale(
            from: offsets.min() ?? -100, to: offsets.max() ?? 100, start: labelWidth,
            end: width - 8)
        let height = Double(runs.count) * stripHeight
        var svg = "<svg viewBox=\"0 0 1000 \(PlotScale.number(height + 30))\" role=\"img\" "
        svg += "aria-label=\"Probes around the fault of every run\">\n"
        for tick in scale.ticks(about: 10) {
            let x = PlotScale.number(scale.position(tick))
            svg += "<path class=\"axis\" d=\"M\(x) 0V\(PlotScale.number(height))\"/>"
            svg += "<text x=\"\(x)\" y=\"\(PlotScale.number(height + 14))\" "
            svg += "text-anchor=\"middle\">\(PlotScale.label(tick))</text>\n"
        }
        for (row, run) in runs.enumerated() {
            svg += strip(run, scale, top: Double(row) * stripHeight)
        }
        let zero = PlotScale.number(scale.position(0))
        svg += "<path class=\"fault\" d=\"M\(zero) 0V\(PlotScale.number(height))\"/>\n"
        svg += "<text x=\"992\" y=\"\(PlotScale.number(height + 28))\" text-anchor=\"end\">"
        return svg + "ms after the fault</text>\n</svg>"
    }

    /// At most `stripsMax` runs, in their order.
    static func shown(_ results: [RunResult]) -> [RunResult] {
        guard results.count > stripsMax else { return results }
        let longest = results.sorted {
            ($0.outage?.gap ?? .seconds(86_400)) > ($1.outage?.gap ?? .seconds(86_400))
        }
        return longest.prefix(stripsMax).sorted { $0.number < $1.number }
    }

    private static func strip(_ run: RunResult, _ scale: PlotScale, top: Double) -> String {
        let bottom = PlotScale.number(top + stripHeight)
        var svg = "<g><title>run \(run.number)</title>"
        svg += "<path class=\"axis\" d=\"M0 \(bottom)H1000\"/>"
        svg += "<text x=\"2\" y=\"\(PlotScale.number(top + 20))\">run \(run.number)</text>"
        let gap = run.outage.map { DurationText.milliseconds($0.gap) + " ms" } ?? "never"
        svg += "<text x=\"2\" y=\"\(PlotScale.number(top + 36))\">\(gap)</text>\n"
        if let outage = run.outage {
            let start = Double(outage.startNanoseconds) / 1e6
            let from = scale.position(start)
            let to = scale.position(start + Double(outage.gap.nanoseconds) / 1e6)
            svg += "<rect class=\"shade\" x=\"\(PlotScale.number(from))\" "
            svg += "y=\"\(PlotScale.number(top))\" width=\"\(PlotScale.number(to - from))\" "
            svg += "height=\"\(PlotScale.number(stripHeight))\"/>\n"
        }
        for (kind, belongs) in kinds {
            let path = run.points.filter(belongs).map { point in
                let x = scale.position(Double(point.offsetNanoseconds) / 1e6)
                return "M\(PlotScale.number(x)) \(PlotScale.number(top + height(of: point)))h0"
            }.joined(separator: "")
            if !path.isEmpty { svg += "<path class=\"\(kind)\" d=\"\(path)\"/>\n" }
        }
        return svg + "</g>\n"
    }

    private static let kinds: [(String, @Sendable (ProbePoint) -> Bool)] = [
        ("good", { $0.outcome == .answered && $0.latency <= ProbeRecord.slowLimit }),
        ("slow", { $0.outcome == .answered && $0.latency > ProbeRecord.slowLimit }),
        ("bad", { $0.outcome != .answered }),
    ]

    private static func height(of point: ProbePoint) -> Double {
        guard point.outcome == .answered else { return failureLane }
        let scale = PlotScale(
            from: decadeLow, to: decadeHigh, start: latencyBottom, end: latencyTop)
        return scale.position(decimalLogarithm(Double(point.latency.nanoseconds) / 1e6))
    }

    /// log10, exact enough for a drawing: the exponent by halving, the rest by a chord.
    static func decimalLogarithm(_ value: Double) -> Double {
        guard value > 0, value.isFinite else { return decadeLow }
        let fraction = value.significand - 1
        let binary = Double(value.exponent) + fraction * (4 - fraction) / 3
        return binary * 0.301_029_995_663_981_2
    }
}
