// SPDX-License-Identifier: Apache-2.0
//
// What implementers of VRRP get wrong, one test per point; the RFC section is in the name.
// Points on IPv6 (neighbour advertisement flags, DAD) have no code here yet.

import Testing
import VRRPCore
import WireCore

@Suite("What implementers get wrong: the state machine")
struct StateMachineMistakes {
    @Test("2, RFC 9568 §6.4.2: Skew_Time and Active_Down_Interval follow the learned interval")
    func recomputesBothTimersFromLearnedInterval() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, centiseconds: 10, at: .zero)
        #expect(router.deadline == .nanoseconds(360_937_500))
        router.hear(priority: 0, centiseconds: 10, at: ms(100))
        // Skew_Time of the learned 100 ms, not of the own second.
        #expect(router.deadline == ms(100) + .nanoseconds(60_937_500))
    }

    @Test("2, RFC 9568 §6.4.2: the interval of a priority-0 advert is not adopted")
    func keepsIntervalOnPriorityZero() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 0, centiseconds: 4095, at: .zero)
        #expect(router.learnedInterval == .seconds(1))
        #expect(router.deadline == us(609_375))
    }

    @Test("2, RFC 9568 §6.4.3: an Active advertises at its own interval, not the learned one")
    func advertisesAtOwnIntervalAfterLearning() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, centiseconds: 10, at: .zero)
        let promotion = try #require(router.deadline)
        router.timer(at: promotion)
        #expect(router.state == .active)
        #expect(router.deadline == promotion + .seconds(1))
        #expect(router.settings.advertisement(priority: 100).intervalCentiseconds == 100)
    }

    @Test("3, RFC 9568 §6.4.3: addresses compare as unsigned numbers, not as text or host order")
    func comparesAddressesAsNumbers() throws {
        // Own address 10.77.0.12. As text "9..." is greater; its bytes reversed are too.
        let (router, since) = try RouterUnderTest.active()
        router.hear(priority: 100, from: IPAddress(9, 255, 255, 255), at: since + ms(1))
        #expect(router.state == .active)
        router.hear(priority: 100, from: IPAddress(10, 9, 0, 200), at: since + ms(2))
        #expect(router.state == .active)
        // Above 2^31 a signed comparison turns over.
        router.hear(priority: 100, from: IPAddress(192, 0, 2, 1), at: since + ms(3))
        #expect(router.state == .backup)
    }

    @Test("4, RFC 9568 §6.4.2: many lower-priority adverts do not put the takeover off")
    func takesOverThroughFloodOfLowerPriority() throws {
        let router = try RouterUnderTest.started(interval: ms(10))
        for time in 0..<360 as Range<UInt64> {
            router.hear(priority: 1, at: us(time * 100))
            #expect(router.deadline == .nanoseconds(36_093_750))
        }
        router.timer(at: .nanoseconds(36_093_750))
        #expect(router.state == .active)
    }

    @Test("5, RFC 9568 §6.4.2: priority 0 does not mean now", arguments: [1, 100, 254] as [UInt8])
    func neverTakesOverBeforeSkewTime(priority: UInt8) throws {
        let router = try RouterUnderTest.started(priority: priority)
        router.hear(priority: 0, at: ms(10))
        let skew = AdvertisementTimers.skewTime(priority: priority, interval: .seconds(1))
        #expect(router.deadline == ms(10) + skew)
        #expect(router.timer(at: ms(10) + skew - .nanoseconds(1)) == [])
        #expect(router.timer(at: ms(10) + skew).effects == .becomingActive(priority: priority))
    }

    @Test("5, RFC 9568 §6.4.2: an advert after priority 0 restores the full interval")
    func followsNextActiveAfterPriorityZero() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 0, at: ms(10))
        router.hear(priority: 150, from: RouterUnderTest.higherAddress, at: ms(20))
        #expect(router.deadline == us(20_000 + 3_609_375))
        let actions = router.timer(at: us(20_000 + 3_609_375))
        #expect(actions.transitions.map(\.cause) == [.activeDownTimerFired])
    }

    @Test("6, RFC 9568 §6.4.3: a healed split is answered with an advert and an announcement")
    func announcesAfterHealedSplit() throws {
        let (router, since) = try RouterUnderTest.active()
        for second in 1...3 as ClosedRange<UInt64> { router.timer(at: since + .seconds(second)) }
        let actions = router.hear(priority: 50, at: since + ms(3500))
        #expect(actions.effects == [.sendAdvertisement(priority: 100), .announceAddresses])
    }

    @Test("6: a flood of lower-priority adverts announces once a second, and once at the end")
    func limitsAnnouncements() throws {
        let (router, since) = try RouterUnderTest.active()
        for second in 1...3 as ClosedRange<UInt64> { router.timer(at: since + .seconds(second)) }
        var announcementTimes: [UInt64] = []
        for time in 3000..<6000 as Range<UInt64> {
            var actions = router.timer(at: since + ms(time))
            if time < 5500 { actions += router.hear(priority: 50, at: since + ms(time)) }
            announcementTimes += actions.filter { $0 == .announceAddresses }.map { _ in time }
            // Answered at once, but no more often than every 10 ms.
            let isAnswered = actions.contains(.sendAdvertisement(priority: 100))
            #expect(isAnswered || time >= 5500 || time % 10 != 0)
        }
        #expect(announcementTimes == [3000, 4000, 5000])
        // The last lower-priority advert came at 5499: one announcement follows it.
        #expect(router.deadline == since + .seconds(6))
        #expect(router.timer(at: since + .seconds(6)).contains(.announceAddresses))
        #expect(!router.timer(at: since + .seconds(7)).contains(.announceAddresses))
    }

    @Test("6: who loses the split makes the winner announce as well")
    func loserOfSplitShowsItself() throws {
        let (loser, since) = try RouterUnderTest.active()
        let parting = loser.hear(priority: 200, at: since + ms(700)).effects
        #expect(
            parting == [.releaseAddresses(lingering: false), .sendAdvertisement(priority: 100)])
        let (winner, winnerSince) = try RouterUnderTest.active(priority: 200)
        winner.timer(at: winnerSince + .seconds(1))
        #expect(
            winner.hear(priority: 100, at: winnerSince + ms(1700)).effects
                == [.sendAdvertisement(priority: 200), .announceAddresses])
    }

    @Test("9, RFC 9568 §6.1: Accept_Mode is true and no setting turns it off")
    func acceptsPacketsToVirtualAddresses() throws {
        // The claim is an ordinary address of the host: no action filters it.
        let (router, since) = try RouterUnderTest.active()
        #expect(router.state == .active)
        #expect(router.timer(at: since + .seconds(1)) == [.sendAdvertisement(priority: 100)])
    }

    @Test("11, RFC 9568 §8.1.2: nothing is announced before the addresses are configured")
    func claimsBeforeAnnouncing() throws {
        let owner = try RouterUnderTest(priority: 255)
        let takeover = try RouterUnderTest.started()
        let proof = try RouterUnderTest.started()
        for actions in [
            owner.startup(at: .zero), takeover.timer(at: .seconds(4)),
            proof.provePeerDeath(at: ms(1)),
        ] {
            let claim = try #require(actions.firstIndex(of: .claimAddresses))
            let announcement = try #require(actions.firstIndex(of: .announceAddresses))
            #expect(claim < announcement)
        }
    }

    @Test("RFC 9568 §8.1.2: a Backup at boot announces nothing")
    func backupAnnouncesNothingAtBoot() throws {
        let router = try RouterUnderTest(priority: 100)
        #expect(router.startup(at: .zero).effects == [])
        #expect(router.counters.announcements == 0)
    }
}

@Suite("What implementers get wrong: the codec")
struct CodecMistakes {
    @Test("1, RFC 9568 §5.2.8: the two checksum forms differ and both are understood")
    func tellsChecksumFormsApart() throws {
        let current = PacketBuilder(checksum: .rfc9568)
        let older = PacketBuilder(checksum: .rfc5798)
        #expect(current.message[6...7] != older.message[6...7])
        #expect(try current.decoded().checksumForm == .rfc9568)
        #expect(try older.decoded().checksumForm == .rfc5798)
    }

    @Test("1: a peer with the other checksum form is counted per form and reported")
    func reportsOtherChecksumForm() throws {
        let router = try RouterUnderTest.started()
        let first = router.hear(priority: 200, checksumForm: .rfc5798, at: ms(1))
        #expect(first.reports == [.checksumFormDiffers])
        #expect(router.hear(priority: 200, checksumForm: .rfc9568, at: ms(2)).reports == [])
        #expect(router.counters.rfc5798ChecksumsReceived == 1)
        #expect(router.counters.rfc9568ChecksumsReceived == 1)
        #expect(router.counters.count(of: .checksumFormDiffers) == 1)
        let older = try RouterUnderTest(checksumForm: .rfc5798)
        older.startup(at: .zero)
        #expect(older.hear(priority: 200, checksumForm: .rfc5798, at: ms(1)).reports == [])
    }

    @Test(
        "7, RFC 9568 §5.2.6: the reserve nibble is masked when received and 0 when sent",
        arguments: [0x00, 0x10, 0x80, 0xF0] as [UInt8])
    func masksReserve(reserve: UInt8) throws {
        var advertisement = Advertisement.sample
        advertisement.intervalCentiseconds = 0x0ABC
        var packet = PacketBuilder(advertisement)
        #expect(packet.message[4] == 0x0A)
        packet.setMessageByte(4, to: reserve | 0x0A)
        #expect(try packet.decoded().advertisement.intervalCentiseconds == 0x0ABC)
    }

    @Test("7, RFC 9568 §5.2.7: the interval has twelve bits, not eight")
    func readsTwelveBitInterval() throws {
        var advertisement = Advertisement.sample
        advertisement.intervalCentiseconds = 256
        let received = try PacketBuilder(advertisement).decoded()
        #expect(received.advertisement.interval == ms(2560))
    }

    @Test(
        "8, RFC 791 §3.1: IPv4 options lengthen the header: IHL decides",
        arguments: [0, 4, 8, 12, 40])
    func honoursHeaderLength(optionByteCount: Int) throws {
        for form in ChecksumForm.allCases {
            var packet = PacketBuilder(checksum: form)
            // 94 04 00 00 is Router Alert (RFC 2113).
            let routerAlert: [UInt8] = [0x94, 0x04, 0x00, 0x00]
            packet.options = (0..<optionByteCount).map { routerAlert[$0 % 4] }
            let received = try packet.decoded()
            #expect(received.advertisement == .sample)
            #expect(received.checksumForm == form)
        }
    }

    @Test(
        "10, RFC 9568 §7.1: bytes after the addresses are refused, whatever they are",
        arguments: [1, 4, 8, 28])
    func refusesTrailingBytes(byteCount: Int) {
        // 8: a version 2 authentication block; 28: keepalived's HMAC trailer.
        var packet = PacketBuilder()
        packet.message += [UInt8](repeating: 0, count: byteCount)
        packet.fixChecksum()
        #expect(
            throws: AdvertisementError(.messageLength, got: 12 + byteCount, wanted: 12)
        ) { try packet.decoded() }
    }

    @Test("10: Ethernet padding beyond the IP total length is not part of the packet")
    func ignoresEthernetPadding() throws {
        var packet = PacketBuilder()
        packet.padding = [UInt8](repeating: 0xA5, count: 46 - 32)
        #expect(packet.bytes.count == 46)
        #expect(try packet.decoded().advertisement == .sample)
    }

    @Test("RFC 9568 §8.4: a version 2 advert is refused by its version, not taken apart")
    func refusesVersionTwo() {
        var packet = PacketBuilder()
        // VRRPv2: auth type 0, interval 1 s, checksum, address, eight bytes of authentication.
        packet.message = hex("21 33 64 01 00 01 00 00 0a 4d 00 64 00 00 00 00 00 00 00 00")
        packet.fixChecksum()
        #expect(throws: AdvertisementError(.version, got: 2, wanted: 3)) {
            try packet.decoded()
        }
    }
}

@Suite("Errata of RFC 9568")
struct ErrataTests {
    @Test("Errata 7947 and 7949, §6.4.1, §6.4.2: the announcement names the virtual address")
    func announcesVirtualAddress() {
        let mac = HardwareAddress.virtualRouter(id: 51)
        let frame = GratuitousARP.frame(mac: mac, address: IPv4Address(10, 77, 0, 100))
        #expect(Array(frame[28..<32]) == [10, 77, 0, 100], "sender")
        #expect(Array(frame[38..<42]) == [10, 77, 0, 100], "target")
        #expect(Array(frame[32..<38]) == mac.bytes, "target link-layer address")
    }

    @Test("Erratum 8298, §7.1: an owner keeps adverts, so that two owners resolve")
    func ownerHearsOtherOwner() throws {
        let (router, _) = try RouterUnderTest.active(priority: 255)
        let lower = router.hear(priority: 255, at: ms(10))
        #expect(lower.effects == [.sendAdvertisement(priority: 255)])
        #expect(lower.reports.contains(.heardAsOwner))
        #expect(lower.reports.contains(.secondOwner))
        router.hear(priority: 255, from: RouterUnderTest.higherAddress, at: ms(20))
        #expect(router.state == .backup)
    }

    @Test("Erratum 8298, §7.1: a foreign VRID is still refused")
    func routerIgnoresForeignAdvert() throws {
        let router = try RouterUnderTest.started()
        #expect(router.hear(priority: 0, virtualRouterID: 52, at: ms(1)) == [])
        #expect(router.deadline == us(3_609_375))
        #expect(router.counters.foreignAdvertisements == 1)
        #expect(router.counters.advertisementsReceived == 0)
    }

    @Test("Erratum 8299, §7.1: an address count of 0 is a receive failure")
    func refusesAddressCountZero() {
        var packet = PacketBuilder()
        packet.message.removeLast(4)
        packet.setMessageByte(3, to: 0)
        #expect(throws: AdvertisementError(.addressCount, got: 0, wanted: 1)) {
            try packet.decoded()
        }
    }

    @Test("Erratum 8300, §7.1: an IPv6 carrier, with its link-local rule, is not taken for IPv4")
    func refusesIPv6Carrier() {
        var packet = hex("60 00 00 00 00 18 70 ff")  // IPv6, 24 bytes, next header 112, hops 255
        packet += hex("fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 01")
        packet += hex("ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 12")
        packet += hex("31 33 c8 01 00 01 00 00")
        packet += hex("fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 64")
        #expect(throws: AdvertisementError(.ipVersion, got: 6, wanted: 4)) {
            try decode(packet)
        }
    }

    @Test(
        "Erratum 8301, §6.1 and §7.1: a zero interval is refused, whatever the reserve bits",
        arguments: [0x00, 0x10, 0xF0] as [UInt8])
    func refusesZeroInterval(reserve: UInt8) {
        var packet = PacketBuilder()
        packet.setMessageByte(5, to: 0)
        packet.setMessageByte(4, to: reserve)
        #expect(throws: AdvertisementError(.interval, got: 0, wanted: 1)) {
            try packet.decoded()
        }
    }
}
