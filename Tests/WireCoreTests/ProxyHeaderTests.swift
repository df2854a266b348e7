// SPDX-License-Identifier: Apache-2.0
//
// The PROXY protocol: vectors, every prefix, changed and random bytes, and what we write.

import Testing
import WireCore

@Suite struct ProxyHeaderTests {
    private static func decode(_ bytes: [UInt8]) -> ProxyHeaderOutcome {
        ProxyHeader.decode(bytes.span.bytes)
    }

    @Test(arguments: acceptedProxyHeaders)
    func validHeadersSayWhoConnected(vector: ProxyHeaderVector) {
        let wanted = ProxyHeader(connection: vector.connection, byteCount: vector.bytes.count)
        #expect((vector.source == nil) == (vector.connection == nil))
        #expect(Self.decode(vector.bytes) == .complete(wanted), "\(vector.name)")
        // What follows belongs to the connection, even when it looks like another header.
        #expect(Self.decode(vector.bytes + vector.bytes) == .complete(wanted), "\(vector.name)")
        #expect(Self.decode(vector.bytes + [0x0A]) == .complete(wanted), "\(vector.name)")
    }

    @Test(arguments: acceptedProxyHeaders)
    func everyPrefixOfAValidHeaderWaitsForMore(vector: ProxyHeaderVector) {
        for count in vector.bytes.indices {
            let outcome = Self.decode(Array(vector.bytes.prefix(count)))
            #expect(outcome == .needMore, "\(vector.name): \(count) bytes")
        }
    }

    @Test(arguments: refusedProxyHeaders)
    func invalidHeadersAreRefused(bytes: [UInt8], fault: ProxyHeaderFault) {
        #expect(Self.decode(bytes) == .malformed(fault), "\(bytes.prefix(120))")
        // Refused as a whole means refused or unfinished at every length, and for good.
        var isRefused = false
        for count in bytes.indices {
            switch Self.decode(Array(bytes.prefix(count))) {
            case .needMore: #expect(!isRefused)
            case .malformed(let early):
                isRefused = true
                #expect(early == fault)
            case .complete: Issue.record("\(count) bytes are taken for a header")
            }
        }
    }

    @Test func everyFaultHasAVector() {
        let seen = Set(refusedProxyHeaders.map(\.fault))
        #expect(ProxyHeaderFault.allCases.filter { !seen.contains($0) } == [])
        #expect(Set(ProxyHeaderFault.allCases.map { "\($0.token)" }).count == seen.count)
    }

    /// Values of RFC 3720 §B.4 and the usual check value.
    @Test func checksumIsCRC32c() {
        let vectors: [([UInt8], UInt32)] = [
            ([], 0),
            (Array("123456789".utf8), 0xE306_9283),
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
            ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            ((0..<32).map { UInt8($0) }, 0x46DD_794E),
        ]
        for (bytes, expected) in vectors {
            var sum = ProxyHeaderChecksum()
            for byte in bytes { sum.add(byte: byte) }
            #expect(sum.value == expected)
        }
    }

    @Test func everyChangedBitBreaksTheChecksum() {
        let header = binaryHeader(0x21, 0x11, addresses4 + checkedTLVs)
        for index in 16..<28 {
            for bit in 0..<8 {
                var changed = header
                changed[index] ^= 1 << bit
                #expect(Self.decode(changed) == .malformed(.checksumMismatch))
            }
        }
    }

    private static let ends: [(source: String, destination: String, line: String)] = [
        ("10.1.2.3:56324", "10.77.0.100:443", "PROXY TCP4 10.1.2.3 10.77.0.100 56324 443\r\n"),
        (
            "[2001:db8::1]:1", "[2001:db8::2]:65535",
            "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"
        ),
        // Mapped addresses are the IPv4 addresses they stand for.
        ("[::ffff:a01:203]:5", "[::ffff:a4d:64]:6", "PROXY TCP4 10.1.2.3 10.77.0.100 5 6\r\n"),
        // One family only: the IPv4 end is mapped.
        ("10.1.2.3:5", "[2001:db8::2]:6", "PROXY TCP6 ::ffff:a01:203 2001:db8::2 5 6\r\n"),
    ]

    @Test(arguments: ends)
    func whatWeWriteIsReadAsWritten(source: String, destination: String, line: String) throws {
        let connection = ProxyHeader.Connection(
            source: try #require(Endpoint(source)),
            destination: try #require(Endpoint(destination)))
        let text = ProxyHeader.line(for: connection)
        #expect(String(decoding: text, as: UTF8.self) == line)
        guard case .complete(let fromText) = Self.decode(text),
            case .complete(let fromBinary) = Self.decode(ProxyHeader.binary(for: connection))
        else {
            Issue.record("not read")
            return
        }
        #expect(fromText.connection == fromBinary.connection)
        #expect(fromText.connection?.source.address.unmapped == connection.source.address.unmapped)
        #expect(fromText.connection?.source.port == connection.source.port)
        #expect(fromText.connection?.destination.port == connection.destination.port)
    }

    @Test func binaryHeadersHaveThePublishedLayout() throws {
        let connection = ProxyHeader.Connection(
            source: try #require(Endpoint("10.1.2.3:56324")),
            destination: try #require(Endpoint("10.77.0.100:443")))
        #expect(ProxyHeader.binary(for: connection) == binaryHeader(0x21, 0x11, addresses4))
        let six = ProxyHeader.Connection(
            source: try #require(Endpoint("[2001:db8::1]:56324")),
            destination: try #require(Endpoint("[2001:db8::100]:443")))
        #expect(ProxyHeader.binary(for: six) == binaryHeader(0x21, 0x21, addresses6))
        #expect(ProxyHeader.binary(for: nil) == binaryHeader(0x20, 0x00, []))
        #expect(ProxyHeader.line(for: nil) == Array("PROXY UNKNOWN\r\n".utf8))
    }

    /// Changed vectors: no trap, no header longer than its bytes, and a verdict that stays.
    @Test func changedHeadersKeepTheInvariants() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let corpus = acceptedProxyHeaders.map(\.bytes) + refusedProxyHeaders.map(\.bytes)
        var completeCount = 0
        for _ in 0..<20_000 {
            var bytes = Array(corpus[Int(random.next() % UInt64(corpus.count))].prefix(400))
            for _ in 0..<(random.next() % 4) where !bytes.isEmpty {
                let index = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 3 {
                case 0: bytes[index] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: index)
                default: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: index)
                }
            }
            let whole = Self.decode(bytes)
            let part = Self.decode(Array(bytes.prefix(Int(random.next() % 64))))
            switch (whole, part) {
            case (.complete(let header), .complete(let early)):
                completeCount += 1
                #expect(header == early, "seed \(seed): \(bytes)")
            case (.complete(let header), .needMore):
                completeCount += 1
                #expect(header.byteCount <= bytes.count, "seed \(seed): \(bytes)")
            case (.malformed(let fault), .malformed(let early)):
                #expect(fault == early, "seed \(seed): \(bytes)")
            case (.malformed, .needMore), (.needMore, .needMore): break
            default: Issue.record("seed \(seed): \(whole) after \(part): \(bytes)")
            }
        }
        #expect(completeCount > 1_000)
    }
}
