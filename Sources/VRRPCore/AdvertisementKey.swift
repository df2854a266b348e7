// SPDX-License-Identifier: Apache-2.0
//
// The key that both nodes hold, and what it makes of an advertisement. The hash function itself
// comes in as a value. The sender's numbers: AdvertisementSigner; the receiver's: ReplayWindow.

internal import WireCore

/// A key for the authentication of adverts.
public struct AdvertisementKey: Sendable {
    /// A byte of a hash of the key: tells a peer with another key from a forgery.
    public let id: UInt8

    private let bytes: [UInt8]
    private let hmacSHA256: @Sendable (_ key: [UInt8], _ message: [UInt8]) -> [UInt8]

    /// Makes a key.
    ///
    /// - Parameters:
    ///   - bytes: a key of its own, derived from the secret of the pair and from nothing else.
    ///   - hmacSHA256: HMAC-SHA256 (RFC 2104, FIPS 180-4): 32 bytes.
    public init(
        bytes: [UInt8],
        hmacSHA256: @escaping @Sendable (_ key: [UInt8], _ message: [UInt8]) -> [UInt8]
    ) {
        self.bytes = bytes
        self.hmacSHA256 = hmacSHA256
        id = hmacSHA256(bytes, Array("key id".utf8)).first ?? 0
    }

    /// The tag of a message whose checksum is zero and that ends with a trailer without its tag.
    func tag(of message: [UInt8], _ carrier: PseudoHeader) -> [UInt8] {
        // The carrier's addresses are not in the message: without them a recorded advert could be
        // sent again in another node's name. The first byte keeps the two families apart.
        var covered: [UInt8] = []
        covered.reserveCapacity(message.count + 33)
        covered.append(carrier.source.family == .ipv4 ? 4 : 6)
        covered.append(carrier.source)
        covered.append(carrier.destination)
        covered += message
        return Array(hmacSHA256(bytes, covered).prefix(AuthenticationTrailer.tagByteCount))
    }
}

extension AdvertisementKey: CustomStringConvertible, CustomReflectable {
    /// Never the key itself: descriptions end up in logs.
    public var description: String { "(key)" }

    /// Never the key itself.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Whether two tags are equal, in time that does not depend on where they differ.
func areEqualTags(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    return zip(left, right).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
}
