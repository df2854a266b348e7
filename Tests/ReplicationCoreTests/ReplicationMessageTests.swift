// SPDX-License-Identifier: Apache-2.0
//
// Goal: what the replication stream says arrives as it was said, and nothing else is taken for it.
// Method: vectors with field comments, every prefix, random bytes.

import ReplicationCore
import Testing
import WireCore

@Suite struct ReplicationMessageTests {
    static let key = ClientKey(
        localAddress: IPv4Address(10, 77, 0, 100), localPort: 80,
        remoteAddress: IPv4Address(10, 77, 0, 200), remotePort: 40_000)
    static let opened = ReplicationMessage.changes([
        ClientChange(key, isOpen: true), ClientChange(key, isOpen: false),
    ])

    /// Type and payload of a message, as the sealed frame carries them.
    private func carried(_ message: ReplicationMessage) throws -> SealedLinkFrame {
        var sender = LinkSender(key: try sessionKey(), cryptography: .toy)
        let bytes = sender.seal(message)
        guard case .frame(.sealed(let frame), _) = try LinkFrameDecoder.decode(bytes.span.bytes)
        else { throw ReplicationFault.truncated }
        return frame
    }

    @Test func changesTravelAsDrawn() throws {
        let frame = try carried(Self.opened)
        #expect(frame.type == 19)
        #expect(
            frame.payload == [
                1,  // open
                10, 77, 0, 100, 0, 80,  // the local end
                10, 77, 0, 200, 0x9C, 0x40,  // the remote end
                0,  // closed
                10, 77, 0, 100, 0, 80, 10, 77, 0, 200, 0x9C, 0x40,
            ])
    }

    @Test(arguments: [
        ReplicationMessage.snapshotBegan, opened, .snapshotEnded(openCount: 0x0102_0304),
        .standing(openCount: 7, omittedCount: 1 << 40),
    ])
    func messagesArriveAsTheyWereSent(_ message: ReplicationMessage) throws {
        let frame = try carried(message)
        let read = try ReplicationMessage(type: frame.type, payload: frame.payload.span.bytes)
        #expect(read == message)
    }

    @Test func everyPrefixOfChangesIsWholeOrTruncated() throws {
        let payload = try carried(Self.opened).payload
        for count in 0...payload.count {
            let prefix = Array(payload.prefix(count))
            if count.isMultiple(of: 13) {
                let read = try ReplicationMessage(type: 19, payload: prefix.span.bytes)
                guard case .changes(let changes) = read else {
                    Issue.record("not changes")
                    return
                }
                #expect(changes.count == count / 13)
            } else {
                #expect(throws: ReplicationFault.truncated) {
                    try ReplicationMessage(type: 19, payload: prefix.span.bytes)
                }
            }
        }
    }

    @Test func shortCountsAreTruncated() throws {
        let short: [UInt8] = [0, 0, 1]
        for type in [UInt8(20), 21] {
            #expect(throws: ReplicationFault.truncated) {
                try ReplicationMessage(type: type, payload: short.span.bytes)
            }
        }
    }

    @Test func unknownOperationIsAFault() throws {
        var payload = try carried(Self.opened).payload
        payload[13] = 2
        let changed = payload
        #expect(throws: ReplicationFault.unknownOperation(2)) {
            try ReplicationMessage(type: 19, payload: changed.span.bytes)
        }
    }

    @Test func typesOfOthersAreNotTaken() throws {
        for type in [UInt8(16), 17, 22, 255] {
            #expect(try ReplicationMessage(type: type, payload: [UInt8]().span.bytes) == nil)
        }
    }

    @Test(arguments: UInt64(1)...20)
    func randomBytesNeverTrapAndReadBackTheSame(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let count = Int(generator.next() % 64)
            let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next() % 3) }
            let type = 18 + UInt8(truncatingIfNeeded: generator.next() % 4)
            guard
                let message = try? ReplicationMessage(type: type, payload: bytes.span.bytes)
            else { continue }
            let frame = try carried(message)
            let read = try ReplicationMessage(type: frame.type, payload: frame.payload.span.bytes)
            #expect(read == message)
        }
    }

    @Test func aFullMessageFitsOneFrame() throws {
        let changes = (0..<ReplicationMessage.changeCountMax).map { index in
            var key = Self.key
            key.remotePort = UInt16(index)
            return ClientChange(key, isOpen: true)
        }
        let frame = try carried(.changes(changes))
        #expect(frame.payload.count == changes.count * 13)
        #expect(changes.count > 300)
    }

    @Test func sealedMessageIsOpened() throws {
        let key = try sessionKey()
        var receiver = LinkReceiver(key: key, cryptography: .toy)
        #expect(try receiver.open(try carried(Self.opened)) == .replication(Self.opened))
    }

    @Test func derivedSecretDiffersFromItsOrigin() throws {
        let secret = try LinkSecret(fileContent: [UInt8](repeating: 7, count: 32))
        let derived = secret.derived(for: "replication", with: .toy)
        #expect(derived != secret)
        #expect(derived == secret.derived(for: "replication", with: .toy))
        #expect(derived != secret.derived(for: "another", with: .toy))
    }

    private func sessionKey() throws -> LinkSessionKey {
        try Self.establishedKey()
    }

    /// The key of a handshake between two toy nodes; the same every time.
    static func establishedKey() throws -> LinkSessionKey {
        let nonce = [UInt8](repeating: 1, count: LinkProtocol.nonceByteCount)
        var dialler = DiallerHandshakeStateMachine(
            identity: LinkIdentity(
                ownName: "a", peerName: "b", secret: nil, cryptography: .toy))
        var acceptor = AcceptorHandshakeStateMachine(
            identity: LinkIdentity(
                ownName: "b", peerName: "a", secret: nil, cryptography: .toy), nonce: nonce)
        var action = dialler.start(nonce: nonce)
        while case .send(let frame) = action {
            switch acceptor.frameReceived(frame) {
            case .send(let answer), .accept(let answer, _): action = dialler.frameReceived(answer)
            case .refuse(let reason): throw LinkHandshakeFailure.refusedHere(reason)
            }
        }
        guard case .establish(let key) = action else {
            throw LinkHandshakeFailure.refusedHere(.unspecified)
        }
        return key
    }
}
