// SPDX-License-Identifier: Apache-2.0
//
// What a Backup does with its timer and with an advert (RFC 9568 §6.4.2). Leaves no state itself.

import WireCore

extension VirtualRouterStateMachine.State.Backup {
    /// A full Active_Down_Interval from now.
    init(
        now: Instant, interval: TimeSpan, settings: VirtualRouterSettings,
        preemptionAllowedAt: Instant
    ) {
        self.init(
            activeDownDeadline: now
                + AdvertisementTimers.activeDownInterval(
                    priority: settings.priority, interval: interval),
            interval: interval, preemptionAllowedAt: preemptionAllowedAt)
    }

    /// RFC 9568 §6.4.2: an advert heard in Backup.
    ///
    /// Addresses are never compared here (B6).
    mutating func advertisementReceived(
        _ received: ReceivedAdvertisement, now: Instant, settings: VirtualRouterSettings
    ) {
        let advertisement = received.advertisement
        followedAddress = received.source
        if advertisement.priority == 0 {
            // B3: Skew_Time, neither at once nor the full interval.
            activeGaveUp = true
            activeDownDeadline =
                now + AdvertisementTimers.skewTime(priority: settings.priority, interval: interval)
            return
        }
        guard advertisement.priority >= settings.priority || !preempts(settings, now: now) else {
            // B5: discard; the timer runs on, neither re-armed nor shortened.
            return
        }
        // B4: adopt the interval; Skew_Time and Active_Down_Interval follow from it.
        activeGaveUp = false
        interval = advertisement.interval
        activeDownDeadline =
            now
            + AdvertisementTimers.activeDownInterval(
                priority: settings.priority, interval: interval)
    }

    /// Preempt_Mode as it stands now.
    ///
    /// O1: the owner always preempts (RFC 9568 §6.1).
    private func preempts(_ settings: VirtualRouterSettings, now: Instant) -> Bool {
        if hasYielded { return false }
        if settings.isOwner { return true }
        return settings.preempts && now >= preemptionAllowedAt
    }
}
