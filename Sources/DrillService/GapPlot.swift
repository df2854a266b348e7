// SPDX-License-Identifier: Apache-2.0
//
// The distribution of gaps: one dot a run, stacked, with the median and the bars. Pure.

internal import WireCore

/// Draws the gaps of all runs.
enum GapPlot {
    private static let width = 1_000.0
    private static let plotHeight = 120.0
    private static let margin = 40.0
    /// Room for the names of three lines, one under the other so that they cannot collide.
    private static let top = 44.0
    private static let binCount = 120

    static func render(_ report: DrillReport) -> String {
        let gaps = report.gaps
        guard let worst = gaps.maximum else { return "<p>No run resumed.</p>" }
        let limits = [report.options.bars.median, report.options.bars.worst].compactMap { $0 }
        let highest = max(worst, limits.max() ?? .zero)
        let high = milliseconds(highest) * 1.08
        let scale = PlotScale(from: 0, to: high, start: margin, end: width - margin)
        let base = plotHeight + top

        var svg = "<svg viewBox=\"0 0 1000 \(PlotScale.number(base + 34))\" role=\"img\" "
        svg += "aria-label=\"Gap of every run in milliseconds\">\n"
        for tick in scale.ticks(about: 8) {
            let x = PlotScale.number(scale.position(tick))
            let ends = "\(PlotScale.number(top))V\(PlotScale.number(base))"
            svg += "<path class=\"axis\" d=\"M\(x) \(ends)\"/>"
            svg += "<text x=\"\(x)\" y=\"\(PlotScale.number(base + 14))\" "
            svg += "text-anchor=\"middle\">\(PlotScale.label(tick))</text>\n"
        }
        svg += dots(gaps, scale, high: high, base: base)
        if let median = gaps.median {
            svg += line("mark", scale, median, "median", row: 0, base)
        }
        if let bar = report.options.bars.median {
            svg += line("limit", scale, bar, "median bar", row: 1, base)
        }
        if let bar = report.options.bars.worst {
            svg += line("limit", scale, bar, "worst bar", row: 2, base)
        }
        svg += "<text x=\"\(PlotScale.number(width - margin))\" "
        svg += "y=\"\(PlotScale.number(base + 30))\" text-anchor=\"end\">ms</text>\n</svg>"
        return svg
    }

    private static func dots(
        _ gaps: Distribution, _ scale: PlotScale, high: Double, base: Double
    ) -> String {
        let end = TimeSpan(nanoseconds: UInt64(high * 1e6) + 1)
        let bins = gaps.histogram(from: .zero, to: end, binCount: binCount)
        let tallest = bins.max() ?? 1
        let step = min(8, plotHeight / Double(max(tallest, 1)))
        let radius = PlotScale.number(min(3.6, max(step * 0.45, 0.8)))
        var svg = ""
        for (index, count) in bins.enumerated() where count > 0 {
            let x = scale.position(high * (Double(index) + 0.5) / Double(binCount))
            for level in 0..<count {
                let y = base - 5 - Double(level) * step
                svg += "<circle class=\"dot\" cx=\"\(PlotScale.number(x))\" "
                svg += "cy=\"\(PlotScale.number(y))\" r=\"\(radius)\"/>"
            }
        }
        return svg + "\n"
    }

    private static func line(
        _ kind: String, _ scale: PlotScale, _ value: TimeSpan, _ name: String, row: Int,
        _ base: Double
    ) -> String {
        let x = scale.position(milliseconds(value))
        let nearEnd = x > width * 0.8
        let y = Double(row) * 14
        let label = PlotScale.number(nearEnd ? x - 4 : x + 4)
        return "<path class=\"\(kind)\" d=\"M\(PlotScale.number(x)) \(PlotScale.number(y + 2))"
            + "V\(PlotScale.number(base))\"/>"
            + "<text x=\"\(label)\" y=\"\(PlotScale.number(y + 11))\" "
            + "text-anchor=\"\(nearEnd ? "end" : "start")\">"
            + "\(name) \(DurationText.milliseconds(value))</text>\n"
    }

    private static func milliseconds(_ span: TimeSpan) -> Double {
        Double(span.nanoseconds) / 1e6
    }
}
