// SPDX-License-Identifier: Apache-2.0
//
// e to a negative power without a math library: the cores have none, and this one inlines.

/// The share that is left after some time of exponential decay.
enum ExponentialDecay {
    /// Beyond this many time constants nothing measurable is left.
    private static let negligibleAfter = 40.0
    private static let log2OfE = 1.442_695_040_888_963_4
    private static let naturalLogOf2 = 0.693_147_180_559_945_3

    /// `exp(-elapsed)` for `elapsed` time constants, relative error below 1e-6; 1 when negative.
    static func remainder(after elapsed: Double) -> Double {
        guard elapsed > 0 else { return 1 }
        guard elapsed < negligibleAfter else { return 0 }
        // exp(-x) = 2^-whole * exp(-rest), where rest lies in [0, ln 2).
        let powersOfTwo = elapsed * log2OfE
        let whole = Int(powersOfTwo)
        let rest = (powersOfTwo - Double(whole)) * naturalLogOf2
        // Taylor series of exp(rest) in Horner form; the first term left out is below 1e-7.
        var series = 1 + rest / 8
        series = 1 + rest * (1.0 / 7) * series
        series = 1 + rest * (1.0 / 6) * series
        series = 1 + rest * (1.0 / 5) * series
        series = 1 + rest * (1.0 / 4) * series
        series = 1 + rest * (1.0 / 3) * series
        series = 1 + rest * (1.0 / 2) * series
        series = 1 + rest * series
        let scale = Double(bitPattern: UInt64(1023 - whole) << 52)
        return scale / series
    }
}
