// SPDX-License-Identifier: Apache-2.0
//
// Addresses and endpoints as text: what is accepted, what is refused, what is written.

import Testing
import WireCore

@Suite struct IPv4AddressTests {
    @Test(arguments: [
        ("0.0.0.0", UInt32(0)),
        ("127.0.0.1", 0x7F00_0001),
        ("10.77.0.100", 0x0A4D_0064),
        ("255.255.255.255", 0xFFFF_FFFF),
        ("1.20.100.9", 0x0114_6409),
    ])
    func dottedDecimalIsReadAndWritten(text: String, number: UInt32) {
        let address = IPv4Address(text)
        #expect(address?.rawValue == number)
        #expect(address?.description == text)
    }

    /// Leading zeros are refused: some readers take them for octal, so two programs could
    /// disagree about who is meant.
    @Test(arguments: [
        "", ".", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "256.0.0.1",
        "1.2.3.256", "01.2.3.4", "1.2.3.00", "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4", "1.2.3.+4",
        "1.2.3.a", "0x7f.0.0.1", "1.2.3.1000", "1.2.3.4/8", "１.2.3.4", "999999999999.1.1.1",
    ])
    func anythingElseIsRefused(text: String) {
        #expect(IPv4Address(text) == nil)
    }

    @Test func bytesAndNumberAgree() {
        let address = IPv4Address(10, 77, 0, 100)
        #expect(address.rawValue == 0x0A4D_0064)
        #expect(address.octets == (10, 77, 0, 100))
        #expect(IPv4Address.loopback.description == "127.0.0.1")
    }

    @Test(arguments: [
        ("224.0.0.18", true), ("239.255.255.255", true), ("223.255.255.255", false),
        ("240.0.0.0", false), ("10.0.0.1", false),
    ])
    func multicastIsTheFourthQuarterOfClassD(text: String, isMulticast: Bool) {
        #expect(IPv4Address(text)?.isMulticast == isMulticast)
    }
}

@Suite struct IPv6AddressTests {
    /// RFC 5952 §4 with its own examples, then the limits of the form.
    @Test(arguments: [
        // §4.1: leading zeros are left out.
        ("2001:0db8::0001", "2001:db8::1"),
        ("2001:db8::0", "2001:db8::"),
        // §4.2.1: the run is shortened to its full length.
        ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
        // §4.2.2: one group of zeros is not shortened.
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        // §4.2.3: the longest run, and of equals the first.
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        // §4.3: lower case.
        ("2001:DB8:AAAA::CCCC", "2001:db8:aaaa::cccc"),
        ("0:0:0:0:0:0:0:0", "::"),
        ("::", "::"),
        ("::1", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("1::", "1::"),
        ("1:0:0:0:0:0:0:0", "1::"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fe80::1:0:0:0", "fe80::1:0:0:0"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ])
    func textIsWrittenInTheRecommendedForm(text: String, canonical: String) {
        let address = IPv6Address(text)
        #expect(address?.description == canonical)
        #expect(IPv6Address(canonical) == address)
    }

    @Test(arguments: [
        "", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::1",
        "1:2:3:4:5:6:7:", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
        "fe80::1%eth0", "::ffff:10.0.0.1", "::1 ", " ::1", "[::1]", "::-1", "::+1", "0x1::",
        "١::",
    ])
    func anythingElseIsRefused(text: String) {
        #expect(IPv6Address(text) == nil)
    }

    @Test func halvesHoldTheGroupsInOrder() {
        let address = IPv6Address("2001:db8:1:2:3:4:5:6")
        #expect(address?.high == 0x2001_0DB8_0001_0002)
        #expect(address?.low == 0x0003_0004_0005_0006)
        #expect(IPv6Address.loopback.description == "::1")
        #expect(IPv6Address.any.description == "::")
    }

    @Test func randomAddressesSurviveTheWayThroughText() {
        var generator = SeededGenerator(seed: 42)
        for _ in 0..<2_000 {
            // Masks make runs of zeros likely.
            let high = generator.next() & generator.next() & generator.next()
            let low = generator.next() & generator.next() & generator.next()
            let address = IPv6Address(high: high, low: low)
            #expect(IPv6Address(address.description) == address)
        }
    }
}

@Suite struct IPAddressTests {
    @Test func eitherFamilyIsRead() {
        #expect(IPAddress("10.0.0.1") == .v4(IPv4Address(10, 0, 0, 1)))
        #expect(IPAddress("::1") == .v6(.loopback))
        #expect(IPAddress("[::1]") == nil)
        #expect(IPAddress("localhost") == nil)
        #expect(IPAddress("10.0.0.1")?.description == "10.0.0.1")
        #expect(IPAddress("0:0::1")?.description == "::1")
    }

    @Test(arguments: [("0.0.0.0", true), ("::", true), ("0.0.0.1", false), ("::1", false)])
    func onlyTheUnspecifiedAddressIsAny(text: String, isAny: Bool) {
        #expect(IPAddress(text)?.isAny == isAny)
    }
}

@Suite struct EndpointTests {
    @Test(arguments: [
        ("10.0.0.1:80", "10.0.0.1", UInt16(80)),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[::1]:443", "::1", 443),
        ("[2001:db8::2:1]:65535", "2001:db8::2:1", 65_535),
    ])
    func addressAndPortAreReadAndWritten(text: String, address: String, port: UInt16) {
        let endpoint = Endpoint(text)
        #expect(endpoint?.address == IPAddress(address))
        #expect(endpoint?.port == port)
        #expect(endpoint?.description == text)
    }

    @Test(arguments: [
        "", ":", "80", ":80", "10.0.0.1", "10.0.0.1:", "10.0.0.1:65536", "10.0.0.1:-1",
        "10.0.0.1:+80", "10.0.0.1:8o", "10.0.0.1: 80", "::1:80", "[::1]", "[::1]:", "[::1]80",
        "[10.0.0.1]:80", "[::1:80", "::1]:80", "[]:80", "[fe80::1%2]:80", "localhost:80",
        "10.0.0.1:99999999999999999999",
    ])
    func anythingElseIsRefused(text: String) {
        #expect(Endpoint(text) == nil)
    }
}
