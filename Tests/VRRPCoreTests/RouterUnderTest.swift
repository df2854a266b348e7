// SPDX-License-Identifier: Apache-2.0
//
// One virtual router in virtual time, with the words that the state table uses.

import Testing
import VRRPCore
import WireCore

/// A router that tests drive; times are given since the start of the test.
final class RouterUnderTest {
    private var machine: VirtualRouterStateMachine

    static let own = IPAddress(10, 77, 0, 12)
    static let lowerAddress = IPAddress(10, 77, 0, 11)
    static let higherAddress = IPAddress(10, 77, 0, 13)
    static let virtualAddress = IPAddress(10, 77, 0, 100)
    private static let epoch = Instant(nanoseconds: 1_000_000_000_000)

    init(
        priority: UInt8 = 100, interval: TimeSpan = .seconds(1), preempts: Bool = true,
        preemptDelay: TimeSpan = .zero, checksumForm: ChecksumForm = .rfc9568,
        addresses: [IPAddress] = [virtualAddress], peerPriorityMax: UInt8 = 254,
        addressLease: TimeSpan = .seconds(2)
    ) throws {
        machine = VirtualRouterStateMachine(
            settings: try VirtualRouterSettings(
                virtualRouterID: 51, priority: priority, primaryAddress: Self.own,
                addresses: addresses, advertisementInterval: interval, preempts: preempts,
                preemptDelay: preemptDelay, checksumForm: checksumForm,
                peerPriorityMax: peerPriorityMax, addressLease: addressLease))
    }

    /// A router that went through startup at 0, in Backup unless it is the owner.
    static func started(
        priority: UInt8 = 100, interval: TimeSpan = .seconds(1), preempts: Bool = true,
        preemptDelay: TimeSpan = .zero
    ) throws -> RouterUnderTest {
        let router = try RouterUnderTest(
            priority: priority, interval: interval, preempts: preempts,
            preemptDelay: preemptDelay)
        router.startup(at: .zero)
        return router
    }

    /// A router that heard nobody after startup; it became Active at the time returned.
    static func active(
        priority: UInt8 = 100, interval: TimeSpan = .seconds(1), preempts: Bool = true
    ) throws -> (RouterUnderTest, since: TimeSpan) {
        let router = try started(priority: priority, interval: interval, preempts: preempts)
        if router.state == .active { return (router, .zero) }
        let deadline = try #require(router.deadline)
        router.timer(at: deadline)
        try #require(router.state == .active)
        return (router, deadline)
    }

    var state: VirtualRouterState { machine.state }
    var counters: VirtualRouterCounters { machine.counters }
    var learnedInterval: TimeSpan { machine.activeAdvertisementInterval }
    var followedAddress: IPAddress? { machine.followedAddress }
    var settings: VirtualRouterSettings { machine.settings }

    /// When the timer is due, since the start of the test.
    var deadline: TimeSpan? {
        machine.nextDeadline.map { $0 - Self.epoch }
    }

    @discardableResult
    func startup(at time: TimeSpan) -> [VirtualRouterAction] {
        perform { machine.startupRequested(now: Self.epoch + time, into: &$0) }
    }

    @discardableResult
    func shutdown(at time: TimeSpan) -> [VirtualRouterAction] {
        perform { machine.shutdownRequested(now: Self.epoch + time, into: &$0) }
    }

    @discardableResult
    func timer(at time: TimeSpan) -> [VirtualRouterAction] {
        perform { machine.timerFired(now: Self.epoch + time, into: &$0) }
    }

    @discardableResult
    func hear(
        priority: UInt8, from source: IPAddress = lowerAddress, centiseconds: UInt16? = nil,
        addresses: [IPAddress]? = nil, checksumForm: ChecksumForm = .rfc9568,
        virtualRouterID: UInt8 = 51, at time: TimeSpan
    ) -> [VirtualRouterAction] {
        let advertisement = Advertisement(
            virtualRouterID: virtualRouterID, priority: priority,
            intervalCentiseconds: centiseconds
                ?? machine.settings.advertisementIntervalCentiseconds,
            addresses: addresses ?? machine.settings.addresses)
        let received = ReceivedAdvertisement(
            advertisement: advertisement, source: source,
            destination: Advertisement.multicastGroup, checksumForm: checksumForm)
        return perform {
            machine.advertisementReceived(received, now: Self.epoch + time, into: &$0)
        }
    }

    @discardableResult
    func provePeerDeath(
        of address: IPAddress = lowerAddress, at time: TimeSpan
    ) -> [VirtualRouterAction] {
        perform {
            machine.peerDeathProven(address: address, now: Self.epoch + time, into: &$0)
        }
    }

    @discardableResult
    func handOver(
        from address: IPAddress = lowerAddress, at time: TimeSpan
    ) -> [VirtualRouterAction] {
        perform {
            machine.peerHandedOver(address: address, now: Self.epoch + time, into: &$0)
        }
    }

    @discardableResult
    func switchover(at time: TimeSpan) -> [VirtualRouterAction] {
        perform { machine.switchoverRequested(now: Self.epoch + time, into: &$0) }
    }

    @discardableResult
    func fault(at time: TimeSpan) -> [VirtualRouterAction] {
        perform { machine.localFaultDetected(now: Self.epoch + time, into: &$0) }
    }

    @discardableResult
    func recover(at time: TimeSpan) -> [VirtualRouterAction] {
        perform { machine.localFaultCleared(now: Self.epoch + time, into: &$0) }
    }

    private func perform(
        _ event: (inout [VirtualRouterAction]) -> Void
    ) -> [VirtualRouterAction] {
        var actions: [VirtualRouterAction] = []
        event(&actions)
        return actions
    }
}

extension [VirtualRouterAction] {
    /// What reaches the network or the kernel: without records and reports.
    var effects: [VirtualRouterAction] {
        filter { action in
            switch action {
            case .claimAddresses, .releaseAddresses, .sendAdvertisement, .announceAddresses: true
            case .recordTransition, .report, .reportSplit, .readyToClaim, .noLongerReady: false
            }
        }
    }

    /// The transitions recorded.
    var transitions: [VirtualRouterTransition] {
        compactMap { action in
            if case .recordTransition(let transition) = action { transition } else { nil }
        }
    }

    /// The kinds reported.
    var reports: [VirtualRouterNotice.Kind] {
        compactMap { action in
            if case .report(let notice, suppressedCount: _) = action { notice.kind } else { nil }
        }
    }

    /// What becoming Active consists of, in order.
    static func becomingActive(priority: UInt8) -> [VirtualRouterAction] {
        [.claimAddresses, .sendAdvertisement(priority: priority), .announceAddresses]
    }

    /// What giving up consists of, in order.
    static let givingUp: [VirtualRouterAction] = [
        .releaseAddresses(lingering: false), .sendAdvertisement(priority: 0),
    ]
}

/// Milliseconds as a short word for tables of times.
func ms(_ count: UInt64) -> TimeSpan { .milliseconds(count) }

/// Microseconds as a short word for tables of times.
func us(_ count: UInt64) -> TimeSpan { .microseconds(count) }
