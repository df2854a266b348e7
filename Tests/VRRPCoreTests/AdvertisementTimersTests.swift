// SPDX-License-Identifier: Apache-2.0
//
// The timer formulas of RFC 9568 §6.1 against a table worked out by hand.

import Testing
import VRRPCore
import WireCore

@Suite("Timers")
struct AdvertisementTimersTests {
    struct Row: CustomTestStringConvertible, Sendable {
        var priority: UInt8
        var centiseconds: UInt64
        var skewNanoseconds: UInt64
        var downNanoseconds: UInt64

        var testDescription: String { "priority \(priority), \(centiseconds) cs" }
    }

    static let table = [
        Row(
            priority: 100, centiseconds: 100, skewNanoseconds: 609_375_000,
            downNanoseconds: 3_609_375_000),
        Row(
            priority: 200, centiseconds: 100, skewNanoseconds: 218_750_000,
            downNanoseconds: 3_218_750_000),
        Row(
            priority: 254, centiseconds: 100, skewNanoseconds: 7_812_500,
            downNanoseconds: 3_007_812_500),
        Row(
            priority: 1, centiseconds: 100, skewNanoseconds: 996_093_750,
            downNanoseconds: 3_996_093_750),
        Row(
            priority: 100, centiseconds: 10, skewNanoseconds: 60_937_500,
            downNanoseconds: 360_937_500),
        Row(
            priority: 254, centiseconds: 10, skewNanoseconds: 781_250,
            downNanoseconds: 300_781_250),
        Row(
            priority: 100, centiseconds: 1, skewNanoseconds: 6_093_750,
            downNanoseconds: 36_093_750),
        Row(
            priority: 254, centiseconds: 1, skewNanoseconds: 78_125,
            downNanoseconds: 30_078_125),
        Row(
            priority: 100, centiseconds: 4095, skewNanoseconds: 24_953_906_250,
            downNanoseconds: 147_803_906_250),
        Row(
            priority: 255, centiseconds: 1, skewNanoseconds: 39_062,
            downNanoseconds: 30_039_062),
    ]

    @Test("RFC 9568 §6.1: Skew_Time and Active_Down_Interval", arguments: table)
    func followTheFormulas(row: Row) {
        let interval = TimeSpan.milliseconds(row.centiseconds * 10)
        #expect(
            AdvertisementTimers.skewTime(priority: row.priority, interval: interval)
                == .nanoseconds(row.skewNanoseconds))
        #expect(
            AdvertisementTimers.activeDownInterval(priority: row.priority, interval: interval)
                == .nanoseconds(row.downNanoseconds))
    }

    @Test("RFC 9568 §6.1: every two priorities differ even at 10 ms (no whole centiseconds)")
    func neverCollapse() {
        let skews = (UInt8.min...UInt8.max).map {
            AdvertisementTimers.skewTime(priority: $0, interval: .milliseconds(10))
        }
        for (higher, lower) in zip(skews.dropFirst(), skews) {
            #expect(higher < lower)
        }
        #expect(skews[255] > .zero)
    }
}

@Suite("Settings")
struct VirtualRouterSettingsTests {
    private func problem(
        id: UInt8 = 51, priority: UInt8 = 100, addressCount: Int = 1,
        interval: TimeSpan = .seconds(1)
    ) -> VirtualRouterSettings.Problem? {
        do {
            _ = try VirtualRouterSettings(
                virtualRouterID: id, priority: priority, primaryAddress: .v4(.loopback),
                addresses: [IPAddress](repeating: .v4(.any), count: addressCount),
                advertisementInterval: interval)
            return nil
        } catch {
            return error
        }
    }

    @Test("RFC 9568 §5.2.3: VRID 0 is refused")
    func refusesVirtualRouterZero() {
        #expect(problem(id: 0) == .virtualRouterIDIsZero)
        #expect(problem(id: 1) == nil)
        #expect(problem(id: 255) == nil)
    }

    @Test("RFC 9568 §5.2.4: priority 0 cannot be configured")
    func refusesPriorityZero() {
        #expect(problem(priority: 0) == .priorityIsZero)
        #expect(problem(priority: 1) == nil)
        #expect(problem(priority: 255) == nil)
    }

    @Test("RFC 9568 §5.2.5: 1 to 255 addresses")
    func boundsAddressCount() {
        #expect(problem(addressCount: 0) == .addressCount(got: 0))
        #expect(problem(addressCount: 1) == nil)
        #expect(problem(addressCount: 255) == nil)
        #expect(problem(addressCount: 256) == .addressCount(got: 256))
    }

    @Test(
        "RFC 9568 §6.1 with erratum 8301: 10 ms to 40.95 s in whole centiseconds",
        arguments: [
            (TimeSpan.milliseconds(10), true), (.milliseconds(20), true),
            (.milliseconds(40_950), true), (.zero, false), (.milliseconds(9), false),
            (.milliseconds(15), false), (.milliseconds(40_960), false),
            (TimeSpan(nanoseconds: .max), false),
        ])
    func boundsInterval(interval: TimeSpan, isAllowed: Bool) {
        #expect(
            problem(interval: interval)
                == (isAllowed ? nil : .advertisementInterval(got: interval)))
    }

    @Test("Periodic announcements come at most once a second", arguments: [0, 1, 999, 1_000])
    func boundsAnnouncementInterval(milliseconds: UInt64) throws {
        let settings = try VirtualRouterSettings(
            virtualRouterID: 51, priority: 200, primaryAddress: .v4(.loopback),
            addresses: [.v4(.any)],
            announcementInterval: .milliseconds(milliseconds))
        #expect(settings.announcementInterval == .seconds(1))
    }

    @Test("An Active gives up when the best peer has certainly replaced it")
    func knowsLongestSilence() throws {
        let settings = try VirtualRouterSettings(
            virtualRouterID: 51, priority: 200, primaryAddress: .v4(.loopback),
            addresses: [.v4(.any)],
            advertisementInterval: .milliseconds(10), peerPriorityMax: 100)
        #expect(settings.silenceMax == .nanoseconds(36_093_750))
    }
}
