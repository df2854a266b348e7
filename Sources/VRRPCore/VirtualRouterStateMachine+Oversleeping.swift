// SPDX-License-Identifier: Apache-2.0
//
// What an Active does that ran late: it was replaced, unless the peer says on the pair link that it
// did not take over. Not in the RFC.

import WireCore

extension VirtualRouterStateMachine.State {
    /// A question on the pair link: whether the router is still the Active.
    ///
    /// Until the answer the router says nothing at all. The question counts for the peer as an
    /// advert, so a Backup that answers leaves the addresses here for another Active_Down_Interval.
    struct Doubt {
        var askedAt: Instant
        /// How long the router waits for the answer.
        var end: Instant
        /// Questions asked, this one included.
        var questionCount = 1
        /// How long it was silent when it noticed.
        var silence: TimeSpan
        /// What the peer's claims were when this router still knew: one more means replaced.
        var claimMark: UInt32
    }

    /// How long an answer is waited for, in advert intervals: the peer may run late as well.
    static var patienceIntervalCount: UInt64 { 2 }
    /// Nobody waits longer for what a node that ran late would say, whatever the interval.
    static var patienceMax: TimeSpan { .milliseconds(50) }
    /// How often is asked when the answer cannot have been read: the router ran late again.
    static var questionCountMax: Int { 4 }

    /// An Active that was silent for as long as a peer waits was replaced.
    func hasOverslept(now: Instant, terms: VirtualRouterTerms) -> Bool {
        switch self {
        case .initialize: false
        case .backup: false
        case .active(let active): active.judgement(now: now, terms: terms, asks: true) == .replaced
        }
    }

    /// Whether the peer must be asked, or is.
    func isDoubtful(now: Instant, terms: VirtualRouterTerms) -> Bool {
        switch self {
        case .initialize: false
        case .backup: false
        case .active(let active):
            switch active.judgement(now: now, terms: terms, asks: true) {
            case .certain: false
            case .asks, .waits: true
            case .replaced: false
            }
        }
    }

    /// Extension: an Active that was silent for as long as a peer waits may have been replaced.
    ///
    /// Comes before every other event, because answering that event could mean to send. With `asks`
    /// the event leaves time for a question; otherwise doubt is enough to give up.
    mutating func heedTime(
        asks: Bool, now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(let backup): self = .backup(backup)
        case .active(var active):
            switch active.judgement(now: now, terms: terms, asks: asks) {
            case .certain, .waits:
                self = .active(active)
            case .asks:
                active.ask(now: now, terms: terms, output: &output)
                self = .active(active)
            case .replaced:
                self = .backup(
                    Self.replaced(active, now: now, terms: terms, output: &output))
            }
        }
    }

    static func replaced(
        _ active: consuming Active, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) -> Backup {
        var active = active
        let silence = now - active.advertisedAt
        output.append(.releaseAddresses(lingering: false))
        output.transition(from: .active, to: .backup, cause: .overslept)
        output.notice(
            VirtualRouterNotice(
                .overslept, source: terms.settings.primaryAddress, got: silence.milliseconds,
                wanted: terms.settings.silenceMax.milliseconds),
            now: now)
        active.endSplit(.yielded, output: &output)
        return Backup(
            now: now, interval: terms.interval, preemptionAllowedAt: active.preemptionAllowedAt)
    }
}

extension VirtualRouterStateMachine.State.Active {
    /// What an Active may think of itself.
    enum Judgement {
        case certain
        /// It must ask, for the first time or again.
        case asks
        /// It has asked.
        case waits
        case replaced
    }

    func judgement(now: Instant, terms: VirtualRouterTerms, asks: Bool) -> Judgement {
        if let doubt {
            guard asks else { return .replaced }
            if now < doubt.end { return .waits }
            // A timer in time has waited in vain; a late one comes before what it waited for.
            let isLate = now - doubt.end > State.latenessMax
            return isLate && doubt.questionCount < State.questionCountMax ? .asks : .replaced
        }
        guard now - advertisedAt >= terms.settings.silenceMax else { return .certain }
        return asks && terms.canAskPeer ? .asks : .replaced
    }

    /// Falls silent and asks.
    mutating func ask(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        guard let mark = doubt?.claimMark ?? terms.peerOnLink?.claimMark else {
            preconditionFailure("only a peer that says what it claimed is asked")
        }
        let patience = min(
            terms.interval.multiplied(by: State.patienceIntervalCount), State.patienceMax)
        doubt = State.Doubt(
            askedAt: now, end: now + patience, questionCount: (doubt?.questionCount ?? 0) + 1,
            silence: doubt?.silence ?? now - advertisedAt, claimMark: mark)
        output.append(.askPeer)
    }

    /// The peer spoke while this router did not know what it is: whether it must give up.
    ///
    /// An answer counts as long as the peer certainly waits: it began to at the question, or later.
    mutating func heedAnswer(
        _ peer: PeerOnLink, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) -> Bool {
        guard let doubt else { return false }
        if peer.role == .active, !peer.isDoubtful { return true }
        // What is asked in this very event, again, was not answered yet.
        guard peer.isAnswer, doubt.askedAt < now else { return false }
        guard peer.role != .active, peer.claimMark == doubt.claimMark else { return true }
        guard now - doubt.askedAt < terms.settings.silenceMax else { return false }
        self.doubt = nil
        output.notice(
            VirtualRouterNotice(
                .notReplaced, source: peer.address, got: doubt.silence.milliseconds,
                wanted: terms.settings.silenceMax.milliseconds),
            now: now)
        // The peer counts from here, whatever the timer planned.
        advertisementDeadline = now
        timerFired(now: now, terms: terms, output: &output)
        return false
    }
}
