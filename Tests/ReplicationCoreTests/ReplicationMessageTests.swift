// SPDX-License-Identifier: Apache-2.0
//
// Goal: what the replication stream says arrives as it was said, and nothing else is taken for it.
// Method: vectors with field comments, every prefix, random bytes.

import ReplicationCore
import Testing
import WireCore

@Suite struct ReplicationMessageTests {
    static let key = ClientKey(
        localAddress: IPAddress(10, 77, 0, 100), localPort: 80,
        remoteAddress: IPAddress(10, 77, 0, 200), remotePort: 40_000)
    static let opened = ReplicationMessage.changes([
        ClientChange(key, isOpen: true), ClientChange(key, isOpen: false),
    ])

    static let keyIPv6 = ClientKey(
        localAddress: .v6(IPv6Address(high: 0xFD00_0077 << 32, low: 0x100)), localPort: 80,
        remoteAddress: .v6(IPv6Address(high: 0xFD00_0077 << 32, low: 0x200)), remotePort: 40_000)
    static let openedIPv6 = ReplicationMessage.changes([
        ClientChange(keyIPv6, isOpen: true), ClientChange(keyIPv6, isOpen: false),
    ])

    /// Type and payload of a message, as the sealed frame carries them.
    private func carried(_ message: ReplicationMessage) throws -> OpenedLinkFrame {
        var sender = LinkSender(key: try sessionKey(), cryptography: .toy)
        var receiver = LinkReceiver(key: try sessionKey(), cryptography: .toy)
        let bytes = sender.seal(message)
        guard case .frame(.sealed(let frame), _) = try LinkFrameDecoder.decode(bytes.span.bytes)
        else { throw ReplicationFault.truncated }
        return try receiver.openFrame(frame)
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
        ReplicationMessage.snapshotBegan, opened, openedIPv6,
        .snapshotEnded(open: OpenClientCount(ipv4: 0x0102_0304, ipv6: 5)),
        .standing(open: OpenClientCount(ipv4: 7, ipv6: 8), omittedCount: 1 << 40),
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

    @Test func changesOfIPv6TravelAsDrawn() throws {
        let frame = try carried(Self.openedIPv6)
        #expect(frame.type == 22)
        let ends: [UInt8] = [
            0xFD, 0, 0, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 80,  // the local end
            0xFD, 0, 0, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x9C, 0x40,  // the remote end
        ]
        #expect(frame.payload == [1] + ends + [0] + ends)
        for count in 0...frame.payload.count where !count.isMultiple(of: 37) {
            let prefix = Array(frame.payload.prefix(count))
            #expect(throws: ReplicationFault.truncated) {
                try ReplicationMessage(type: 22, payload: prefix.span.bytes)
            }
        }
    }

    /// A node that knows IPv4 alone finds its fields where they stood, and its own are read.
    @Test func countsOfAnOlderNodeHaveNoIPv6() throws {
        let standing = try carried(
            .standing(open: OpenClientCount(ipv4: 7, ipv6: 8), omittedCount: 9))
        #expect(standing.payload.prefix(12) == [0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9])
        let old = Array(standing.payload.prefix(12))
        #expect(
            try ReplicationMessage(type: 21, payload: old.span.bytes)
                == .standing(open: OpenClientCount(ipv4: 7), omittedCount: 9))
        let ended: [UInt8] = [0, 0, 0, 5]
        #expect(
            try ReplicationMessage(type: 20, payload: ended.span.bytes)
                == .snapshotEnded(open: OpenClientCount(ipv4: 5)))
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
        for type in [UInt8(16), 17, 23, 32, 255] {
            #expect(try ReplicationMessage(type: type, payload: [UInt8]().span.bytes) == nil)
        }
    }

    @Test(arguments: UInt64(1)...20)
    func randomBytesNeverTrapAndReadBackTheSame(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let count = Int(generator.next() % 64)
            let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next() % 3) }
            let type = 18 + UInt8(truncatingIfNeeded: generator.next() % 5)
            guard
                let message = try? ReplicationMessage(type: type, payload: bytes.span.bytes)
            else { continue }
            if case .changes([]) = message { continue }
            let frame = try carried(message)
            let read = try ReplicationMessage(type: frame.type, payload: frame.payload.span.bytes)
            #expect(read == message)
        }
    }

    @Test(arguments: [(key, 13, 300), (keyIPv6, 37, 100)])
    func aFullMessageFitsOneFrame(key: ClientKey, byteCount: Int, countMin: Int) throws {
        let changes = (0..<ReplicationMessage.changeCountMax(key.family)).map { index in
            var key = key
            key.remotePort = UInt16(index)
            return ClientChange(key, isOpen: true)
        }
        let frame = try carried(.changes(changes))
        #expect(frame.payload.count == changes.count * byteCount)
        #expect(changes.count > countMin)
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
