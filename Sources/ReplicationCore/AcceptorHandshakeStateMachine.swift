// SPDX-License-Identifier: Apache-2.0
//
// The accepting side of the handshake.
//
//     awaitingHello --hello--> awaitingProof --proof--> finished (accepted)
//           |                       |
//           +----- anything else ---+--> finished (refused)

import WireCore

/// Shakes hands as the node that was dialled.
public struct AcceptorHandshakeStateMachine: Sendable {
    /// What the driver does next.
    public enum Action: Hashable, Sendable {
        /// Send this frame and read on.
        case send(LinkFrame)
        /// Send this frame, then never write again; read sealed frames under this key.
        case accept(LinkFrame, LinkSessionKey)
        /// Send a refusal with this reason and close.
        case refuse(LinkRefusal)
    }

    private enum State: Sendable {
        case awaitingHello(nonce: [UInt8])
        case awaitingProof(LinkTranscript)
        case finished
    }

    private let identity: LinkIdentity
    private var state: State

    /// Makes a machine for one connection; `nonce` is fresh and random.
    public init(identity: LinkIdentity, nonce: [UInt8]) {
        precondition(nonce.count == LinkProtocol.nonceByteCount, "nonce of \(nonce.count) bytes")
        self.identity = identity
        state = .awaitingHello(nonce: nonce)
    }

    /// A frame came from the dialler.
    public mutating func frameReceived(_ frame: LinkFrame) -> Action {
        switch state {
        case .awaitingHello(let nonce):
            guard case .hello(let dialler) = frame else { return refuse(.unexpectedFrame) }
            return helloReceived(dialler, nonce: nonce)
        case .awaitingProof(let transcript):
            guard case .proof(let proof) = frame else { return refuse(.unexpectedFrame) }
            return proofReceived(proof, transcript)
        case .finished:
            return refuse(.unexpectedFrame)
        }
    }

    /// The bytes from the dialler were no frame.
    public mutating func malformedReceived(_ fault: LinkFrameFault) -> Action {
        refuse(LinkRefusal(fault))
    }

    /// The dialler took too long.
    public mutating func deadlinePassed() -> Action {
        refuse(.deadline)
    }

    private mutating func helloReceived(_ dialler: LinkIntroduction, nonce: [UInt8]) -> Action {
        if let objection = identity.objection(to: dialler, from: .dialler) {
            return refuse(objection)
        }
        let own = identity.introduction(nonce: nonce)
        state = .awaitingProof(LinkTranscript(dialler: dialler, acceptor: own))
        return .send(.challenge(own))
    }

    private mutating func proofReceived(
        _ proof: [UInt8], _ transcript: LinkTranscript
    ) -> Action {
        let wanted = transcript.authenticated(
            for: LinkTranscript.diallerProofLabel, secret: identity.secret,
            with: identity.cryptography)
        guard identity.cryptography.constantTimeEquals(wanted, proof) else {
            return refuse(.wrongSecret)
        }
        state = .finished
        let answer = transcript.authenticated(
            for: LinkTranscript.acceptorProofLabel, secret: identity.secret,
            with: identity.cryptography)
        let key = transcript.authenticated(
            for: LinkTranscript.sessionKeyLabel, secret: identity.secret,
            with: identity.cryptography)
        return .accept(.accepted(answer), LinkSessionKey(bytes: key))
    }

    private mutating func refuse(_ reason: LinkRefusal) -> Action {
        state = .finished
        return .refuse(reason)
    }
}
