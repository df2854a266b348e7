// SPDX-License-Identifier: Apache-2.0
//
// The sending side of authentication: which numbers an advert carries so that it serves once.

/// Authenticates the adverts of one virtual router of one process.
public struct AdvertisementSigner: Sendable {
    private let key: AdvertisementKey
    private let bootNonce: UInt64
    private var sequence: UInt64

    /// Makes a signer.
    ///
    /// - Parameters:
    ///   - key: the key of the pair.
    ///   - bootNonce: wall clock nanoseconds when the process started, the same for all signers of
    ///     a process. Receivers forget a process when they hear of a later one.
    ///   - sentCount: how many adverts of this process went before.
    public init(key: AdvertisementKey, bootNonce: UInt64, sentCount: UInt64 = 0) {
        self.key = key
        self.bootNonce = bootNonce
        sequence = sentCount
    }

    /// Appends the trailer to a message whose checksum is zero.
    mutating func sign(_ message: inout [UInt8], _ carrier: PseudoHeader) {
        // 2^64 adverts do not happen.
        sequence &+= 1
        AuthenticationTrailer(keyID: key.id, bootNonce: bootNonce, sequence: sequence)
            .appendHead(to: &message)
        message += key.tag(of: message, carrier)
    }
}
