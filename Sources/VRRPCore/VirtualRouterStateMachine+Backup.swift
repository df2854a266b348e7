// SPDX-License-Identifier: Apache-2.0
//
// What a Backup does with its timer, with an advert (RFC 9568 §6.4.2) and with the pair link.
// Leaves no state itself.

import WireCore

extension VirtualRouterStateMachine.State.Backup {
    typealias State = VirtualRouterStateMachine.State

    /// A full Active_Down_Interval from now.
    init(now: Instant, interval: TimeSpan, preemptionAllowedAt: Instant) {
        self.init(
            armedAt: now, interval: interval, preemptionAllowedAt: preemptionAllowedAt,
            advertHeardAt: now)
    }

    /// Active_Down_Timer, which follows the current priority; `nil` while the group decides.
    func activeDownDeadline(_ terms: VirtualRouterTerms) -> Instant? {
        switch wait {
        case .silence:
            linkReadAt
                ?? max(
                    armedAt + terms.activeDownInterval(interval: interval),
                    patienceEnd ?? armedAt, listeningEnd ?? armedAt)
        case .betterBackups: armedAt + max(terms.skewTime(interval: interval), farewellWaitMin)
        case .group: nil
        }
    }

    /// What the timer means when it fires.
    var claimByTimer: State.Claim {
        switch wait {
        case .silence:
            State.Claim(cause: .activeDownTimerFired, isProof: false)
        case .betterBackups:
            // It said itself that it is Active no more.
            State.Claim(cause: .activeGaveUp, isProof: true, gone: gaveUp?.address)
        case .group(let ready): ready.claim
        }
    }

    /// RFC 9568 §6.4.2: an advert heard in Backup.
    ///
    /// Addresses are never compared here (B6).
    mutating func advertisementReceived(
        _ received: ReceivedAdvertisement, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) {
        let advertisement = received.advertisement
        follow(
            received.source, priority: advertisement.priority, interval: advertisement.interval,
            now: now)
        advertHeardAt = now
        isHeardOnLinkOnly = false
        if advertisement.priority == 0 {
            // B3: Skew_Time, neither at once nor the full interval; longer under attack.
            farewellWaitMin = terms.farewellWaitMin
            arm(.betterBackups, now: now, output: &output)
            gaveUp = State.Quarantine(
                address: received.source, end: now + State.quarantineInterval)
            return
        }
        followsLink = false
        guard advertisement.priority >= terms.priority || !preempts(terms, now: now) else {
            // B5: discard; the timer runs on, neither re-armed nor shortened.
            discarded = State.Quarantine(
                address: received.source,
                end: now + terms.activeDownInterval(interval: advertisement.interval))
            holdBackIfReady(now: now, terms: terms, output: &output)
            return
        }
        // B4: adopt the interval; Skew_Time and Active_Down_Interval follow from it.
        interval = advertisement.interval
        discarded = nil
        arm(.silence, now: now, output: &output)
    }

    /// The other node says on the link that it is Active.
    ///
    /// Extension, `SilenceRule.advertsAndLink`: that is as good as its advert (B4, B5). After the
    /// link deposed us it is so with either rule, until an advert is heard: or we would flap.
    mutating func activeHeardOnLink(
        _ peer: PeerOnLink, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) {
        guard terms.settings.silenceRule == .advertsAndLink || followsLink else { return }
        // It gave up after it said so: the link is slower than the LAN.
        if let gaveUp, gaveUp.covers(peer.address, now: now) { return }
        follow(peer.address, priority: peer.priority, interval: interval, now: now)
        guard peer.priority >= terms.priority || !preempts(terms, now: now) else {
            discarded = State.Quarantine(
                address: peer.address, end: now + terms.activeDownInterval(interval: interval))
            holdBackIfReady(now: now, terms: terms, output: &output)
            return
        }
        discarded = nil
        let silence = now - advertHeardAt
        if !isHeardOnLinkOnly, silence > interval.multiplied(by: 2) {
            isHeardOnLinkOnly = true
            output.count(\.linkRescues)
            output.notice(
                VirtualRouterNotice(
                    .linkOverridesSilence, source: peer.address, got: silence.milliseconds,
                    wanted: interval.milliseconds),
                now: now)
        }
        arm(.silence, now: now, output: &output)
    }

    /// An Active was heard, which says so every `interval`; with priority 0, one that gave up.
    ///
    /// A worse one does not hide a better one: that it gave up would pass for proof that the
    /// addresses are free.
    mutating func follow(
        _ address: IPAddress, priority: UInt8, interval: TimeSpan, now: Instant
    ) {
        if let followedAddress, followedAddress != address, now < followedEnd,
            (priority, address) < (followedPriority, followedAddress)
        {
            return
        }
        followedAddress = address
        followedPriority = priority
        followedEnd = priority == 0 ? now : now + interval
    }

    /// Waits anew, with no takeover held back.
    private mutating func arm(_ next: Wait, now: Instant, output: inout VirtualRouterOutput) {
        if case .group = wait { output.append(.noLongerReady) }
        wait = next
        armedAt = now
        linkReadAt = nil
        patienceEnd = nil
        listeningEnd = nil
        heldBack = nil
    }

    /// Whether Active_Down_Timer is so late that a heartbeat of the Active may wait to be read.
    ///
    /// Once per silence: then the timer fires again. Who did not run for a while looks for as long
    /// again, but no longer than `patience`.
    mutating func mustReadLink(
        deadline: Instant, now: Instant, terms: VirtualRouterTerms
    ) -> Bool {
        guard linkReadAt == nil, now - deadline > State.latenessMax, mayHearOnLink(terms)
        else { return false }
        linkReadAt = now + max(min(now - deadline, patience), State.linkReadingTime)
        return true
    }

    /// The node did not run for a while, and what it would have heard may come a little later: the
    /// Active may have been held up by the same.
    ///
    /// One silence lasts longer for it by `latenessMax` and `patience` at most, however often it
    /// happens.
    mutating func ranLate(by lateness: TimeSpan, now: Instant, terms: VirtualRouterTerms) {
        guard lateness > State.latenessMax, mayHearOnLink(terms) else { return }
        // Later than this the timer itself is late, see `mustReadLink`.
        let last = armedAt + terms.activeDownInterval(interval: interval) + State.latenessMax
        guard now <= last else { return }
        let end = min(now + min(lateness, patience), last + patience)
        patienceEnd = max(patienceEnd ?? end, end)
    }

    /// How long a node that ran late waits for an Active that may have run late with it: for one
    /// advert, and no longer than the two can be apart.
    private var patience: TimeSpan { min(interval, State.patienceMax) }

    /// Whether silence may be broken on the link.
    private func mayHearOnLink(_ terms: VirtualRouterTerms) -> Bool {
        guard case .silence = wait, terms.peerOnLink?.role == .active else { return false }
        return terms.settings.silenceRule == .advertsAndLink || followsLink
    }

    /// A takeover is due and held: waits for another Active_Down_Interval, and says so once.
    mutating func holdBack(
        by held: HeldClaim, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) {
        let former = heldBack
        arm(.silence, now: now, output: &output)
        heldBack = HeldClaim(hold: held.hold, since: former?.since ?? now)
        if former == nil { output.count(\.heldTakeovers) }
        if former?.hold != held.hold { report(held, now: now, terms: terms, output: &output) }
    }

    private func report(
        _ held: HeldClaim, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) {
        let kind: VirtualRouterNotice.Kind =
            switch held.hold {
            case .witnessUnreachable: .heldByWitness
            case .differentConfiguration: .heldByConfiguration
            case .synchronizing: preconditionFailure("\(held.hold) holds no claim back")
            }
        output.notice(
            VirtualRouterNotice(
                kind, source: followedAddress ?? terms.settings.primaryAddress,
                got: (now - held.since).milliseconds, wanted: 0),
            now: now)
    }

    /// The holds changed: who is ready may be held, and who was held waits once more.
    mutating func holdsChanged(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        holdBackIfReady(now: now, terms: terms, output: &output)
        guard let former = heldBack else { return }
        let held = terms.hold(isProof: false, replacesActive: followedAddress != nil)
        if let held {
            guard held.hold != former.hold else { return }
            heldBack?.hold = held.hold
            report(held, now: now, terms: terms, output: &output)
        } else {
            // Silence counts only while it could have been broken.
            arm(.silence, now: now, output: &output)
        }
    }

    /// Who waits for the group may be held meanwhile, by a new hold or for an Active just heard.
    private mutating func holdBackIfReady(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        guard case .group(let ready) = wait else { return }
        let held = terms.hold(
            isProof: ready.claim.isProof, replacesActive: followedAddress != nil)
        if let held { holdBack(by: held, now: now, terms: terms, output: &output) }
    }

    /// Preempt_Mode as it stands now.
    ///
    /// O1: the owner always preempts (RFC 9568 §6.1), but not before it knows what the Active
    /// knows: that would cost the clients their connections.
    private func preempts(_ terms: VirtualRouterTerms, now: Instant) -> Bool {
        if hasYielded || !terms.mayPreempt { return false }
        if terms.settings.isOwner { return true }
        return terms.settings.preempts && now >= preemptionAllowedAt
    }
}
