// SPDX-License-Identifier: Apache-2.0
//
// Percentages as they are written in the file: a number with at most two decimals.

/// Reads and writes percentages as whole hundredths.
enum PercentText {
    /// The hundredths of a percent that `text` says.
    static func parse(_ text: String) throws(ScalarProblem) -> Int {
        if text.hasSuffix("%") {
            let number = String(text.dropLast().drop { $0 == " " })
            throw .didYouMean("the sign is not written", number)
        }
        if text.hasPrefix("-") { throw ScalarProblem("a percentage cannot be negative") }
        return try DecimalText.parse(text, places: 2)
    }

    /// The percentage as a person writes it.
    static func render(_ hundredths: Int) -> String {
        DecimalText.render(hundredths, places: 2)
    }
}
