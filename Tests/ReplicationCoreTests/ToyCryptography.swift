// SPDX-License-Identifier: Apache-2.0
//
// Stand-ins for the cryptographic functions: keyed and collision-free enough for tests, no secret.

import WireCore

@testable import ReplicationCore

extension LinkCryptography {
    /// A keyed 32-byte checksum and plain comparison.
    static let toy = LinkCryptography(
        hmacSHA256: { key, message in
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
        },
        constantTimeEquals: { $0 == $1 })
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
