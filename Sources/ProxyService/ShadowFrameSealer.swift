// SPDX-License-Identifier: Apache-2.0
//
// Frames of a worker's shadow channel, sealed where they lie in the worker's buffer.

internal import LinuxIO
internal import ReplicationCore
internal import TLSIO

/// Numbers and seals the frames of one shadow channel.
///
/// Every sealed frame must be sent, whole and in order: a missing number ends the channel.
struct ShadowFrameSealer: ~Copyable {
    /// Room before the payload.
    static let prefixByteCount = SealedLinkFrame.prefixByteCount
    /// Room behind the payload.
    static let suffixByteCount = SealedLinkFrame.suffixByteCount
    /// The longest payload.
    static let payloadByteCountMax = SealedLinkFrame.replicationPayloadByteCountMax

    private let cipher: FrameCipher
    private var nextSequence: UInt64

    /// Goes on where the thread that opened the channel stopped.
    init(_ grant: ShadowChannelGrant) {
        cipher = FrameCipher(key: grant.key)
        nextSequence = grant.nextSequence
    }

    /// Seals the payload behind the first ``prefixByteCount`` bytes at `base`, and writes what
    /// belongs before and behind it.
    ///
    /// - Returns: bytes of the whole frame.
    mutating func seal(
        at base: UnsafeMutableRawPointer, payloadByteCount: Int, type: UInt8
    ) -> Int {
        let header = SealedLinkFrame.header(type: type, payloadByteCount: payloadByteCount)
        SealedLinkFrame.writePrefix(header: header, sequence: nextSequence, at: base)
        let text = UnsafeMutableRawBufferPointer(
            start: base + Self.prefixByteCount, count: payloadByteCount)
        cipher.seal(
            text, tag: base + Self.prefixByteCount + payloadByteCount, header: header,
            sequence: nextSequence)
        nextSequence += 1
        return Self.prefixByteCount + payloadByteCount + Self.suffixByteCount
    }
}
