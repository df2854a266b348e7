// SPDX-License-Identifier: Apache-2.0
//
// Logarithm and power of shares without a math library: the cores have none.

/// The natural logarithm, and what follows from it.
enum NaturalLogarithm {
    private static let naturalLogOf2 = 0.693_147_180_559_945_3

    /// `ln(value)` of a positive number, absolute error below 1e-9; zero for anything else.
    static func of(_ value: Double) -> Double {
        guard value > 0, value.isFinite else { return 0 }
        // ln(m * 2^e) = ln(m) + e ln 2 with m in [1, 2), and ln(m) = 2 artanh((m - 1) / (m + 1)).
        let ratio = (value.significand - 1) / (value.significand + 1)
        let square = ratio * ratio
        // The ratio is below 1/3: the first term left out is below 1e-10.
        var series = 1.0 / 17
        for divisor in [15.0, 13, 11, 9, 7, 5, 3, 1] {
            series = 1 / divisor + square * series
        }
        return 2 * ratio * series + Double(value.exponent) * naturalLogOf2
    }

    /// `share^exponent` for a share of zero to one and a positive exponent.
    static func power(_ share: Double, exponent: Double) -> Double {
        guard share > 0 else { return 0 }
        guard share < 1 else { return 1 }
        return ExponentialDecay.remainder(after: -of(share) * exponent)
    }
}
