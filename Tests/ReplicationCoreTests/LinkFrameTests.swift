// SPDX-License-Identifier: Apache-2.0
//
// The frame codec: round trips, exact bytes, every prefix, every fault, mutations and fuzz.

import ReplicationCore
import Testing
import WireCore

@Suite struct LinkFrameTests {
    static let heartbeat = Heartbeat(
        sentAt: Instant(nanoseconds: 1), configurationHash: 2, isDataPlaneHealthy: true,
        timerLateness: .microseconds(3), routers: [VirtualRouterReport(id: 51, role: .active)])

    static let samples: [LinkFrame] = [
        .hello(LinkIntroduction(nodeName: "lb1", hasSecret: true, nonce: nonce(1))),
        .hello(LinkIntroduction(nodeName: "lb1", hasSecret: false, nonce: nonce(1))),
        .challenge(LinkIntroduction(nodeName: "zweite-Höhle", hasSecret: true, nonce: nonce(2))),
        .challenge(
            LinkIntroduction(
                nodeName: String(repeating: "n", count: LinkProtocol.nodeNameByteCountMax),
                hasSecret: true, nonce: nonce(2))),
        .proof(nonce(3)), .accepted(nonce(4)),
        .refused(.wrongSecret), .refused(.sameNodeName),
        .sealed(
            SealedLinkFrame(
                type: SealedLinkFrame.heartbeatType, sequence: 7, payload: heartbeat.payload,
                tag: [UInt8](repeating: 9, count: 16))),
        .sealed(
            SealedLinkFrame(
                type: SealedLinkFrame.goodbyeType, sequence: .max, payload: [],
                tag: [UInt8](repeating: 9, count: 16))),
        .sealed(
            SealedLinkFrame(
                type: 255, sequence: 0,
                payload: [UInt8](repeating: 5, count: LinkFrameEncoder.payloadByteCountMax),
                tag: [UInt8](repeating: 9, count: 16))),
    ]

    @Test(arguments: samples)
    func decodingGivesBackWhatWasEncoded(_ frame: LinkFrame) throws {
        let bytes = LinkFrameEncoder.encode(frame)
        #expect(bytes.count <= LinkProtocol.frameByteCountMax)
        let decoded = try LinkFrameDecoder.decode(bytes.span.bytes)
        #expect(decoded == .frame(frame, byteCount: bytes.count))
    }

    @Test(arguments: samples)
    func everyPrefixNeedsMore(_ frame: LinkFrame) throws {
        let bytes = LinkFrameEncoder.encode(frame)
        for count in 0..<bytes.count {
            let prefix = Array(bytes.prefix(count))
            let decoded = try LinkFrameDecoder.decode(prefix.span.bytes)
            #expect(decoded == .needMore, "prefix of \(count) bytes")
        }
    }

    @Test func framesInARowAreTakenOneByOne() throws {
        let bytes = Self.samples.flatMap(LinkFrameEncoder.encode)
        #expect(try decodeAll(bytes) == Self.samples)
    }

    @Test func bytesOfAHelloAreFixed() {
        let hello = LinkFrame.hello(
            LinkIntroduction(nodeName: "lb1", hasSecret: true, nonce: nonce(0xAB)))
        let expected: [UInt8] =
            [
                0x00, 0x27,  // 39 bytes follow
                0x02,  // version
                0x01,  // hello
                0x01,  // flags: has a secret
                0x03, 0x6C, 0x62, 0x31,  // name
            ] + nonce(0xAB)
        #expect(LinkFrameEncoder.encode(hello) == expected)
    }

    @Test func bytesOfAHeartbeatAreFixed() {
        let frame = LinkFrame.sealed(
            SealedLinkFrame(
                type: SealedLinkFrame.heartbeatType, sequence: 0x0102,
                payload: Self.heartbeat.payload, tag: [UInt8](repeating: 0xEE, count: 16)))
        let expected: [UInt8] =
            [
                0x00, 0x32,  // 50 bytes follow
                0x02,  // version
                0x10,  // heartbeat
                0, 0, 0, 0, 0, 0, 0x01, 0x02,  // sequence
                0, 0, 0, 0, 0, 0, 0, 0x01,  // sent at
                0, 0, 0, 0, 0, 0, 0, 0x02,  // configuration hash
                0x01,  // flags: data plane healthy
                0, 0, 0, 0x03,  // lateness
                0x01, 0x33, 0x02,  // one router: VRID 51 is active
            ] + [UInt8](repeating: 0xEE, count: 16)
        #expect(LinkFrameEncoder.encode(frame) == expected)
    }

    struct Malformed: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        let fault: LinkFrameFault
        var testDescription: String { name }
    }

    static let malformed = [
        Malformed(name: "no header", bytes: [0, 0], fault: .lengthTooShort(0)),
        Malformed(name: "half a header", bytes: [0, 1, 2], fault: .lengthTooShort(1)),
        Malformed(name: "one byte too long", bytes: [0x0F, 0xFF], fault: .lengthTooLong(4095)),
        Malformed(name: "HTTP", bytes: Array("GET / HTTP/1.1".utf8), fault: .lengthTooLong(0x4745)),
        Malformed(name: "TLS", bytes: [0x16, 0x03, 0x01], fault: .lengthTooLong(0x1603)),
        Malformed(name: "version 0", bytes: [0, 3, 0], fault: .unsupportedVersion(0)),
        Malformed(name: "version 1", bytes: [0, 3, 1], fault: .unsupportedVersion(1)),
        Malformed(name: "type 0", bytes: [0, 2, 2, 0], fault: .unknownHandshakeType(0)),
        Malformed(name: "type 6", bytes: [0, 2, 2, 6], fault: .unknownHandshakeType(6)),
        Malformed(name: "type 15", bytes: [0, 2, 2, 15], fault: .unknownHandshakeType(15)),
        Malformed(
            name: "short proof", bytes: [0, 33, 2, 3],
            fault: .wrongBodyLength(type: 3, byteCount: 31)),
        Malformed(
            name: "long acceptance", bytes: [0, 35, 2, 4],
            fault: .wrongBodyLength(type: 4, byteCount: 33)),
        Malformed(
            name: "refusal without reason", bytes: [0, 2, 2, 5],
            fault: .wrongBodyLength(type: 5, byteCount: 0)),
        Malformed(
            name: "hello without name", bytes: [0, 36, 2, 1],
            fault: .wrongBodyLength(type: 1, byteCount: 34)),
        Malformed(
            name: "hello beyond the longest name", bytes: [0x01, 0x24, 2, 1],
            fault: .wrongBodyLength(type: 1, byteCount: 290)),
        Malformed(
            name: "sealed without room for a tag", bytes: [0, 25, 2, 16],
            fault: .wrongBodyLength(type: 16, byteCount: 23)),
        Malformed(
            name: "name longer than the body", bytes: [0, 37, 2, 1, 0, 2, 0x61] + nonce(0),
            fault: .wrongBodyLength(type: 1, byteCount: 35)),
        Malformed(
            name: "name shorter than the body", bytes: [0, 38, 2, 1, 0, 1, 0x61, 0x62] + nonce(0),
            fault: .wrongBodyLength(type: 1, byteCount: 36)),
        Malformed(
            name: "unknown flag", bytes: [0, 37, 2, 1, 2, 1, 0x61] + nonce(0),
            fault: .unknownFlags(2)),
        Malformed(
            name: "line end in the name", bytes: [0, 37, 2, 1, 0, 1, 0x0A] + nonce(0),
            fault: .badNodeName),
        Malformed(
            name: "broken UTF-8 in the name", bytes: [0, 37, 2, 1, 0, 1, 0xC3] + nonce(0),
            fault: .badNodeName),
        Malformed(
            name: "empty name", bytes: [0, 37, 2, 1, 0, 0, 0x61] + nonce(0),
            fault: .wrongBodyLength(type: 1, byteCount: 35)),
    ]

    @Test(arguments: malformed)
    func malformedBytesAreRefusedWithTheirReason(_ sample: Malformed) {
        #expect(throws: sample.fault) {
            try LinkFrameDecoder.decode(sample.bytes.span.bytes)
        }
    }

    @Test func aReasonFromALaterVersionIsUnspecified() throws {
        let bytes: [UInt8] = [0, 3, 2, 5, 200]
        let decoded = try LinkFrameDecoder.decode(bytes.span.bytes)
        #expect(decoded == .frame(.refused(.unspecified), byteCount: 5))
    }

    @Test func everyRefusalSurvivesTheWire() throws {
        for refusal in LinkRefusal.allCases {
            let bytes = LinkFrameEncoder.encode(.refused(refusal))
            #expect(try decodeAll(bytes) == [.refused(refusal)])
        }
    }

    /// Every single-byte change of every sample decodes, waits or is refused; it never traps, never
    /// takes more bytes than there are, and what it decodes to encodes to the same bytes.
    @Test(arguments: samples)
    func mutationsNeverTrap(_ frame: LinkFrame) {
        let bytes = LinkFrameEncoder.encode(frame)
        for index in bytes.indices.prefix(320) {
            for value: UInt8 in [0, 1, 2, 3, 15, 16, 17, 127, 128, 255, bytes[index] ^ 1] {
                var mutated = bytes
                mutated[index] = value
                checkDecoding(of: mutated)
            }
        }
    }

    @Test(arguments: 0..<8)
    func randomBytesNeverTrap(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<4_000 {
            let count = Int.random(in: 0...80, using: &generator)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            // Three times in four, make the header plausible so that bodies are reached.
            if bytes.count >= 4, Int.random(in: 0..<4, using: &generator) > 0 {
                bytes[0] = 0
                bytes[2] = LinkProtocol.version
                bytes[3] = [1, 2, 3, 4, 5, 16, 17, 40].randomElement(using: &generator) ?? 1
                if Bool.random(using: &generator) { bytes[1] = UInt8(bytes.count - 2) }
            }
            checkDecoding(of: bytes)
        }
    }

    private func checkDecoding(of bytes: [UInt8]) {
        guard case .frame(let frame, let byteCount) = try? LinkFrameDecoder.decode(bytes.span.bytes)
        else { return }
        #expect(byteCount <= bytes.count)
        if case .refused(.unspecified) = frame { return }
        #expect(LinkFrameEncoder.encode(frame) == Array(bytes.prefix(byteCount)))
    }
}
