// SPDX-License-Identifier: Apache-2.0
//
// The bytes after the last address of an authenticated advertisement. A form of our own: no RFC
// has one, and peers of other makers refuse adverts that carry it.

internal import WireCore

/// The end of an authenticated advertisement.
///
/// ```
/// +---------------+---------------+---------------+---------------+
/// |   'T' (0x54)  |  version (1)  |    key id     | algorithm (1) |
/// +---------------+---------------+---------------+---------------+
/// |        boot nonce: when the sender's process started,         |
/// |                 wall clock, nanoseconds                       |
/// +---------------------------------------------------------------+
/// |        sequence: 1 for the first advert of a process,         |
/// |                 greater with each                             |
/// +---------------------------------------------------------------+
/// |   HMAC-SHA256, the first 16 bytes, over: 4 or 6 (one byte),   |
/// |   source and destination address, the VRRP message with a     |
/// |   checksum of zero, this trailer up to here                   |
/// +---------------------------------------------------------------+
/// ```
struct AuthenticationTrailer: Hashable, Sendable {
    var keyID: UInt8
    var bootNonce: UInt64
    var sequence: UInt64

    static let magic: UInt8 = 0x54
    static let version: UInt8 = 1
    /// HMAC-SHA256 cut to 128 bits (RFC 4868 §2.1.1: half of the output is what IPsec keeps).
    static let algorithm: UInt8 = 1
    static let headByteCount = 20
    static let tagByteCount = 16
    static let byteCount = headByteCount + tagByteCount

    /// Appends everything but the tag.
    func appendHead(to bytes: inout [UInt8]) {
        bytes.append(Self.magic)
        bytes.append(Self.version)
        bytes.append(keyID)
        bytes.append(Self.algorithm)
        bytes.appendBigEndian(bootNonce)
        bytes.appendBigEndian(sequence)
    }

    /// Reads everything but the tag.
    static func decodeHead(
        _ reader: inout ByteReader
    ) throws(AdvertisementError) -> AuthenticationTrailer {
        guard let form = reader.readUInt16(), let keyID = reader.readUInt8(),
            let algorithm = reader.readUInt8(), let nonce = reader.readUInt64(),
            let sequence = reader.readUInt64()
        else { throw AdvertisementError(.authenticationMissing, got: 0, wanted: byteCount) }
        let wanted = UInt16(magic) << 8 | UInt16(version)
        guard form == wanted else {
            throw AdvertisementError(.authenticationForm, got: Int(form), wanted: Int(wanted))
        }
        guard algorithm == self.algorithm else {
            throw AdvertisementError(
                .authenticationForm, got: Int(algorithm), wanted: Int(self.algorithm))
        }
        return AuthenticationTrailer(keyID: keyID, bootNonce: nonce, sequence: sequence)
    }
}
