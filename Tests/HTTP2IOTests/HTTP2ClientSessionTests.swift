// SPDX-License-Identifier: Apache-2.0
//
// Goal: the session writes what RFC 9113 asks of a client and reads written-out frames of a server.

import HTTP2IO
import Testing

@Suite struct HTTP2ClientSessionTests {
    private static let request = HTTP2Request(
        fields: [
            HTTP2Field(":method", "POST"), HTTP2Field(":scheme", "http"),
            HTTP2Field(":path", "/x"), HTTP2Field(":authority", "h"), HTTP2Field("te", "trailers"),
        ], body: [1, 2, 3])

    private static func frame(
        _ type: UInt8, flags: UInt8 = 0, stream: UInt8 = 0, _ payload: [UInt8] = []
    ) -> [UInt8] {
        let count = payload.count
        return [0, UInt8(count >> 8), UInt8(count & 0xFF), type, flags, 0, 0, 0, stream] + payload
    }

    private static func literal(_ name: String, _ value: String) -> [UInt8] {
        [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)]
            + Array(value.utf8)
    }

    /// The types, flags and streams of frames, and the payload of DATA.
    private static func parse(_ bytes: [UInt8]) -> [(head: [UInt8], payload: [UInt8])] {
        var rest = bytes[...]
        var frames: [(head: [UInt8], payload: [UInt8])] = []
        while rest.count >= 9 {
            let head = Array(rest.prefix(9))
            let length = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
            rest = rest.dropFirst(9)
            frames.append((Array(head[3...]), Array(rest.prefix(length))))
            rest = rest.dropFirst(length)
        }
        return frames
    }

    @Test func aConnectionBeginsWithThePrefaceAndSettings() throws {
        let session = try HTTP2ClientSession()
        try session.begin(Self.request)
        let output = try session.takeOutput()
        let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        #expect(output.starts(with: preface))
        let frames = Self.parse(Array(output.dropFirst(preface.count)))
        // SETTINGS; HEADERS with END_HEADERS; DATA with END_STREAM, on stream 1.
        #expect(
            frames.map(\.head) == [
                [4, 0, 0, 0, 0, 0], [1, 4, 0, 0, 0, 1], [0, 1, 0, 0, 0, 1],
            ])
        // No push (SETTINGS_ENABLE_PUSH, 2), header lists up to 8 KiB (6).
        #expect(frames[0].payload == [0, 2, 0, 0, 0, 0, 0, 6, 0, 0, 0x20, 0])
        #expect(frames[2].payload == [1, 2, 3])
    }

    @Test func anAnswerIsCollectedByteByByte() throws {
        let session = try HTTP2ClientSession()
        try session.begin(Self.request)
        _ = try session.takeOutput()
        let bytes =
            Self.frame(4) + Self.frame(1, flags: 4, stream: 1, [0x88] + Self.literal("a", "b"))
            + Self.frame(0, stream: 1, [7, 8]) + Self.frame(0, stream: 1, [9])
            + Self.frame(1, flags: 5, stream: 1, Self.literal("grpc-status", "0"))
        for (index, byte) in bytes.enumerated() {
            #expect(!session.answer.isClosed, "at byte \(index)")
            try session.receive([byte])
        }
        #expect(session.answer.isComplete)
        #expect(session.answer.last(":status") == "200")
        #expect(session.answer.last("grpc-status") == "0")
        #expect(session.answer.body == [7, 8, 9])
        #expect(session.takesRequests)
        // The server's settings are acknowledged.
        let output = Self.parse(try session.takeOutput())
        #expect(output.contains { $0.head == [4, 1, 0, 0, 0, 0] })
        try session.begin(Self.request)
        #expect(session.answer.fields.isEmpty)
        #expect(Self.parse(try session.takeOutput()).contains { $0.head == [1, 4, 0, 0, 0, 3] })
    }

    @Test func fieldsAndBodiesAreBounded() throws {
        let session = try HTTP2ClientSession()
        try session.begin(Self.request)
        _ = try session.takeOutput()
        try session.receive(Self.frame(4) + Self.frame(1, flags: 4, stream: 1, [0x88]))
        for _ in 0..<4 {
            #expect(!session.answer.isTooLarge)
            try session.receive(
                Self.frame(0, stream: 1, [UInt8](repeating: 1, count: 1_024)))
        }
        try session.receive(Self.frame(0, stream: 1, [1]))
        #expect(session.answer.isTooLarge)
        #expect(session.answer.body.count == HTTP2Answer.bodyByteCountMax)
    }

    @Test func garbageEndsTheSession() throws {
        let session = try HTTP2ClientSession()
        try session.begin(Self.request)
        _ = try session.takeOutput()
        #expect(throws: HTTP2Fault.protocolViolation) {
            try session.receive(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
            _ = try session.takeOutput()
        }
        #expect(!session.takesRequests)
    }

    @Test func afterAGoAwayNothingIsBegun() throws {
        let session = try HTTP2ClientSession()
        try session.begin(Self.request)
        _ = try session.takeOutput()
        try session.receive(Self.frame(4) + Self.frame(7, [0, 0, 0, 0, 0, 0, 0, 0]))
        #expect(session.answer.isUnprocessed)
        #expect(!session.takesRequests)
    }
}
