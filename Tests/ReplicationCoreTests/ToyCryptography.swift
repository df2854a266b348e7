// SPDX-License-Identifier: Apache-2.0
//
// Stand-ins for the cryptographic functions: keyed and collision-free enough for tests, no secret.
// This is no cryptography.

import WireCore

@testable import ReplicationCore

extension LinkCryptography {
    /// A keyed 32-byte checksum, plain comparison, and a cipher made of the checksum.
    static let toy = LinkCryptography(
        hmacSHA256: { toyChecksum(key: $0, $1) }, constantTimeEquals: { $0 == $1 },
        makeCipher: { ToyCipher(key: $0) })
}

func toyChecksum(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    for lane in UInt64(0)..<4 {
        var hash = 0xCBF2_9CE4_8422_2325 &+ lane &* 0x9E37_79B9_7F4A_7C15
        for byte in key + [0xFF] + message + [UInt8(lane)] {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
            hash ^= hash >> 29
        }
        output.appendBigEndian(hash)
    }
    return output
}

/// Adds a keyed pattern to the text and checks everything.
final class ToyCipher: LinkCipher {
    private let key: [UInt8]

    init(key: [UInt8]) {
        self.key = key
    }

    func seal(_ bytes: inout [UInt8], from start: Int, header: UInt32, sequence: UInt64) {
        let pattern = pattern(sequence)
        for index in start..<bytes.count { bytes[index] ^= pattern[(index - start) % 32] }
        bytes += tag(Array(bytes[start...]), header, sequence)
    }

    func open(_ text: inout [UInt8], tag: [UInt8], header: UInt32, sequence: UInt64) -> Bool {
        guard tag == self.tag(text, header, sequence) else { return false }
        let pattern = pattern(sequence)
        for index in text.indices { text[index] ^= pattern[index % 32] }
        return true
    }

    private func pattern(_ sequence: UInt64) -> [UInt8] {
        var message: [UInt8] = [1]
        message.appendBigEndian(sequence)
        return toyChecksum(key: key, message)
    }

    private func tag(_ text: [UInt8], _ header: UInt32, _ sequence: UInt64) -> [UInt8] {
        var message: [UInt8] = [2]
        message.appendBigEndian(header)
        message.appendBigEndian(sequence)
        return Array(toyChecksum(key: key, message + text).prefix(LinkProtocol.tagByteCount))
    }
}

/// A secret that repeats one byte.
func secret(_ byte: UInt8) throws -> LinkSecret {
    try LinkSecret(fileContent: [UInt8](repeating: byte, count: 32))
}

/// A nonce that repeats one byte.
func nonce(_ byte: UInt8) -> [UInt8] {
    [UInt8](repeating: byte, count: LinkProtocol.nonceByteCount)
}

/// Everything `bytes` decodes to; stops at the first fault or at an incomplete frame.
func decodeAll(_ bytes: [UInt8]) throws(LinkFrameFault) -> [LinkFrame] {
    var frames: [LinkFrame] = []
    var rest = bytes[...]
    while true {
        let copy = Array(rest)
        switch try LinkFrameDecoder.decode(copy.span.bytes) {
        case .frame(let frame, let byteCount):
            frames.append(frame)
            rest = rest.dropFirst(byteCount)
        case .needMore:
            return frames
        }
    }
}
