// SPDX-License-Identifier: Apache-2.0
//
// HMAC-SHA256 and constant-time comparison by libcrypto.

import COpenSSL

/// HMAC-SHA256 (RFC 2104 with FIPS 180-4).
public enum HMACSHA256 {
    /// Length of the code in bytes.
    public static let byteCount = 32

    /// The authentication code of `message` under `key`; both may be empty.
    public static func authenticationCode(for message: [UInt8], key: [UInt8]) -> [UInt8] {
        guard let keyByteCount = Int32(exactly: key.count) else {
            preconditionFailure("key of \(key.count) bytes")
        }
        return [UInt8](unsafeUninitializedCapacity: byteCount) { code, initializedCount in
            var written: UInt32 = 0
            let result = key.withUnsafeBytes { key in
                message.withUnsafeBufferPointer { message in
                    HMAC(
                        EVP_sha256(), key.baseAddress, keyByteCount, message.baseAddress,
                        message.count, code.baseAddress, &written)
                }
            }
            // Fails only when libcrypto cannot allocate or has no SHA-256: nothing can go on.
            precondition(result != nil && written == byteCount, "HMAC-SHA256 failed")
            initializedCount = byteCount
        }
    }
}

/// Comparison whose time does not tell where two secrets differ.
public enum ConstantTime {
    /// Whether both are equal; the time depends on their lengths alone.
    public static func equals(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return left.withUnsafeBytes { left in
            right.withUnsafeBytes { right in
                left.isEmpty || CRYPTO_memcmp(left.baseAddress, right.baseAddress, left.count) == 0
            }
        }
    }
}
