// SPDX-License-Identifier: Apache-2.0
//
// The pair's cryptography on OpenSSL.

public import ReplicationCore
import TLSIO

extension LinkCryptography {
    /// HMAC-SHA256 and comparison in constant time by OpenSSL.
    public static var openSSL: LinkCryptography {
        LinkCryptography(
            hmacSHA256: { HMACSHA256.authenticationCode(for: $1, key: $0) },
            constantTimeEquals: { ConstantTime.equals($0, $1) })
    }
}
