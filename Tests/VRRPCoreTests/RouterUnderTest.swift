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
    static let stranger = HardwareAddress(rawValue: 0x0200_0000_0001)
    private static let epoch = Instant(nanoseconds: 1_000_000_000_000)

    init(
        priority: UInt8 = 100, interval: TimeSpan = .seconds(1), preempts: Bool = true,
        preemptDelay: TimeSpan = .zero, checksumForm: ChecksumForm = .rfc9568,
        addresses: [IPAddress] = [virtualAddress], peerPriorityMax: UInt8 = 254,
        addressLease: TimeSpan = .seconds(2), silenceRule: SilenceRule = .adverts,
        version: AdvertisementVersion = .version3, isGrouped: Bool = false,
        decidesForGroup: Bool = true, own: IPAddress = own,
        startupSilence: TimeSpan = .zero
    ) throws {
        machine = VirtualRouterStateMachine(
            settings: try VirtualRouterSettings(
                virtualRouterID: 51, priority: priority, primaryAddress: own,
                addresses: addresses, advertisementInterval: interval, preempts: preempts,
                preemptDelay: preemptDelay, startupSilence: startupSilence,
                checksumForm: checksumForm,
                peerPriorityMax: peerPriorityMax, addressLease: addressLease,
                silenceRule: silenceRule, version: version, isGrouped: isGrouped,
                decidesForGroup: decidesForGroup))
    }

    /// A router that went through startup at 0, in Backup unless it is the owner.
    static func started(
        priority: UInt8 = 100, interval: TimeSpan = .seconds(1), preempts: Bool = true,
        preemptDelay: TimeSpan = .zero, silenceRule: SilenceRule = .adverts,
        version: AdvertisementVersion = .version3, isGrouped: Bool = false
    ) throws -> RouterUnderTest {
        let router = try RouterUnderTest(
            priority: priority, interval: interval, preempts: preempts,
            preemptDelay: preemptDelay, silenceRule: silenceRule, version: version,
            isGrouped: isGrouped)
        router.startup(at: .zero)
        return router
    }

    /// A router that heard nobody after startup; it became Active at the time returned.
    static func active(
        priority: UInt8 = 100, interval: TimeSpan = .seconds(1), preempts: Bool = true,
        silenceRule: SilenceRule = .adverts, version: AdvertisementVersion = .version3
    ) throws -> (RouterUnderTest, since: TimeSpan) {
        let router = try started(
            priority: priority, interval: interval, preempts: preempts,
            silenceRule: silenceRule, version: version)
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

    var priority: UInt8 { machine.priority }
    var holds: [HeldClaim] { machine.holds }
    var isHeldBack: Bool { machine.takeoverHeldSince != nil }
    var isReady: Bool { machine.readySince != nil }
    var isLingering: Bool { machine.isLingering }
    var hasYielded: Bool { machine.hasYielded }
    var isHeardOnLinkOnly: Bool { machine.isHeardOnLinkOnly }
    var peerOnLink: PeerOnLink? { machine.peerOnLink }
    var split: SplitEpisode? { machine.split }
    var peerWouldRefuse: Bool { machine.peerWouldRefuse }
    var mayTakeHandover: Bool { machine.mayTakeHandover }

    /// Whether it is too late to call itself Active.
    func hasOverslept(at time: TimeSpan) -> Bool {
        machine.hasOverslept(now: Self.epoch + time)
    }

    /// Whether it must ask its peer whether it is still Active, or has asked.
    func isDoubtful(at time: TimeSpan) -> Bool {
        machine.isDoubtful(now: Self.epoch + time)
    }

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
    func runLate(by lateness: TimeSpan, at time: TimeSpan) -> [VirtualRouterAction] {
        perform { machine.ranLate(by: lateness, now: Self.epoch + time, into: &$0) }
    }

    @discardableResult
    func hear(
        priority: UInt8, from source: IPAddress = lowerAddress, centiseconds: UInt16? = nil,
        addresses: [IPAddress]? = nil, checksumForm: ChecksumForm = .rfc9568,
        virtualRouterID: UInt8 = 51, version: AdvertisementVersion? = nil, at time: TimeSpan
    ) -> [VirtualRouterAction] {
        let advertisement = Advertisement(
            virtualRouterID: virtualRouterID, priority: priority,
            intervalCentiseconds: centiseconds
                ?? machine.settings.advertisementIntervalCentiseconds,
            addresses: addresses ?? machine.settings.addresses,
            version: version ?? machine.settings.version)
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

    @discardableResult
    func setPriority(_ priority: UInt8, at time: TimeSpan) -> [VirtualRouterAction] {
        perform { machine.priorityChanged(to: priority, now: Self.epoch + time, into: &$0) }
    }

    @discardableResult
    func hold(_ holds: Set<ClaimHold>, at time: TimeSpan) -> [VirtualRouterAction] {
        perform { machine.holdsChanged(to: holds, now: Self.epoch + time, into: &$0) }
    }

    @discardableResult
    func hearOnLink(
        _ role: VirtualRouterState, priority: UInt8, from address: IPAddress = lowerAddress,
        isFaulty: Bool = false, isHeld: Bool = false, isDoubtful: Bool = false,
        isAnswer: Bool = false, claimMark: UInt32? = nil, at time: TimeSpan
    ) -> [VirtualRouterAction] {
        let peer = PeerOnLink(
            address: address, role: role, priority: priority, isFaulty: isFaulty, isHeld: isHeld,
            isDoubtful: isDoubtful, isAnswer: isAnswer, claimMark: claimMark)
        return perform { machine.peerHeardOnLink(peer, now: Self.epoch + time, into: &$0) }
    }

    @discardableResult
    func loseLink(at time: TimeSpan) -> [VirtualRouterAction] {
        perform { machine.linkSilent(now: Self.epoch + time, into: &$0) }
    }

    @discardableResult
    func seeConflict(
        with mac: HardwareAddress = stranger, at time: TimeSpan
    ) -> [VirtualRouterAction] {
        perform {
            machine.addressConflictSeen(
                mac, address: Self.virtualAddress, now: Self.epoch + time, into: &$0)
        }
    }

    @discardableResult
    func yield(lingering: Bool, at time: TimeSpan) -> [VirtualRouterAction] {
        perform {
            machine.yieldRequested(lingering: lingering, now: Self.epoch + time, into: &$0)
        }
    }

    @discardableResult
    func endLingering(at time: TimeSpan) -> [VirtualRouterAction] {
        perform { machine.lingeringEnded(now: Self.epoch + time, into: &$0) }
    }

    @discardableResult
    func takeHandover(
        from address: IPAddress = lowerAddress, at time: TimeSpan
    ) -> [VirtualRouterAction] {
        perform {
            machine.handoverReceived(from: address, now: Self.epoch + time, into: &$0)
        }
    }

    @discardableResult
    func obey(_ command: SyncGroup.Command, at time: TimeSpan) -> [VirtualRouterAction] {
        let now = Self.epoch + time
        return perform { actions in
            switch command {
            case .mayClaim: machine.groupMayClaim(now: now, into: &actions)
            case .mustYield(_, let cause, let lingering):
                machine.groupMustYield(
                    because: cause, lingering: lingering, now: now, into: &actions)
            case .leave: machine.localFaultDetected(now: now, into: &actions)
            case .come: machine.localFaultCleared(now: now, into: &actions)
            }
        }
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
            case .recordTransition, .report, .reportSplit, .askPeer, .readyToClaim,
                .noLongerReady:
                false
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

    /// The split reports.
    var splits: [SplitReport.Event] {
        compactMap { action in
            if case .reportSplit(let report) = action { report.event } else { nil }
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
