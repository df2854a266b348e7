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
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let isNumber = parts.allSatisfy { part in
            !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
        }
        guard isNumber, (1...2).contains(parts.count) else {
            throw ScalarProblem("a number is needed", suggestion: "write for example 5 or 0.5")
        }
        guard let whole = Int(parts[0]), whole <= 1_000_000 else {
            throw ScalarProblem("the number is too large")
        }
        guard parts.count == 2 else { return whole * 100 }
        guard parts[1].utf8.count <= 2, let digits = Int(parts[1]) else {
            throw ScalarProblem("at most two digits after the point")
        }
        return whole * 100 + (parts[1].utf8.count == 1 ? digits * 10 : digits)
    }

    /// The percentage as a person writes it.
    static func render(_ hundredths: Int) -> String {
        let (whole, rest) = hundredths.quotientAndRemainder(dividingBy: 100)
        if rest == 0 { return String(whole) }
        if rest.isMultiple(of: 10) { return "\(whole).\(rest / 10)" }
        return "\(whole).\(rest < 10 ? "0" : "")\(rest)"
    }
}
