// SPDX-License-Identifier: Apache-2.0
//
// What the control threads of both nodes tell each other about backends: what operators decided,
// and what traffic and checks found out.

internal import ConfigurationCore
internal import EventLoop
internal import HealthService
internal import LinuxIO
internal import ReplicationCore
internal import ReplicationService
internal import Telemetry
internal import WireCore

/// What the control thread keeps about the other node's words.
struct PeerState {
    /// Words about backends that this node does not have yet; more are forgotten.
    static let waitingCountMax = 16_384
    /// How often a decision that could not be followed is tried again, beside every change of the
    /// backends.
    static let retryInterval = TimeSpan.seconds(10)

    let boards: StateBoards
    /// Decisions of operators that this node cannot follow yet, or must not.
    var waitingOverrides = PeerOverrides()
    var waitingVerdicts: [[UInt8]: StateDecision] = [:]
    /// Where the change of a backend was made, when it was the other node.
    var origins: [RuntimeOverrides.Name: String] = [:]
    /// Following one decision changes the backends, which asks for all of them again.
    var isFollowing = false
    var isRetryDue = false
}

extension Node {
    /// Begins to tell the other node what is decided here, and to follow what it decides.
    func startPeerState(_ boards: StateBoards) throws(Errno) {
        peerState = PeerState(boards: boards)
        addMetricSource(boards)
        health?.tellPeer(as: name) { key, value in boards.verdicts.decide(key, value) }
        try loop.attach(boards.operators.arrivals) { [unowned self] in takePeerOverrides() }
        try loop.attach(boards.verdicts.arrivals) { [unowned self] in takePeerVerdicts() }
    }

    /// The node on which the change of a backend was made, when it was the other one.
    func overrideOrigin(of name: RuntimeOverrides.Name) -> String? { peerState?.origins[name] }

    // MARK: Operators

    /// Tells the other node everything that commands changed about a backend.
    func tellPeer(_ name: RuntimeOverrides.Name, _ override: RuntimeOverride) {
        guard let basis = roster.basis(of: name) else { return }
        tellPeer(name, SharedOverride(override, basis: basis))
    }

    /// Tells the other node that a reloaded file ended what commands had changed.
    func tellPeerEnded(_ dropped: [DroppedOverride]) {
        for (name, shared) in peerState?.waitingOverrides.fileEnded(dropped) ?? [] {
            tellPeer(name, shared)
        }
    }

    private func tellPeer(_ name: RuntimeOverrides.Name, _ shared: SharedOverride) {
        peerState?.origins[name] = nil
        peerState?.waitingOverrides.settled(name)
        guard let boards = peerState?.boards, boards.sharesOperators else { return }
        guard !boards.operators.decide(name.bytes, shared.bytes) else { return }
        logger.warning(
            "[pool \(name.pool)] backend \(name.backend): the other node cannot be told",
            ["because": "the name is too long"])
    }

    private func takePeerOverrides() {
        for decision in peerState?.boards.operators.takeArrived() ?? [] {
            guard let name = RuntimeOverrides.Name(decision.key),
                let shared = SharedOverride(decision.value)
            else { continue }
            peerState?.waitingOverrides.heard(
                PeerOverrides.Decision(
                    name: name, shared: shared, origin: decision.version.origin))
        }
        followPeerOverrides()
    }

    /// Follows what can be followed now; the rest is tried again.
    private func followPeerOverrides() {
        guard let state = peerState, state.waitingOverrides.count > 0, !state.isFollowing else {
            return
        }
        peerState?.isFollowing = true
        defer { peerState?.isFollowing = false }
        let due = state.waitingOverrides.due { roster[$0] == nil ? nil : roster.basis(of: $0) }
        for decision in due { follow(decision) }
        guard peerState?.waitingOverrides.hasRefused == true, !state.isRetryDue else { return }
        peerState?.isRetryDue = true
        loop.schedule(after: PeerState.retryInterval) { [weak self] in
            self?.peerState?.isRetryDue = false
            self?.followPeerOverrides()
        }
    }

    private func follow(_ decision: PeerOverrides.Decision) {
        let (name, override) = (decision.name, decision.shared.override)
        guard roster.overrides[name] != override else {
            peerState?.waitingOverrides.settled(name)
            return
        }
        if let reason = refusal(of: override, for: name) {
            guard peerState?.waitingOverrides.refused(name, because: reason) == true else { return }
            logger.warning(
                "[pool \(name.pool)] backend \(name.backend) is not changed as on the other node",
                ["decided_on": decision.origin, "because": reason, "wanted": "\(override)"])
            return
        }
        let isForeign = decision.origin != self.name
        peerState?.waitingOverrides.settled(name)
        peerState?.origins[name] = override.isEmpty || !isForeign ? nil : decision.origin
        logger.info(
            "[pool \(name.pool)] backend \(name.backend) changed as on the other node",
            [
                "decided_on": decision.origin,
                "now": override.isEmpty ? "as configured" : "\(override)",
            ])
    }

    /// Puts a decision in force; why that cannot be, or `nil`.
    private func refusal(of override: RuntimeOverride, for name: RuntimeOverrides.Name) -> String? {
        let previous = roster
        guard roster.set(override, for: name) else { return "too many servers are changed" }
        if previous.overrides[name].address != override.address, !putBackendsInForce() {
            roster = previous
            return "the address cannot be used"
        }
        govern(name, override)
        return nil
    }

    // MARK: Verdicts

    private func takePeerVerdicts() {
        for decision in peerState?.boards.verdicts.takeArrived() ?? [] { hear(decision) }
        limitWaiting()
    }

    private func hear(_ decision: StateDecision) {
        guard let health else { return }
        let outcome = health.hearPeer(
            decision.key, decision.value, age: decision.age(now: Clock.now()), as: name)
        switch outcome {
        case .heard, .unreadable: peerState?.waitingVerdicts[decision.key] = nil
        case .unknown: peerState?.waitingVerdicts[decision.key] = decision
        case .outdated(let value): peerState?.boards.verdicts.decide(decision.key, value)
        }
    }

    /// There are other backends now: the other node may have spoken of them.
    func followPeer() {
        guard let waiting = peerState?.waitingVerdicts else { return }
        for decision in waiting.values { hear(decision) }
        followPeerOverrides()
    }

    /// A peer with another configuration fills no memory.
    private func limitWaiting() {
        while let count = peerState?.waitingVerdicts.count, count > PeerState.waitingCountMax {
            _ = peerState?.waitingVerdicts.popFirst()
        }
    }
}
