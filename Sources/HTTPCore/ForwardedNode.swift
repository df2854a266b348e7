// SPDX-License-Identifier: Apache-2.0
//
// One hop in `X-Forwarded-For` or in a `for=` of `Forwarded` (RFC 7239 §6): who sent the request
// there, as far as it can be read.

public import WireCore

/// What names the sender of a request in a forwarding field.
public enum ForwardedNode: Equatable, Sendable {
    /// An address; one that maps IPv4 into IPv6 is the IPv4 address.
    case address(IPAddress)
    /// `unknown`, or an obfuscated name that begins with `_` (RFC 7239 §6.2, §6.3).
    case hidden
    /// Anything else.
    case malformed

    /// Reads a node: an address with or without port, IPv6 with or without brackets, all of it
    /// with or without double quotes.
    ///
    /// IPv6 with a port needs brackets. A port is checked and not kept.
    public init(_ bytes: UnsafeRawBufferPointer) {
        self = unsafe Self.read(bytes)
    }

    private static func read(_ bytes: UnsafeRawBufferPointer) -> ForwardedNode {
        var start = 0
        var end = bytes.count
        if end >= 2, unsafe bytes[0] == ASCII.quote {
            guard unsafe bytes[end &- 1] == ASCII.quote else { return .malformed }
            start = 1
            end &-= 1
        }
        guard start < end else { return .malformed }
        if unsafe bytes[start] == ASCII.leftBracket {
            return unsafe readBrackets(bytes, from: start &+ 1, to: end)
        }
        var colonCount = 0
        var colon = end
        var at = start
        while at < end {
            if unsafe bytes[at] == ASCII.colon {
                if colonCount == 0 { colon = at }
                colonCount &+= 1
            }
            at &+= 1
        }
        if colonCount > 1 { return unsafe address(bytes, from: start, to: end) }
        if colonCount == 1, unsafe !isPort(bytes, from: colon &+ 1, to: end) { return .malformed }
        if unsafe isHidden(bytes, from: start, to: colon) { return .hidden }
        return unsafe address(bytes, from: start, to: colon)
    }

    private static func readBrackets(
        _ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int
    ) -> ForwardedNode {
        var close = start
        while close < end, unsafe bytes[close] != ASCII.rightBracket { close &+= 1 }
        guard close < end else { return .malformed }
        if close &+ 1 < end {
            guard unsafe bytes[close &+ 1] == ASCII.colon,
                unsafe isPort(bytes, from: close &+ 2, to: end)
            else { return .malformed }
        }
        let inside = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<close])
        guard case .v6(let address)? = unsafe AddressText.read(inside) else { return .malformed }
        return .address(IPAddress.v6(address).unmapped)
    }

    private static func address(
        _ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int
    ) -> ForwardedNode {
        let run = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<end])
        guard let address = unsafe AddressText.read(run) else { return .malformed }
        return .address(address.unmapped)
    }

    /// RFC 7239 §6: up to five digits, or an obfuscated port.
    private static func isPort(
        _ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int
    ) -> Bool {
        guard start < end else { return false }
        if unsafe bytes[start] == ASCII.underscore {
            return unsafe isObfuscated(bytes, from: start, to: end)
        }
        guard end &- start <= 5 else { return false }
        var at = start
        while at < end {
            guard unsafe ASCII.isDigit(bytes[at]) else { return false }
            at &+= 1
        }
        return true
    }

    private static func isHidden(
        _ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int
    ) -> Bool {
        guard start < end else { return false }
        if unsafe bytes[start] == ASCII.underscore {
            return unsafe isObfuscated(bytes, from: start, to: end)
        }
        guard end &- start == 7, let base = bytes.baseAddress else { return false }
        let name = unsafe base.assumingMemoryBound(to: UInt8.self) + start
        return unsafe ByteScanner.matches(name, "unknown")
    }

    /// RFC 7239 §6.3: `_` and at least one of ALPHA, DIGIT, `.`, `_`, `-`.
    private static func isObfuscated(
        _ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int
    ) -> Bool {
        guard end &- start >= 2 else { return false }
        var at = start
        while at < end {
            let byte = unsafe bytes[at]
            // Unreserved, but for the tilde.
            guard CharacterClass.isUnreserved(byte), byte != 0x7E else { return false }
            at &+= 1
        }
        return true
    }
}
