// SPDX-License-Identifier: Apache-2.0
//
// Goal: a client's segment tells where the client is, and nothing that is no such segment does.
// Method: vectors in hex with field comments, every prefix of them, and random bytes.

import ReplicationCore
import Testing
import WireCore

struct OverheardSegmentTests {
    /// A bare acknowledgement with time stamps, as Linux sends it.
    private static let ipv4: [UInt8] = [
        0x45, 0x00, 0x00, 0x34,  // version 4, header of 20 bytes, 52 bytes in all
        0x12, 0x34, 0x40, 0x00,  // identification, do not fragment
        0x40, 0x06, 0x00, 0x00,  // time to live 64, TCP, header checksum
        0x0A, 0x00, 0x00, 0x01,  // from 10.0.0.1
        0x0A, 0x00, 0x00, 0x64,  // to 10.0.0.100
        0x9C, 0x40, 0x00, 0x50,  // from port 40000 to port 80
        0x00, 0x00, 0x10, 0x00,  // sequence number
        0x00, 0x00, 0x20, 0x00,  // acknowledgement number
        0x80, 0x10, 0x01, 0x00,  // header of 32 bytes, ACK, window
        0x00, 0x00, 0x00, 0x00,  // checksum, urgent pointer
        0x01, 0x01, 0x08, 0x0A,  // no operation, twice, time stamps, 10 bytes
        0x00, 0x00, 0x00, 0x07,  // own
        0x00, 0x00, 0x30, 0x00,  // echoed
    ]

    private static let ipv6: [UInt8] =
        [
            0x60, 0x00, 0x00, 0x00,  // version 6
            0x00, 0x20, 0x06, 0x40,  // payload of 32 bytes, TCP, hop limit
        ] + [UInt8](repeating: 1, count: 16) + [UInt8](repeating: 2, count: 16) + ipv4[20...]

    private func segment(_ bytes: [UInt8]) -> OverheardSegment? {
        OverheardSegment(bytes.span.bytes)
    }

    @Test func bareAcknowledgementTellsEverything() throws {
        for bytes in [Self.ipv4, Self.ipv6] {
            let heard = try #require(segment(bytes))
            #expect(heard.key.localPort == 80)
            #expect(heard.key.remotePort == 40_000)
            #expect(
                heard.answer
                    == ClientAnswer(sent: 0x1000, received: 0x2000, seenTimestamp: 0x3000))
            #expect(!heard.endsConnection)
        }
        #expect(segment(Self.ipv4)?.key == ShadowSamples.key(40_000))
    }

    @Test(arguments: [UInt8(0x11), 0x12, 0x14, 0x04, 0x00])
    func flagsCount(_ flags: UInt8) throws {
        var bytes = Self.ipv4
        bytes[33] = flags
        let heard = try #require(segment(bytes))
        #expect(heard.endsConnection == (flags & 0x06 != 0))
        // RFC 9293 §3.4: FIN takes a number.
        #expect(heard.answer?.sent == (flags == 0x11 ? 0x1001 : nil))
    }

    @Test func segmentWithDataDoesNotTellTheEnd() throws {
        var bytes = Self.ipv4
        bytes[3] += 5
        let heard = try #require(segment(bytes))
        #expect(heard.answer == nil)
        #expect(!heard.endsConnection)
        #expect(
            heard.repetition(from: 0x1000)
                == ClientAnswer(sent: 0x1000, received: 0x2000, seenTimestamp: 0x3000))
        #expect(heard.repetition(from: 0x1001) == nil)
        #expect(segment(Self.ipv4)?.repetition(from: 0x1000) == nil)
    }

    @Test func whatIsNoSegmentTellsNothing() {
        var datagram = Self.ipv4
        datagram[9] = 17
        #expect(segment(datagram) == nil)
        var fragment = Self.ipv4
        fragment[7] = 1
        #expect(segment(fragment) == nil)
        var short = Self.ipv4
        short[32] = 0x40
        #expect(segment(short) == nil)
        var long = Self.ipv4
        long[32] = 0xF0
        #expect(segment(long) == nil, "a header longer than the packet")
    }

    @Test func everyPrefixAndRandomBytesAreHarmless() {
        for bytes in [Self.ipv4, Self.ipv6] {
            for count in 0..<bytes.count {
                #expect(segment(Array(bytes.prefix(count)))?.answer?.seenTimestamp == nil)
            }
        }
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<20_000 {
            var bytes = Self.ipv4
            for _ in 0..<3 {
                bytes[Int(generator.next() % 52)] = UInt8(truncatingIfNeeded: generator.next())
            }
            _ = segment(Array(bytes.prefix(Int(generator.next() % 53))))
        }
    }

    @Test func clockIsCorrectedOnlyWhenItIsBehind() {
        let seen = UInt32.max - 5
        let answer = ClientAnswer(sent: 0, received: 0, seenTimestamp: seen)
        let margin = UInt32(ConnectionShadow.marginMilliseconds)
        #expect(answer.correction(of: seen &+ margin) == nil)
        #expect(answer.correction(of: seen &+ margin / 2) == nil)
        #expect(answer.correction(of: seen &+ margin / 2 - 1) == seen &+ margin)
        #expect(answer.correction(of: seen) == seen &+ margin)
        #expect(answer.correction(of: seen &- 1_000) == seen &+ margin)
        #expect(ClientAnswer(sent: 0, received: 0).correction(of: 0) == nil)
    }
}
