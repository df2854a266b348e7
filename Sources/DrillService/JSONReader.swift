// SPDX-License-Identifier: Apache-2.0
//
// Reading JSON (RFC 8259), bounded, for the answers of status commands. Pure.

internal import Telemetry

/// Reads JSON values from bytes.
struct JSONReader {
    /// Bytes of input.
    static let byteCountMax = 4 << 20
    /// Arrays and objects inside each other.
    static let depthMax = 64

    struct Malformed: Error, Hashable {
        let offset: Int
    }

    private let bytes: [UInt8]
    private var index = 0

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Reads all values of a text, separated by white space or nothing.
    static func readAll(_ bytes: [UInt8]) throws(Malformed) -> [JSONValue] {
        guard bytes.count <= byteCountMax else { throw Malformed(offset: byteCountMax) }
        var reader = JSONReader(bytes)
        var values: [JSONValue] = []
        reader.skipBlanks()
        while reader.index < bytes.count {
            values.append(try reader.value(depth: 0))
            reader.skipBlanks()
        }
        return values
    }

    private var malformed: Malformed { Malformed(offset: index) }
    private var next: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func skipBlanks() {
        while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { index += 1 }
    }

    private mutating func expect(_ byte: UInt8) throws(Malformed) {
        guard next == byte else { throw malformed }
        index += 1
    }

    private mutating func value(depth: Int) throws(Malformed) -> JSONValue {
        guard depth < Self.depthMax, let byte = next else { throw malformed }
        switch byte {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(
        _ text: StaticString, _ value: JSONValue
    ) throws(Malformed) -> JSONValue {
        let end = index + text.utf8CodeUnitCount
        let matches = text.withUTF8Buffer { expected in
            end <= bytes.count && bytes[index..<end].elementsEqual(expected)
        }
        guard matches else { throw malformed }
        index = end
        return value
    }

    private mutating func object(depth: Int) throws(Malformed) -> JSONValue {
        index += 1
        var members: [(String, JSONValue)] = []
        skipBlanks()
        if next == UInt8(ascii: "}") {
            index += 1
            return .object(members)
        }
        while true {
            skipBlanks()
            let name = try string()
            skipBlanks()
            try expect(UInt8(ascii: ":"))
            skipBlanks()
            members.append((name, try value(depth: depth + 1)))
            skipBlanks()
            guard next == UInt8(ascii: ",") else {
                try expect(UInt8(ascii: "}"))
                return .object(members)
            }
            index += 1
        }
    }

    private mutating func array(depth: Int) throws(Malformed) -> JSONValue {
        index += 1
        var values: [JSONValue] = []
        skipBlanks()
        if next == UInt8(ascii: "]") {
            index += 1
            return .array(values)
        }
        while true {
            skipBlanks()
            values.append(try value(depth: depth + 1))
            skipBlanks()
            guard next == UInt8(ascii: ",") else {
                try expect(UInt8(ascii: "]"))
                return .array(values)
            }
            index += 1
        }
    }

    private mutating func string() throws(Malformed) -> String {
        try expect(UInt8(ascii: "\""))
        var content: [UInt8] = []
        while let byte = next {
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: content, as: UTF8.self) else {
                    throw malformed
                }
                return text
            case UInt8(ascii: "\\"): content += try escape().utf8
            case 0..<0x20: throw malformed
            default: content.append(byte)
            }
        }
        throw malformed
    }

    private mutating func escape() throws(Malformed) -> String {
        guard let byte = next else { throw malformed }
        index += 1
        switch byte {
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default: throw malformed
        }
    }

    /// RFC 8259 §7: characters beyond U+FFFF are written as a surrogate pair.
    private mutating func unicodeEscape() throws(Malformed) -> String {
        let first = try fourDigits()
        var code = first
        if (0xD800...0xDBFF).contains(first) {
            try expect(UInt8(ascii: "\\"))
            try expect(UInt8(ascii: "u"))
            let second = try fourDigits()
            guard (0xDC00...0xDFFF).contains(second) else { throw malformed }
            code = 0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw malformed }
        return String(Character(scalar))
    }

    private mutating func fourDigits() throws(Malformed) -> UInt32 {
        guard index + 4 <= bytes.count else { throw malformed }
        var value: UInt32 = 0
        for byte in bytes[index..<(index + 4)] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw malformed
            }
            value = value << 4 | UInt32(digit)
        }
        index += 4
        return value
    }

    private mutating func number() throws(Malformed) -> JSONValue {
        let start = index
        while let byte = next, Self.numberBytes.contains(byte) { index += 1 }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        // RFC 8259 §6: no plus sign, no leading zeros, a digit on both sides of the point.
        let isWellFormed =
            digits.first?.isWholeNumber == true && digits.last?.isWholeNumber == true
            && !(digits.count > 1 && digits.first == "0"
                && digits.dropFirst().first?.isNumber == true)
            && !digits.contains(".e") && !digits.contains(".E")
        guard isWellFormed else { throw Malformed(offset: start) }
        if let value = Int64(text) { return .integer(value) }
        if let value = UInt64(text) { return .unsigned(value) }
        guard let value = Double(text), value.isFinite else { throw Malformed(offset: start) }
        return .number(value)
    }

    private static let numberBytes: Set<UInt8> = Set("+-.0123456789Ee".utf8)
}

extension JSONValue {
    /// The member of an object; of doubled names the first.
    subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.0 == name }?.1
    }

    /// The elements of an array, or none.
    var elements: [JSONValue] {
        guard case .array(let values) = self else { return [] }
        return values
    }

    /// The text of a string.
    var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// A whole number that is not negative.
    var natural: UInt64? {
        switch self {
        case .integer(let value): UInt64(exactly: value)
        case .unsigned(let value): value
        case .null, .bool, .number, .string, .array, .object: nil
        }
    }
}
