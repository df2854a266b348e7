// SPDX-License-Identifier: Apache-2.0
//
// The reference of all keys, printed from the table that the reader itself uses.

/// The printed reference of tandem.yaml.
public enum Explanation {
    /// Every key with form, default, meaning and what goes wrong at both ends of its range.
    public static func render() -> String {
        KeyTable.all.map(render).joined(separator: "\n")
    }

    private static func render(_ key: KeyDescription) -> String {
        var lines = [
            key.path, "    \(key.form.text); \(presence(key))", "    \(key.meaning)",
        ]
        if let tooSmall = key.tooSmall { lines.append("    too small: \(tooSmall)") }
        if let tooLarge = key.tooLarge { lines.append("    too large: \(tooLarge)") }
        lines.append("    example: \(key.example)")
        return lines.map { "\($0)\n" }.joined()
    }

    private static func presence(_ key: KeyDescription) -> String {
        switch key.presence {
        case .required: "required"
        case .expected(let words): "required \(words)"
        case .optional(let words): "default: \(words)"
        case .duration(let span): "default \(DurationText.render(span))"
        case .integer(let number): "default \(number)"
        case .size(let byteCount): "default \(SizeText.render(byteCount))"
        case .percent(let hundredths): "default \(PercentText.render(hundredths))"
        case .decimal(let number): "default \(decimal(number, key.form))"
        case .boolean(let flag): "default \(flag)"
        case .word(let word): word.isEmpty ? "default \"\"" : "default \(word)"
        }
    }

    private static func decimal(_ number: Int, _ form: KeyDescription.Form) -> String {
        guard case .decimal(_, let places) = form else { return String(number) }
        return DecimalText.render(number, places: places)
    }
}
