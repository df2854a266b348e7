// SPDX-License-Identifier: Apache-2.0
//
// What the pair thread tells the control thread, and what it is told.

internal import ReplicationCore
internal import ReplicationService
internal import Telemetry
internal import VRRPCore
internal import VRRPService
internal import WireCore

/// The pair as this node sees it at one moment.
struct PairSnapshot: Sendable {
    /// Every virtual router in configured order.
    var routers: [SpeakerStatus]
    /// The pair link; `nil` where there is no other node, or more than one.
    var link: LinkStatus?
    /// Every tracker in configured order.
    var trackers: [TrackerStatus]
    /// Whether this node may not take over because the peer runs another configuration.
    var isHeldByConfiguration: Bool
    /// How far a planned switchover has come.
    var handoverPhase: HandoverStateMachine.Phase
    /// Why a switchover cannot pass packets on, or `nil`.
    var forwardingRefusal: String?
    /// Why connections of the other node cannot go on here while that lives, or `nil`.
    var movingRefusal: String?
    /// How late the pair thread ran.
    var timers: TimerLateness.Status
    /// When this was true.
    var takenAt: Instant

    /// Whether this node holds any virtual router's addresses.
    var isActive: Bool { routers.contains { $0.state == .active } }

    /// One word for all virtual routers.
    var role: String {
        if isActive { return "active" }
        return routers.contains { $0.state == .backup } ? "backup" : "initialize"
    }
}

/// What the control thread asks of the pair thread.
enum PairCommand: Sendable {
    /// Give the addresses to the other node.
    case switchOver
    /// The connections of the addresses that moved have ended.
    case drained(HandoverConnections)
    /// Nobody waits for connections any longer.
    case cutShort
    /// Give the addresses to the other node, then leave.
    case handOverAndLeave
    /// A reload changed what this node runs from, and how long connections may take to end.
    case configurationChanged(hash: UInt64, drain: TimeSpan)
    /// This node knows what the peer knows, or does not.
    case synchronized(Bool)
    /// A tracker of the control thread has a result.
    case tracked(TrackedResult)
    /// Withdraw the routes; their addresses stay until `leave`.
    case withdrawRoutes
    /// Give the addresses up and say goodbye; ends the thread.
    case leave
}

/// What the pair thread reports.
enum PairEvent: Sendable {
    /// Adverts are sent and heard, the link listens.
    case started([any MetricSource])
    /// The replication thread runs.
    case replicating(ReplicationReport)
    /// The thread could not start; the text says why.
    case failed(String)
    /// The present state.
    case snapshot(PairSnapshot)
    /// How a planned switchover of this node's addresses goes.
    case switchover(SwitchoverNews)
    /// The addresses are given up, the link said goodbye.
    case left
}
