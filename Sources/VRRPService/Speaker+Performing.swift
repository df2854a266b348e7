// SPDX-License-Identifier: Apache-2.0
//
// The actions of the state machine, performed in order, each step of a takeover timestamped.

internal import ConfigurationCore
internal import LinuxIO
internal import Telemetry
internal import VRRPCore
internal import WireCore

extension Speaker {
    /// The steps of a takeover that is under way.
    struct Takeover {
        var reason: FailoverRecord.Reason?
        var lastHeardAt: Instant?
        var detectedAt: Instant
        var claimedAt: Instant
        var advertisedAt: Instant
        var announcedAt: Instant
    }

    func perform(_ actions: [VirtualRouterAction], decidedAt: Instant) {
        var isRefused = false
        for action in actions {
            switch action {
            case .claimAddresses:
                isRefused = !claim(decidedAt: decidedAt)
            case .releaseAddresses(lingering: false):
                release()
            case .releaseAddresses(lingering: true), .readyToClaim, .noLongerReady:
                break
            case .reportSplit(let report):
                logger.warning("[vrid \(settings.virtualRouterID)] \(report)")
            case .sendAdvertisement(let priority):
                if !isRefused { advertise(priority: priority) }
            case .announceAddresses:
                if !isRefused { announce() }
            case .recordTransition(let transition):
                record(transition)
            case .report(let notice, let suppressedCount):
                logger.warning(
                    "[vrid \(settings.virtualRouterID)] \(notice)",
                    ["suppressed": String(suppressedCount)])
            }
        }
        if isRefused {
            retryRefusedAddresses()
            setFault(.addressRefused, isPresent: true)
        }
    }

    private func claim(decidedAt: Instant) -> Bool {
        let detectedAt = min(announcedDeath?.detectedAt ?? decidedAt, decidedAt)
        do throws(VirtualAddressError) {
            try ports.addresses.put(settings.addresses, lease: settings.addressLease)
        } catch {
            logger.error("[vrid \(settings.virtualRouterID)] cannot take the addresses: \(error)")
            return false
        }
        ports.announcer.hold(settings.addresses)
        let now = Clock.now()
        takeover = Takeover(
            reason: announcedDeath?.reason, lastHeardAt: status.heardActive?.heardAt,
            detectedAt: detectedAt,
            claimedAt: now, advertisedAt: now, announcedAt: now)
        renewedAt = now
        status.heldAddresses = settings.addresses
        scheduleRenewal(after: renewalInterval)
        return true
    }

    private func release() {
        cancelRenewal()
        cancelHeal()
        ports.announcer.letGo()
        renewedAt = nil
        takeover = nil
        do throws(VirtualAddressError) {
            try ports.addresses.remove(settings.addresses)
        } catch {
            // The lease ends it within seconds, since nobody renews any more.
            logger.error("[vrid \(settings.virtualRouterID)] cannot release: \(error)")
        }
        status.heldAddresses = []
    }

    private func advertise(priority: UInt8) {
        let destination: IPAddress
        switch surroundings.transport {
        case .multicast: destination = Advertisement.multicastGroup
        case .unicast: destination = surroundings.peerAddress
        }
        let message = settings.advertisement(priority: priority).encoded(
            checksum: settings.checksumForm, source: settings.primaryAddress,
            destination: destination)
        if !ports.channel.send(message) { report.sendFailures.add() }
        if takeover != nil { takeover?.advertisedAt = Clock.now() }
    }

    private func announce() {
        ports.announcer.announce(settings.addresses)
        if takeover != nil { takeover?.announcedAt = Clock.now() }
    }

    private func record(_ transition: VirtualRouterTransition) {
        report.transitions.add()
        status.state = transition.to
        status.since = .now()
        status.cause = transition.cause
        var failover: FailoverRecord?
        if transition.to == .active, let takeover {
            failover = makeRecord(takeover, transition.cause)
            status.lastFailover = failover
        }
        takeover = nil
        // An outside reader must never see the new addresses with the old state for long.
        publish()
        logTransition(transition, failover)
        onStateChange?(
            SpeakerStateChange(
                virtualRouterID: settings.virtualRouterID, transition: transition,
                failover: failover))
    }

    private func logTransition(_ transition: VirtualRouterTransition, _ failover: FailoverRecord?) {
        let text = TransitionText(
            virtualRouterID: settings.virtualRouterID, transition: transition, failover: failover,
            heardActive: status.heardActive, faults: status.faults,
            isRestart: report.transitions.value > 1)
        guard let failover else {
            logger.info(text.line, ["cause": transition.cause.rawValue])
            return
        }
        logger.info(
            text.line,
            [
                "cause": failover.detectedBecause.rawValue,
                "silence_us": failover.silence.map { String($0.microseconds) } ?? "none",
                "claim_us": String(failover.claimDuration.microseconds),
                "announce_us": String(failover.announceDuration.microseconds),
            ])
    }

    private func makeRecord(
        _ takeover: Takeover, _ cause: VirtualRouterTransition.Cause
    ) -> FailoverRecord {
        let now = Moment.now()
        return FailoverRecord(
            virtualRouterID: settings.virtualRouterID,
            detectedBecause: takeover.reason ?? FailoverRecord.Reason(cause),
            lastHeardFromActiveAt: takeover.lastHeardAt.map(now.at),
            detectedAt: now.at(takeover.detectedAt), claimedAt: now.at(takeover.claimedAt),
            advertisedAt: now.at(takeover.advertisedAt), announcedAt: now.at(takeover.announcedAt))
    }

    // MARK: Keeping the addresses

    /// Renews the lease, after making sure that we are still the Active.
    func renew() {
        step()
        guard machine.state == .active, let renewedAt else { return }
        let now = Clock.now()
        let isLate = now - renewedAt >= settings.addressLease
        do throws(VirtualAddressError) {
            try ports.addresses.put(settings.addresses, lease: settings.addressLease)
        } catch {
            report.renewalFailures.add()
            logHeal("cannot renew the addresses: \(error)")
            if isLate {
                refuse()
            } else {
                scheduleRenewal(after: Self.renewalRetryDelay)
            }
            return
        }
        self.renewedAt = now
        report.renewals.add()
        scheduleRenewal(after: renewalInterval)
        if isLate {
            // The kernel may have removed them in between, and neighbours may have given up.
            report.lateRenewals.add()
            ports.announcer.announce(settings.addresses)
            logHeal("renewed the addresses \((now - renewedAt).milliseconds)ms after the last time")
        }
    }

    /// Puts back what somebody removed.
    func heal() {
        let missing = ports.addresses.missing(among: settings.addresses)
        guard !missing.isEmpty else { return }
        healedAt = Clock.now()
        do throws(VirtualAddressError) {
            try ports.addresses.put(settings.addresses, lease: settings.addressLease)
        } catch {
            logHeal("somebody removed a virtual address and it cannot be put back: \(error)")
            refuse()
            return
        }
        renewedAt = healedAt
        report.healedAddresses.add(UInt64(missing.count))
        ports.announcer.announce(settings.addresses)
        let names = missing.map(\.description).joined(separator: " ")
        logHeal("somebody removed \(names) from this node: put back and announced")
    }

    private func refuse() {
        retryRefusedAddresses()
        setFault(.addressRefused, isPresent: true)
    }

    private func logHeal(_ text: String) {
        guard let suppressed = healLimiter.admit(now: Clock.now()) else { return }
        logger.warning(
            "[vrid \(settings.virtualRouterID)] \(text)", ["suppressed": String(suppressed)])
    }
}

extension FailoverRecord.Reason {
    /// What a takeover's cause is called when the owner of the speaker said nothing.
    fileprivate init(_ cause: VirtualRouterTransition.Cause) {
        switch cause {
        case .startup: self = .startup
        case .activeGaveUp: self = .priorityZero
        case .peerDeathProven: self = .peerProcessDead
        case .peerHandedOver: self = .peerLeft
        case .switchoverRequested: self = .switchover
        case .activeDownTimerFired, .shutdown, .higherPriorityHeard, .overslept, .localFault,
            .groupYielded, .splitOnLink:
            self = .activeDownTimer
        }
    }
}
