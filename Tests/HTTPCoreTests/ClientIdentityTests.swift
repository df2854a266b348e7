// SPDX-License-Identifier: Apache-2.0
//
// Who the client is behind trusted proxies, whatever anybody else has written into the fields.

import HTTPCore
import Testing
import WireCore

private func address(_ text: String) -> IPAddress {
    guard let address = IPAddress(text) else { fatalError("no address: \(text)") }
    return address
}

private let networks = ["10.0.0.0/8", "2001:db8::/32"].compactMap { IPNetwork($0) }

/// The client of a request with these fields, and whether the peer was trusted.
private func client(
    _ peer: String, _ fields: String, trusted: [IPNetwork] = networks
) -> ClientIdentity? {
    var head = RequestHead()
    var progress = HeadProgress()
    let bytes = latin1("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
    return GuardedBytes(capacity: 64 * 1024).with(bytes) { buffer in
        guard case .complete = head.parse(buffer, progress: &progress) else { return nil }
        return trusted.withUnsafeBufferPointer {
            ClientIdentity.find(peer: address(peer), request: head, in: buffer, trusted: $0)
        }
    }
}

private let walks: [(peer: String, fields: String, client: String)] = [
    // No trust in the peer, or nothing said.
    ("192.0.2.1", "X-Forwarded-For: 198.51.100.1\r\n", "192.0.2.1"),
    ("192.0.2.1", "Forwarded: for=198.51.100.1\r\n", "192.0.2.1"),
    ("::ffff:c000:201", "", "192.0.2.1"),
    ("10.0.0.1", "", "10.0.0.1"),
    ("10.0.0.1", "X-Forwarded-For:\r\n", "10.0.0.1"),
    ("10.0.0.1", "X-Forwarded-For: , ,\r\n", "10.0.0.1"),
    // From right to left.
    ("10.0.0.1", "X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"),
    ("::ffff:a00:1", "X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"),
    ("10.0.0.1", "X-Forwarded-For: 203.0.113.9, 198.51.100.1\r\n", "198.51.100.1"),
    ("10.0.0.1", "X-Forwarded-For: 203.0.113.9, 198.51.100.1, 10.2.0.1\r\n", "198.51.100.1"),
    ("10.0.0.1", "X-Forwarded-For: 203.0.113.9,198.51.100.1 ,\t10.2.0.1\r\n", "198.51.100.1"),
    ("10.0.0.1", "X-Forwarded-For: 198.51.100.1,,10.2.0.1,\r\n", "198.51.100.1"),
    ("10.0.0.1", "X-Forwarded-For: 10.3.0.1, 10.2.0.1\r\n", "10.3.0.1"),
    (
        "10.0.0.1",
        "X-Forwarded-For: 203.0.113.9\r\nA: b\r\nX-Forwarded-For: 198.51.100.1, 10.2.0.1\r\n",
        "198.51.100.1"
    ),
    (
        "10.0.0.1",
        "X-Forwarded-For: 203.0.113.9, 198.51.100.1\r\nx-forwarded-for: 10.3.0.1, 10.2.0.1\r\n",
        "198.51.100.1"
    ),
    // Forms of addresses.
    ("10.0.0.1", "X-Forwarded-For: 198.51.100.1:8080\r\n", "198.51.100.1"),
    ("10.0.0.1", "X-Forwarded-For: \"198.51.100.1\"\r\n", "198.51.100.1"),
    ("10.0.0.1", "X-Forwarded-For: 2001:db9::1\r\n", "2001:db9::1"),
    ("10.0.0.1", "X-Forwarded-For: [2001:db9::1]\r\n", "2001:db9::1"),
    ("10.0.0.1", "X-Forwarded-For: \"[2001:db9::1]:443\"\r\n", "2001:db9::1"),
    ("10.0.0.1", "X-Forwarded-For: 2001:db9::1, 2001:db8::5\r\n", "2001:db9::1"),
    ("10.0.0.1", "X-Forwarded-For: ::ffff:198.51.100.1\r\n", "198.51.100.1"),
    ("10.0.0.1", "X-Forwarded-For: 198.51.100.1, ::ffff:10.1.1.1\r\n", "198.51.100.1"),
    // What cannot be read ends the walk at the last trusted address.
    ("10.0.0.1", "X-Forwarded-For: 198.51.100.1, unknown\r\n", "10.0.0.1"),
    ("10.0.0.1", "X-Forwarded-For: 198.51.100.1, garbage, 10.2.0.1\r\n", "10.2.0.1"),
    ("10.0.0.1", "X-Forwarded-For: 198.51.100.1, _hidden, 10.2.0.1\r\n", "10.2.0.1"),
    ("10.0.0.1", "X-Forwarded-For: 198.51.100.256\r\n", "10.0.0.1"),
    ("10.0.0.1", "X-Forwarded-For: 198.51.100.1 10.2.0.1\r\n", "10.0.0.1"),
    ("10.0.0.1", "X-Forwarded-For: \"198.51.100.1\r\n", "10.0.0.1"),
    ("10.0.0.1", "X-Forwarded-For: <script>, 10.2.0.1\r\n", "10.2.0.1"),
    // RFC 7239, and only without the older field.
    ("10.0.0.1", "Forwarded: for=198.51.100.1\r\n", "198.51.100.1"),
    ("10.0.0.1", "Forwarded: For=\"198.51.100.1:4711\"\r\n", "198.51.100.1"),
    ("10.0.0.1", "Forwarded: for=\"[2001:db9::1]:4711\"\r\n", "2001:db9::1"),
    (
        "10.0.0.1", "Forwarded: for=203.0.113.9, proto=https;for=198.51.100.1; by=10.2.0.1\r\n",
        "198.51.100.1"
    ),
    (
        "10.0.0.1", "Forwarded: for=198.51.100.1;host=\"a, b;for=9.9.9.9\", for=10.2.0.1\r\n",
        "198.51.100.1"
    ),
    (
        "10.0.0.1", "Forwarded: for=198.51.100.1;host=\"a\\\", \\\\\", for=10.2.0.1\r\n",
        "198.51.100.1"
    ),
    // An open quote to the left cannot swallow what a trusted proxy wrote.
    ("10.0.0.1", "Forwarded: for=\"203.0.113.9, for=198.51.100.1\r\n", "198.51.100.1"),
    ("10.0.0.1", "Forwarded: for=\"9.9.9.9, for=10.2.0.1\r\n", "10.2.0.1"),
    (
        "10.0.0.1", "Forwarded: for=203.0.113.9\r\nForwarded: for=198.51.100.1, for=10.1.1.1\r\n",
        "198.51.100.1"
    ),
    ("10.0.0.1", "Forwarded: for=unknown\r\n", "10.0.0.1"),
    ("10.0.0.1", "Forwarded: for=_x, for=10.2.0.1\r\n", "10.2.0.1"),
    ("10.0.0.1", "Forwarded: proto=https, for=10.2.0.1\r\n", "10.2.0.1"),
    ("10.0.0.1", "Forwarded: for=198.51.100.1;for=203.0.113.9\r\n", "10.0.0.1"),
    ("10.0.0.1", "Forwarded: 198.51.100.1\r\n", "10.0.0.1"),
    ("10.0.0.1", "Forwarded: for = 198.51.100.1\r\n", "10.0.0.1"),
    ("10.0.0.1", "Forwarded: for=198.51.100.1 x\r\n", "10.0.0.1"),
    ("10.0.0.1", "Forwarded: for=\"198.51.100.1\"x\r\n", "10.0.0.1"),
    ("10.0.0.1", "Forwarded: for=\r\n", "10.0.0.1"),
    ("10.0.0.1", "Forwarded: for=198.51.100.1\\\r\n", "10.0.0.1"),
    (
        "10.0.0.1", "Forwarded: for=203.0.113.9\r\nX-Forwarded-For: 198.51.100.1\r\n",
        "198.51.100.1"
    ),
    ("10.0.0.1", "Forwarded: for=203.0.113.9\r\nX-Forwarded-For: unknown\r\n", "10.0.0.1"),
]

@Test(arguments: walks)
func clientIsTheFirstUntrustedAddressFromTheRight(
    _ peer: String, _ fields: String, _ expected: String
) {
    let identity = client(peer, fields)
    #expect(identity?.address == address(expected), "\(fields)")
    #expect(identity?.isPeerTrusted == ["10.0.0.1", "::ffff:a00:1"].contains(peer))
}

@Test func nobodyIsBelievedWithoutTrustedNetworks() {
    let identity = client("10.0.0.1", "X-Forwarded-For: 198.51.100.1\r\n", trusted: [])
    #expect(identity == ClientIdentity(address: address("10.0.0.1"), isPeerTrusted: false))
}

@Test func walkIsBounded() {
    let most = ClientIdentity.elementCountMax
    func fields(_ count: Int, _ element: String) -> String {
        let trusted = Array(repeating: element, count: count).joined(separator: ",")
        return "X-Forwarded-For: 198.51.100.1,\(trusted)\r\n"
    }
    #expect(client("10.0.0.1", fields(most - 1, "10.2.0.1"))?.address == address("198.51.100.1"))
    #expect(client("10.0.0.1", fields(most, "10.2.0.1"))?.address == address("10.2.0.1"))
    #expect(client("10.0.0.1", fields(most, ""))?.address == address("10.0.0.1"))
    #expect(client("10.0.0.1", fields(20_000, ""))?.address == address("10.0.0.1"))
}

/// However the part that an attacker wrote is mutated, the element that the trusted proxy appended
/// is the client.
@Test func whatStandsToTheLeftOfATrustedElementChangesNothing() {
    let (random, replay) = FuzzSettings.generator(
        for: "whatStandsToTheLeftOfATrustedElementChangesNothing")
    var mutator = MessageMutator(
        corpus: walks.map { latin1(String($0.fields.dropLast(2))) },
        tokens: [
            "\"", "\\", ",", ";", "for=", "=", "10.2.0.1", "[", "]", ":", "unknown", "_", " ",
        ],
        random: random)
    for _ in 0..<(FuzzSettings.caseCount / 4) {
        let bytes = mutator.next().filter { $0 >= 0x20 && $0 < 0x7F }
        guard let colon = bytes.firstIndex(of: 0x3A) else { continue }
        let left = String(decoding: bytes[(colon + 1)...], as: UTF8.self)
        for (name, element) in [("X-Forwarded-For", "192.0.2.77"), ("Forwarded", "for=192.0.2.77")]
        {
            let found = client("10.0.0.1", "\(name): \(left), \(element)\r\n")
            #expect(found?.address == address("192.0.2.77"), "\(name): \(left): \(replay)")
            // Nor does anything trap or end elsewhere when the walk goes on into it.
            let inside = client("10.0.0.1", "\(name): \(left)\r\n")
            #expect(inside?.isPeerTrusted == true)
        }
    }
}
