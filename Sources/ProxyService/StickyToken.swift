// SPDX-License-Identifier: Apache-2.0
//
// What our cookie says: a code of pool and backend under a key, and nothing else. Nobody without
// the key can make one up or learn from it which backend it names, and both nodes make the same.

internal import LinuxIO
internal import TLSIO

/// The value of our cookie for one backend: half of an HMAC-SHA256, as base64url.
struct StickyToken: Hashable, Sendable {
    /// Bytes of the code; 128 bits are far beyond guessing.
    static let byteCount = 16
    /// The length of its text: base64url without padding (RFC 4648 §5).
    static let textByteCount = 22

    let high: UInt64
    let low: UInt64

    /// The key of all tokens: of what both nodes know, or of chance.
    static func key(pairSecret: [UInt8]?) -> [UInt8] {
        guard var secret = pairSecret else { return RandomBytes.make(count: 32) }
        // The file may end in a newline on one node and not on the other.
        while let last = secret.last, [0x20, 0x09, 0x0A, 0x0D].contains(last) {
            secret.removeLast()
        }
        // The pair's link uses the secret under other labels.
        return HMACSHA256.authenticationCode(for: Array("tandem sticky 1".utf8), key: secret)
    }

    /// The token of a backend.
    init(pool: String, backend: String, key: [UInt8]) {
        // Names contain no zero byte, so no two pairs have the same message.
        let message = Array("sticky".utf8) + [0] + Array(pool.utf8) + [0] + Array(backend.utf8)
        let code = HMACSHA256.authenticationCode(for: message, key: key)
        high = code[0..<8].reduce(0) { $0 &<< 8 | UInt64($1) }
        low = code[8..<16].reduce(0) { $0 &<< 8 | UInt64($1) }
    }

    /// Reads what a client sent; `nil` for anything that is no token.
    init?(_ text: UnsafeRawBufferPointer) {
        guard text.count == Self.textByteCount else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for index in 0..<Self.textByteCount {
            guard let digit = Self.digit(text[index]) else { return nil }
            // 22 digits are 132 bits; the last four must be zero, or one token had many texts.
            if index == Self.textByteCount - 1 {
                guard digit & 0xF == 0 else { return nil }
                high = high &<< 2 | low &>> 62
                low = low &<< 2 | UInt64(digit &>> 4)
            } else {
                high = high &<< 6 | low &>> 58
                low = low &<< 6 | UInt64(digit)
            }
        }
        self.high = high
        self.low = low
    }

    /// The text of the token.
    var text: [UInt8] {
        var high = high
        var low = low
        var digits = [Self.letter(UInt8(truncatingIfNeeded: low & 0x3) &<< 4)]
        low = low &>> 2 | high &<< 62
        high &>>= 2
        for _ in 1..<Self.textByteCount {
            digits.append(Self.letter(UInt8(truncatingIfNeeded: low & 0x3F)))
            low = low &>> 6 | high &<< 58
            high &>>= 6
        }
        return digits.reversed()
    }

    /// Whether both are the same; the time does not depend on where they differ.
    @inline(__always)
    func isSame(as other: StickyToken) -> Bool {
        (high ^ other.high) | (low ^ other.low) == 0
    }

    private static func letter(_ digit: UInt8) -> UInt8 {
        switch digit {
        case 0..<26: 0x41 &+ digit
        case 26..<52: 0x61 &+ digit &- 26
        case 52..<62: 0x30 &+ digit &- 52
        case 62: 0x2D
        default: 0x5F
        }
    }

    private static func digit(_ letter: UInt8) -> UInt8? {
        switch letter {
        case 0x41...0x5A: letter &- 0x41
        case 0x61...0x7A: letter &- 0x61 &+ 26
        case 0x30...0x39: letter &- 0x30 &+ 52
        case 0x2D: 62
        case 0x5F: 63
        default: nil
        }
    }
}
