// SPDX-License-Identifier: Apache-2.0
//
// Bytes as they are written in the file: text with escapes.

/// Reads and writes what probes send and expect.
enum PayloadText {
    /// The bytes that `text` says.
    static func parse(_ text: String) throws(ScalarProblem) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == 0x5C else {
                bytes.append(byte)
                continue
            }
            guard let letter = rest.popFirst() else {
                throw ScalarProblem("\"\\\" begins an escape", suggestion: "write \\\\ for \"\\\"")
            }
            switch letter {
            case 0x6E: bytes.append(0x0A)
            case 0x72: bytes.append(0x0D)
            case 0x74: bytes.append(0x09)
            case 0x30: bytes.append(0x00)
            case 0x5C, 0x22, 0x27: bytes.append(letter)
            case 0x78: bytes.append(try hexadecimal(&rest))
            default:
                let shown = letter < 0x80 ? String(UnicodeScalar(letter)) : ""
                throw ScalarProblem(
                    "there is no escape \\\(shown)",
                    suggestion: "there are \\r, \\n, \\t, \\0, \\xHH and \\\\")
            }
        }
        return bytes
    }

    private static func hexadecimal(_ rest: inout ArraySlice<UInt8>) throws(ScalarProblem) -> UInt8
    {
        let digits = rest.prefix(2)
        guard digits.count == 2, digits.allSatisfy(NameText.isHexadecimalDigit),
            let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
        else {
            throw ScalarProblem("\\x is followed by two hexadecimal digits, as in \\x0a")
        }
        rest.removeFirst(2)
        return value
    }

    /// The bytes as a person writes them, in quotes.
    static func render(_ bytes: [UInt8]) -> String {
        var text = "\""
        for byte in bytes {
            switch byte {
            case 0x0A: text += "\\n"
            case 0x0D: text += "\\r"
            case 0x09: text += "\\t"
            case 0x5C: text += "\\\\"
            case 0x22: text += "\\\""
            case 0x20...0x7E: text.unicodeScalars.append(UnicodeScalar(byte))
            default:
                let digits = String(byte, radix: 16)
                text += "\\x\(digits.utf8.count == 1 ? "0" : "")\(digits)"
            }
        }
        return text + "\""
    }
}
