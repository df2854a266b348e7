// SPDX-License-Identifier: Apache-2.0
//
// A number and its unit as they are written in the file. What units there are is said by the
// quantities: DurationText, SizeText.

/// The parts of `1.5MiB`.
struct QuantityText {
    /// How a quantity is spoken of.
    struct Vocabulary: Sendable {
        /// `duration`.
        var noun: String
        /// Two that are right: `500ms or 5s`.
        var examples: String
        /// Units that a number without one probably has.
        var usualUnits: [String]
        /// Every unit.
        var unitNames: String
    }

    /// The number: digits and points.
    let number: String
    /// What follows it.
    let unit: String
    private let hasSpace: Bool

    /// Takes `text` apart; either part may still be nonsense.
    init(_ text: String, _ vocabulary: Vocabulary) throws(ScalarProblem) {
        if text.hasPrefix("-") {
            throw ScalarProblem("a \(vocabulary.noun) cannot be negative")
        }
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let rest = text.dropFirst(number.count)
        guard let first = number.first, first != "." else {
            throw ScalarProblem(
                "a \(vocabulary.noun) is a number and a unit",
                suggestion: "write for example \(vocabulary.examples)")
        }
        let unit = rest.drop { $0 == " " || $0 == "\t" }
        if unit.isEmpty {
            let choices = vocabulary.usualUnits.map { "\(number)\($0)" }.joined(separator: ", ")
            throw ScalarProblem(
                "the unit is missing",
                suggestion: "write one of \(choices) (units: \(vocabulary.unitNames))")
        }
        self.number = String(number)
        self.unit = String(unit)
        hasSpace = rest.count != unit.count
    }

    /// The digits before and after the point, once the unit is known.
    func digits(unit name: String) throws(ScalarProblem) -> (whole: Substring, fraction: Substring)
    {
        if hasSpace { throw .didYouMean("no space before the unit", "\(number)\(name)") }
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = parts.first, !whole.isEmpty,
            parts.count == 1 || !parts[1].isEmpty
        else { throw ScalarProblem("\(Quoted.text(number)) is not a number") }
        return (whole, parts.count == 2 ? parts[1] : "")
    }
}
