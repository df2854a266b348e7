// SPDX-License-Identifier: Apache-2.0
//
// Which bytes may stand in a YAML text at all, with the line and column of the first that may not.

/// Checks UTF-8 and the characters of YAML 1.1 section 4.1.1.
enum YAMLCharacters {
    /// The UTF-8 form of U+FEFF, which editors put in front.
    static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// The first byte that is not UTF-8 or character that YAML does not allow.
    static func firstProblem(in bytes: [UInt8]) -> YAMLProblem? {
        var decoder = UTF8()
        var iterator =
            bytes.starts(with: byteOrderMark)
            ? bytes.dropFirst(3).makeIterator() : bytes[...].makeIterator()
        var place = YAMLMark(line: 1, column: 1)
        var afterCarriageReturn = false
        while true {
            switch decoder.decode(&iterator) {
            case .emptyInput:
                return nil
            case .error:
                return YAMLProblem(reason: .notUTF8, start: place, end: place)
            case .scalarValue(let scalar):
                guard isAllowed(scalar) else {
                    return YAMLProblem(
                        reason: .character(scalar.value), start: place, end: place)
                }
                advance(&place, over: scalar, afterCarriageReturn: afterCarriageReturn)
                afterCarriageReturn = scalar == "\r"
            }
        }
    }

    private static func advance(
        _ place: inout YAMLMark, over scalar: Unicode.Scalar, afterCarriageReturn: Bool
    ) {
        switch scalar {
        case "\n" where afterCarriageReturn:
            break
        case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}":
            place = YAMLMark(line: place.line + 1, column: 1)
        default:
            place.column += 1
        }
    }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A, 0x0D, 0x20...0x7E, 0x85, 0xA0...0xD7FF, 0xE000...0xFEFE, 0xFF00...0xFFFD,
            0x10000...0x10FFFF:
            true
        default:
            false
        }
    }
}
