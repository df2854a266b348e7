// SPDX-License-Identifier: Apache-2.0
//
// Goal: messages of a switchover survive the wire, and no byte of a peer does harm. Method: round
// trips, every truncation, values out of range, a whole sealed frame.

import Testing
import WireCore

@testable import ReplicationCore

private let seats = [
    HandoverSeat(
        routerID: 7, address: IPAddress(10, 77, 0, 11), hardwareAddress: [2, 0, 0, 0, 0, 1]),
    HandoverSeat(
        routerID: 255, address: .v6(IPv6Address(high: 0xFE80 << 48, low: 0x11)),
        hardwareAddress: []),
]

private let contents: [HandoverMessage.Content] = [
    .prepare(seats: seats, drain: .milliseconds(30_000), canForward: true),
    .prepare(seats: [], drain: .zero, canForward: false),
    .ready(seats: seats, canForward: true), .ready(seats: [], canForward: false),
    .ready(seats: seats, canForward: true, takesConnections: true),
    .refuse(.draining), .go, .taken(after: .microseconds(812)), .done(ended: 3, cut: 70_000),
    .abort(.claimedAgain),
]

private func decode(_ bytes: [UInt8]) throws -> HandoverMessage? {
    try HandoverMessage(payload: bytes.span.bytes)
}

struct HandoverMessageTests {
    @Test(arguments: contents)
    func messageSurvivesTheWire(_ content: HandoverMessage.Content) throws {
        let message = HandoverMessage(token: 0xFEED_FACE_CAFE_F00D, content)
        #expect(try decode(message.payload) == message)
        // Bytes behind the known ones belong to later versions.
        #expect(try decode(message.payload + [1, 2, 3]) == message)
    }

    @Test(arguments: contents)
    func everyTruncationIsAFault(_ content: HandoverMessage.Content) {
        let payload = HandoverMessage(token: 1, content).payload
        for count in 0..<payload.count {
            #expect(throws: HandoverFault.truncated) { try decode(Array(payload.prefix(count))) }
        }
    }

    @Test func aKindOfALaterVersionIsSkipped() throws {
        #expect(try decode([99] + Array(repeating: 0, count: 8)) == nil)
    }

    @Test func reasonsOfALaterVersionAreReasonsToo() throws {
        let head = Array(repeating: UInt8(0), count: 8)
        #expect(try decode([3] + head + [250])?.content == .refuse(.unspecified))
        #expect(try decode([7] + head + [250])?.content == .abort(.unspecified))
    }

    @Test func impossibleSeatsAreFaults() {
        func ready(_ seat: [UInt8]) -> [UInt8] {
            [2] + Array(repeating: 0, count: 8) + [1, 1] + seat
        }
        #expect(throws: HandoverFault.zeroRouterID) {
            try decode(ready([0, 4, 10, 0, 0, 1, 0]))
        }
        #expect(throws: HandoverFault.unknownFamily(5)) {
            try decode(ready([1, 5, 10, 0, 0, 1, 0]))
        }
        #expect(throws: HandoverFault.hardwareAddressLength(8)) {
            try decode(ready([1, 4, 10, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8]))
        }
    }

    @Test func theMostSeatsFitIntoAFrame() throws {
        let seat = HandoverSeat(
            routerID: 1, address: .v6(.loopback), hardwareAddress: [1, 2, 3, 4, 5, 6])
        let many = Array(repeating: seat, count: HandoverMessage.seatCountMax + 1)
        let message = HandoverMessage(
            token: 1, .prepare(seats: many, drain: .zero, canForward: true))
        #expect(message.payload.count <= LinkFrameEncoder.payloadByteCountMax)
        guard case .prepare(let heard, _, _) = try decode(message.payload)?.content else {
            Issue.record("no prepare")
            return
        }
        #expect(heard.count == HandoverMessage.seatCountMax)
    }

    @Test func aSealedMessageIsOpened() throws {
        let key = LinkSessionKey(bytes: Array(repeating: 7, count: 32))
        var sender = LinkSender(key: key, cryptography: .toy)
        var receiver = LinkReceiver(key: key, cryptography: .toy)
        let message = HandoverMessage(token: 5, .go)
        let bytes = sender.seal(message)
        guard case .frame(.sealed(let frame), _) = try LinkFrameDecoder.decode(bytes.span.bytes)
        else {
            Issue.record("no frame")
            return
        }
        #expect(try receiver.open(frame) == .handover(message))
    }
}
