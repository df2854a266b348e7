// SPDX-License-Identifier: Apache-2.0
//
// What an Active does with its timers and with an advert (RFC 9568 §6.4.3). Leaves no state itself.

import WireCore

extension VirtualRouterStateMachine.State.Active {
    typealias State = VirtualRouterStateMachine.State

    /// What an advert means to an Active.
    enum Verdict {
        case stay(Reaction)
        case stepDown
    }

    /// What an Active that stays does about an advert.
    enum Reaction {
        case answerPriorityZero
        case assertRole
        case reportOwnAdvertisement
        case ignoreLastWords(until: Instant)
        case leaveToGroup
    }

    /// I1 and B2: addresses, advert, announcement, in this order.
    init(
        from state: VirtualRouterState, cause: VirtualRouterTransition.Cause, now: Instant,
        terms: VirtualRouterTerms, preemptionAllowedAt: Instant,
        output: inout VirtualRouterOutput
    ) {
        output.append(.claimAddresses)
        output.append(.sendAdvertisement(priority: terms.priority))
        output.append(.announceAddresses)
        output.transition(from: state, to: .active, cause: cause)
        self.init(
            advertisementDeadline: now + terms.interval, advertisedAt: now,
            announcedAt: now, announcementDeadline: now + terms.settings.announcementInterval,
            preemptionAllowedAt: preemptionAllowedAt,
            conflictsExpectedUntil: now + State.announcementLimit, answerAllowedAt: now)
    }

    var nextDeadline: Instant {
        if let doubt { return doubt.end }
        return min(advertisementDeadline, announcementDeadline, split?.end ?? .distantFuture)
    }

    /// Announces at `deadline` at the latest.
    mutating func announce(by deadline: Instant) {
        announcementDeadline = min(announcementDeadline, deadline)
    }

    /// A2, announcements that were put off, and a split brain that is over.
    mutating func timerFired(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        guard doubt == nil else { return }
        if now >= advertisementDeadline {
            advertise(now: now, terms: terms, output: &output)
            // Keep the pace; after a delay of more than one interval start a new one.
            let planned = advertisementDeadline + terms.interval
            advertisementDeadline = planned > now ? planned : now + terms.interval
        }
        endQuietSplit(now: now, terms: terms, output: &output)
        if now >= announcementDeadline {
            announce(now: now, settings: terms.settings, output: &output)
        }
    }

    /// The priority changed: peers compare it, so they hear it at once.
    mutating func priorityChanged(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        advertise(now: now, terms: terms, output: &output)
        advertisementDeadline = now + terms.interval
    }

    /// RFC 9568 §6.4.3; Preempt_Mode is not consulted.
    func verdict(
        on received: ReceivedAdvertisement, now: Instant, terms: VirtualRouterTerms
    ) -> Verdict {
        let priority = received.advertisement.priority
        if priority == 0 { return .stay(.answerPriorityZero) }
        guard terms.isBetter(priority: priority, address: received.source) else {
            let isOwn =
                priority == terms.priority && received.source == terms.settings.primaryAddress
            return .stay(isOwn ? .reportOwnAdvertisement : .assertRole)
        }
        if let quarantine, quarantine.coversAdvertisements,
            quarantine.covers(received.source, now: now)
        {
            return .stay(.ignoreLastWords(until: quarantine.end))
        }
        if priority == terms.priority, mayDefer(now: now, terms: terms) {
            return .stay(.leaveToGroup)
        }
        return .stepDown
    }

    mutating func perform(
        _ reaction: Reaction, on received: ReceivedAdvertisement, now: Instant,
        terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        func notice(_ kind: VirtualRouterNotice.Kind) -> VirtualRouterNotice {
            VirtualRouterNotice(
                kind, source: received.source, got: UInt64(received.advertisement.priority),
                wanted: UInt64(terms.priority))
        }
        switch reaction {
        case .answerPriorityZero:
            // A3: at once, and re-arm Adver_Timer.
            if answer(now: now, terms: terms, output: &output) {
                advertisementDeadline = now + terms.interval
            }
            otherGaveUp(received.source)
            endQuietSplit(now: now, terms: terms, output: &output)
        case .assertRole:
            // A5: at once; refreshes learning bridges (RFC 9568 §6.4.3).
            answer(now: now, terms: terms, output: &output)
            announceSoon(now: now, settings: terms.settings, output: &output)
            output.notice(notice(.lowerPriorityActive), now: now)
            if let quarantine, quarantine.covers(received.source, now: now) { return }
            seeSplit(by: received, now: now, terms: terms, output: &output)
        case .reportOwnAdvertisement:
            // A6
            output.notice(notice(.samePriorityAndAddress), now: now)
        case .ignoreLastWords(let end):
            // Should it live after all, our next advert makes it answer.
            advertisementDeadline = min(advertisementDeadline, max(end, now))
            output.notice(notice(.advertOfTheDead), now: now)
        case .leaveToGroup:
            leaveToGroup(interval: received.advertisement.interval, now: now, terms: terms)
            seeSplit(by: received, now: now, terms: terms, output: &output)
        }
    }

    /// Somebody else answers for one of the addresses: counted, and announced against.
    ///
    /// Extension; a stranger that speaks no VRRP never deposes us.
    mutating func addressConflictSeen(
        _ mac: HardwareAddress, address: IPAddress, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) {
        output.count(\.addressConflicts)
        output.notice(
            VirtualRouterNotice(.addressConflict, source: address, got: mac.rawValue, wanted: 0),
            now: now)
        seeConflict(with: mac, now: now, terms: terms, output: &output)
        announceSoon(now: now, settings: terms.settings, output: &output)
    }

    /// Sends an advert at once, or when the rate limit allows it; says whether at once.
    ///
    /// An answer goes to everybody: one for each advert of a flood would be a flood of ours.
    @discardableResult
    private mutating func answer(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) -> Bool {
        guard now >= answerAllowedAt else {
            advertisementDeadline = min(advertisementDeadline, answerAllowedAt)
            return false
        }
        answerAllowedAt = now + State.answerLimit
        advertise(now: now, terms: terms, output: &output)
        return true
    }

    private mutating func advertise(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        output.append(.sendAdvertisement(priority: terms.priority))
        advertisedAt = now
    }

    /// Announces at once, or when the rate limit allows it.
    ///
    /// So the last advert of a worse router is always followed by an announcement.
    mutating func announceSoon(
        now: Instant, settings: VirtualRouterSettings, output: inout VirtualRouterOutput
    ) {
        let allowedAt = announcedAt + State.announcementLimit
        if now >= allowedAt {
            announce(now: now, settings: settings, output: &output)
        } else {
            announce(by: allowedAt)
        }
    }

    private mutating func announce(
        now: Instant, settings: VirtualRouterSettings, output: inout VirtualRouterOutput
    ) {
        output.append(.announceAddresses)
        announcedAt = now
        // One that is planned for a reason of its own stays planned.
        if announcementDeadline <= now {
            announcementDeadline = now + settings.announcementInterval
        }
    }
}
