// SPDX-License-Identifier: Apache-2.0
//
// Keys for other uses than the pair link, made from the pair's secret without giving it away.

extension LinkSecret {
    /// A key of 32 bytes for one purpose; other purposes and the secret do not follow from it.
    public func derivedKey(
        for purpose: StaticString, with cryptography: LinkCryptography
    ) -> [UInt8] {
        cryptography.hmacSHA256(bytes, Array("tandem key for \(purpose)".utf8) + [0])
    }
}
