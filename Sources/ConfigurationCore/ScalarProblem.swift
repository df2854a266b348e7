// SPDX-License-Identifier: Apache-2.0
//
// Why a single value could not be read, and how messages quote values.

/// What is wrong with a value's text; the reader adds where and for which key.
struct ScalarProblem: Error, Hashable, Sendable {
    /// Why, to stand after a colon.
    var reason: String
    /// What to write instead.
    var suggestion: String?

    init(_ reason: String, suggestion: String? = nil) {
        self.reason = reason
        self.suggestion = suggestion
    }

    /// A problem whose cure is known.
    static func didYouMean(_ reason: String, _ text: String) -> ScalarProblem {
        ScalarProblem(reason, suggestion: "did you mean \"\(text)\"?")
    }
}

/// Text from a file inside a message.
enum Quoted {
    /// Longer texts are cut.
    static let scalarCountMax = 60

    /// `text` in double quotes, cut and without control characters.
    static func text(_ text: String) -> String {
        let scalars = text.unicodeScalars
        let shown = scalars.prefix(scalarCountMax).map { scalar in
            scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) ? "?" : String(scalar)
        }
        let tail = scalars.count > scalarCountMax ? "..." : ""
        return "\"\(shown.joined())\(tail)\""
    }
}
