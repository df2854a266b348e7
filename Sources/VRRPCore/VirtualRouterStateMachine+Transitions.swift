// SPDX-License-Identifier: Apache-2.0
//
// The events and the only code that changes the state of a virtual router. Row names (I1..O1) are
// those of the state table in the tests. Knows no driver.

import WireCore

// MARK: - Events of the RFC

extension VirtualRouterStateMachine.State {
    mutating func startupRequested(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(var idle):
            idle.isStarted = true
            self = Self.started(idle, now: now, terms: terms, output: &output)
        case .backup(let backup): self = .backup(backup)
        case .active(let active): self = .active(active)
        }
    }

    mutating func shutdownRequested(output: inout VirtualRouterOutput) {
        switch consume self {
        case .initialize(var idle):
            idle.isStarted = false
            self = .initialize(idle)
        case .backup(let backup):
            // B1: send nothing.
            Self.leaveBackup(backup, cause: .shutdown, output: &output)
            self = .initialize(Initialize())
        case .active(let active):
            // A1: RFC 9568 §6.4.3: send an ADVERTISEMENT with Priority = 0.
            Self.giveUp(active, to: .initialize, cause: .shutdown, output: &output)
            self = .initialize(Initialize())
        }
    }

    mutating func timerFired(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(var backup):
            guard let deadline = backup.activeDownDeadline(terms), now >= deadline,
                !backup.mustReadLink(deadline: deadline, now: now, terms: terms)
            else {
                self = .backup(backup)
                return
            }
            // B2
            self = Self.claimed(
                backup, backup.claimByTimer, now: now, terms: terms, output: &output)
        case .active(var active):
            active.timerFired(now: now, terms: terms, output: &output)
            self = .active(active)
        }
    }

    mutating func advertisementReceived(
        _ received: ReceivedAdvertisement, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(var backup):
            backup.advertisementReceived(received, now: now, terms: terms, output: &output)
            self = .backup(backup)
        case .active(var active):
            switch active.verdict(on: received, now: now, terms: terms) {
            case .stay(let reaction):
                active.perform(reaction, on: received, now: now, terms: terms, output: &output)
                self = .active(active)
            case .stepDown:
                // A4
                if !Self.mayHavePreempted(received, terms: terms) {
                    active.seeSplit(by: received, now: now, terms: terms, output: &output)
                }
                var backup = Self.steppedDown(
                    active, cause: .higherPriorityHeard,
                    interval: received.advertisement.interval, now: now, terms: terms,
                    output: &output)
                backup.follow(
                    received.source, priority: received.advertisement.priority,
                    interval: received.advertisement.interval, now: now)
                self = .backup(backup)
            }
        }
    }
}

// MARK: - Events beyond the RFC

extension VirtualRouterStateMachine.State {
    mutating func localFaultDetected(output: inout VirtualRouterOutput) {
        switch consume self {
        case .initialize(var idle):
            idle.isFaulty = true
            self = .initialize(idle)
        case .backup(let backup):
            Self.leaveBackup(backup, cause: .localFault, output: &output)
            self = .initialize(Initialize(isStarted: true, isFaulty: true))
        case .active(let active):
            Self.giveUp(active, to: .initialize, cause: .localFault, output: &output)
            self = .initialize(Initialize(isStarted: true, isFaulty: true))
        }
    }

    mutating func localFaultCleared(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(var idle):
            idle.isFaulty = false
            self = Self.started(idle, now: now, terms: terms, output: &output)
        case .backup(let backup): self = .backup(backup)
        case .active(let active): self = .active(active)
        }
    }

    /// Active to Backup by somebody's wish; `hasYielded` when it is to last.
    mutating func yieldRequested(
        cause: VirtualRouterTransition.Cause, isLingering: Bool, hasYielded: Bool, now: Instant,
        terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(let backup): self = .backup(backup)
        case .active(let active):
            Self.giveUp(
                active, to: .backup, cause: cause, isLingering: isLingering, output: &output)
            var backup = Backup(
                now: now, interval: terms.interval,
                preemptionAllowedAt: active.preemptionAllowedAt)
            backup.hasYielded = hasYielded
            backup.isLingering = isLingering
            self = .backup(backup)
        }
    }

    mutating func lingeringEnded(output: inout VirtualRouterOutput) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(var backup):
            if backup.isLingering { output.append(.releaseAddresses(lingering: false)) }
            backup.isLingering = false
            self = .backup(backup)
        case .active(let active): self = .active(active)
        }
    }

    /// The router at `address` released the addresses or lost them with its life.
    ///
    /// With `isOrder` it handed over to us, whomever we follow.
    mutating func activeIsGone(
        address: IPAddress, cause: VirtualRouterTransition.Cause, isOrder: Bool, now: Instant,
        terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .active(var active):
            // It may have been the Active of a split that just healed.
            active.announceSoon(now: now, settings: terms.settings, output: &output)
            active.otherGaveUp(address)
            active.linkShowsNoSplit(of: address, terms: terms)
            active.endQuietSplit(now: now, terms: terms, output: &output)
            self = .active(active)
        case .backup(var backup):
            guard isOrder || backup.followedAddress ?? address == address else {
                self = .backup(backup)
                return
            }
            if isOrder {
                backup.followedAddress = address
                backup.followedEnd = now
            }
            self = Self.claimed(
                backup, Claim(cause: cause, isProof: true, gone: address), now: now,
                terms: terms, output: &output)
        }
    }

    /// The node did not run for a while.
    mutating func ranLate(by lateness: TimeSpan, now: Instant, terms: VirtualRouterTerms) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(var backup):
            backup.ranLate(by: lateness, now: now, terms: terms)
            self = .backup(backup)
        case .active(let active): self = .active(active)
        }
    }

    /// The pair link spoke.
    mutating func peerHeardOnLink(
        _ peer: PeerOnLink, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(var backup):
            // Roles other than Active never keep the timer from firing.
            if peer.role == .active {
                backup.activeHeardOnLink(peer, now: now, terms: terms, output: &output)
            }
            self = .backup(backup)
        case .active(var active):
            if active.heedAnswer(peer, now: now, terms: terms, output: &output) {
                var backup = Self.replaced(active, now: now, terms: terms, output: &output)
                if peer.role == .active {
                    backup.activeHeardOnLink(peer, now: now, terms: terms, output: &output)
                }
                self = .backup(backup)
                return
            }
            // Who does not know whether it is Active claims nothing; nor does this router then.
            if active.doubt != nil || peer.isDoubtful {
                self = .active(active)
                return
            }
            guard peer.role == .active else {
                active.linkShowsNoSplit(of: peer.address, terms: terms)
                active.endQuietSplit(now: now, terms: terms, output: &output)
                self = .active(active)
                return
            }
            // It said so before it was gone; or it is our own address by mistake.
            let isIgnored =
                active.quarantine?.covers(peer.address, now: now) ?? false
                || peer.address == terms.settings.primaryAddress
            guard !isIgnored else {
                self = .active(active)
                return
            }
            active.seeSplitOnLink(with: peer.address, now: now, output: &output)
            guard terms.isBetter(priority: peer.priority, address: peer.address) else {
                self = .active(active)
                return
            }
            guard !active.mayDefer(now: now, terms: terms) else {
                active.leaveToGroup(interval: terms.interval, now: now, terms: terms)
                self = .active(active)
                return
            }
            var backup = Self.steppedDown(
                active, cause: .splitOnLink, interval: terms.interval, now: now, terms: terms,
                output: &output)
            backup.follow(
                peer.address, priority: peer.priority, interval: terms.interval, now: now)
            backup.followsLink = true
            self = .backup(backup)
        }
    }

    /// The pair link fell silent: what was heard there proves nothing any more.
    mutating func linkSilent(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(var backup):
            backup.followsLink = false
            backup.linkReadAt = nil
            backup.patienceEnd = nil
            self = .backup(backup)
        case .active(var active):
            active.linkShowsNoSplit(of: nil, terms: terms)
            active.endQuietSplit(now: now, terms: terms, output: &output)
            self = .active(active)
        }
    }

    mutating func addressConflictSeen(
        _ mac: HardwareAddress, address: IPAddress, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(let backup): self = .backup(backup)
        case .active(var active):
            active.addressConflictSeen(
                mac, address: address, now: now, terms: terms, output: &output)
            self = .active(active)
        }
    }

    mutating func priorityChanged(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        // Active_Down_Timer follows by itself.
        case .backup(let backup): self = .backup(backup)
        case .active(var active):
            active.priorityChanged(now: now, terms: terms, output: &output)
            self = .active(active)
        }
    }

    mutating func holdsChanged(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(var backup):
            backup.holdsChanged(now: now, terms: terms, output: &output)
            self = .backup(backup)
        case .active(let active): self = .active(active)
        }
    }

    mutating func groupMayClaim(
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(let backup):
            switch backup.wait {
            case .silence, .betterBackups: self = .backup(backup)
            case .group(let ready):
                self = Self.becameActive(
                    backup, ready.claim, now: now, terms: terms, output: &output)
            }
        case .active(let active): self = .active(active)
        }
    }
}

// MARK: - Shared transitions

extension VirtualRouterStateMachine.State {
    /// Initialize, left when the router is started and healthy.
    private static func started(
        _ idle: Initialize, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) -> Self {
        guard idle.isStarted, !idle.isFaulty else { return .initialize(idle) }
        let preemptionAllowedAt = now + terms.settings.preemptDelay
        let held = terms.hold(isProof: false, replacesActive: false)
        if terms.settings.isOwner, held == nil, !terms.settings.isGrouped {
            // I1
            return .active(
                Active(
                    from: .initialize, cause: .startup, now: now, terms: terms,
                    preemptionAllowedAt: preemptionAllowedAt, output: &output))
        }
        // I2
        output.transition(from: .initialize, to: .backup, cause: .startup)
        var backup = Backup(
            now: now, interval: terms.interval, preemptionAllowedAt: preemptionAllowedAt)
        guard terms.settings.isOwner else {
            backup.listeningEnd = now + terms.settings.startupSilence
            return .backup(backup)
        }
        // I1, but somebody else has a say.
        return claimed(
            backup, Claim(cause: .startup, isProof: false), now: now, terms: terms,
            output: &output)
    }

    /// Backup, when a takeover is due: held, ready for the group, or Active.
    private static func claimed(
        _ backup: consuming Backup, _ claim: Claim, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) -> Self {
        var backup = backup
        let held = terms.hold(
            isProof: claim.isProof, replacesActive: backup.followedAddress != nil)
        if let held {
            backup.holdBack(by: held, now: now, terms: terms, output: &output)
            return .backup(backup)
        }
        guard terms.settings.isGrouped else {
            return becameActive(backup, claim, now: now, terms: terms, output: &output)
        }
        backup.heldBack = nil
        if case .group(let ready) = backup.wait {
            // Ready already; proof is a better reason than silence.
            if claim.isProof, !ready.claim.isProof {
                backup.wait = .group(Ready(claim: claim, since: ready.since))
            }
            return .backup(backup)
        }
        backup.wait = .group(Ready(claim: claim, since: now))
        output.append(.readyToClaim(claim.cause))
        return .backup(backup)
    }

    private static func becameActive(
        _ backup: Backup, _ claim: Claim, now: Instant, terms: VirtualRouterTerms,
        output: inout VirtualRouterOutput
    ) -> Self {
        var active = Active(
            from: .backup, cause: claim.cause, now: now, terms: terms,
            preemptionAllowedAt: backup.preemptionAllowedAt, output: &output)
        active.quarantine = claim.gone.map { address in
            Quarantine(
                address: address, end: now + quarantineInterval,
                coversAdvertisements: claim.cause != .activeGaveUp)
        }
        if let discarded = backup.discarded, now < discarded.end {
            active.preempted = Quarantine(
                address: discarded.address, end: now + terms.interval + quarantineInterval)
        }
        if claim.cause == .activeDownTimerFired {
            // Silence may be a frozen process whose kernel still answers ARP.
            active.announce(by: now + terms.settings.addressLease)
            active.conflictsExpectedUntil =
                now + terms.settings.addressLease + announcementLimit
        }
        return .active(active)
    }

    /// A4, by advert or link: one last advert, which the RFC does not ask for, makes the winner see
    /// that a split healed (A5) and announce the addresses again.
    private static func steppedDown(
        _ active: consuming Active, cause: VirtualRouterTransition.Cause, interval: TimeSpan,
        now: Instant, terms: VirtualRouterTerms, output: inout VirtualRouterOutput
    ) -> Backup {
        var active = active
        output.append(.releaseAddresses(lingering: false))
        output.append(.sendAdvertisement(priority: terms.priority))
        output.transition(from: .active, to: .backup, cause: cause)
        active.endSplit(.yielded, output: &output)
        return Backup(
            now: now, interval: interval, preemptionAllowedAt: active.preemptionAllowedAt)
    }

    private static func giveUp(
        _ active: consuming Active, to state: VirtualRouterState,
        cause: VirtualRouterTransition.Cause, isLingering: Bool = false,
        output: inout VirtualRouterOutput
    ) {
        var active = active
        output.append(.releaseAddresses(lingering: isLingering))
        output.append(.sendAdvertisement(priority: 0))
        output.transition(from: .active, to: state, cause: cause)
        active.endSplit(state == .backup ? .yielded : .outOfService, output: &output)
    }

    /// Backup to Initialize: what lingers goes with it.
    private static func leaveBackup(
        _ backup: Backup, cause: VirtualRouterTransition.Cause,
        output: inout VirtualRouterOutput
    ) {
        if backup.isLingering { output.append(.releaseAddresses(lingering: false)) }
        output.transition(from: .backup, to: .initialize, cause: cause)
    }

    /// Whether a better Active may just have preempted us, as the RFC means it to.
    ///
    /// Otherwise two were Active at once: a split brain, if only a short one.
    private static func mayHavePreempted(
        _ received: ReceivedAdvertisement, terms: VirtualRouterTerms
    ) -> Bool {
        if let peer = terms.peerOnLink, peer.address == received.source {
            return peer.role != .active
        }
        return terms.settings.preempts || received.advertisement.priority == 255
    }
}
