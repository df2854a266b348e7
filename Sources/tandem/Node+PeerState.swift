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

    let boards: StateBoards
    /// Decisions of operators that this node cannot follow yet, or must not.
    var waitingOverrides: [RuntimeOverrides.Name: StateDecision] = [:]
    var waitingVerdicts: [[UInt8]: StateDecision] = [:]
    /// Where the change of a backend was made, when it was the other node.
    var origins: [RuntimeOverrides.Name: String] = [:]
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
        guard let boards = peerState?.boards, let basis = roster.basis(of: name) else { return }
        peerState?.origins[name] = nil
        peerState?.waitingOverrides[name] = nil
        boards.operators.decide(name.bytes, SharedOverride(override, basis: basis).bytes)
    }

    private func takePeerOverrides() {
        for decision in peerState?.boards.operators.takeArrived() ?? [] {
            guard let name = RuntimeOverrides.Name(decision.key) else { continue }
            peerState?.waitingOverrides[name] = decision
        }
        followPeerOverrides()
    }

    private func followPeerOverrides() {
        guard let waiting = peerState?.waitingOverrides, !waiting.isEmpty else { return }
        for (name, decision) in waiting {
            // A backend may come, and a file may change its mind.
            guard roster[name] != nil, let basis = roster.basis(of: name) else { continue }
            guard let shared = SharedOverride(decision.value) else {
                peerState?.waitingOverrides[name] = nil
                continue
            }
            guard shared.holds(against: basis) else { continue }
            peerState?.waitingOverrides[name] = nil
            follow(shared.override, of: name, from: decision.version.origin)
        }
        limitWaiting()
    }

    private func follow(
        _ override: RuntimeOverride, of name: RuntimeOverrides.Name, from origin: String
    ) {
        let previous = roster
        guard previous.overrides[name] != override, roster.set(override, for: name) else { return }
        if previous.overrides[name].address != override.address, !putBackendsInForce() {
            roster = previous
            return
        }
        govern(name, override)
        peerState?.origins[name] = override.isEmpty || origin == self.name ? nil : origin
        logger.info(
            "[pool \(name.pool)] backend \(name.backend) changed as on the other node",
            ["decided_on": origin, "now": override.isEmpty ? "as configured" : "\(override)"])
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
        while let count = peerState?.waitingOverrides.count, count > PeerState.waitingCountMax {
            _ = peerState?.waitingOverrides.popFirst()
        }
    }
}
