// SPDX-License-Identifier: Apache-2.0
//
// Random bytes that nobody can predict.

import COpenSSL

/// The random source for nonces and keys.
public enum SecureRandom {
    /// The most bytes one call gives; up to here getrandom(2) never delivers only a part.
    public static let byteCountMax = 256
    /// Interruptions by signals before the kernel's pool is ready, after which something is wrong.
    private static let triesMax = 100

    /// `count` unpredictable bytes from getrandom(2), at most ``byteCountMax``.
    public static func bytes(count: Int) -> [UInt8] {
        precondition((0...byteCountMax).contains(count), "\(count) random bytes")
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            for _ in 0..<triesMax where initializedCount < count {
                if getrandom(buffer.baseAddress, count, 0) == count { initializedCount = count }
            }
            precondition(initializedCount == count, "getrandom gives no bytes")
        }
    }
}
