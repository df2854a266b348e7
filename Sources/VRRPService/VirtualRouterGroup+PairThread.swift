// SPDX-License-Identifier: Apache-2.0
//
// What the pair thread tells the virtual routers, and what it reads for the other node.

internal import ConfigurationCore
internal import EventLoop
internal import LinuxIO
public import VRRPCore
public import WireCore

extension VirtualRouterGroup {
    // MARK: Facts about this node

    /// Says whether a fault keeps this node from serving.
    public func setFault(_ fault: LocalFault, isPresent: Bool) {
        for speaker in speakers { speaker.setFault(fault, isPresent: isPresent) }
        for router in routeRouters { router.setFault(fault, isPresent: isPresent) }
    }

    /// Lowers every priority by `points`; 0 for none.
    public func setPenalty(points: Int) {
        for speaker in speakers { speaker.setPenalty(points: points) }
    }

    /// Says whether something keeps this node from becoming Active by silence.
    public func setHold(_ hold: ClaimHold, isPresent: Bool) {
        for speaker in speakers { speaker.setHold(hold, isPresent: isPresent) }
    }

    // MARK: Facts about the other node

    /// What a heartbeat says about the other node's virtual routers, in its order.
    ///
    /// The same VRID and family twice means two interfaces: the order tells which is which.
    ///
    /// - Parameters:
    ///   - routers: the other node's virtual routers.
    ///   - answeredAt: when this node sent the heartbeat that the other one acted on last.
    ///   - instant: when the heartbeat was read.
    public func peerHeard(
        _ routers: [PeerRouterHeard], answeredAt: Instant? = nil, at instant: Instant
    ) {
        var seen: [UInt16: Int] = [:]
        for router in routers {
            let key = UInt16(router.virtualRouterID) << 1 | (router.family == .ipv6 ? 1 : 0)
            let position = seen[key, default: 0]
            seen[key] = position + 1
            let namesakes = speakers.lazy.filter {
                $0.instance.virtualRouterID == router.virtualRouterID
                    && $0.instance.family == router.family
            }
            guard let speaker = namesakes.dropFirst(position).first else { continue }
            let before = speaker.currentStatus.peerSaid?.state
            if before == .active, router.state != .active {
                // It gave up just now: no need to wait for Skew_Time.
                peerReleased(speaker, router.state, at: instant)
            }
            speaker.peerHeard(router, answeredAt: answeredAt)
        }
        noteLinkUp(true, at: instant)
        adviseHandover(now: instant)
    }

    /// The other node said on the link that it is Active no more.
    ///
    /// A node that ran late reads old words first: what follows in the socket may take them back,
    /// and an order that nobody took in time must not move the addresses.
    private func peerReleased(
        _ speaker: Speaker, _ state: VirtualRouterState, at instant: Instant
    ) {
        let reason: FailoverRecord.Reason = state == .backup ? .switchover : .peerLeft
        guard instant < oldWordsEnd else {
            speaker.peerReleasedAddresses(because: reason, detectedAt: instant)
            return
        }
        loop.schedule(after: Self.oldWordsSpan) { [weak speaker] in
            guard let speaker, let said = speaker.currentStatus.peerSaid, said.state != .active
            else { return }
            speaker.peerReleasedAddresses(because: reason, detectedAt: instant)
        }
    }

    /// The authenticated pair link vouches for the other node's process.
    ///
    /// Its signed adverts count from then on, although its clock may have gone back since the last.
    public func peerVouched(bootNonce: UInt64) {
        for speaker in speakers { speaker.peerVouched(bootNonce: bootNonce) }
    }

    /// The pair link is silent or down: what was heard there counts no longer.
    public func linkSilent() {
        noteLinkUp(false, at: Clock.now())
        for speaker in speakers { speaker.linkSilent() }
    }

    /// The pair link proved that the other node's process is gone.
    public func peerProcessDied(detectedAt: Instant) {
        for speaker in speakers { speaker.peerProcessDied(detectedAt: detectedAt) }
        linkSilent()
    }

    /// The other node said goodbye on the pair link; it has released all its addresses.
    public func peerLeft(detectedAt: Instant) {
        for speaker in speakers {
            speaker.peerReleasedAddresses(because: .peerLeft, detectedAt: detectedAt)
        }
        linkSilent()
    }

    // MARK: What the other node is to hear

    /// One entry per speaker, in order, for the heartbeat.
    public var linkReports: [PeerRouterHeard] { speakers.map(\.linkReport) }

    /// How often heartbeats must go so that they can stand for lost adverts; `nil` when none do.
    public var heartbeatIntervalWanted: TimeSpan? {
        speakers
            .filter { $0.state == .active && $0.surroundings.takeover == .safe }
            .map(\.settings.advertisementInterval).min()
    }

    // MARK: What people are to see

    /// Every virtual router as it stands, those without an election last; on the loop's thread.
    public var statuses: [SpeakerStatus] {
        speakers.map(\.currentStatus) + routeRouters.map(\.currentStatus)
    }

    /// The numbers of every virtual router, for any thread.
    public var reports: [SpeakerReport] { speakers.map(\.report) + routeRouters.map(\.report) }
}
