// SPDX-License-Identifier: Apache-2.0
//
// What the owner of a speaker tells it, each passed on to the state machine after a look at the
// socket and the clock.

internal import LinuxIO
public import VRRPCore
public import WireCore

extension Speaker {
    /// Starts speaking.
    public func start() {
        step { $0.startupRequested(now: $1, into: &$2) }
    }

    /// Leaves: an Active releases the addresses and sends priority 0.
    public func shutDown() {
        step { $0.shutdownRequested(now: $1, into: &$2) }
    }

    /// Gives the addresses to the other node; ignored unless Active.
    public func switchOver() {
        yield(isLingering: false)
    }

    /// Gives the Active's part to the other node; ignored unless Active.
    ///
    /// When `isLingering`, the addresses stay here, unannounced, until `endLingering`.
    public func yield(isLingering: Bool) {
        let mayLinger = isLingering && !ports.announcer.isNeverQuiet
        step { $0.yieldRequested(lingering: mayLinger, now: $1, into: &$2) }
    }

    /// The authenticated pair link vouches for the other node's process.
    func peerVouched(bootNonce: UInt64) {
        guard signer != nil else { return }
        for address in [surroundings.peerAddress, peerAddress, status.heardActive?.address]
            .compactMap(\.self)
        {
            decoder.expect(bootNonce: bootNonce, from: address)
        }
    }

    /// The connections that kept the addresses here have ended.
    public func endLingering() {
        step { $0.lingeringEnded(now: $1, into: &$2) }
    }

    /// The other node handed its part over and keeps quiet from now on.
    public func takeOver(detectedAt: Instant) {
        announcedDeath = (.switchover, detectedAt)
        let peer = peerAddress
        step { $0.handoverReceived(from: peer, now: $1, into: &$2) }
        forgetAnnouncedDeath()
    }

    /// The pair link proved that the other node's process is gone.
    public func peerProcessDied(detectedAt: Instant) {
        announcedDeath = (.peerProcessDead, detectedAt)
        let peer = peerAddress
        step { $0.peerDeathProven(address: peer, now: $1, into: &$2) }
        forgetAnnouncedDeath()
    }

    /// The other node said on the pair link that it has released the addresses.
    ///
    /// - Parameters:
    ///   - reason: `peerLeft` or `switchover`.
    ///   - detectedAt: when the message came.
    public func peerReleasedAddresses(because reason: FailoverRecord.Reason, detectedAt: Instant) {
        announcedDeath = (reason, detectedAt)
        let peer = peerAddress
        step { $0.peerHandedOver(address: peer, now: $1, into: &$2) }
        forgetAnnouncedDeath()
    }

    /// The node did not run for `lateness`, as its loop noticed.
    func ranLate(by lateness: TimeSpan) {
        step(afterHearing: { $0.ranLate(by: lateness, now: $1, into: &$2) })
    }

    /// What the other node says about this virtual router on the pair link.
    ///
    /// - Parameters:
    ///   - heard: what it says.
    ///   - answeredAt: when this node sent what the other one acted on last.
    public func peerHeard(_ heard: PeerRouterHeard, answeredAt: Instant? = nil) {
        let isAnswer =
            if let answeredAt, let askedAt { answeredAt >= askedAt } else { false }
        status.peerSaid = heard
        let peer = PeerOnLink(
            address: peerAddress, role: heard.state, priority: heard.priority ?? 0,
            isFaulty: heard.isFaulty, isHeld: heard.isHeld, isLingering: heard.isLingering,
            isDoubtful: heard.isDoubtful, isAnswer: isAnswer, claimMark: heard.claimMark)
        // What the link says is heard before silence is believed, like an advert.
        step(afterHearing: { $0.peerHeardOnLink(peer, now: $1, into: &$2) })
    }

    /// The pair link is silent: what was heard there counts no longer.
    public func linkSilent() {
        status.peerSaid = nil
        step { $0.linkSilent(now: $1, into: &$2) }
    }

    /// Lowers the priority by `points`, 0 for none; never below 1, and an owner stays one.
    public func setPenalty(points: Int) {
        let lowered = max(Int(settings.priority) - max(points, 0), 1)
        guard let priority = UInt8(exactly: lowered), status.penaltyPoints != points else { return }
        status.penaltyPoints = points
        step { $0.priorityChanged(to: priority, now: $1, into: &$2) }
    }

    /// Says whether something keeps this node from becoming Active by silence.
    public func setHold(_ hold: ClaimHold, isPresent: Bool) {
        var holds = Set(machine.holds.map(\.hold))
        if isPresent {
            guard holds.insert(hold).inserted else { return }
        } else {
            guard holds.remove(hold) != nil else { return }
        }
        step { $0.holdsChanged(to: holds, now: $1, into: &$2) }
    }

    /// Says whether a fault keeps this node from serving; the router runs while there is none.
    public func setFault(_ fault: LocalFault, isPresent: Bool) {
        let wasFaulty = !faults.isEmpty
        if isPresent {
            guard faults.insert(fault).inserted else { return }
        } else {
            guard faults.remove(fault) != nil else { return }
        }
        let isFaulty = !faults.isEmpty
        noteFaults()
        guard isFaulty != wasFaulty else {
            publish()
            return
        }
        guard let team else {
            followFault(isFaulty: isFaulty)
            return
        }
        team.faultChanged(isFaulty, of: teamIndex)
        publish()
    }

    /// Leaves or comes back with the group.
    func followGroup(isFaulty: Bool) {
        isGroupFaulty = isFaulty
        noteFaults()
        followFault(isFaulty: isFaulty)
    }

    private func followFault(isFaulty: Bool) {
        obey { machine, now, actions in
            if isFaulty {
                machine.localFaultDetected(now: now, into: &actions)
            } else {
                machine.localFaultCleared(now: now, into: &actions)
            }
        }
    }

    /// Somebody may have removed the addresses: puts back what is missing and announces it.
    public func checkAddresses() {
        step()
        keeper.check()
    }

    /// The other node's own address, as its adverts bear it.
    ///
    /// A link-local address that is not configured is learned from whoever is followed while the
    /// other node says that it is the Active.
    var peerAddress: IPAddress {
        if let known = surroundings.peerAddress { return known }
        if status.peerSaid?.state == .active, let followed = machine.followedAddress {
            learnedPeerAddress = followed
        }
        return learnedPeerAddress ?? surroundings.unknownAddress
    }

    private func forgetAnnouncedDeath() {
        // A member that waits for its group still has to say why when it claims.
        if machine.readySince == nil { announcedDeath = nil }
    }
}
