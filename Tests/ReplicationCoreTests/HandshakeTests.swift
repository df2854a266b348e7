// SPDX-License-Identifier: Apache-2.0
//
// The handshake between two machines: who is accepted, who is refused and by whom, and which
// attacks fail.

import ReplicationCore
import Testing

/// Two machines with a wire between them that a test may read and change.
private struct Wire {
    var dialler: DiallerHandshakeStateMachine
    var acceptor: AcceptorHandshakeStateMachine
    var recorded: [LinkFrame] = []

    enum End: Hashable {
        case established(LinkSessionKey, LinkSessionKey)
        case refused(LinkRefusal, by: LinkRole)
    }

    init(
        dialler: LinkIdentity, acceptor: LinkIdentity, acceptorNonce: UInt8 = 2
    ) {
        self.dialler = DiallerHandshakeStateMachine(identity: dialler)
        self.acceptor = AcceptorHandshakeStateMachine(
            identity: acceptor, nonce: nonce(acceptorNonce))
    }

    /// Runs to the end; `change` may replace any frame on its way.
    mutating func run(
        diallerNonce: UInt8 = 1, change: (LinkFrame) -> LinkFrame = { $0 }
    ) -> End {
        var action = dialler.start(nonce: nonce(diallerNonce))
        var acceptorKey: LinkSessionKey?
        while true {
            switch action {
            case .fail(.refusedHere(let reason)): return .refused(reason, by: .dialler)
            case .fail(.refusedByPeer(let reason)): return .refused(reason, by: .acceptor)
            case .establish(let key):
                guard let acceptorKey else { return .refused(.unspecified, by: .dialler) }
                return .established(key, acceptorKey)
            case .send(let sent):
                let frame = change(sent)
                recorded.append(frame)
                let answer: LinkFrame
                switch acceptor.frameReceived(frame) {
                case .send(let frame): answer = frame
                case .accept(let frame, let key):
                    answer = frame
                    acceptorKey = key
                case .refuse(let reason): answer = .refused(reason)
                }
                let arrived = change(answer)
                recorded.append(arrived)
                action = dialler.frameReceived(arrived)
            }
        }
    }
}

private func identity(
    _ own: String, _ peer: String, _ secret: LinkSecret?
) -> LinkIdentity {
    LinkIdentity(ownName: own, peerName: peer, secret: secret, cryptography: .toy)
}

@Suite struct HandshakeTests {
    @Test func sameSecretGivesBothEndsOneKey() throws {
        var wire = Wire(
            dialler: identity("lb1", "lb2", try secret(7)),
            acceptor: identity("lb2", "lb1", try secret(7)))
        guard case .established(let left, let right) = wire.run() else {
            Issue.record("not established: \(wire.recorded)")
            return
        }
        #expect(left == right)
    }

    @Test func withoutSecretsTheLinkStillComesUp() {
        var wire = Wire(
            dialler: identity("lb1", "lb2", nil), acceptor: identity("lb2", "lb1", nil))
        guard case .established = wire.run() else {
            Issue.record("not established: \(wire.recorded)")
            return
        }
    }

    @Test func everyConnectionHasItsOwnKey() throws {
        let left = identity("lb1", "lb2", try secret(7))
        let right = identity("lb2", "lb1", try secret(7))
        var ends: Set<Wire.End> = []
        for (dialling, accepting) in [(1, 2), (3, 2), (1, 4)] as [(UInt8, UInt8)] {
            var wire = Wire(dialler: left, acceptor: right, acceptorNonce: accepting)
            ends.insert(wire.run(diallerNonce: dialling))
        }
        var reversed = Wire(dialler: right, acceptor: left)
        ends.insert(reversed.run())
        #expect(ends.count == 4)
    }

    struct Mismatch: Sendable, CustomTestStringConvertible {
        let name: String
        let dialler: (String, String, UInt8?)
        let acceptor: (String, String, UInt8?)
        let end: (LinkRefusal, LinkRole)
        var testDescription: String { name }
    }

    static let mismatches = [
        Mismatch(
            name: "wrong secret", dialler: ("lb1", "lb2", 7), acceptor: ("lb2", "lb1", 8),
            end: (.wrongSecret, .acceptor)),
        Mismatch(
            name: "secret on the acceptor only", dialler: ("lb1", "lb2", nil),
            acceptor: ("lb2", "lb1", 8), end: (.diallerHasNoSecret, .acceptor)),
        Mismatch(
            name: "secret on the dialler only", dialler: ("lb1", "lb2", 7),
            acceptor: ("lb2", "lb1", nil), end: (.acceptorHasNoSecret, .acceptor)),
        Mismatch(
            name: "same node name", dialler: ("lb1", "lb2", 7), acceptor: ("lb1", "lb2", 7),
            end: (.sameNodeName, .acceptor)),
        Mismatch(
            name: "a stranger dials", dialler: ("lb3", "lb2", 7), acceptor: ("lb2", "lb1", 7),
            end: (.unknownNode, .acceptor)),
        Mismatch(
            name: "a stranger answers", dialler: ("lb1", "lb2", 7), acceptor: ("lb3", "lb1", 7),
            end: (.unknownNode, .dialler)),
    ]

    @Test(arguments: mismatches)
    func mismatchesAreRefusedWithTheirReason(_ mismatch: Mismatch) throws {
        let (dialler, acceptor) = (mismatch.dialler, mismatch.acceptor)
        var wire = Wire(
            dialler: identity(dialler.0, dialler.1, try dialler.2.map(secret)),
            acceptor: identity(acceptor.0, acceptor.1, try acceptor.2.map(secret)))
        #expect(wire.run() == .refused(mismatch.end.0, by: mismatch.end.1))
    }

    /// An acceptor that lies about having a secret cannot talk a dialler into going without.
    @Test func downgradeIsRefusedByTheDialler() throws {
        var wire = Wire(
            dialler: identity("lb1", "lb2", try secret(7)),
            acceptor: identity("lb2", "lb1", try secret(7)))
        let end = wire.run { frame in
            guard case .challenge(var introduction) = frame else { return frame }
            introduction.hasSecret = false
            return .challenge(introduction)
        }
        #expect(end == .refused(.acceptorHasNoSecret, by: .dialler))
    }

    /// Whatever is changed on the way, in either direction, no link comes of it.
    @Test(arguments: 0..<4)
    func anyChangeOnTheWayIsRefused(_ position: Int) throws {
        var wire = Wire(
            dialler: identity("lb1", "lb2", try secret(7)),
            acceptor: identity("lb2", "lb1", try secret(7)))
        var index = -1
        let end = wire.run { frame in
            index += 1
            guard index == position else { return frame }
            switch frame {
            case .hello(var introduction):
                introduction.nonce[0] ^= 1
                return .hello(introduction)
            case .challenge(var introduction):
                introduction.nonce[31] ^= 1
                return .challenge(introduction)
            case .proof(var proof):
                proof[31] ^= 0x80
                return .proof(proof)
            case .accepted(var proof):
                proof[0] ^= 1
                return .accepted(proof)
            case .refused, .sealed:
                return frame
            }
        }
        #expect(end == .refused(.wrongSecret, by: position < 3 ? .acceptor : .dialler))
    }

    /// An attacker without the secret answers a dialler with what the dialler itself said.
    @Test func reflectionIsRefused() throws {
        let own = identity("lb1", "lb2", try secret(7))
        var dialler = DiallerHandshakeStateMachine(identity: own)
        guard case .send(.hello(let hello)) = dialler.start(nonce: nonce(1)) else {
            Issue.record("no hello")
            return
        }
        var copy = dialler
        #expect(copy.frameReceived(.challenge(hello)) == .fail(.refusedHere(.sameNodeName)))

        // Under the peer's name, and with the dialler's own nonce and proof.
        let disguised = LinkIntroduction(nodeName: "lb2", hasSecret: true, nonce: hello.nonce)
        guard case .send(.proof(let proof)) = dialler.frameReceived(.challenge(disguised)) else {
            Issue.record("no proof")
            return
        }
        #expect(dialler.frameReceived(.accepted(proof)) == .fail(.refusedHere(.wrongSecret)))
    }

    /// An attacker uses a node's own dialling side to answer the node's accepting side.
    @Test func proofOfTheOtherDirectionIsRefused() throws {
        let own = identity("lb1", "lb2", try secret(7))
        var dialler = DiallerHandshakeStateMachine(identity: own)
        var acceptor = AcceptorHandshakeStateMachine(identity: own, nonce: nonce(2))
        _ = dialler.start(nonce: nonce(1))
        let disguised = LinkIntroduction(nodeName: "lb2", hasSecret: true, nonce: nonce(1))
        guard case .send(.challenge(let challenge)) = acceptor.frameReceived(.hello(disguised)),
            case .send(.proof(let proof)) = dialler.frameReceived(
                .challenge(
                    LinkIntroduction(nodeName: "lb2", hasSecret: true, nonce: challenge.nonce)))
        else {
            Issue.record("no proof")
            return
        }
        #expect(acceptor.frameReceived(.proof(proof)) == .refuse(.wrongSecret))
    }

    @Test func replayedHandshakeIsRefused() throws {
        let left = identity("lb1", "lb2", try secret(7))
        let right = identity("lb2", "lb1", try secret(7))
        var wire = Wire(dialler: left, acceptor: right)
        _ = wire.run()
        let fromDialler = wire.recorded.filter { frame in
            switch frame {
            case .hello, .proof: true
            case .challenge, .accepted, .refused, .sealed: false
            }
        }
        #expect(fromDialler.count == 2)
        var acceptor = AcceptorHandshakeStateMachine(identity: right, nonce: nonce(3))
        let actions = fromDialler.map { acceptor.frameReceived($0) }
        #expect(actions.last == .refuse(.wrongSecret))
    }
}

@Suite struct HandshakeOrderTests {
    static let introduction = LinkIntroduction(
        nodeName: "lb1", hasSecret: false, nonce: nonce(1))
    static let frames: [LinkFrame] = [
        .hello(introduction), .challenge(introduction), .proof(nonce(1)), .accepted(nonce(1)),
        .refused(.wrongSecret),
        .sealed(SealedLinkFrame(type: 16, sequence: 0, payload: [], tag: [])),
    ]

    @Test(arguments: frames)
    func acceptorTakesNothingButAHelloFirst(_ frame: LinkFrame) {
        var acceptor = AcceptorHandshakeStateMachine(
            identity: identity("lb2", "lb1", nil), nonce: nonce(2))
        let action = acceptor.frameReceived(frame)
        if case .hello = frame {
            #expect(action != .refuse(.unexpectedFrame))
        } else {
            #expect(action == .refuse(.unexpectedFrame))
        }
    }

    @Test(arguments: frames)
    func acceptorTakesNothingButAProofSecond(_ frame: LinkFrame) {
        var acceptor = AcceptorHandshakeStateMachine(
            identity: identity("lb2", "lb1", nil), nonce: nonce(2))
        _ = acceptor.frameReceived(.hello(Self.introduction))
        let action = acceptor.frameReceived(frame)
        if case .proof = frame {
            #expect(action == .refuse(.wrongSecret))
        } else {
            #expect(action == .refuse(.unexpectedFrame))
        }
    }

    @Test(arguments: frames)
    func diallerTakesNothingButAChallengeFirst(_ frame: LinkFrame) {
        var dialler = DiallerHandshakeStateMachine(identity: identity("lb2", "lb1", nil))
        _ = dialler.start(nonce: nonce(2))
        switch (frame, dialler.frameReceived(frame)) {
        case (.challenge, .send(.proof)): break
        case (.refused(let reason), .fail(.refusedByPeer(let told))): #expect(reason == told)
        case (_, let action): #expect(action == .fail(.refusedHere(.unexpectedFrame)))
        }
    }

    @Test func nothingFollowsTheEnd() {
        var acceptor = AcceptorHandshakeStateMachine(
            identity: identity("lb2", "lb1", nil), nonce: nonce(2))
        #expect(acceptor.deadlinePassed() == .refuse(.deadline))
        #expect(
            acceptor.frameReceived(.hello(Self.introduction)) == .refuse(.unexpectedFrame))
        var dialler = DiallerHandshakeStateMachine(identity: identity("lb2", "lb1", nil))
        _ = dialler.start(nonce: nonce(2))
        _ = dialler.frameReceived(.refused(.wrongSecret))
        #expect(
            dialler.frameReceived(.challenge(Self.introduction))
                == .fail(.refusedHere(.unexpectedFrame)))
    }

    @Test func anotherVersionIsNamedAsSuch() {
        var acceptor = AcceptorHandshakeStateMachine(
            identity: identity("lb2", "lb1", nil), nonce: nonce(2))
        #expect(
            acceptor.malformedReceived(.unsupportedVersion(2)) == .refuse(.protocolVersion))
        var dialler = DiallerHandshakeStateMachine(identity: identity("lb1", "lb2", nil))
        _ = dialler.start(nonce: nonce(1))
        #expect(
            dialler.malformedReceived(.unsupportedVersion(2))
                == .fail(.refusedHere(.protocolVersion)))
    }
}

@Suite struct LinkSecretTests {
    @Test func lineEndsDoNotMatter() throws {
        let text = Array("0123456789abcdef".utf8)
        let plain = try LinkSecret(fileContent: text)
        #expect(try LinkSecret(fileContent: text + Array(" \r\n\n".utf8)) == plain)
        #expect(try LinkSecret(fileContent: [0x20] + text) != plain)
    }

    @Test func lengthIsBounded() {
        #expect(throws: LinkSecretFault.tooShort(byteCount: 0)) {
            try LinkSecret(fileContent: [0x0A, 0x0A])
        }
        #expect(throws: LinkSecretFault.tooShort(byteCount: 15)) {
            try LinkSecret(fileContent: [UInt8](repeating: 0x61, count: 15))
        }
        #expect(throws: LinkSecretFault.tooLong(byteCount: 4097)) {
            try LinkSecret(fileContent: [UInt8](repeating: 0x61, count: 4097))
        }
    }

    @Test func descriptionsDoNotTellTheSecret() throws {
        let secret = try LinkSecret(fileContent: Array("swordfish-swordfish".utf8))
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped] {
            #expect(!text.contains("115") && !text.contains("sword"))
        }
    }
}
