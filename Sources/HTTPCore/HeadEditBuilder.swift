// SPDX-License-Identifier: Apache-2.0
//
// From the edits of a configuration to compiled ones. Each call acts on the result of the calls
// before it; what would touch framing or another hop's fields is refused here, whoever asks.

/// Which messages edits are for.
public enum HeadDirection: Sendable {
    /// From client to backend.
    case request
    /// From backend, or from us, to client.
    case response
}

/// Collects edits in the order in which they act: the listener's first, then the route's, and of
/// each remove, then set, then add.
///
/// A copy of a builder that holds the listener's edits is the start for each of its routes.
public struct HeadEditBuilder: Sendable {
    private struct Line: Sendable {
        var name: [UInt8]
        var bytes: [UInt8]
    }

    private let direction: HeadDirection
    private var known = KnownFieldSet(bits: 0)
    private var others: [[UInt8]] = []
    private var lines: [Line] = []
    private var editCount = 0
    private var lineByteCount = 0

    /// Makes a builder without edits.
    public init(_ direction: HeadDirection) {
        self.direction = direction
    }

    /// Removes every line with this name; false when the edit is refused and has no effect.
    @discardableResult
    public mutating func remove(_ name: [UInt8]) -> Bool {
        guard Self.mayEdit(name, direction), admit(lineByteCount: 0) else { return false }
        drop(name)
        return true
    }

    /// Puts one line in place of every line with this name; false when the edit is refused.
    @discardableResult
    public mutating func set(_ name: [UInt8], to value: [UInt8]) -> Bool {
        guard Self.mayEdit(name, direction), Self.isFieldValue(value),
            admit(lineByteCount: Self.lineByteCount(name, value))
        else { return false }
        drop(name)
        append(name, value)
        return true
    }

    /// Adds a line; false when the edit is refused.
    @discardableResult
    public mutating func add(_ name: [UInt8], _ value: [UInt8]) -> Bool {
        guard Self.mayEdit(name, direction), Self.isFieldValue(value),
            admit(lineByteCount: Self.lineByteCount(name, value))
        else { return false }
        append(name, value)
        return true
    }

    /// Compiles what was collected.
    public func build() -> HeadEdits {
        HeadEdits(known: known, names: others, lines: lines.flatMap(\.bytes))
    }

    /// True when edits may name this field.
    ///
    /// Refused are `Host`, which is a matter of routing; `Expect`, framing and the fields of one
    /// hop (RFC 9110 §7.6.1); what no token is; and `_` in requests, because servers in the manner
    /// of CGI read it as `-` and so would see framing in `Content_Length`.
    public static func mayEdit(_ name: [UInt8], _ direction: HeadDirection) -> Bool {
        guard !name.isEmpty, name.count <= HeadLimits.fieldNameByteCountMax,
            name.allSatisfy({ isTokenByte($0) }),
            direction == .response || !name.contains(ASCII.underscore)
        else { return false }
        return !refused.contains(known(name))
    }

    /// True when these bytes may be sent as a field's value (RFC 9110 §5.5).
    public static func isFieldValue(_ value: [UInt8]) -> Bool {
        value.count <= HeadEdits.lineByteCountMax
            && value.allSatisfy { $0 == ASCII.tab || ($0 >= ASCII.space && $0 != 0x7F) }
    }

    private static var refused: KnownFieldSet {
        [
            .host, .connection, .contentLength, .transferEncoding, .expect, .upgrade, .te,
            .trailer, .keepAlive, .proxyConnection, .proxyAuthorization, .proxyAuthenticate,
            .proxy,
        ]
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E,
            0x5E...0x60, 0x7C, 0x7E:
            true
        default: false
        }
    }

    private static func known(_ name: [UInt8]) -> KnownField {
        unsafe name.withUnsafeBufferPointer { bytes in
            guard let start = bytes.baseAddress else { return .other }
            return unsafe KnownField.recognise(start, count: bytes.count)
        }
    }

    /// `name: value CRLF`.
    private static func lineByteCount(_ name: [UInt8], _ value: [UInt8]) -> Int {
        name.count + value.count + 4
    }

    private mutating func admit(lineByteCount byteCount: Int) -> Bool {
        guard editCount < HeadEdits.editCountMax,
            lineByteCount + byteCount <= HeadEdits.lineByteCountMax
        else { return false }
        editCount += 1
        return true
    }

    /// Lines with this name go, those of the message and those added before.
    private mutating func drop(_ name: [UInt8]) {
        let name = name.map { ASCII.lowercased($0) }
        let field = Self.known(name)
        if field != .other {
            known = known.union(KnownFieldSet(bits: field.bit))
        } else if !others.contains(name) {
            others.append(name)
        }
        lines.removeAll { $0.name == name }
        lineByteCount = lines.reduce(0) { $0 + $1.bytes.count }
    }

    private mutating func append(_ name: [UInt8], _ value: [UInt8]) {
        let bytes = name + [ASCII.colon, ASCII.space] + value + [0x0D, 0x0A]
        lines.append(Line(name: name.map { ASCII.lowercased($0) }, bytes: bytes))
        lineByteCount += bytes.count
    }
}
