// SPDX-License-Identifier: Apache-2.0
//
// Sizes as they are written in the file: a number and a unit.

/// Reads and writes sizes such as `500B`, `64KiB`, `1.5MiB`.
enum SizeText {
    /// The units and their length in bytes, smallest first.
    static let units: [(name: String, byteCount: Int)] = [
        ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30),
    ]

    private static let vocabulary = QuantityText.Vocabulary(
        noun: "size", examples: "64KiB or 10MiB", usualUnits: ["B", "KiB", "MiB"],
        unitNames: "B, KiB, MiB, GiB")

    /// What people write, in lower case, and the unit they mean.
    private static let synonyms: [String: String] = [
        "b": "B", "byte": "B", "bytes": "B", "k": "KiB", "kb": "KiB", "kib": "KiB", "ki": "KiB",
        "m": "MiB", "mb": "MiB", "mib": "MiB", "mi": "MiB", "g": "GiB", "gb": "GiB", "gib": "GiB",
        "gi": "GiB",
    ]

    /// The number of bytes that `text` says.
    static func parse(_ text: String) throws(ScalarProblem) -> Int {
        let quantity = try QuantityText(text, vocabulary)
        let unit = try unit(quantity.unit, number: quantity.number)
        let (whole, fraction) = try quantity.digits(unit: unit.name)
        return try byteCount(whole, fraction, unit)
    }

    private static func unit(
        _ text: String, number: String
    ) throws(ScalarProblem) -> (name: String, byteCount: Int) {
        if let unit = units.first(where: { $0.name == text }) { return unit }
        let lowered = text.lowercased()
        guard let meant = synonyms[lowered] else {
            throw ScalarProblem(
                "there is no unit \(Quoted.text(text)); units: \(vocabulary.unitNames)",
                suggestion: "write for example \(number)KiB or \(number)MiB")
        }
        // Programs do not agree whether kB and MB count in 1,000 or in 1,024.
        let isVague = !lowered.hasSuffix("ib") && meant != "B"
        let reason =
            isVague
            ? "\(Quoted.text(text)) may mean 1000 or 1024; units: \(vocabulary.unitNames)"
            : "there is no unit \(Quoted.text(text)); units: \(vocabulary.unitNames)"
        throw .didYouMean(reason, "\(number)\(meant)")
    }

    /// Exact in whole bytes.
    private static func byteCount(
        _ whole: Substring, _ fraction: Substring, _ unit: (name: String, byteCount: Int)
    ) throws(ScalarProblem) -> Int {
        guard let count = Int(whole), count <= 1_000_000_000 else {
            throw ScalarProblem("the number is too large")
        }
        if fraction.isEmpty { return count * unit.byteCount }
        // At most 6 digits: a GiB times 999,999 stays far inside 64 bits.
        guard fraction.utf8.count <= 6, let part = Int(fraction) else {
            throw ScalarProblem("at most 6 digits after the point")
        }
        let scale = (0..<fraction.utf8.count).reduce(1) { product, _ in product * 10 }
        guard (part * unit.byteCount).isMultiple(of: scale) else {
            throw ScalarProblem("this is no whole number of bytes")
        }
        return count * unit.byteCount + part * unit.byteCount / scale
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
