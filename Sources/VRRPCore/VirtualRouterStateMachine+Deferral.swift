// SPDX-License-Identifier: Apache-2.0
//
// When an Active leaves it to another router of its group who stays. Not in the RFC.

import WireCore

extension VirtualRouterStateMachine.State {
    /// A better Active that this router has not obeyed yet.
    struct Deferral {
        var since: Instant
        /// Until when the other one counts as the same.
        var end: Instant
    }
}

extension VirtualRouterStateMachine.State.Active {
    /// Whether the group's deciding member should have its say before this one steps down.
    ///
    /// Addresses may order the nodes one way in IPv4 and the other way in IPv6: if each member of
    /// a group obeyed its own order, both nodes would give everything up, again and again. Not for
    /// longer than Active_Down_Interval: the deciding member may be deaf.
    func mayDefer(now: Instant, terms: VirtualRouterTerms) -> Bool {
        guard !terms.settings.decidesForGroup else { return false }
        guard let deferral, now < deferral.end else { return true }
        return now < deferral.since + terms.activeDownInterval(interval: terms.interval)
    }

    /// Stays Active though a better one was seen, which says so every `interval`.
    mutating func leaveToGroup(
        interval: TimeSpan, now: Instant, terms: VirtualRouterTerms
    ) {
        var since = now
        if let deferral, now < deferral.end { since = deferral.since }
        let patience = terms.activeDownInterval(interval: terms.interval)
        deferral = VirtualRouterStateMachine.State.Deferral(
            since: since, end: now + interval + patience)
    }
}
