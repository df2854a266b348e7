// SPDX-License-Identifier: Apache-2.0
//
// What the pair link proves and with which bytes: secret, transcript, proofs, session key.
// The cryptographic functions themselves come in as values.

import WireCore

/// What the link needs from a cryptographic library.
public struct LinkCryptography: Sendable {
    /// HMAC-SHA256 (RFC 2104, FIPS 180-4) of a message under a key: 32 bytes.
    public let hmacSHA256: @Sendable (_ key: [UInt8], _ message: [UInt8]) -> [UInt8]
    /// Whether two byte strings are equal, in time that depends on their lengths alone.
    public let constantTimeEquals: @Sendable ([UInt8], [UInt8]) -> Bool
    /// A cipher for one connection under a key of 32 bytes.
    public let makeCipher: @Sendable (_ key: [UInt8]) -> any LinkCipher

    /// Makes the set of functions.
    public init(
        hmacSHA256: @escaping @Sendable (_ key: [UInt8], _ message: [UInt8]) -> [UInt8],
        constantTimeEquals: @escaping @Sendable ([UInt8], [UInt8]) -> Bool,
        makeCipher: @escaping @Sendable (_ key: [UInt8]) -> any LinkCipher
    ) {
        self.hmacSHA256 = hmacSHA256
        self.constantTimeEquals = constantTimeEquals
        self.makeCipher = makeCipher
    }
}

/// Authenticated encryption of one connection's frames (RFC 5116).
///
/// The sequence number of a frame makes its nonce, so no number may be sealed twice with different
/// content and both sent.
public protocol LinkCipher: AnyObject {
    /// Encrypts `bytes` from `start` on where they lie, and appends the tag,
    /// ``LinkProtocol/tagByteCount`` bytes, which proves `header` too.
    func seal(_ bytes: inout [UInt8], from start: Int, header: UInt32, sequence: UInt64)
    /// Decrypts `text` where it lies.
    ///
    /// - Returns: false when `tag` was not made for this header, number and text; the text is
    ///   worthless then.
    func open(_ text: inout [UInt8], tag: [UInt8], header: UInt32, sequence: UInt64) -> Bool
}

/// Why a secret file's content cannot serve.
public enum LinkSecretFault: Error, Hashable, Sendable {
    /// Fewer bytes than ``LinkSecret/byteCountMin`` after white space at the end is removed.
    case tooShort(byteCount: Int)
    /// More bytes than ``LinkSecret/byteCountMax``.
    case tooLong(byteCount: Int)
}

/// The secret both nodes share.
public struct LinkSecret: Hashable, Sendable {
    /// Shorter secrets could be guessed offline from one recorded handshake.
    public static let byteCountMin = 16
    /// Longer files are surely not secrets.
    public static let byteCountMax = 4096

    let bytes: [UInt8]

    /// Takes a file's content, without the line end that editors add.
    public init(fileContent: [UInt8]) throws(LinkSecretFault) {
        var bytes = fileContent
        while let last = bytes.last, [0x20, 0x09, 0x0A, 0x0D].contains(last) {
            bytes.removeLast()
        }
        guard bytes.count >= Self.byteCountMin else { throw .tooShort(byteCount: bytes.count) }
        guard bytes.count <= Self.byteCountMax else { throw .tooLong(byteCount: bytes.count) }
        self.bytes = bytes
    }
}

extension LinkSecret: CustomStringConvertible, CustomReflectable {
    /// Never the secret itself: descriptions end up in logs.
    public var description: String { "(secret)" }

    /// Never the secret itself.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Everything both ends said, in one unambiguous byte string.
///
/// Each use has its own label, and the label of a proof names who proves. A proof can therefore
/// neither be reflected to its maker nor serve in the other direction, and the nonces keep it from
/// serving twice.
struct LinkTranscript {
    let bytes: [UInt8]

    init(dialler: LinkIntroduction, acceptor: LinkIntroduction) {
        var bytes: [UInt8] = [LinkProtocol.version]
        for side in [dialler, acceptor] {
            let name = side.nodeName.utf8.prefix(LinkProtocol.nodeNameByteCountMax)
            bytes.append(side.hasSecret ? 1 : 0)
            bytes.append(UInt8(truncatingIfNeeded: name.count))
            bytes += name
            bytes += side.nonce
        }
        self.bytes = bytes
    }

    /// A value that only a holder of `secret` can make.
    ///
    /// Without a secret the key is empty: the link then detects accidents, not attackers, and the
    /// code has one path instead of two.
    func authenticated(
        for label: StaticString, secret: LinkSecret?, with cryptography: LinkCryptography
    ) -> [UInt8] {
        var message = Array("tandem pair link \(label)".utf8)
        message.append(0)
        message += bytes
        return cryptography.hmacSHA256(secret?.bytes ?? [], message)
    }

    static let diallerProofLabel: StaticString = "dialler"
    static let acceptorProofLabel: StaticString = "acceptor"
    static let sessionKeyLabel: StaticString = "session"
}
