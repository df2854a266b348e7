// SPDX-License-Identifier: Apache-2.0
//
// The dialling side of the handshake.
//
//     idle --start--> awaitingChallenge --challenge--> awaitingAcceptance --accepted--> finished
//                            |                                 |
//                            +--- anything else, refused ------+--> finished (failed)

import WireCore

/// Shakes hands as the node that dialled.
///
/// The dialler proves itself first, then the acceptor does; one of them has to begin.
public struct DiallerHandshakeStateMachine: Sendable {
    /// What the driver does next.
    public enum Action: Hashable, Sendable {
        /// Send this frame and read on.
        case send(LinkFrame)
        /// Both ends are proven: start sending under this key.
        case establish(LinkSessionKey)
        /// Close the connection and wait before the next attempt.
        case fail(LinkHandshakeFailure)
    }

    private enum State: Sendable {
        case idle
        case awaitingChallenge(own: LinkIntroduction)
        case awaitingAcceptance(LinkTranscript)
        case finished
    }

    private let identity: LinkIdentity
    private var state = State.idle

    /// Makes a machine for one connection.
    public init(identity: LinkIdentity) {
        self.identity = identity
    }

    /// The connection is open; `nonce` is fresh and random.
    public mutating func start(nonce: [UInt8]) -> Action {
        switch state {
        case .idle:
            precondition(
                nonce.count == LinkProtocol.nonceByteCount, "nonce of \(nonce.count) bytes")
            let own = identity.introduction(nonce: nonce)
            state = .awaitingChallenge(own: own)
            return .send(.hello(own))
        case .awaitingChallenge, .awaitingAcceptance, .finished:
            preconditionFailure("start() in state \(state)")
        }
    }

    /// A frame came from the acceptor.
    public mutating func frameReceived(_ frame: LinkFrame) -> Action {
        if case .refused(let reason) = frame {
            return fail(.refusedByPeer(reason))
        }
        switch state {
        case .awaitingChallenge(let own):
            guard case .challenge(let acceptor) = frame else {
                return fail(.refusedHere(.unexpectedFrame))
            }
            return challengeReceived(acceptor, own: own)
        case .awaitingAcceptance(let transcript):
            guard case .accepted(let proof) = frame else {
                return fail(.refusedHere(.unexpectedFrame))
            }
            return acceptanceReceived(proof, transcript)
        case .idle, .finished:
            return fail(.refusedHere(.unexpectedFrame))
        }
    }

    /// The bytes from the acceptor were no frame.
    public mutating func malformedReceived(_ fault: LinkFrameFault) -> Action {
        fail(.refusedHere(LinkRefusal(fault)))
    }

    private mutating func challengeReceived(
        _ acceptor: LinkIntroduction, own: LinkIntroduction
    ) -> Action {
        if let objection = identity.objection(to: acceptor, from: .acceptor) {
            return fail(.refusedHere(objection))
        }
        let transcript = LinkTranscript(dialler: own, acceptor: acceptor)
        state = .awaitingAcceptance(transcript)
        return .send(
            .proof(
                transcript.authenticated(
                    for: LinkTranscript.diallerProofLabel, secret: identity.secret,
                    with: identity.cryptography)))
    }

    private mutating func acceptanceReceived(
        _ proof: [UInt8], _ transcript: LinkTranscript
    ) -> Action {
        let wanted = transcript.authenticated(
            for: LinkTranscript.acceptorProofLabel, secret: identity.secret,
            with: identity.cryptography)
        guard identity.cryptography.constantTimeEquals(wanted, proof) else {
            return fail(.refusedHere(.wrongSecret))
        }
        state = .finished
        return .establish(
            LinkSessionKey(
                bytes: transcript.authenticated(
                    for: LinkTranscript.sessionKeyLabel, secret: identity.secret,
                    with: identity.cryptography)))
    }

    private mutating func fail(_ failure: LinkHandshakeFailure) -> Action {
        state = .finished
        return .fail(failure)
    }
}

/// Who ended a handshake, and why.
public enum LinkHandshakeFailure: Error, Hashable, Sendable {
    /// This node does not take the other end as its peer.
    case refusedHere(LinkRefusal)
    /// The other end says it does not take this node as its peer.
    case refusedByPeer(LinkRefusal)
}

extension LinkHandshakeFailure: CustomStringConvertible {
    /// Side and reason as a few words for logs and status.
    public var description: String {
        switch self {
        case .refusedHere(let reason): "refused here: \(reason)"
        case .refusedByPeer(let reason): "refused by the peer: \(reason)"
        }
    }
}

extension LinkRefusal {
    /// The refusal that answers bytes which are no frame.
    public init(_ fault: LinkFrameFault) {
        switch fault {
        case .unsupportedVersion: self = .protocolVersion
        case .lengthTooShort, .lengthTooLong, .unknownHandshakeType, .wrongBodyLength,
            .badNodeName, .unknownFlags:
            self = .malformedFrame
        }
    }
}
