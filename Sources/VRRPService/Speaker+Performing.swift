// SPDX-License-Identifier: Apache-2.0
//
// The actions of the state machine, performed in order, each step of a takeover timestamped.

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
            case .releaseAddresses(let isLingering):
                if isLingering { linger() } else { release() }
            case .sendAdvertisement(let priority):
                if !isRefused { advertise(priority: priority) }
            case .announceAddresses:
                if !isRefused { announce() }
            case .recordTransition(let transition):
                record(transition)
            case .askPeer:
                askedAt = Clock.now()
                onQuestion?()
            case .readyToClaim:
                // The group's part: it sees every list of actions.
                break
            case .noLongerReady:
                // What made it ready is no reason for a later takeover.
                announcedDeath = nil
            case .reportSplit(let split):
                logger.warning("[\(surroundings.label)] \(split)")
            case .report(let notice, let suppressedCount):
                logger.warning(
                    "[\(surroundings.label)] \(notice)", ["suppressed": String(suppressedCount)])
            }
        }
        if isRefused { refuse() }
    }

    private func claim(decidedAt: Instant) -> Bool {
        let detectedAt = min(announcedDeath?.detectedAt ?? decidedAt, decidedAt)
        do throws(VirtualAddressError) {
            try keeper.take()
        } catch {
            logger.error("[\(surroundings.label)] cannot take the addresses: \(error)")
            return false
        }
        refusalCount = 0
        if isQuiet {
            isQuiet = false
            onWillBeLoud?()
        }
        ports.announcer.isQuiet = false
        ports.announcer.hold(settings.addresses)
        ports.prober?.watch(settings.addresses)
        status.verification = nil
        let now = Clock.now()
        takeover = Takeover(
            reason: announcedDeath?.reason, lastHeardAt: status.heardActive?.heardAt,
            detectedAt: detectedAt,
            claimedAt: now, advertisedAt: now, announcedAt: now)
        status.heldAddresses = settings.addresses
        status.isPrepared = false
        return true
    }

    private func release() {
        takeover = nil
        endVerifying()
        dropAddresses()
    }

    /// Keeps the addresses and says nothing more about them.
    private func linger() {
        takeover = nil
        isQuiet = true
        endVerifying()
        ports.announcer.isQuiet = true
    }

    private func advertise(priority: UInt8) {
        guard let destination = surroundings.destination(settings), !settings.primaryAddress.isAny
        else {
            report.sendFailures.add()
            return
        }
        let advertisement = settings.advertisement(priority: priority)
        let message: [UInt8]
        if signer != nil {
            message = encodeSigned(advertisement, to: destination)
        } else {
            message = advertisement.encoded(
                checksum: settings.checksumForm, source: settings.primaryAddress,
                destination: destination, linkLocal: status.linkLocal?.ipv6)
        }
        if !ports.channel.send(message) { report.sendFailures.add() }
        if takeover != nil { takeover?.advertisedAt = Clock.now() }
    }

    private func encodeSigned(
        _ advertisement: Advertisement, to destination: IPAddress
    ) -> [UInt8] {
        guard var signer else { preconditionFailure("asked only where adverts are signed") }
        let message = advertisement.encoded(
            checksum: settings.checksumForm, source: settings.primaryAddress,
            destination: destination, linkLocal: status.linkLocal?.ipv6, signer: &signer)
        self.signer = signer
        return message
    }

    func announce() {
        ports.announcer.announce(settings.addresses)
        if takeover != nil { takeover?.announcedAt = Clock.now() }
        scheduleProbes()
    }

    private func record(_ transition: VirtualRouterTransition) {
        report.transitions.add()
        readMachine()
        status.state = transition.to
        status.since = .now()
        status.cause = transition.cause
        var failover: FailoverRecord?
        if transition.to == .active, let takeover {
            failover = makeRecord(takeover, transition.cause)
            status.lastFailover = failover
            if let failover { report.countTakeover(failover.detectedBecause) }
        }
        if transition.to == .active { announcedDeath = nil }
        if transition.to == .initialize { cancelPrepared() }
        takeover = nil
        // An outside reader must never see the new addresses with the old state for long.
        report.publish(status)
        logTransition(transition, failover)
        onStateChange?(
            SpeakerStateChange(
                instance: instance, transition: transition, addresses: settings.addresses,
                isLingering: status.isLingering, failover: failover))
    }

    private func logTransition(_ transition: VirtualRouterTransition, _ failover: FailoverRecord?) {
        guard let suppressed = transitionLog.admit(now: Clock.now()) else { return }
        let held = String(suppressed)
        let text = TransitionText(
            label: surroundings.label, transition: transition, failover: failover,
            heardActive: status.heardActive, faults: status.faults,
            isRestart: report.transitions.value > 1)
        guard let failover else {
            logger.info(text.line, ["cause": transition.cause.rawValue, "suppressed": held])
            return
        }
        logger.info(
            text.line,
            [
                "cause": failover.detectedBecause.rawValue,
                "silence_us": failover.silence.map { String($0.microseconds) } ?? "none",
                "claim_us": String(failover.claimDuration.microseconds),
                "announce_us": String(failover.announceDuration.microseconds),
                "suppressed": held,
            ])
    }

    private func makeRecord(
        _ takeover: Takeover, _ cause: VirtualRouterTransition.Cause
    ) -> FailoverRecord {
        let now = Moment.now()
        return FailoverRecord(
            instance: instance, detectedBecause: takeover.reason ?? FailoverRecord.Reason(cause),
            lastHeardFromActiveAt: takeover.lastHeardAt.map(now.at),
            detectedAt: now.at(takeover.detectedAt), claimedAt: now.at(takeover.claimedAt),
            advertisedAt: now.at(takeover.advertisedAt), announcedAt: now.at(takeover.announcedAt))
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
