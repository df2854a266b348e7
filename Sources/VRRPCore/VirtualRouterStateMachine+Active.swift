// SPDX-License-Identifier: Apache-2.0
//
// What an Active does with its timers and with an advert (RFC 9568 §6.4.3). Leaves no state itself.

import WireCore

extension VirtualRouterStateMachine.State.Active {
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
    }

    /// I1 and B2: addresses, advert, announcement, in this order.
    init(
        from state: VirtualRouterState, cause: VirtualRouterTransition.Cause, now: Instant,
        settings: VirtualRouterSettings, preemptionAllowedAt: Instant,
        output: inout VirtualRouterOutput
    ) {
        output.append(.claimAddresses)
        output.append(.sendAdvertisement(priority: settings.priority))
        output.append(.announceAddresses)
        output.transition(from: state, to: .active, cause: cause)
        self.init(
            advertisementDeadline: now + settings.advertisementInterval, advertisedAt: now,
            announcedAt: now, announcementDeadline: now + settings.announcementInterval,
            preemptionAllowedAt: preemptionAllowedAt)
    }

    var nextDeadline: Instant {
        min(advertisementDeadline, announcementDeadline)
    }

    /// Announces at `deadline` at the latest.
    mutating func announce(by deadline: Instant) {
        announcementDeadline = min(announcementDeadline, deadline)
    }

    /// A2, and announcements that were put off.
    mutating func timerFired(
        now: Instant, settings: VirtualRouterSettings, output: inout VirtualRouterOutput
    ) {
        if now >= advertisementDeadline {
            advertise(now: now, settings: settings, output: &output)
            // Keep the pace; after a delay of more than one interval start a new one.
            let planned = advertisementDeadline + settings.advertisementInterval
            advertisementDeadline =
                planned > now ? planned : now + settings.advertisementInterval
        }
        if now >= announcementDeadline {
            announce(now: now, settings: settings, output: &output)
        }
    }

    /// RFC 9568 §6.4.3; Preempt_Mode is not consulted.
    func verdict(
        on received: ReceivedAdvertisement, now: Instant, settings: VirtualRouterSettings
    ) -> Verdict {
        let priority = received.advertisement.priority
        if priority == 0 { return .stay(.answerPriorityZero) }
        if priority < settings.priority { return .stay(.assertRole) }
        if priority == settings.priority {
            // Unsigned, in network order (RFC 9568 §6.4.3).
            if received.source == settings.primaryAddress { return .stay(.reportOwnAdvertisement) }
            if received.source < settings.primaryAddress { return .stay(.assertRole) }
        }
        if let quarantine, quarantine.address == received.source, now < quarantine.end {
            return .stay(.ignoreLastWords(until: quarantine.end))
        }
        return .stepDown
    }

    mutating func perform(
        _ reaction: Reaction, on received: ReceivedAdvertisement, now: Instant,
        settings: VirtualRouterSettings, output: inout VirtualRouterOutput
    ) {
        func notice(_ kind: VirtualRouterNotice.Kind) -> VirtualRouterNotice {
            VirtualRouterNotice(
                kind, source: received.source, got: UInt64(received.advertisement.priority),
                wanted: UInt64(settings.priority))
        }
        switch reaction {
        case .answerPriorityZero:
            // A3: at once, and re-arm Adver_Timer.
            advertise(now: now, settings: settings, output: &output)
            advertisementDeadline = now + settings.advertisementInterval
        case .assertRole:
            // A5: at once; refreshes learning bridges (RFC 9568 §6.4.3).
            advertise(now: now, settings: settings, output: &output)
            announceSoon(now: now, settings: settings, output: &output)
            output.notice(notice(.lowerPriorityActive), now: now)
        case .reportOwnAdvertisement:
            // A6
            output.notice(notice(.samePriorityAndAddress), now: now)
        case .ignoreLastWords(let end):
            // Should it live after all, our next advert makes it answer.
            advertisementDeadline = min(advertisementDeadline, max(end, now))
            output.notice(notice(.advertOfTheDead), now: now)
        }
    }

    private mutating func advertise(
        now: Instant, settings: VirtualRouterSettings, output: inout VirtualRouterOutput
    ) {
        output.append(.sendAdvertisement(priority: settings.priority))
        advertisedAt = now
    }

    /// Announces at once, or when the rate limit allows it.
    ///
    /// So the last advert of a worse router is always followed by an announcement.
    mutating func announceSoon(
        now: Instant, settings: VirtualRouterSettings, output: inout VirtualRouterOutput
    ) {
        let allowedAt = announcedAt + VirtualRouterStateMachine.State.announcementLimit
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
