// SPDX-License-Identifier: Apache-2.0
//
// Advertisements on the way out: bytes computed by hand elsewhere, and bounds.

import Testing
import VRRPCore
import WireCore

@Suite("Advertisement encoding")
struct AdvertisementTests {
    let source = IPAddress(10, 77, 0, 11)

    @Test("RFC 9568 §5.2.8: the IPv4 checksum covers the message alone")
    func encodesWithoutPseudoHeaderByDefaultForm() {
        let bytes = Advertisement.sample.encoded(
            checksum: .rfc9568, source: source, destination: Advertisement.multicastGroup)
        #expect(
            bytes
                == hex("31")  // version 3, type 1
                + hex("33")  // VRID 51
                + hex("c8")  // priority 200
                + hex("01")  // one address
                + hex("00 01")  // reserve 0, interval 1 cs
                + hex("fc 18")  // checksum
                + hex("0a 4d 00 64"))  // 10.77.0.100
    }

    @Test("RFC 5798 §5.2.8: the older form covers a pseudo-header as well")
    func encodesWithPseudoHeaderWhenAsked() {
        let bytes = Advertisement.sample.encoded(
            checksum: .rfc5798, source: source, destination: Advertisement.multicastGroup)
        #expect(bytes == hex("31 33 c8 01 00 01") + hex("11 32") + hex("0a 4d 00 64"))
    }

    @Test("The pseudo-header of a unicast advert has the real destination")
    func usesUnicastDestinationInPseudoHeader() {
        let peer = IPAddress(10, 77, 0, 12)
        let older = Advertisement.sample.encoded(
            checksum: .rfc5798, source: source, destination: peer)
        #expect(older == hex("31 33 c8 01 00 01") + hex("e6 eb") + hex("0a 4d 00 64"))
        let current = Advertisement.sample.encoded(
            checksum: .rfc9568, source: source, destination: peer)
        #expect(current == hex("31 33 c8 01 00 01") + hex("fc 18") + hex("0a 4d 00 64"))
    }

    @Test("RFC 9568 §5.2: three addresses at the longest interval")
    func encodesSeveralAddresses() {
        let advertisement = Advertisement(
            virtualRouterID: 255, priority: 254, intervalCentiseconds: 4095,
            addresses: (1...3).map { IPAddress(192, 0, 2, $0) })
        let bytes = advertisement.encoded(
            checksum: .rfc9568, source: source, destination: Advertisement.multicastGroup)
        #expect(
            bytes
                == hex("31 ff fe 03")  // VRID 255, priority 254, three addresses
                + hex("0f ff")  // reserve 0, interval 4095 cs
                + hex("79 f5")  // checksum
                + hex("c0 00 02 01  c0 00 02 02  c0 00 02 03"))
    }

    @Test("RFC 9568 §5.2.4: priority 0 says that the Active gives up")
    func encodesPriorityZero() {
        let advertisement = Advertisement(
            virtualRouterID: 1, priority: 0, intervalCentiseconds: 100,
            addresses: [IPAddress(10, 0, 0, 1)])
        let bytes = advertisement.encoded(
            checksum: .rfc9568, source: IPAddress(10, 0, 0, 2),
            destination: Advertisement.multicastGroup)
        #expect(bytes == hex("31 01 00 01 00 64 c4 98 0a 00 00 01"))
    }

    @Test(
        "RFC 9568 §5.2.7: intervals from 10 ms to 40.95 s survive the wire",
        arguments: [1, 2, 10, 100, 255, 256, 1000, 4094, 4095] as [UInt16])
    func carriesEveryInterval(centiseconds: UInt16) throws {
        var advertisement = Advertisement.sample
        advertisement.intervalCentiseconds = centiseconds
        let received = try PacketBuilder(advertisement).decoded()
        #expect(received.advertisement == advertisement)
        #expect(received.advertisement.interval == .milliseconds(UInt64(centiseconds) * 10))
    }

    @Test("Random advertisements come back as they were, in both checksum forms")
    func roundTrips() throws {
        var random = SeededGenerator(seed: 9568)
        for _ in 0..<500 {
            let count = Int.random(in: 1...255, using: &random)
            let advertisement = Advertisement(
                virtualRouterID: 51, priority: .random(in: 0...255, using: &random),
                intervalCentiseconds: .random(in: 1...4095, using: &random),
                addresses: (0..<count).map { _ in
                    IPAddress.v4(IPv4Address(rawValue: .random(in: 0...UInt32.max, using: &random)))
                })
            for form in ChecksumForm.allCases {
                let received = try PacketBuilder(advertisement, checksum: form).decoded()
                #expect(received.advertisement == advertisement)
                #expect(received.checksumForm == form)
            }
        }
    }
}

@Suite("Gratuitous ARP")
struct GratuitousARPTests {
    @Test("RFC 9568 §6.4.2 with errata 7947, 7949: sender and target are the virtual address")
    func encodesBroadcastRequest() throws {
        let mac = try #require(HardwareAddress(bytes: [0x02, 0x42, 0xAC, 0x11, 0x00, 0x02]))
        let frame = GratuitousARP.frame(mac: mac, address: IPv4Address(10, 77, 0, 100))
        #expect(
            frame
                == hex("ff ff ff ff ff ff")  // to everyone
                + hex("02 42 ac 11 00 02")  // from the interface
                + hex("08 06")  // ARP
                + hex("00 01  08 00  06 04")  // Ethernet, IPv4, sizes 6 and 4
                + hex("00 01")  // request
                + hex("02 42 ac 11 00 02")  // sender hardware address
                + hex("0a 4d 00 64")  // sender address: the virtual one
                + hex("02 42 ac 11 00 02")  // target hardware address: the announced one
                + hex("0a 4d 00 64"))  // target address: the virtual one
        #expect(frame.count == GratuitousARP.frameByteCount)
    }

    @Test("RFC 9568 §7.3: the virtual router MAC address ends in the VRID")
    func knowsVirtualRouterMAC() {
        #expect(HardwareAddress.virtualRouter(id: 51).description == "00:00:5e:00:01:33")
        #expect(HardwareAddress.virtualRouter(id: 51).bytes == hex("00 00 5e 00 01 33"))
    }

    @Test("A hardware address has six bytes and no others", arguments: [0, 5, 7, 20])
    func refusesOtherSizes(count: Int) {
        #expect(HardwareAddress(bytes: [UInt8](repeating: 1, count: count)) == nil)
        #expect(HardwareAddress.broadcast.bytes == [UInt8](repeating: 0xFF, count: 6))
    }
}
