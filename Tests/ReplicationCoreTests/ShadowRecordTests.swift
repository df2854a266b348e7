// SPDX-License-Identifier: Apache-2.0
//
// Records about connections as bytes: what is written is read, and bytes that end anywhere or say
// anything give a fault or records, never a trap.

import Testing
import WireCore

@testable import ReplicationCore

@Suite struct ShadowRecordTests {
    private static let transport = TransportState(
        sendSequence: 0xFFFF_FFF0, receiveSequence: 7, sendWindow: 64_256, receiveWindow: 65_535,
        timestamp: 0x8000_0001, segmentByteCountMax: 1_448, sendWindowScale: 7,
        receiveWindowScale: 14, options: [.windowScale, .timestamps])

    private static let key = ClientKey(
        localAddress: .v4(IPv4Address(10, 77, 0, 100)), localPort: 80,
        remoteAddress: .v4(IPv4Address(192, 0, 2, 7)), remotePort: 50_123)

    private static let keyIPv6 = ClientKey(
        localAddress: .v6(IPv6Address(high: 0xFD00_0077 << 32, low: 0x100)), localPort: 443,
        remoteAddress: .v6(IPv6Address(high: 0x2001_0DB8 << 32, low: 9)), remotePort: 1)

    private static let records: [ShadowRecord] = [
        .opened(key: key, level: .requests, transport: transport, client: nil),
        .opened(
            key: keyIPv6, level: .idle, transport: transport,
            client: Endpoint(address: .v4(IPv4Address(198, 51, 100, 1)), port: 9)),
        .opened(
            key: key, level: .reset, transport: transport,
            client: Endpoint(address: .v6(IPv6Address(high: 1, low: 2)), port: 65_535)),
        .asked(receiveSequence: 4_000_000_000, head: Array("GET / HTTP/1.1\r\n\r\n".utf8)),
        .busy, .answered(receiveSequence: 1, sendSequence: .max), .closed,
        .moved(transport: transport, unread: []), .moved(transport: transport, unread: [1, 2, 3]),
        .tunnelled(tunnel), .tunnelled(tunnelIPv6), .rested(position),
        .movedTunnel(client: transport, backend: tunnel.transport),
    ]

    private static let position = TunnelPosition(
        client: StreamPosition(receive: 1, send: .max),
        backend: StreamPosition(receive: 0x8000_0000, send: 2))
    private static let tunnel = ShadowTunnel(
        position: position, key: key, transport: transport, pool: "web")
    private static let tunnelIPv6 = ShadowTunnel(
        position: position, key: keyIPv6, transport: transport, pool: "")

    private static func read(
        _ bytes: some Sequence<UInt8>
    ) throws(ShadowRecordFault) -> [(UInt32, ShadowRecord)] {
        var read: [(UInt32, ShadowRecord)] = []
        let bytes = Array(bytes)
        try ShadowRecord.forEach(in: bytes.span.bytes) { read.append(($0, $1)) }
        return read
    }

    @Test func everyRecordIsReadAsItWasWritten() throws {
        var bytes: [UInt8] = []
        for (id, record) in Self.records.enumerated() {
            bytes.append(record, of: UInt32(id) &- 1)
        }
        let read = try Self.read(bytes)
        #expect(read.map(\.1) == Self.records)
        #expect(read.map(\.0) == Self.records.indices.map { UInt32($0) &- 1 })
    }

    @Test func theBytesAreThoseOfTheProtocolPage() {
        var bytes: [UInt8] = []
        bytes.append(.answered(receiveSequence: 0x0102_0304, sendSequence: 5), of: 0x0A0B)
        #expect(bytes == [5, 0, 12, 0, 0, 0x0A, 0x0B, 1, 2, 3, 4, 0, 0, 0, 5])
    }

    @Test func theBytesOfATunnelAreThoseOfTheProtocolPage() {
        var bytes: [UInt8] = []
        bytes.append(.rested(Self.position), of: 0x0A0B)
        #expect(
            bytes == [8, 0, 20, 0, 0, 0x0A, 0x0B, 0, 0, 0, 1, 255, 255, 255, 255]
                + [0x80, 0, 0, 0, 0, 0, 0, 2])
    }

    @Test(arguments: records)
    func anEarlyEndIsAFaultAtEveryByte(record: ShadowRecord) throws {
        var bytes: [UInt8] = []
        bytes.append(record, of: 3)
        for count in 1..<bytes.count {
            #expect(throws: ShadowRecordFault.truncated) { try Self.read(bytes.prefix(count)) }
        }
    }

    @Test func whatLaterVersionsAddIsSkipped() throws {
        // A kind of the future, and bytes behind those of an answer.
        let unknown: [UInt8] = [200, 0, 6, 0, 0, 0, 1, 9, 9]
        let longer: [UInt8] = [5, 0, 14, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 7, 7]
        let read = try Self.read(unknown + longer)
        #expect(read.map(\.0) == [2])
        #expect(read.map(\.1) == [.answered(receiveSequence: 1, sendSequence: 2)])
    }

    @Test func numbersOutOfRangeAreRefused() {
        var bytes: [UInt8] = []
        bytes.append(Self.records[0], of: 1)
        for (offset, value) in [(7, UInt8(3)), (8, 5), (43, 0xF0), (43, 0x0F)] {
            var wrong = bytes
            wrong[offset] = value
            #expect(throws: ShadowRecordFault.outOfRange, "offset \(offset)") {
                try Self.read(wrong)
            }
        }
    }

    @Test(arguments: 0..<200)
    func anyBytesGiveRecordsOrAFault(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var bytes: [UInt8] = []
        for record in Self.records { bytes.append(record, of: 1) }
        for _ in 0..<50 {
            var hostile = bytes
            for _ in 0..<Int(generator.next() % 8) + 1 {
                hostile[Int(generator.next() % UInt64(hostile.count))] =
                    UInt8(truncatingIfNeeded: generator.next())
            }
            guard let read = try? Self.read(hostile) else { continue }
            #expect(read.count <= hostile.count / ShadowRecord.headerByteCount)
        }
    }
}
