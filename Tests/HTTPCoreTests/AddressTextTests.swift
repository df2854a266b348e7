// SPDX-License-Identifier: Apache-2.0
//
// Addresses and forwarding nodes as bytes: what is read, what is not, and what is written.

import HTTPCore
import Testing
import WireCore

private func read(_ text: String) -> IPAddress? {
    GuardedBytes(capacity: 4096).with(latin1(text)) { AddressText.read($0) }
}

private func write(_ address: IPAddress) -> String? {
    var output = [UInt8](repeating: 0xAA, count: AddressText.byteCountMax)
    let count = output.withUnsafeMutableBytes { AddressText.write(address, into: $0) }
    return count.map { String(decoding: output[..<$0], as: UTF8.self) }
}

@Test(arguments: [
    "0.0.0.0", "1.2.3.4", "255.255.255.255", "192.0.2.10", "::", "::1", "1::", "2001:db8::1",
    "2001:DB8:0:0:8:800:200C:417A", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8",
    "fe80::0204", "0:0:0:0:0:0:0:0", "1::8",
])
func addressesAreReadAsTheAddressTypesDo(_ text: String) {
    #expect(read(text) != nil)
    #expect(read(text) == IPAddress(text))
}

@Test(arguments: [
    "", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "256.1.1.1", "01.2.3.4",
    "1.2.3.4 ", " 1.2.3.4", "1.2.3.4\0", "1.2.3.0004", "a.b.c.d", "+1.2.3.4", "1.2.3.-4", ":",
    ":::", "::1::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
    "1:", ":1", "1:2:3:4:5:6:7:", "12345::", "g::", "fe80::1%eth0", "[::1]", "::1.2.3",
    "::1.2.3.4.5", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "::256.1.1.1", "1.2.3.4::", ":1.2.3.4",
    "1111:2222:3333:4444:5555:6666:255.255.255.2555",
])
func otherTextsAreNoAddresses(_ text: String) {
    #expect(read(text) == nil)
}

@Test func version4WithinVersion6IsRead() {
    // RFC 4291 §2.2 3.
    #expect(read("::ffff:192.0.2.1") == .v6(IPv6Address(high: 0, low: 0xFFFF_C000_0201)))
    #expect(read("1:2:3:4:5:6:1.2.3.4") == IPAddress("1:2:3:4:5:6:102:304"))
    #expect(read("::1.2.3.4") == IPAddress("::102:304"))
    #expect(read("1111:2222:3333:4444:5555:6666:255.255.255.255") != nil)
}

@Test func randomAddressesAreWrittenAsTheyDescribeThemselves() {
    var (random, replay) = FuzzSettings.generator(for: "randomAddressesAreWritten")
    for _ in 0..<(FuzzSettings.caseCount / 4) {
        let v4 = IPAddress.v4(
            IPv4Address(rawValue: UInt32.random(in: 0...UInt32.max, using: &random)))
        // Runs of zero groups, as addresses have them.
        var groups: [UInt64] = []
        for _ in 0..<8 {
            let group = UInt64.random(in: 0...0xFFFF, using: &random)
            groups.append(
                Bool.random(using: &random) ? 0 : group >> UInt64.random(in: 0...15, using: &random)
            )
        }
        let v6 = IPAddress.v6(
            IPv6Address(
                high: groups[..<4].reduce(0) { $0 << 16 | $1 },
                low: groups[4...].reduce(0) { $0 << 16 | $1 }))
        for address in [v4, v6] {
            let text = write(address)
            #expect(text == address.description, replay)
            #expect(text.flatMap { read($0) } == address, replay)
        }
    }
}

@Test func mutatedAddressesAreReadAsTheAddressTypesDo() {
    let (random, replay) = FuzzSettings.generator(for: "mutatedAddressesAreRead")
    var mutator = MessageMutator(
        corpus: ["1.2.3.4", "::", "::1", "2001:db8::1", "1:2:3:4:5:6:7:8", "10.0.0.100"].map(
            latin1),
        tokens: [":", "::", ".", "0", "1", "ffff", "255", "g", "%"], random: random)
    for _ in 0..<FuzzSettings.caseCount {
        let text = String(decoding: mutator.next().filter { $0 > 0x20 && $0 < 0x7F }, as: UTF8.self)
        // Theirs reads no IPv4 within IPv6.
        if text.contains(":"), text.contains(".") {
            _ = read(text)
        } else {
            #expect(read(text) == IPAddress(text), "\(text): \(replay)")
        }
    }
}

@Test func addressWithoutRoomIsNotWritten() {
    var output = [UInt8](repeating: 0xAA, count: AddressText.byteCountMax - 1)
    let count = output.withUnsafeMutableBytes {
        AddressText.write(.v4(.loopback), into: $0)
    }
    #expect(count == nil)
    #expect(output.allSatisfy { $0 == 0xAA })
}

private let nodes: [(text: String, node: String?)] = [
    ("192.0.2.1", "192.0.2.1"), ("192.0.2.1:80", "192.0.2.1"), ("192.0.2.1:_port", "192.0.2.1"),
    ("\"192.0.2.1:65535\"", "192.0.2.1"), ("2001:db8::1", "2001:db8::1"),
    ("[2001:db8::1]", "2001:db8::1"), ("\"[2001:db8::1]:80\"", "2001:db8::1"),
    ("::ffff:192.0.2.1", "192.0.2.1"), ("[::ffff:192.0.2.1]:1", "192.0.2.1"),
    ("unknown", nil), ("Unknown", nil), ("unknown:80", nil), ("_a", nil), ("_SEVKISEK", nil),
    ("_a.b-c_d:_e", nil), ("\"_gazonk\"", nil),
]

@Test(arguments: nodes)
func nodesAreRead(_ text: String, _ expected: String?) {
    let node = GuardedBytes(capacity: 4096).with(latin1(text)) { ForwardedNode($0) }
    #expect(node == (expected.flatMap { IPAddress($0) }.map { .address($0) } ?? .hidden))
}

@Test(arguments: [
    "", "\"", "\"\"", "\"192.0.2.1", "192.0.2.1\"", "192.0.2.1:", "192.0.2.1:123456",
    "192.0.2.1:8o", "192.0.2.1:80:80", "[192.0.2.1]", "[2001:db8::1", "2001:db8::1]", "[]",
    "[2001:db8::1]80", "[2001:db8::1]:", "[2001:db8::1]:x", "_", "_~", "_a:_", "unknow", "unknownn",
    "client", ":80", "[", "a b", "_a b", "\\\"",
])
func otherNodesAreMalformed(_ text: String) {
    let node = GuardedBytes(capacity: 4096).with(latin1(text)) { ForwardedNode($0) }
    #expect(node == .malformed)
}
