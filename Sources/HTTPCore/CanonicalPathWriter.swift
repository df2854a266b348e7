// SPDX-License-Identifier: Apache-2.0
//
// Writes the one form of a path, segment by segment, in one pass; a `..` takes back the segment
// written last. Used for the few paths that are not in that form already.

/// One run of a path policy over one path.
///
/// Never writes more than it read, so that the output needs the room of the input.
@safe
struct CanonicalPathWriter {
    private let source: UnsafePointer<UInt8>
    private let end: Int
    private let output: UnsafeMutablePointer<UInt8>
    private let policy: PathPolicy

    private var at = 0
    private var written = 0
    /// Dots since the last real or encoded separator; -1 when there was any other byte.
    private var dots = 0
    private var hasEncodedSlash = false
    /// A part of this segment that an encoded slash ended was `.` or `..`.
    private var hasDotPart = false
    /// Parameters follow a `.` or `..` in this segment.
    private var hasDotWithParameters = false

    /// `source` has `count` bytes, the first of which is a slash.
    init(
        _ source: UnsafePointer<UInt8>, count: Int, into output: UnsafeMutablePointer<UInt8>,
        policy: PathPolicy
    ) {
        unsafe self.source = source
        unsafe self.output = output
        self.policy = policy
        end = count
    }

    /// Writes the whole path; returns its length.
    mutating func run() throws(MessageFault) -> Int {
        while at < end {
            // At the separator: `/`, or an escape that the policy decodes to one.
            at &+= unsafe source[at] == ASCII.slash ? 1 : 3
            let start = written
            write(ASCII.slash)
            try copySegment()
            try endSegment(start: start, isLast: at == end)
        }
        assert(written > 0 && written <= end)
        return written
    }

    @inline(__always)
    private mutating func write(_ byte: UInt8) {
        assert(written < at)
        unsafe output[written] = byte
        written &+= 1
    }

    private mutating func copySegment() throws(MessageFault) {
        dots = 0
        hasEncodedSlash = false
        hasDotPart = false
        hasDotWithParameters = false
        while at < end {
            let byte = unsafe source[at]
            switch byte {
            case ASCII.slash: return
            case ASCII.backslash: throw .invalidTarget
            case ASCII.percent: guard try copyEscape() else { return }
            default:
                at &+= 1
                note(byte)
                write(byte)
            }
        }
    }

    /// Copies or decodes an escape; false when it is a separator, which is left where it is.
    private mutating func copyEscape() throws(MessageFault) -> Bool {
        // RFC 3986 §2.1; NUL ends paths in some servers.
        guard end &- at >= 3, let high = unsafe ASCII.hexadecimalValue(source[at &+ 1]),
            let low = unsafe ASCII.hexadecimalValue(source[at &+ 2]), high | low != 0
        else { throw .invalidPercentEncoding }
        let byte = high &<< 4 | low
        if byte == ASCII.slash || byte == ASCII.backslash {
            switch policy.encodedSlashes {
            case .reject: throw .encodedSlash
            case .decode:
                guard byte == ASCII.slash else { throw .encodedSlash }
                return false
            case .keep:
                hasEncodedSlash = true
                if dots == 1 || dots == 2 { hasDotPart = true }
                dots = 0
            }
        } else {
            note(byte)
        }
        at &+= 3
        // RFC 3986 §6.2.2.2, then §6.2.2.1.
        if CharacterClass.isUnreserved(byte) {
            write(byte)
        } else {
            write(ASCII.percent)
            write(ASCII.upperHexadecimalDigit(high))
            write(ASCII.upperHexadecimalDigit(low))
        }
        return true
    }

    /// Looks for dots; an encoded `;` counts too, since servers differ in when they decode.
    @inline(__always)
    private mutating func note(_ byte: UInt8) {
        if byte == ASCII.dot, dots >= 0 {
            dots &+= 1
            return
        }
        if byte == ASCII.semicolon, dots == 1 || dots == 2 { hasDotWithParameters = true }
        dots = -1
    }

    /// Decides on the segment that was just written from `start` on, its slash included.
    private mutating func endSegment(start: Int, isLast: Bool) throws(MessageFault) {
        let isDot = dots == 1 || dots == 2
        if hasEncodedSlash, isDot || hasDotPart || hasDotWithParameters { throw .dotSegment }
        if hasDotWithParameters, policy.dotSegments != .keep { throw .dotSegment }
        if isDot {
            switch policy.dotSegments {
            case .keep: return
            case .reject: throw .dotSegment
            case .resolve: break
            }
            written = start
            if dots == 2 { try removeLastSegment() }
            // RFC 3986 §5.2.4: `/a/.` and `/a/b/..` are `/a/`.
            if isLast { write(ASCII.slash) }
        } else if policy.mergesSlashes, !isLast, written == start &+ 1 {
            written = start
        }
    }

    private mutating func removeLastSegment() throws(MessageFault) {
        // RFC 3986 §5.2.4 would stay at the root; a client that wants above it is up to no good.
        guard written > 0 else { throw .dotSegment }
        repeat { written &-= 1 } while unsafe output[written] != ASCII.slash
    }
}

extension ASCII {
    /// The digit for a value below 16, as RFC 3986 §6.2.2.1 writes escapes.
    @inline(__always)
    static func upperHexadecimalDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? zero &+ value : 0x37 &+ value
    }

    /// The digit for a value below 16, as W3C Trace Context writes it.
    @inline(__always)
    static func lowerHexadecimalDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? zero &+ value : 0x57 &+ value
    }
}

extension CharacterClass {
    /// True for what an escape never needs to stand for (RFC 3986 §2.3).
    @inline(__always)
    static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: true
        default: false
        }
    }
}
