// SPDX-License-Identifier: Apache-2.0
//
// AES-256-GCM by libcrypto for numbered frames: one key, contexts that are reused, bytes that are
// encrypted where they lie. Which bytes make a frame is the caller's business.

import COpenSSL

/// Authenticated encryption of the frames of one connection (NIST SP 800-38D, RFC 5116).
///
/// The nonce of a frame is its number, so a number must not be sealed twice with different content
/// and both sent. Keys serve ``framesPerKey`` numbers each and are then derived anew from the first
/// one; both ends do it at the same number. Belongs to one thread.
public final class FrameCipher {
    /// Length of a key.
    public static let keyByteCount = 32
    /// Length of a tag.
    public static let tagByteCount = 16
    /// Frames under one key: with frames of 64 KiB they stay far below the 2^24.5 full records that
    /// RFC 8446 §5.5 allows.
    public static let framesPerKey: UInt64 = 1 << 20

    private static let nonceByteCount = 12

    private let key: [UInt8]
    private let context: OpaquePointer
    private var epoch: UInt64 = 0
    /// Whether the context is set up for sealing; `nil` before its first use.
    private var isForSealing: Bool?

    /// Makes a cipher that both ends make with the same key.
    public init(key: [UInt8]) {
        precondition(key.count == Self.keyByteCount, "key of \(key.count) bytes")
        guard let context = EVP_CIPHER_CTX_new() else {
            preconditionFailure("libcrypto has no memory")
        }
        self.key = key
        self.context = context
    }

    deinit {
        EVP_CIPHER_CTX_free(context)
    }

    /// Encrypts `text` where it lies and writes the tag, ``tagByteCount`` bytes.
    ///
    /// - Parameters:
    ///   - text: what is encrypted; may be empty.
    ///   - tag: room for the tag.
    ///   - header: four bytes that the tag proves, too.
    ///   - sequence: the frame's number.
    public func seal(
        _ text: UnsafeMutableRawBufferPointer, tag: UnsafeMutableRawPointer, header: UInt32,
        sequence: UInt64
    ) {
        begin(isSealing: true, header: header, sequence: sequence)
        var count: CInt = 0
        let bytes = text.assumingMemoryBound(to: UInt8.self).baseAddress
        var result: CInt = 1
        if let bytes, !text.isEmpty {
            result = EVP_EncryptUpdate(context, bytes, &count, bytes, CInt(text.count))
        }
        var rest: CInt = 0
        var nothing: UInt8 = 0
        result &= EVP_EncryptFinal_ex(context, &nothing, &rest)
        result &= EVP_CIPHER_CTX_ctrl(
            context, EVP_CTRL_AEAD_GET_TAG, CInt(Self.tagByteCount), tag)
        precondition(result == 1 && Int(count) == text.count, "AES-256-GCM failed")
    }

    /// Decrypts `text` where it lies.
    ///
    /// - Returns: false when the tag was not made for this header, number and text; the text is
    ///   worthless then.
    public func open(
        _ text: UnsafeMutableRawBufferPointer, tag: UnsafeRawPointer, header: UInt32,
        sequence: UInt64
    ) -> Bool {
        begin(isSealing: false, header: header, sequence: sequence)
        var count: CInt = 0
        let bytes = text.assumingMemoryBound(to: UInt8.self).baseAddress
        var result: CInt = 1
        if let bytes, !text.isEmpty {
            result = EVP_DecryptUpdate(context, bytes, &count, bytes, CInt(text.count))
        }
        result &= EVP_CIPHER_CTX_ctrl(
            context, EVP_CTRL_AEAD_SET_TAG, CInt(Self.tagByteCount),
            UnsafeMutableRawPointer(mutating: tag))
        precondition(result == 1 && Int(count) == text.count, "AES-256-GCM failed")
        var rest: CInt = 0
        var nothing: UInt8 = 0
        return EVP_DecryptFinal_ex(context, &nothing, &rest) == 1
    }

    /// Sets nonce and additional data, and the key when it is not in place.
    private func begin(isSealing: Bool, header: UInt32, sequence: UInt64) {
        if isForSealing != isSealing || epoch != sequence / Self.framesPerKey {
            placeKey(isSealing: isSealing, epoch: sequence / Self.framesPerKey)
        }
        // Four zero bytes, then the number: RFC 5116 §3.2.
        var nonce = (UInt32(0), sequence.bigEndian.low, sequence.bigEndian.high)
        var result = withUnsafeBytes(of: &nonce) { nonce in
            EVP_CipherInit_ex(
                context, nil, nil, nil,
                nonce.assumingMemoryBound(to: UInt8.self).baseAddress, isSealing ? 1 : 0)
        }
        var count: CInt = 0
        var header = header.bigEndian
        result &= withUnsafeBytes(of: &header) { header in
            EVP_CipherUpdate(
                context, nil, &count, header.assumingMemoryBound(to: UInt8.self).baseAddress,
                CInt(header.count))
        }
        precondition(result == 1, "AES-256-GCM failed")
    }

    private func placeKey(isSealing: Bool, epoch: UInt64) {
        let placed =
            epoch == 0
            ? key
            : HMACSHA256.authenticationCode(
                for: Array("tandem frames key \(epoch)".utf8), key: key)
        let result = EVP_CipherInit_ex(
            context, EVP_aes_256_gcm(), nil, placed, nil, isSealing ? 1 : 0)
        // Fails only when libcrypto cannot allocate or has no AES: nothing can go on.
        precondition(result == 1, "AES-256-GCM is missing")
        self.epoch = epoch
        isForSealing = isSealing
    }
}

extension UInt64 {
    /// The four bytes that lie first in memory on a little-endian machine.
    fileprivate var low: UInt32 { UInt32(truncatingIfNeeded: self) }
    /// The four bytes that lie behind them.
    fileprivate var high: UInt32 { UInt32(truncatingIfNeeded: self >> 32) }
}
