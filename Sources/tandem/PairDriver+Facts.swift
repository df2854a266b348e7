// SPDX-License-Identifier: Apache-2.0
//
// What the pair thread learns, from its trackers and from the other node, and hands to the virtual
// routers.

internal import EventLoop
internal import LinuxIO
internal import ProxyService
internal import ReplicationCore
internal import ReplicationService
internal import Telemetry
internal import VRRPCore
internal import VRRPService
internal import WireCore

extension PairDriver {
    /// What the trackers add up to.
    func apply(_ verdict: TrackingVerdict) {
        group.setFault(.dataPlaneStalled, isPresent: verdict.isDataPlaneStalled)
        group.setFault(.trackerFailed, isPresent: verdict.hasTrackerFault)
        group.setPenalty(points: verdict.penaltyPoints)
        group.setHold(.witnessUnreachable, isPresent: verdict.isWitnessMissing)
        link?.beat()
        publishSnapshot()
    }

    /// Says when the nodes begin or cease to differ, and holds this one back where that is wanted.
    func noticeDrift() {
        group.setHold(.differentConfiguration, isPresent: drift.isHeld)
        guard let isDifferent = drift.isDifferent, isDifferent != isConfigurationDrifting else {
            return
        }
        isConfigurationDrifting = isDifferent
        if isDifferent {
            logger.warning("the peer runs from another configuration: 'tandem status' shows both")
        } else {
            logger.info("both nodes run from the same configuration again")
        }
    }

    /// Gives the addresses to a peer that is better, when trackers have lowered this node.
    func handOverAsDegraded(_ instances: [VirtualRouterInstance]) {
        logger.warning(
            "trackers lowered this node below its peer: handing the addresses over",
            ["routers": instances.map(\.description).joined(separator: ", ")])
        handover?.begin(because: .degraded, instances)
    }
}

extension PairDriver: PairLinkOwner {
    func pairLinkWillBeat() {
        group.noticeTime()
    }

    func pairLinkReport() -> PairLinkReport {
        PairLinkReport(
            routers: group.linkReports.map(VirtualRouterReport.init),
            configurationHash: configurationHash,
            isDataPlaneHealthy: !tracking.verdict.isDataPlaneStalled,
            bootNonce: group.bootNonce)
    }

    func pairLinkPeerProcessDied(at instant: Instant) {
        isPeerActive = false
        group.peerProcessDied(detectedAt: instant)
        handover?.peerEnded()
    }

    func pairLinkPeerLeft(at instant: Instant) {
        isPeerActive = false
        group.peerLeft(detectedAt: instant)
        handover?.peerEnded()
    }

    func pairLinkCameUp() {
        handover?.linkCameUp()
        publishSnapshot()
    }

    func pairLinkWentDown(_ reason: LinkDownReason) {
        // Never a reason to take over: only a death certificate or silence on every path is.
        group.linkSilent()
        handover?.linkWentDown()
        publishSnapshot()
    }

    func pairLinkHeard(_ heartbeat: Heartbeat, at instant: Instant) {
        let wasPeerActive = isPeerActive
        isPeerActive = heartbeat.routers.contains {
            // Who does not know is what it was.
            $0.role == .active && (wasPeerActive || !$0.isDoubtful)
        }
        if isPeerActive, !wasPeerActive { handover?.peerIsActive() }
        drift.peerHeard(
            hash: heartbeat.configurationHash, isPeerActive: isPeerActive,
            isOwnActive: !group.activeInstances.isEmpty)
        noticeDrift()
        if setUp.secret != nil, let nonce = heartbeat.bootNonce {
            group.peerVouched(bootNonce: nonce)
        }
        group.peerHeard(
            heartbeat.routers.map(PeerRouterHeard.init), answeredAt: heartbeat.answeredAt,
            at: instant)
        // Last: a node that was stopped finds out with the first event that it was late.
        if heartbeat.routers.contains(where: { $0.role == .active && !$0.isDoubtful }) {
            setUp.dataPlane.life.noteReplaced(at: Clock.now())
        }
    }

    func pairLinkReceived(_ message: HandoverMessage, at instant: Instant) {
        handover?.received(message)
        publishSnapshot()
    }
}

extension VirtualRouterReport {
    init(_ router: PeerRouterHeard) {
        self.init(
            id: router.virtualRouterID, family: router.family,
            role: VirtualRouterRole(router.state), priority: router.priority,
            isFaulty: router.isFaulty, isHeld: router.isHeld, isLingering: router.isLingering,
            isDoubtful: router.isDoubtful, claimMark: router.claimMark)
    }
}

extension PeerRouterHeard {
    init(_ report: VirtualRouterReport) {
        self.init(
            virtualRouterID: report.id, family: report.family,
            state: VirtualRouterState(report.role), priority: report.priority,
            isFaulty: report.isFaulty, isHeld: report.isHeld, isLingering: report.isLingering,
            isDoubtful: report.isDoubtful, claimMark: report.claimMark)
    }
}

extension VirtualRouterRole {
    init(_ state: VirtualRouterState) {
        switch state {
        case .initialize: self = .initialize
        case .backup: self = .backup
        case .active: self = .active
        }
    }
}

extension VirtualRouterState {
    init(_ role: VirtualRouterRole) {
        switch role {
        case .initialize: self = .initialize
        case .backup: self = .backup
        case .active: self = .active
        }
    }
}
