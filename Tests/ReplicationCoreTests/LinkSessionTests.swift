// SPDX-License-Identifier: Apache-2.0
//
// Sealed frames: what a receiver takes and what it does not.

import Testing
import WireCore

@testable import ReplicationCore

@Suite struct LinkSessionTests {
    static let key = LinkSessionKey(bytes: nonce(1))
    static let heartbeat = Heartbeat(
        sentAt: Instant(nanoseconds: 5), configurationHash: 6, isDataPlaneHealthy: true,
        timerLateness: .zero, routers: [])

    private func sealed(_ bytes: [UInt8]) throws -> SealedLinkFrame {
        guard case .sealed(let frame) = try decodeAll(bytes).first else {
            throw LinkFrameFault.badNodeName
        }
        return frame
    }

    @Test func framesInOrderAreTaken() throws {
        var sender = LinkSender(key: Self.key, cryptography: .toy)
        var receiver = LinkReceiver(key: Self.key, cryptography: .toy)
        for _ in 0..<3 {
            let frame = try sealed(sender.seal(Self.heartbeat))
            #expect(try receiver.open(frame) == .heartbeat(Self.heartbeat))
        }
        #expect(try receiver.open(try sealed(sender.sealGoodbye())) == .goodbye)
        #expect(receiver.nextSequence == 4)
    }

    @Test func unknownTypesAreCheckedAndSkipped() throws {
        var sender = LinkSender(key: Self.key, cryptography: .toy)
        var receiver = LinkReceiver(key: Self.key, cryptography: .toy)
        let unknown = try sealed(sender.seal(type: 99, payload: [1, 2, 3]))
        #expect(try receiver.open(unknown) == .unknown(type: 99))
        let next = try sealed(sender.seal(Self.heartbeat))
        #expect(try receiver.open(next) == .heartbeat(Self.heartbeat))
    }

    @Test func repeatedAndMissingFramesAreFaults() throws {
        var sender = LinkSender(key: Self.key, cryptography: .toy)
        var receiver = LinkReceiver(key: Self.key, cryptography: .toy)
        let first = try sealed(sender.seal(Self.heartbeat))
        _ = sender.seal(Self.heartbeat)
        let third = try sealed(sender.seal(Self.heartbeat))
        _ = try receiver.open(first)
        #expect(throws: LinkSessionFault.wrongSequence(got: 0, wanted: 1)) {
            try receiver.open(first)
        }
        #expect(throws: LinkSessionFault.wrongSequence(got: 2, wanted: 1)) {
            try receiver.open(third)
        }
    }

    @Test func forgedGoodbyeIsAFault() throws {
        var receiver = LinkReceiver(key: Self.key, cryptography: .toy)
        let forged = SealedLinkFrame(
            type: SealedLinkFrame.goodbyeType, sequence: 0, payload: [],
            tag: [UInt8](repeating: 0, count: 16))
        #expect(throws: LinkSessionFault.wrongTag) { try receiver.open(forged) }

        var stranger = LinkSender(key: LinkSessionKey(bytes: nonce(2)), cryptography: .toy)
        let foreign = try sealed(stranger.sealGoodbye())
        #expect(throws: LinkSessionFault.wrongTag) { try receiver.open(foreign) }
    }

    @Test func everyChangedFieldBreaksTheTag() throws {
        var sender = LinkSender(key: Self.key, cryptography: .toy)
        let good = try sealed(sender.seal(Self.heartbeat))
        var changed = [good, good, good, good, good]
        changed[0].type = SealedLinkFrame.goodbyeType
        changed[1].sequence = 1
        changed[2].payload[3] ^= 1
        changed[3].tag[15] ^= 1
        changed[4].tag.removeLast()
        for frame in changed {
            var receiver = LinkReceiver(key: Self.key, cryptography: .toy)
            #expect(throws: LinkSessionFault.wrongTag) { try receiver.open(frame) }
        }
    }

    @Test func brokenHeartbeatOfThePeerIsAFault() throws {
        var sender = LinkSender(key: Self.key, cryptography: .toy)
        var receiver = LinkReceiver(key: Self.key, cryptography: .toy)
        let frame = try sealed(
            sender.seal(type: SealedLinkFrame.heartbeatType, payload: [1, 2, 3]))
        #expect(throws: LinkSessionFault.badHeartbeat(.truncated)) { try receiver.open(frame) }
    }
}
