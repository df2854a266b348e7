// SPDX-License-Identifier: Apache-2.0
//
// Goal: messages about tables cross the link as drawn, and nothing else is taken for one.
// Method: exact bytes, round trips, every prefix, faults, random bytes.

import ReplicationCore
import Testing
import WireCore

@Suite struct StateMessageTests {
    static let samples: [StateMessage] = [
        .opening(token: 0x0102_0304_0506_0708), .snapshotBegan(sequence: 1),
        .blob(sequence: 2, StateBlob(table: 3, entryCount: 4, bytes: [5, 6])),
        .blob(sequence: .max, StateBlob(table: 0, entryCount: 0, bytes: [])),
        .blob(
            sequence: 9,
            StateBlob(
                table: 255, entryCount: 1,
                bytes: [UInt8](repeating: 1, count: StateBlob.byteCountMax))),
        .snapshotEnded(sequence: 7),
        .standing(
            StateStanding(
                baseSequence: 1, newestSequence: 2, toldCount: 3, waitingCount: 4,
                isComplete: true)),
        .standing(
            StateStanding(
                baseSequence: 0, newestSequence: 0, toldCount: 0, waitingCount: .max,
                isComplete: false)),
        .acknowledged(StateAcknowledgement(token: 5, appliedSequence: nil)),
        .acknowledged(StateAcknowledgement(token: 5, appliedSequence: 0)),
    ]

    private func read(_ type: UInt8, _ payload: [UInt8]) throws -> StateMessage? {
        try StateMessage(OpenedLinkFrame(type: type, payload: payload))
    }

    @Test(arguments: samples)
    func messageSurvivesTheWire(_ message: StateMessage) throws {
        #expect(message.payload.count <= SealedLinkFrame.replicationPayloadByteCountMax)
        #expect(try read(message.type, message.payload) == message)
    }

    @Test(arguments: samples)
    func bytesOfALaterVersionAreIgnored(_ message: StateMessage) throws {
        if case .blob = message { return }
        #expect(try read(message.type, message.payload + [1, 2, 3]) == message)
    }

    @Test(arguments: samples)
    func everyPrefixIsTruncated(_ message: StateMessage) throws {
        var fixed = message.payload
        if case .blob = message { fixed = Array(fixed.prefix(13)) }
        for count in 0..<fixed.count {
            #expect(throws: StateMessageFault.truncated) {
                try read(message.type, Array(fixed.prefix(count)))
            }
        }
    }

    @Test func bytesAreFixed() {
        let blob = StateMessage.blob(
            sequence: 0x0102, StateBlob(table: 3, entryCount: 4, bytes: [0xAA, 0xBB]))
        #expect(blob.type == 42)
        #expect(blob.payload == [0, 0, 0, 0, 0, 0, 1, 2, 3, 0, 0, 0, 4, 0xAA, 0xBB])
        let acknowledgement = StateMessage.acknowledged(
            StateAcknowledgement(token: 1, appliedSequence: 2))
        #expect(acknowledgement.type == 45)
        #expect(
            acknowledgement.payload == [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2])
    }

    @Test func whatNobodyDefinedIsRefused() {
        #expect(throws: StateMessageFault.unknownFlag(2)) {
            try read(44, [UInt8](repeating: 0, count: 32) + [2])
        }
        #expect(throws: StateMessageFault.unknownFlag(7)) {
            try read(45, [UInt8](repeating: 0, count: 8) + [7] + [UInt8](repeating: 0, count: 8))
        }
        let long = [UInt8](repeating: 0, count: 13 + StateBlob.byteCountMax + 1)
        #expect(throws: StateMessageFault.tooLong(byteCount: StateBlob.byteCountMax + 1)) {
            try read(42, long)
        }
    }

    @Test(arguments: [UInt8](0...255))
    func otherTypesAreNoneOfThese(_ type: UInt8) throws {
        let message = try? read(type, [UInt8](repeating: 0, count: 40))
        #expect((message != nil) == (40...45).contains(type))
    }

    @Test(arguments: 0..<4)
    func randomBytesNeverTrap(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<2_000 {
            let count = Int.random(in: 0...50, using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let type = UInt8.random(in: 38...47, using: &generator)
            guard let message = (try? read(type, bytes)) ?? nil else { continue }
            #expect((try? read(type, message.payload)) == message)
        }
    }
}

@Suite struct ChannelOpeningTests {
    static let samples = [
        ChannelOpening(.state, incarnation: 0x0102_0304_0506_0708),
        ChannelOpening(.shadows(worker: 0), incarnation: .max),
        ChannelOpening(.shadows(worker: 63), incarnation: 0),
    ]

    private func read(_ payload: [UInt8], type: UInt8 = 24) throws(ChannelOpeningFault)
        -> ChannelOpening
    {
        try ChannelOpening(OpenedLinkFrame(type: type, payload: payload))
    }

    @Test(arguments: samples)
    func openingSurvivesTheWire(_ opening: ChannelOpening) throws {
        #expect(try read(opening.payload) == opening)
        #expect(try read(opening.payload + [9]) == opening)
        for count in 0..<opening.payload.count {
            #expect(throws: ChannelOpeningFault.truncated) {
                try read(Array(opening.payload.prefix(count)))
            }
        }
    }

    @Test func bytesAreFixed() {
        #expect(Self.samples[2].payload == [2, 0, 63, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(Self.samples[0].payload == [1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])
    }

    @Test func whatNobodyDefinedIsRefused() {
        let rest = [UInt8](repeating: 0, count: 8)
        #expect(throws: ChannelOpeningFault.notAnOpening(type: 16)) {
            try read(Self.samples[0].payload, type: 16)
        }
        #expect(throws: ChannelOpeningFault.unknownKind(3)) { try read([3, 0, 0] + rest) }
        #expect(throws: ChannelOpeningFault.numberOutOfRange(1)) { try read([1, 0, 1] + rest) }
        #expect(throws: ChannelOpeningFault.numberOutOfRange(64)) { try read([2, 0, 64] + rest) }
        #expect(throws: ChannelOpeningFault.numberOutOfRange(0xFFFF)) {
            try read([2, 255, 255] + rest)
        }
    }
}
