// SPDX-License-Identifier: Apache-2.0
//
// One virtual router as its driver sees it: events in, actions out, one deadline.
// The transitions themselves are in VirtualRouterStateMachine+Transitions.swift.

public import WireCore

/// The state machine of RFC 9568 §6.4, with Tandem's documented extensions.
///
/// IPv4 and IPv6 are separate routers (RFC 9568 §5.2.3), so one machine knows one family.
///
/// ```
///                  startup, priority < 255
///   +------------+------------------------>+--------+
///   | Initialize |<------------------------| Backup |
///   +------------+   shutdown              +--------+
///     |        ^                             |    ^
///     | start- | shutdown: priority 0        |    | better advert, overslept,
///     | up,    |                             |    | switchover: priority 0
///     | 255    |   +--------+                |    |
///     |        +---| Active |<---------------+    |
///     +----------->|        |  Active_Down_Timer, |
///                  +--------+  peer proven dead   |
///                      |__________________________|
/// ```
///
/// The driver's duties, in this order on every wake-up:
/// 1. Read the clock afresh; every event takes that `now`.
/// 2. Read the VRRP sockets until they are empty and pass on each advertisement, then what the pair
///    link said, before any timer and before `peerDeathProven`: what was sent before a stall must
///    be heard before a verdict.
/// 3. Call `timerFired` before renewing the lease of an address. Calling it early is harmless.
///    When `isDoubtful` then, the lease is not renewed and nothing is said but the question.
/// 4. Perform the actions in order, then arm one timer for `nextDeadline`.
///
/// Own multicast must not be looped back (`IP_MULTICAST_LOOP` off).
///
/// Extensions to the RFC, each at its method: preempt delay, proven death, hand-over, oversleeping,
/// local faults, switchover, penalties, holds, the pair link, groups, split brains. Accept_Mode is
/// always true: a balancer must answer on its virtual addresses (RFC 9568 §6.1: false by default).
public struct VirtualRouterStateMachine: ~Copyable {
    private var machine = State()
    private var terms: VirtualRouterTerms
    private var output = VirtualRouterOutput()

    /// Makes a router in Initialize.
    public init(settings: VirtualRouterSettings) {
        terms = VirtualRouterTerms(settings: settings)
    }

    /// The driver starts the router (I1, I2); ignored when it is started.
    public mutating func startupRequested(
        now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.startupRequested(now: now, terms: terms, output: &output)
        finish(into: &actions)
    }

    /// The driver stops the router for good or for a while (B1, A1).
    public mutating func shutdownRequested(
        now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.heedTime(asks: false, now: now, terms: terms, output: &output)
        machine.shutdownRequested(output: &output)
        finish(into: &actions)
    }

    /// Whether the router is Active and so late that its next event makes it give up.
    ///
    /// Until then it must tell nobody that it is Active, see `isDoubtful` as well.
    public func hasOverslept(now: Instant) -> Bool {
        machine.hasOverslept(now: now, terms: terms)
    }

    /// Whether the router is Active and so late that it must ask the peer, or has asked.
    ///
    /// The pair link says so then (`PeerOnLink.isDoubtful`); that is the question.
    public func isDoubtful(now: Instant) -> Bool {
        machine.isDoubtful(now: now, terms: terms)
    }

    /// The node did not run for `lateness`, as a timer saw that had nothing to do with this router.
    ///
    /// Extension: silence that a Backup could not have heard broken counts less, for the Active may
    /// have been held up with it. See `State.Backup.ranLate`.
    public mutating func ranLate(
        by lateness: TimeSpan, now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.heedTime(asks: true, now: now, terms: terms, output: &output)
        machine.ranLate(by: lateness, now: now, terms: terms)
        finish(into: &actions)
    }

    /// The deadline may have come; harmless when it has not.
    public mutating func timerFired(now: Instant, into actions: inout [VirtualRouterAction]) {
        machine.heedTime(asks: true, now: now, terms: terms, output: &output)
        machine.timerFired(now: now, terms: terms, output: &output)
        finish(into: &actions)
    }

    /// An advertisement passed the receive checks.
    ///
    /// One for another VRID is counted and ignored.
    public mutating func advertisementReceived(
        _ received: ReceivedAdvertisement, now: Instant,
        into actions: inout [VirtualRouterAction]
    ) {
        machine.heedTime(asks: false, now: now, terms: terms, output: &output)
        if received.advertisement.virtualRouterID != settings.virtualRouterID {
            output.count(\.foreignAdvertisements)
        } else {
            if reportOddities(of: received, now: now) {
                output.countReceived(received)
                if received.advertisement.priority == 0 { terms.farewells.heard(now: now) }
                machine.advertisementReceived(received, now: now, terms: terms, output: &output)
            } else {
                output.count(\.advertisementsDropped)
            }
        }
        finish(into: &actions)
    }

    /// The pair link proved that the process of the router at `address` is gone.
    ///
    /// Extension: in Backup, when that router is the one followed or none was heard yet, this
    /// counts as the Active_Down_Timer. An Active announces its addresses again, for the dead may
    /// have been the other half of a split. Adverts that the dead sent and that arrive within
    /// `State.quarantineInterval` do not depose us.
    public mutating func peerDeathProven(
        address: IPAddress, now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        peerIsGone(address, .peerDeathProven, isOrder: false, now: now, into: &actions)
    }

    /// The router at `address` said on the pair link that it has released the addresses.
    ///
    /// Extension: like `peerDeathProven`; it spares Skew_Time after a priority-0 advert.
    public mutating func peerHandedOver(
        address: IPAddress, now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        peerIsGone(address, .peerHandedOver, isOrder: false, now: now, into: &actions)
    }

    /// The last step of a planned switchover: the router at `address` wants us to be Active now.
    ///
    /// Extension: like `peerHandedOver`, whomever we follow. Only a configuration hold refuses it;
    /// ask `mayTakeHandover` before answering that we are prepared.
    public mutating func handoverReceived(
        from address: IPAddress, now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        peerIsGone(address, .peerHandedOver, isOrder: true, now: now, into: &actions)
    }

    /// An operator wants the other node to be Active, in one step.
    public mutating func switchoverRequested(
        now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        yieldRequested(lingering: false, now: now, into: &actions)
    }

    /// The other node is to be Active.
    ///
    /// Extension: the Active sends priority 0 and goes to Backup with a full Active_Down_Interval,
    /// so that the peer takes over; should no one do so, it comes back. Until then it does not
    /// preempt, whatever Preempt_Mode and even as owner: the operator's wish would last for three
    /// adverts otherwise. With `lingering` the addresses stay, quietly, until `lingeringEnded` or
    /// until the router leaves Backup. Other states ignore it.
    public mutating func yieldRequested(
        lingering: Bool, now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.heedTime(asks: false, now: now, terms: terms, output: &output)
        machine.yieldRequested(
            cause: .switchoverRequested, isLingering: lingering, hasYielded: true, now: now,
            terms: terms, output: &output)
        finish(into: &actions)
    }

    /// The last connection that needed lingering addresses is gone, or waited long enough.
    public mutating func lingeringEnded(
        now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.heedTime(asks: false, now: now, terms: terms, output: &output)
        machine.lingeringEnded(output: &output)
        finish(into: &actions)
    }

    /// This node cannot serve: its data plane stalled or an address could not be added.
    ///
    /// Extension: like a shutdown, until `localFaultCleared`. Also remembered before startup.
    public mutating func localFaultDetected(
        now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.heedTime(asks: false, now: now, terms: terms, output: &output)
        machine.localFaultDetected(output: &output)
        finish(into: &actions)
    }

    /// This node can serve again: a started router goes through startup, preempt delay included.
    public mutating func localFaultCleared(
        now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.localFaultCleared(now: now, terms: terms, output: &output)
        finish(into: &actions)
    }

    /// The node's own address on the interface is another one, or became known.
    ///
    /// Extension: what was heard stays valid; ties are broken by the new address (RFC 9568 §6.4.3).
    public mutating func primaryAddressChanged(to address: IPAddress) {
        terms.setPrimaryAddress(address)
    }

    /// The trackers changed the priority: base minus penalties.
    ///
    /// Extension: never below 1 nor above the base, and an owner stays 255. An Active advertises it
    /// at once; in Backup Skew_Time follows.
    public mutating func priorityChanged(
        to priority: UInt8, now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.heedTime(asks: false, now: now, terms: terms, output: &output)
        let former = terms.priority
        terms.setPriority(priority)
        if terms.priority != former {
            machine.priorityChanged(now: now, terms: terms, output: &output)
        }
        finish(into: &actions)
    }

    /// What keeps this node from taking over changed.
    ///
    /// Extension: a Backup that is held does not become Active; see `ClaimHold` for the exceptions.
    /// When the last hold ends, silence has to last for another Active_Down_Interval.
    public mutating func holdsChanged(
        to holds: Set<ClaimHold>, now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.heedTime(asks: false, now: now, terms: terms, output: &output)
        terms.setHolds(holds, now: now)
        machine.holdsChanged(now: now, terms: terms, output: &output)
        finish(into: &actions)
    }

    /// The other node described its half of this router in a heartbeat on the pair link.
    ///
    /// Extension: see `SilenceRule` for what it means in Backup. In Active the better one stays, as
    /// if the other had been heard (A4), even when adverts do not pass.
    public mutating func peerHeardOnLink(
        _ peer: PeerOnLink, now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.heedTime(asks: true, now: now, terms: terms, output: &output)
        terms.peerOnLink = peer
        machine.peerHeardOnLink(peer, now: now, terms: terms, output: &output)
        finish(into: &actions)
    }

    /// The pair link is down or its heartbeats stopped.
    public mutating func linkSilent(now: Instant, into actions: inout [VirtualRouterAction]) {
        // A peer that ran late too is silent on the link, and answers when it runs again.
        machine.heedTime(asks: true, now: now, terms: terms, output: &output)
        terms.peerOnLink = nil
        machine.linkSilent(now: now, terms: terms, output: &output)
        finish(into: &actions)
    }

    /// A frame on the LAN gave one of our addresses a MAC that is not ours.
    ///
    /// Extension: an Active counts it and announces again, at a limited rate; it stays Active.
    public mutating func addressConflictSeen(
        _ mac: HardwareAddress, address: IPAddress, now: Instant,
        into actions: inout [VirtualRouterAction]
    ) {
        machine.heedTime(asks: false, now: now, terms: terms, output: &output)
        machine.addressConflictSeen(
            mac, address: address, now: now, terms: terms, output: &output)
        finish(into: &actions)
    }

    /// The `SyncGroup` says that all its routers are ready.
    public mutating func groupMayClaim(
        now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.heedTime(asks: false, now: now, terms: terms, output: &output)
        machine.groupMayClaim(now: now, terms: terms, output: &output)
        finish(into: &actions)
    }

    /// The `SyncGroup` says that another of its routers left Active for `cause`.
    public mutating func groupMustYield(
        because cause: VirtualRouterTransition.Cause, lingering: Bool, now: Instant,
        into actions: inout [VirtualRouterAction]
    ) {
        machine.heedTime(asks: false, now: now, terms: terms, output: &output)
        machine.yieldRequested(
            cause: .groupYielded, isLingering: lingering,
            hasYielded: cause == .switchoverRequested, now: now, terms: terms, output: &output)
        finish(into: &actions)
    }

    private mutating func peerIsGone(
        _ address: IPAddress, _ cause: VirtualRouterTransition.Cause, isOrder: Bool,
        now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.heedTime(asks: false, now: now, terms: terms, output: &output)
        machine.activeIsGone(
            address: address, cause: cause, isOrder: isOrder, now: now, terms: terms,
            output: &output)
        finish(into: &actions)
    }

    /// The checks of RFC 9568 §7.1 and §8.3.2 that report, most of which keep the packet.
    ///
    /// Returns whether it is kept.
    private mutating func reportOddities(
        of received: ReceivedAdvertisement, now: Instant
    ) -> Bool {
        let advertisement = received.advertisement
        func report(
            _ kind: VirtualRouterNotice.Kind, got: Int, wanted: Int,
            example: VirtualRouterNotice.AddressDifference? = nil
        ) {
            output.notice(
                VirtualRouterNotice(
                    kind, source: received.source, got: UInt64(got), wanted: UInt64(wanted),
                    example: example),
                now: now)
        }
        // RFC 9568 §7.1: MUST verify the version; RFC 3768 §7.1 likewise.
        guard advertisement.version == settings.version else {
            report(
                .versionDiffers, got: Int(advertisement.version.rawValue),
                wanted: Int(settings.version.rawValue))
            return false
        }
        // RFC 9568 §7.1: interval differs from the own one: SHOULD log, keep.
        if advertisement.intervalCentiseconds != settings.advertisementIntervalCentiseconds {
            report(
                .intervalDiffers, got: Int(advertisement.intervalCentiseconds),
                wanted: Int(settings.advertisementIntervalCentiseconds))
            // RFC 3768 §7.1: MUST discard.
            if settings.version == .version2 { return false }
        }
        // RFC 9568 §7.1: address list differs: SHOULD log, keep. The order says nothing.
        if advertisement.addresses != settings.addresses,
            !advertisement.listsSameAddresses(as: settings.sortedAddresses)
        {
            report(
                .addressesDiffer, got: advertisement.addresses.count,
                wanted: settings.addresses.count, example: difference(of: advertisement))
        }
        if received.checksumForm != settings.checksumForm {
            report(
                .checksumFormDiffers, got: received.checksumForm.number,
                wanted: settings.checksumForm.number)
        }
        let priority = Int(advertisement.priority)
        let isOwnAddress = received.source == settings.primaryAddress
        if settings.isOwner {
            // RFC 9568 §7.1 with erratum 8298: log, do not drop, or two owners never resolve.
            report(.heardAsOwner, got: priority, wanted: Int(settings.priority))
        }
        if advertisement.priority == terms.priority, !isOwnAddress {
            // RFC 9568 §8.3.2: priorities should differ within one virtual router.
            report(
                settings.isOwner ? .secondOwner : .samePriority, got: priority,
                wanted: Int(terms.priority))
        }
        return true
    }

    /// One address that is not in both lists; `nil` when only one is listed twice.
    private func difference(
        of advertisement: Advertisement
    ) -> VirtualRouterNotice.AddressDifference? {
        let others = advertisement.addresses
        if let missing = settings.addresses.first(where: { !others.contains($0) }) {
            return .missing(missing)
        }
        // IPv6 lists begin with the sender's link-local address.
        return others.first { !settings.addresses.contains($0) && $0.ipv6?.isLinkLocal != true }
            .map { .extra($0) }
    }

    private mutating func finish(into actions: inout [VirtualRouterAction]) {
        #if DEBUG
            machine.checkInvariants(terms)
        #endif
        output.drain(into: &actions)
    }
}

// MARK: - Status

extension VirtualRouterStateMachine {
    /// What the router was configured with.
    public var settings: VirtualRouterSettings { terms.settings }

    /// The current state.
    public var state: VirtualRouterState { machine.name }

    /// When `timerFired` is due; `nil` in Initialize, and in Backup while the group decides.
    public var nextDeadline: Instant? { machine.nextDeadline(terms) }

    /// The priority as it stands, penalties counted.
    public var priority: UInt8 { terms.priority }

    /// The Active_Adver_Interval in force: the own one, or in Backup the one learned.
    public var activeAdvertisementInterval: TimeSpan {
        machine.backup?.interval ?? settings.advertisementInterval
    }

    /// Who was heard last as Active while in Backup, by advert or on the link; `nil` when none was.
    public var followedAddress: IPAddress? { machine.backup?.followedAddress }

    /// The holds in force, and since when.
    public var holds: [HeldClaim] { terms.holds }

    /// Since when a takeover is due and held; `nil` when none is.
    public var takeoverHeldSince: Instant? { machine.backup?.heldBack?.since }

    /// Since when this router would be Active if its group were ready; `nil` when it would not.
    public var readySince: Instant? {
        guard case .group(let ready) = machine.backup?.wait else { return nil }
        return ready.since
    }

    /// Whether the addresses are still here, quietly.
    public var isLingering: Bool { machine.backup?.isLingering ?? false }

    /// Whether a switchover brought the router to Backup, so that it does not preempt.
    public var hasYielded: Bool { machine.backup?.hasYielded ?? false }

    /// Whether only the pair link says that the Active lives.
    public var isHeardOnLinkOnly: Bool { machine.backup?.isHeardOnLinkOnly ?? false }

    /// What the other node said last on the pair link; `nil` while that is silent.
    public var peerOnLink: PeerOnLink? { terms.peerOnLink }

    /// Whether the other node says that it could not take the addresses.
    ///
    /// A switchover would end here again, after an Active_Down_Interval without anybody.
    public var peerWouldRefuse: Bool {
        guard let peer = terms.peerOnLink else { return false }
        return peer.isFaulty || peer.isHeld || peer.role == .initialize
    }

    /// The split brain that is going on; `nil` when there is none.
    public var split: SplitEpisode? { machine.split }

    /// Whether `handoverReceived` would make this router Active, or ready in its group.
    public var mayTakeHandover: Bool {
        state == .backup && terms.hold(isProof: true, replacesActive: true) == nil
    }

    /// What was counted since the router was made.
    public var counters: VirtualRouterCounters { output.counters }
}

extension ChecksumForm {
    /// The number of the RFC that has it.
    fileprivate var number: Int {
        switch self {
        case .rfc9568: 9568
        case .rfc5798: 5798
        }
    }
}
