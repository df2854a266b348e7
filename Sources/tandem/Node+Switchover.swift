// SPDX-License-Identifier: Apache-2.0
//
// A planned switchover on the control thread: asked for by an operator or by the end of the node;
// the pair thread decides and orders, this thread lets connections end.

internal import AdminService
internal import ConfigurationCore
internal import EventLoop
internal import LinuxIO
internal import ProxyService
internal import ReplicationCore
internal import ReplicationService
internal import Telemetry
internal import VRRPService
internal import WireCore

extension Node {
    /// Asks the pair thread for a switchover; the answer says what happened.
    func requestSwitchover() -> AdminReply {
        func refusal(_ reason: String) -> AdminReply {
            AdminReply("failed: \(reason)\n", isFailure: true)
        }
        guard let pairCommands, let pair else { return refusal("this node has no pair") }
        guard let link = pair.link else {
            return refusal("there is no other node that could take over")
        }
        guard pair.isActive else {
            return refusal("this node is \(pair.role), not active; run this on the active node")
        }
        guard link.isUp, link.lastHeartbeat?.isDataPlaneHealthy == true else {
            return refusal("\(link.peerName) does not answer on the pair link or is ill")
        }
        guard !switchover.isPending else {
            return refusal("connections of the last switchover have not ended yet")
        }
        switchover.ask()
        pairCommands.post(.switchOver)
        return switchoverReply()
    }

    /// How the last switchover went.
    func switchoverReply() -> AdminReply {
        AdminReply(
            switchover.text(peer: pair?.link?.peerName ?? "the peer"),
            isFailure: switchover.isRefused)
    }

    /// What the pair thread says about it.
    func handle(_ news: SwitchoverNews) {
        switchover.hear(news)
        switchoverTotals.hear(news)
        switch news {
        case .refused(let reason): logger.warning("switchover refused: \(reason)")
        case .moved: handoverDrain?.peerHasAddresses()
        case .finished: handoverDrain = nil
        case .partFromClients:
            guard let dataPlane else { return }
            dataPlane.beginParting()
            guard !isLeaving else { return }
            loop.schedule(after: HandoverStateMachine.partingTime.multiplied(by: 2)) {
                dataPlane.endParting()
            }
        case .drain(let addresses, let deadline, let isMoving):
            guard let dataPlane, let pairCommands else { return }
            handoverDrain?.stop()
            handoverDrain = HandoverDrain(
                of: addresses, until: deadline, isMoving: isMoving, loop: loop,
                dataPlane: dataPlane, logger: logger.named("handover")
            ) { pairCommands.post(.drained($0)) }
        case .cutDrain: handoverDrain?.cut()
        case .stopDrain:
            handoverDrain?.stop()
            handoverDrain = nil
        }
    }

    /// The lines of `tandem status` about switchovers; none as a rule.
    func handoverText(_ pair: PairSnapshot) -> String {
        var text = ""
        if let reason = pair.forwardingRefusal, pair.link != nil {
            text += "  WARNING     a switchover closes connections, packets cannot be passed on: "
            text += "\(reason)\n"
        } else if let reason = pair.movingRefusal, pair.link != nil {
            text += "  WARNING     a switchover to this node carries no connections over: "
            text += "\(reason)\n"
        }
        switch pair.handoverPhase {
        case .idle: break
        case .draining: text += "  switchover  connections of before end here\n"
        case .serving: text += "  switchover  connections of before end at the peer\n"
        default: text += "  switchover  under way: \(pair.handoverPhase.rawValue)\n"
        }
        return text
    }

    /// How switchovers of this node's addresses went.
    func collectSwitchovers(into text: inout MetricsText) {
        guard pair?.link != nil else { return }
        for (outcome, count) in [
            ("finished", switchoverTotals.finished), ("refused", switchoverTotals.refused),
        ] {
            text.add(
                "tandem_switchovers_total", .counter,
                help: "Planned switchovers away from this node, by outcome.",
                labels: ["outcome": outcome], Double(count))
        }
        for (ending, count) in [
            ("finished", switchoverTotals.connectionsFinished),
            ("cut", switchoverTotals.connectionsCut),
            ("moved", switchoverTotals.connectionsMoved),
        ] {
            text.add(
                "tandem_switchover_connections_total", .counter,
                help: "Connections that were open at a planned switchover, by how they ended.",
                labels: ["ending": ending], Double(count))
        }
        text.add(
            "tandem_switchover_forwarding", .gauge,
            help: "1 while a planned switchover can keep connections.",
            pair?.forwardingRefusal == nil ? 1 : 0)
    }

    /// What `status` says about switchovers.
    func handoverJSON() -> JSONValue {
        guard let pair else { return .null }
        return .object([
            ("forwarding", .bool(pair.forwardingRefusal == nil)),
            ("reason", pair.forwardingRefusal.map(JSONValue.string) ?? .null),
            ("takes_connections", .bool(pair.movingRefusal == nil)),
            ("phase", .string(pair.handoverPhase.rawValue)),
            ("last", switchover.json),
        ])
    }
}
