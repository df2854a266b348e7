// SPDX-License-Identifier: Apache-2.0
//
// What a speaker's machine knows, put into the status that other threads read.

internal import LinuxIO
internal import VRRPCore
internal import WireCore

extension Speaker {
    /// Copies what the machine and the ports know.
    func readMachine() {
        status.priority = machine.priority
        status.counters = machine.counters
        status.isLingering = machine.isLingering
        status.isHeardOnLinkOnly = machine.isHeardOnLinkOnly
        status.channel = ports.channel.counts
        let holds = machine.holds
        let heldSince = machine.takeoverHeldSince
        let readySince = machine.readySince
        let split = machine.split
        // Almost always nothing of it is there, and the two clocks need not be read.
        if holds.isEmpty, heldSince == nil, readySince == nil, split == nil {
            status.holds = []
            status.takeoverHeldSince = nil
            status.readySince = nil
            status.splitBrain = nil
            return
        }
        let now = Moment.now()
        func moment(_ instant: Instant) -> Moment { now.at(clock.monotonicTime(instant)) }
        status.holds = holds.map { HeldClaimStatus(hold: $0.hold, since: moment($0.since)) }
        status.takeoverHeldSince = heldSince.map(moment)
        status.readySince = readySince.map(moment)
        status.splitBrain = split.map { split in
            SplitBrainStatus(
                since: moment(split.since),
                evidence: SplitEvidence.allCases.filter(split.evidence.contains),
                party: split.party.description)
        }
    }

    /// The faults in a stable order, the group's last.
    func noteFaults() {
        status.faults = LocalFault.allCases.filter(faults.contains)
        if faults.isEmpty, isGroupFaulty { status.faults = [.groupFaulty] }
    }

    /// What the other node is to hear about this virtual router.
    ///
    /// Another router of this node may have noticed first that the node overslept, and have made it
    /// beat: an Active that is about to notice is none any more, or does not know.
    var linkReport: PeerRouterHeard {
        let now = clock.machineTime(Clock.now())
        let hasOverslept = machine.hasOverslept(now: now)
        return PeerRouterHeard(
            virtualRouterID: instance.virtualRouterID, family: instance.family,
            state: hasOverslept ? .backup : machine.state, priority: machine.priority,
            isFaulty: !faults.isEmpty || isGroupFaulty,
            isHeld: machine.holds.contains { $0.hold.forbidsClaims },
            isLingering: machine.isLingering, isDoubtful: machine.isDoubtful(now: now),
            claimMark: claimSalt
                &+ UInt32(truncatingIfNeeded: machine.counters.becameActive))
    }

    /// Whether this node must ask the other one whether it was replaced, or has asked.
    var isDoubtful: Bool {
        machine.isDoubtful(now: clock.machineTime(Clock.now()))
    }
}
