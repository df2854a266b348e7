// SPDX-License-Identifier: Apache-2.0
//
// Sizes as they are written in the file: a number and a unit.

/// Reads and writes sizes such as `500B`, `64KiB`, `1.5MiB`.
enum SizeText {
    /// The units and their length in bytes, smallest first.
    static let units: [(name: String, byteCount: Int)] = [
        ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30),
    ]

    private static let unitNames = "B, KiB, MiB, GiB"

    /// What people write, in lower case, and the unit they mean.
    private static let synonyms: [String: String] = [
        "b": "B", "byte": "B", "bytes": "B", "k": "KiB", "kb": "KiB", "kib": "KiB", "ki": "KiB",
        "m": "MiB", "mb": "MiB", "mib": "MiB", "mi": "MiB", "g": "GiB", "gb": "GiB", "gib": "GiB",
        "gi": "GiB",
    ]

    /// The number of bytes that `text` says.
    static func parse(_ text: String) throws(ScalarProblem) -> Int {
        if text.hasPrefix("-") { throw ScalarProblem("a size cannot be negative") }
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let rest = text.dropFirst(number.count)
        guard let first = number.first, first != "." else {
            throw ScalarProblem(
                "a size is a number and a unit", suggestion: "write for example 64KiB or 10MiB")
        }
        let unitText = String(rest.drop { $0 == " " || $0 == "\t" })
        if unitText.isEmpty {
            let choices = ["B", "KiB", "MiB"].map { "\(number)\($0)" }.joined(separator: ", ")
            throw ScalarProblem(
                "the unit is missing", suggestion: "write one of \(choices) (units: \(unitNames))")
        }
        let unit = try unit(unitText, number: String(number))
        guard rest.count == unitText.count else {
            throw .didYouMean("no space before the unit", "\(number)\(unit.name)")
        }
        return try byteCount(String(number), unit)
    }

    private static func unit(
        _ text: String, number: String
    ) throws(ScalarProblem) -> (name: String, byteCount: Int) {
        if let unit = units.first(where: { $0.name == text }) { return unit }
        let lowered = text.lowercased()
        guard let meant = synonyms[lowered] else {
            throw ScalarProblem(
                "there is no unit \(Quoted.text(text)); units: \(unitNames)",
                suggestion: "write for example \(number)KiB or \(number)MiB")
        }
        // Programs do not agree whether kB and MB count in 1,000 or in 1,024.
        let isVague = !lowered.hasSuffix("ib") && meant != "B"
        let reason =
            isVague
            ? "\(Quoted.text(text)) may mean 1000 or 1024; units: \(unitNames)"
            : "there is no unit \(Quoted.text(text)); units: \(unitNames)"
        throw .didYouMean(reason, "\(number)\(meant)")
    }

    /// Exact in whole bytes.
    private static func byteCount(
        _ number: String, _ unit: (name: String, byteCount: Int)
    ) throws(ScalarProblem) -> Int {
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = parts.first, !whole.isEmpty,
            parts.count == 1 || !parts[1].isEmpty
        else { throw ScalarProblem("\(Quoted.text(number)) is not a number") }
        guard let count = Int(whole), count <= 1_000_000_000 else {
            throw ScalarProblem("the number is too large")
        }
        guard parts.count == 2 else { return count * unit.byteCount }
        // At most 6 digits: a GiB times 999,999 stays far inside 64 bits.
        guard parts[1].utf8.count <= 6, let fraction = Int(parts[1]) else {
            throw ScalarProblem("at most 6 digits after the point")
        }
        let scale = (0..<parts[1].utf8.count).reduce(1) { product, _ in product * 10 }
        guard (fraction * unit.byteCount).isMultiple(of: scale) else {
            throw ScalarProblem("this is no whole number of bytes")
        }
        return count * unit.byteCount + fraction * unit.byteCount / scale
    }

    /// The size as a person writes it: whole in the largest unit.
    static func render(_ byteCount: Int) -> String {
        if byteCount == 0 { return "0B" }
        for unit in units.reversed() where byteCount.isMultiple(of: unit.byteCount) {
            return "\(byteCount / unit.byteCount)\(unit.name)"
        }
        return "\(byteCount)B"
    }
}
