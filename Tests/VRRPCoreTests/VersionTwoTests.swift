// SPDX-License-Identifier: Apache-2.0
//
// VRRP version 2 (RFC 3768) in the election: whole seconds, another Skew_Time, no learned interval.

import Testing
import VRRPCore
import WireCore

@Suite("Version 2")
struct VersionTwoTests {
    @Test("RFC 3768 §6.1: Skew_Time is a part of a second, whatever the interval")
    func skewTimeCountsInSeconds() throws {
        let router = try RouterUnderTest.started(interval: .seconds(3), version: .version2)
        #expect(router.deadline == .seconds(9) + us(609_375))
        router.hear(priority: 0, at: .seconds(1))
        #expect(router.deadline == .seconds(1) + us(609_375))
        let current = try RouterUnderTest.started(interval: .seconds(3))
        #expect(current.deadline == .seconds(9) + us(1_828_125))
    }

    @Test("RFC 3768 §7.1: an advert with another interval is discarded and reported")
    func discardsOtherInterval() throws {
        let router = try RouterUnderTest.started(version: .version2)
        let deadline = router.deadline
        let actions = router.hear(priority: 200, centiseconds: 200, at: .seconds(1))
        #expect(actions == actions.filter { if case .report = $0 { true } else { false } })
        #expect(actions.reports == [.intervalDiffers])
        #expect(router.deadline == deadline)
        #expect(router.followedAddress == nil)
        #expect(router.counters.advertisementsDropped == 1)
        #expect(router.counters.advertisementsReceived == 0, "what is dropped is not valid")
        let (active, since) = try RouterUnderTest.active(version: .version2)
        active.hear(priority: 255, centiseconds: 200, at: since + ms(1))
        #expect(active.state == .active)
    }

    @Test("RFC 3768 §6.4.2: an advert with the same interval re-arms")
    func keepsSameInterval() throws {
        let router = try RouterUnderTest.started(version: .version2)
        #expect(router.hear(priority: 200, at: .seconds(1)) == [])
        #expect(router.deadline == .seconds(4) + us(609_375))
        #expect(router.counters.advertisementsDropped == 0)
    }

    @Test(
        "RFC 9568 §7.1, RFC 3768 §7.1: another version is discarded and reported",
        arguments: zip(
            AdvertisementVersion.allCases, AdvertisementVersion.allCases.reversed()))
    func discardsOtherVersion(own: AdvertisementVersion, other: AdvertisementVersion) throws {
        let router = try RouterUnderTest.started(version: own)
        let deadline = router.deadline
        let actions = router.hear(priority: 200, version: other, at: .seconds(1))
        #expect(actions.reports == [.versionDiffers])
        #expect(router.deadline == deadline)
        #expect(router.counters.advertisementsDropped == 1)
        #expect(router.counters.advertisementsReceived == 0, "what is dropped is not valid")
    }

    @Test("The message says version 2 and whole seconds")
    func sendsVersionTwo() throws {
        let router = try RouterUnderTest.started(interval: .seconds(2), version: .version2)
        let advertisement = router.settings.advertisement(priority: 100)
        #expect(advertisement.version == .version2)
        #expect(advertisement.intervalCentiseconds == 200)
    }

    @Test("A late node of version 2 knows the peer's Active_Down_Interval of version 2")
    func silenceLimitIsOfVersionTwo() throws {
        let settings = try RouterUnderTest(
            interval: .seconds(5), peerPriorityMax: 100, version: .version2
        ).settings
        #expect(settings.silenceMax == .seconds(15) + us(609_375))
    }

    @Test("Two routers of version 2 elect as of version 3")
    func electsInVersionTwo() throws {
        let (router, since) = try RouterUnderTest.active(version: .version2)
        #expect(
            router.hear(priority: 50, at: since + ms(1)).effects
                == [.sendAdvertisement(priority: 100)])
        router.hear(priority: 100, from: RouterUnderTest.higherAddress, at: since + ms(2))
        #expect(router.state == .backup)
    }
}

@Suite("Settings of one family and one version")
struct FamilyAndVersionTests {
    private static let ipv4 = IPAddress(10, 77, 0, 100)
    private static let ipv6 = IPAddress.v6(IPv6Address(high: 0xFD00 << 48, low: 1))
    private static let linkLocal = IPAddress.v6(IPv6Address(high: 0xFE80 << 48, low: 1))

    private func settings(
        own: IPAddress = RouterUnderTest.own,
        addresses: [IPAddress] = [ipv4], interval: TimeSpan = .seconds(1),
        version: AdvertisementVersion = .version3
    ) throws(VirtualRouterSettings.Problem) -> VirtualRouterSettings {
        try VirtualRouterSettings(
            virtualRouterID: 51, priority: 100, primaryAddress: own, addresses: addresses,
            advertisementInterval: interval, version: version)
    }

    @Test("RFC 9568 §5.2.9: one router knows one family")
    func refusesMixedFamilies() {
        #expect(throws: VirtualRouterSettings.Problem.mixedFamilies) {
            try settings(addresses: [Self.ipv4, Self.ipv6])
        }
        #expect(throws: VirtualRouterSettings.Problem.primaryAddressFamily) {
            try settings(addresses: [Self.ipv6])
        }
    }

    @Test("RFC 9568 §5.2.3: an IPv6 router is a router of its own")
    func acceptsIPv6() throws {
        let own = try settings(own: Self.linkLocal, addresses: [Self.ipv6])
        #expect(own.family == .ipv6)
        #expect(try settings().family == .ipv4)
    }

    @Test("RFC 3768 §5.3.7, §1: version 2 has whole seconds and IPv4")
    func refusesWhatVersionTwoLacks() {
        #expect(throws: VirtualRouterSettings.Problem.advertisementInterval(got: ms(1500))) {
            try settings(interval: ms(1500), version: .version2)
        }
        #expect(throws: VirtualRouterSettings.Problem.versionNeedsIPv4) {
            try settings(own: Self.linkLocal, addresses: [Self.ipv6], version: .version2)
        }
        #expect(throws: Never.self) { try settings(interval: .seconds(40), version: .version2) }
    }
}
