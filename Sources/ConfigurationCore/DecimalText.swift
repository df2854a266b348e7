// SPDX-License-Identifier: Apache-2.0
//
// Numbers with a few decimals, exact: counted in units of the last place.

/// Reads and writes numbers such as `1.9` or `0.25`.
enum DecimalText {
    /// The number that `text` says, in units of the last of `places` decimals.
    static func parse(_ text: String, places: Int) throws(ScalarProblem) -> Int {
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
        let unit = scale(places)
        guard parts.count == 2 else { return whole * unit }
        let count = parts[1].utf8.count
        guard count <= places, let digits = Int(parts[1]) else {
            throw ScalarProblem("at most \(words(places)) digits after the point")
        }
        return whole * unit + digits * scale(places - count)
    }

    /// The number as a person writes it.
    static func render(_ number: Int, places: Int) -> String {
        let (whole, rest) = number.quotientAndRemainder(dividingBy: scale(places))
        if rest == 0 { return String(whole) }
        let digits = String(rest)
        var fraction = String(repeating: "0", count: places - digits.utf8.count) + digits
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(whole).\(fraction)"
    }

    /// A number of places in words.
    static func words(_ places: Int) -> String {
        places == 2 ? "two" : places == 3 ? "three" : String(places)
    }

    private static func scale(_ places: Int) -> Int {
        (0..<places).reduce(1) { product, _ in product * 10 }
    }
}
