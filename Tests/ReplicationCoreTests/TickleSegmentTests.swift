// SPDX-License-Identifier: Apache-2.0
//
// Goal: the packet that makes a client show its numbers is the one that RFC 791 and RFC 9293 draw.
// Method: a vector in hex with field comments, checksums by the general function.

import ReplicationCore
import Testing
import WireCore

@Suite struct TickleSegmentTests {
    private let client = ClientKey(
        localAddress: IPAddress(10, 77, 0, 100), localPort: 80,
        remoteAddress: IPAddress(10, 77, 0, 200), remotePort: 40_000)

    @Test func packetIsABareAcknowledgement() {
        var segment = TickleSegment()
        segment.address(to: client, sequence: 0)
        #expect(
            segment.bytes == [
                0x45, 0x00, 0x00, 0x28,  // version 4, header of 20 bytes, 40 bytes in all
                0x00, 0x00, 0x40, 0x00,  // no identification, do not fragment
                0x40, 0x06, 0x25, 0x0B,  // time to live 64, TCP, header checksum
                0x0A, 0x4D, 0x00, 0x64,  // from 10.77.0.100
                0x0A, 0x4D, 0x00, 0xC8,  // to 10.77.0.200
                0x00, 0x50, 0x9C, 0x40,  // from port 80 to port 40000
                0x00, 0x00, 0x00, 0x00,  // sequence number
                0x00, 0x00, 0x00, 0x00,  // acknowledgement number
                0x50, 0x10, 0x00, 0x00,  // header of 20 bytes, ACK, window 0
                0xFD, 0x7E, 0x00, 0x00,  // checksum, urgent pointer
            ])
    }

    private let clientIPv6 = ClientKey(
        localAddress: .v6(IPv6Address(high: 0xFD00_0077 << 32, low: 0x100)), localPort: 80,
        remoteAddress: .v6(IPv6Address(high: 0xFD00_0077 << 32, low: 0x200)), remotePort: 40_000)

    @Test func packetOfIPv6IsABareAcknowledgement() {
        var segment = TickleSegment()
        segment.address(to: clientIPv6, sequence: 0)
        #expect(
            segment.bytes == [
                0x60, 0x00, 0x00, 0x00,  // version 6
                0x00, 0x14, 0x06, 0x40,  // payload of 20 bytes, TCP, hop limit 64
                0xFD, 0x00, 0x00, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x00,  // source
                0xFD, 0x00, 0x00, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x00,  // destination
                0x00, 0x50, 0x9C, 0x40,  // from port 80 to port 40000
                0x00, 0x00, 0x00, 0x00,  // sequence number
                0x00, 0x00, 0x00, 0x00,  // acknowledgement number
                0x50, 0x10, 0x00, 0x00,  // header of 20 bytes, ACK, window 0
                0x15, 0x55, 0x00, 0x00,  // checksum, urgent pointer
            ])
        // The families do not disturb one another.
        segment.address(to: client, sequence: 7)
        #expect(segment.bytes.count == 40)
        segment.address(to: clientIPv6, sequence: 7)
        #expect(segment.bytes.count == 60)
    }

    private let transport = TransportState(
        sendSequence: 0x5000_0000, receiveSequence: 0x7777_0001, sendWindow: 64_000,
        receiveWindow: 64_000, timestamp: 0x0102_0304, segmentByteCountMax: 1_448,
        sendWindowScale: 7, receiveWindowScale: 7, options: [.timestamps])

    @Test func furtherQuestionHasAnOctetFarBehind() {
        var segment = TickleSegment()
        segment.address(to: client, TickleQuestion(further: transport, sent: 0x5000_0000))
        #expect(
            segment.bytes[..<4] == [0x45, 0x00, 0x00, 0x35],
            "20 bytes of IP, 20 and 12 of TCP, 1 octet")
        #expect(
            segment.bytes[20..<36] == [
                0x00, 0x50, 0x9C, 0x40,  // from port 80 to port 40000
                0x10, 0x00, 0x00, 0x00,  // 2^30 behind
                0x77, 0x77, 0x00, 0x01,  // acknowledgement number
                0x80, 0x10, 0x00, 0x00,  // header of 32 bytes, ACK, window 0
            ])
        #expect(
            segment.bytes[40...] == [
                0x01, 0x01, 0x08, 0x0A,  // two NOPs, time stamps of 10 bytes
                0x01, 0x02, 0x03, 0x04,  // own clock
                0x00, 0x00, 0x00, 0x00,  // nothing to echo
                0x00,  // the octet
            ])
        // The next packet is bare again.
        segment.address(to: client, sequence: 0)
        #expect(segment.bytes.count == 40)
        #expect(segment.bytes[2..<4] == [0, 40])
    }

    @Test func firstQuestionLiesBehindWhatMayBeUnacknowledged() {
        let question = TickleQuestion(first: transport, sent: 10)
        #expect(question.sequence == 10 &- 2_896)
        #expect(!question.hasOctet)
        var plain = transport
        plain.options = []
        plain.sendWindow = 100
        #expect(TickleQuestion(first: plain, sent: 10).sequence == 10 &- 50)
        #expect(TickleQuestion(first: plain, sent: 10).timestamp == nil)
        plain.sendWindow = 0
        #expect(TickleQuestion(first: plain, sent: 10).sequence == 9)
    }

    @Test(arguments: UInt64(1)...50)
    func checksumsOfQuestionsAreRight(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var segment = TickleSegment()
        for _ in 0..<20 {
            var state = transport
            state.timestamp = UInt32(truncatingIfNeeded: generator.next())
            state.receiveSequence = UInt32(truncatingIfNeeded: generator.next())
            if generator.next() % 2 == 0 { state.options = [] }
            let sent = UInt32(truncatingIfNeeded: generator.next())
            let question =
                generator.next() % 2 == 0
                ? TickleQuestion(first: state, sent: sent)
                : TickleQuestion(further: state, sent: sent)
            segment.address(to: client, question)
            var checksum = InternetChecksum()
            checksum.add(Array(segment.bytes[..<20]).span.bytes)
            #expect(checksum.value == 0)
            let length = UInt8(segment.bytes.count - 20)
            let covered =
                Array(segment.bytes[12..<20]) + [0, 6, 0, length] + segment.bytes[20...]
            var sum = InternetChecksum()
            sum.add(covered.span.bytes)
            #expect(sum.value == 0)
            segment.address(to: clientIPv6, question)
            let lengthIPv6 = UInt8(segment.bytes.count - 40)
            #expect(segment.bytes[5] == lengthIPv6)
            let coveredIPv6 =
                Array(segment.bytes[8..<40]) + [0, 0, 0, lengthIPv6, 0, 0, 0, 6]
                + segment.bytes[40...]
            var sumIPv6 = InternetChecksum()
            sumIPv6.add(coveredIPv6.span.bytes)
            #expect(sumIPv6.value == 0)
        }
    }

    @Test(arguments: UInt64(1)...50)
    func checksumOfIPv6IsRight(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var segment = TickleSegment()
        for _ in 0..<20 {
            let key = ClientKey(
                localAddress: .v6(IPv6Address(high: generator.next(), low: generator.next())),
                localPort: UInt16(truncatingIfNeeded: generator.next()),
                remoteAddress: .v6(IPv6Address(high: generator.next(), low: generator.next())),
                remotePort: UInt16(truncatingIfNeeded: generator.next()))
            segment.address(to: key, sequence: UInt32(truncatingIfNeeded: generator.next()))
            // The pseudo header of RFC 8200 §8.1, then the segment.
            let covered =
                Array(segment.bytes[8..<40]) + [0, 0, 0, 20, 0, 0, 0, 6] + segment.bytes[40...]
            var sum = InternetChecksum()
            sum.add(covered.span.bytes)
            #expect(sum.value == 0)
        }
    }

    @Test(arguments: UInt64(1)...50)
    func bothChecksumsAreRight(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var segment = TickleSegment()
        for _ in 0..<20 {
            let key = ClientKey(
                localAddress: .v4(
                    IPv4Address(rawValue: UInt32(truncatingIfNeeded: generator.next()))),
                localPort: UInt16(truncatingIfNeeded: generator.next()),
                remoteAddress: .v4(
                    IPv4Address(rawValue: UInt32(truncatingIfNeeded: generator.next()))),
                remotePort: UInt16(truncatingIfNeeded: generator.next()))
            segment.address(to: key, sequence: UInt32(truncatingIfNeeded: generator.next()))
            let header = Array(segment.bytes[..<20])
            var checksum = InternetChecksum()
            checksum.add(header.span.bytes)
            #expect(checksum.value == 0)
            // The pseudo header of RFC 9293 §3.1, then the segment.
            let covered = Array(segment.bytes[12..<20]) + [0, 6, 0, 20] + segment.bytes[20...]
            var sum = InternetChecksum()
            sum.add(covered.span.bytes)
            #expect(sum.value == 0)
        }
    }
}
