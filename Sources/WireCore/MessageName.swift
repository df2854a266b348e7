// SPDX-License-Identifier: Apache-2.0
//
// One domain name inside a DNS message, its compression undone.

/// A domain name out of a message, for comparing: labels with their lengths, in lower case.
struct MessageName: Hashable {
    /// RFC 1035 §2.3.4: a name with its lengths has at most 255 bytes.
    static let byteCountMax = 255
    /// Pointers followed in one name.
    private static let pointersMax = 64

    private var labels: [UInt8] = []

    /// Reads a name and where it ends in the message; `nil` when it is malformed.
    static func read(_ bytes: [UInt8], at start: Int) -> (name: MessageName, end: Int)? {
        var name = MessageName()
        var at = start
        var end: Int?
        for _ in 0..<(byteCountMax / 2 + pointersMax) {
            guard at < bytes.count else { return nil }
            let length = Int(bytes[at])
            switch length {
            case 0:
                return (name, end ?? at + 1)
            case 1...63:
                guard at + 1 + length <= bytes.count,
                    name.labels.count + 1 + length < byteCountMax
                else { return nil }
                name.labels.append(bytes[at])
                name.labels += bytes[(at + 1)..<(at + 1 + length)].map(lowered)
                at += 1 + length
            case 0xC0...0xFF:
                // RFC 1035 §4.1.4: a pointer names a prior place. One that does not could loop.
                guard at + 1 < bytes.count else { return nil }
                let target = (length & 0x3F) << 8 | Int(bytes[at + 1])
                guard target < at else { return nil }
                end = end ?? at + 2
                at = target
            default:
                return nil
            }
        }
        return nil
    }

    /// RFC 4343 §3: names are compared without regard to the case of ASCII letters.
    private static func lowered(_ byte: UInt8) -> UInt8 {
        (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
    }

    /// The name as text; `nil` for the root and for names with bytes that no host name has.
    var hostName: String? {
        guard !labels.isEmpty else { return nil }
        var text = ""
        var at = 0
        while at < labels.count {
            let end = at + 1 + Int(labels[at])
            if !text.isEmpty { text += "." }
            for byte in labels[(at + 1)..<end] {
                switch byte {
                case 0x30...0x39, 0x61...0x7A, 0x2D, 0x5F:
                    text.unicodeScalars.append(Unicode.Scalar(byte))
                default:
                    return nil
                }
            }
            at = end
        }
        return text
    }
}
