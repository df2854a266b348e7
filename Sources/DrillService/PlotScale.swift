// SPDX-License-Identifier: Apache-2.0
//
// Positions on a drawing. Pure.

/// A linear scale from values to positions, with round ticks.
struct PlotScale {
    let low: Double
    let high: Double
    let start: Double
    let end: Double

    /// Values from `low` to `high` lie between `start` and `end`.
    init(from low: Double, to high: Double, start: Double, end: Double) {
        self.low = low
        self.high = high > low ? high : low + 1
        self.start = start
        self.end = end
    }

    /// The position of a value; values outside stay at the rim.
    func position(_ value: Double) -> Double {
        let share = (min(max(value, low), high) - low) / (high - low)
        return start + share * (end - start)
    }

    /// Round values, about `count` of them.
    func ticks(about count: Int) -> [Double] {
        let raw = (high - low) / Double(max(count, 1))
        var step = 1.0
        while step < raw { step *= 10 }
        while step / 10 >= raw { step /= 10 }
        for divisor in [5.0, 2.0] where step / divisor >= raw {
            step /= divisor
            break
        }
        var ticks: [Double] = []
        var value = (low / step).rounded(.up) * step
        while value <= high, ticks.count < 100 {
            ticks.append(value)
            value += step
        }
        return ticks
    }

    /// A tick without needless digits.
    static func label(_ value: Double) -> String {
        let places = value == value.rounded() ? 0 : value.magnitude < 0.1 ? 3 : 1
        return DurationText.decimal(value, places: places)
    }

    /// A position with one digit after the point.
    static func number(_ value: Double) -> String {
        let text = DurationText.decimal(value, places: 1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}
