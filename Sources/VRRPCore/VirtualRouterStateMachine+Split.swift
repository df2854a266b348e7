// SPDX-License-Identifier: Apache-2.0
//
// When an Active takes what it sees for a split brain, and when it takes it to be over.

import WireCore

extension VirtualRouterStateMachine.State {
    /// A split brain that goes on.
    struct Split {
        var episode: SplitEpisode
        /// Whether its beginning was reported: then so is its end.
        var isReported: Bool
        /// The other node says on the link that it is Active.
        var isOnLink = false
        var advertisementSeenAt = Instant(nanoseconds: 0)
        /// Until when the last advert of another Active counts.
        var advertisementEnd: Instant?
        /// Until when the last frame of another holder counts.
        var conflictEnd: Instant?

        /// When it counts as over if nothing more is seen.
        var end: Instant {
            let none = Instant(nanoseconds: 0)
            return isOnLink ? .distantFuture : max(advertisementEnd ?? none, conflictEnd ?? none)
        }
    }
}

extension VirtualRouterStateMachine.State.Active {
    /// An advert of another Active, which stays or not.
    mutating func seeSplit(
        by received: ReceivedAdvertisement, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) {
        // Who was preempted answers once; that is no split brain.
        if let preempted, preempted.covers(received.source, now: now) { return }
        see(.advertisement, .router(received.source), now: now, output: &output)
        split?.advertisementSeenAt = now
        split?.advertisementEnd = now + Self.quietInterval(received.advertisement.interval, terms)
    }

    /// The other node says on the link that it is Active.
    mutating func seeSplitOnLink(
        with address: IPAddress, now: Instant, output: inout VirtualRouterOutput
    ) {
        if let preempted, preempted.covers(address, now: now) { return }
        see(.link, .router(address), now: now, output: &output)
        split?.isOnLink = true
    }

    /// Somebody answers for one of our addresses.
    mutating func seeConflict(
        with mac: HardwareAddress, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) {
        // After a takeover the former Active's kernel answers until its lease ends.
        guard now >= conflictsExpectedUntil else { return }
        see(.addressConflict, .stranger(mac), now: now, output: &output)
        split?.conflictEnd =
            now + terms.settings.announcementInterval
            + VirtualRouterStateMachine.State.probeDelayMax
    }

    /// A priority-0 advert: its sender is no Active any more.
    mutating func otherGaveUp(_ address: IPAddress) {
        guard split?.episode.party == .router(address) else { return }
        split?.advertisementEnd = nil
    }

    /// The other node is not Active, as it says on the link, or says nothing there.
    ///
    /// The adverts of `address` end with it; `nil` when the link is silent.
    mutating func linkShowsNoSplit(of address: IPAddress?, terms: VirtualRouterTerms) {
        split?.isOnLink = false
        guard let address, let split, split.episode.party == .router(address) else { return }
        // An advert that is younger than one interval may be younger than the heartbeat.
        guard let end = split.advertisementEnd else { return }
        self.split?.advertisementEnd = min(end, split.advertisementSeenAt + terms.interval)
    }

    /// Ends a split brain of which nothing is seen any more.
    mutating func endQuietSplit(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        guard let split, now >= split.end else { return }
        endSplit(.healed, output: &output)
        // Caches of the LAN may still know the other one.
        announceSoon(now: now, settings: terms.settings, output: &output)
    }

    /// Ends a split brain for a reason.
    mutating func endSplit(_ outcome: SplitReport.Outcome, output: inout VirtualRouterOutput) {
        guard let split else { return }
        if split.isReported {
            output.append(.reportSplit(SplitReport(.ended(outcome), split.episode)))
        }
        self.split = nil
    }

    private mutating func see(
        _ evidence: SplitEvidence, _ party: SplitParty, now: Instant,
        output: inout VirtualRouterOutput
    ) {
        guard split != nil else {
            let episode = SplitEpisode(since: now, first: evidence, party: party)
            let isReported = output.countSplit(evidence, now: now)
            split = VirtualRouterStateMachine.State.Split(
                episode: episode, isReported: isReported)
            if isReported { output.append(.reportSplit(SplitReport(.began, episode))) }
            return
        }
        split?.episode.lastSeenAt = now
        guard let isNew = split?.episode.evidence.insert(evidence).inserted, isNew else { return }
        if let split, split.isReported {
            output.append(.reportSplit(SplitReport(.spread(evidence), split.episode)))
        }
    }

    /// Three adverts of the slower of both may be lost.
    private static func quietInterval(
        _ interval: TimeSpan, _ terms: VirtualRouterTerms
    ) -> TimeSpan {
        let slower = max(interval, terms.interval)
        return max(
            slower.multiplied(by: 4), VirtualRouterStateMachine.State.splitQuietMin)
    }
}
