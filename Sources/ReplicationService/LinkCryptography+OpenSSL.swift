// SPDX-License-Identifier: Apache-2.0
//
// The pair's cryptography on OpenSSL.

public import ReplicationCore
import TLSIO

extension LinkCryptography {
    /// HMAC-SHA256, AES-256-GCM and comparison in constant time by OpenSSL.
    public static var openSSL: LinkCryptography {
        LinkCryptography(
            hmacSHA256: { HMACSHA256.authenticationCode(for: $1, key: $0) },
            constantTimeEquals: { ConstantTime.equals($0, $1) },
            makeCipher: { OpenSSLLinkCipher(key: $0) })
    }
}

/// AES-256-GCM on arrays.
private final class OpenSSLLinkCipher: LinkCipher {
    private let cipher: FrameCipher

    init(key: [UInt8]) {
        cipher = FrameCipher(key: key)
    }

    func seal(_ bytes: inout [UInt8], from start: Int, header: UInt32, sequence: UInt64) {
        let end = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: FrameCipher.tagByteCount))
        bytes.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            cipher.seal(
                UnsafeMutableRawBufferPointer(rebasing: bytes[start..<end]), tag: base + end,
                header: header, sequence: sequence)
        }
    }

    func open(_ text: inout [UInt8], tag: [UInt8], header: UInt32, sequence: UInt64) -> Bool {
        guard tag.count == FrameCipher.tagByteCount else { return false }
        return text.withUnsafeMutableBytes { text in
            tag.withUnsafeBytes { tag in
                guard let tag = tag.baseAddress else { return false }
                return cipher.open(text, tag: tag, header: header, sequence: sequence)
            }
        }
    }
}
