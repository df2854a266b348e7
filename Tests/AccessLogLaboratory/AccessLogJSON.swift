// SPDX-License-Identifier: Apache-2.0
//
// A strict reader of one flat JSON object (RFC 8259): what a log collector would accept, no more.

/// The members of one line; values of strings are decoded, others are as written.
public struct AccessLogJSON {
    /// Values by name.
    public private(set) var members: [String: String] = [:]
    private var bytes: [UInt8]
    private var at = 0

    /// Reads a line; `nil` unless it is one object of strings, numbers and booleans in UTF-8.
    public init?(_ line: [UInt8]) {
        guard String(validating: line, as: UTF8.self) != nil else { return nil }
        bytes = line
        guard readObject(), at == bytes.count else { return nil }
    }

    /// The value of a member.
    public subscript(name: String) -> String? { members[name] }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func readObject() -> Bool {
        guard take(UInt8(ascii: "{")) else { return false }
        repeat {
            guard let name = readString(), take(UInt8(ascii: ":")), members[name] == nil,
                let value = readValue()
            else { return false }
            members[name] = value
        } while take(UInt8(ascii: ","))
        return take(UInt8(ascii: "}"))
    }

    private mutating func readValue() -> String? {
        guard at < bytes.count else { return nil }
        if bytes[at] == UInt8(ascii: "\"") { return readString() }
        let start = at
        while at < bytes.count, ![UInt8(ascii: ","), UInt8(ascii: "}")].contains(bytes[at]) {
            at += 1
        }
        let word = String(decoding: bytes[start..<at], as: UTF8.self)
        if ["true", "false"].contains(word) { return word }
        guard let number = UInt64(word), String(number) == word else { return nil }
        return word
    }

    private mutating func readString() -> String? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        var text: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = readEscape() else { return nil }
                text += Array(String(escaped).utf8)
            case 0..<0x20: return nil
            default: text.append(byte)
            }
        }
        return nil
    }

    private mutating func readEscape() -> Unicode.Scalar? {
        guard at < bytes.count else { return nil }
        let byte = bytes[at]
        at += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"):
            return Unicode.Scalar(byte)
        case UInt8(ascii: "u"):
            guard at + 4 <= bytes.count else { return nil }
            let digits = String(decoding: bytes[at..<at + 4], as: UTF8.self)
            at += 4
            return UInt32(digits, radix: 16).flatMap { Unicode.Scalar($0) }
        default: return nil
        }
    }
}
