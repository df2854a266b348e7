// SPDX-License-Identifier: Apache-2.0
//
// What a node needs to know before it can shake hands with its peer.

/// Own name, the peer's name and what they share.
public struct LinkIdentity: Sendable {
    /// This node's name in the pair's configuration.
    public let ownName: String
    /// The other node's name in the pair's configuration.
    public let peerName: String
    /// The shared secret; `nil` leaves the link unauthenticated.
    public let secret: LinkSecret?
    /// The cryptographic functions.
    public let cryptography: LinkCryptography

    /// Makes an identity.
    public init(
        ownName: String, peerName: String, secret: LinkSecret?, cryptography: LinkCryptography
    ) {
        self.ownName = ownName
        self.peerName = peerName
        self.secret = secret
        self.cryptography = cryptography
    }

    /// How this node introduces itself with a fresh nonce.
    func introduction(nonce: [UInt8]) -> LinkIntroduction {
        LinkIntroduction(nodeName: ownName, hasSecret: secret != nil, nonce: nonce)
    }

    /// Why the other end cannot be the peer, before any proof.
    func objection(
        to introduction: LinkIntroduction, from role: LinkRole
    ) -> LinkRefusal? {
        guard introduction.nodeName != ownName else { return .sameNodeName }
        guard introduction.nodeName == peerName else { return .unknownNode }
        switch (role, introduction.hasSecret, secret != nil) {
        case (_, true, true), (_, false, false): return nil
        case (.dialler, true, false), (.acceptor, false, true): return .acceptorHasNoSecret
        case (.dialler, false, true), (.acceptor, true, false): return .diallerHasNoSecret
        }
    }
}

/// The two parts a node can play on one connection.
public enum LinkRole: Hashable, Sendable {
    /// Opened the connection, and is the only one to send once the handshake is over.
    case dialler
    /// Accepted the connection, and only reads once the handshake is over.
    case acceptor
}
