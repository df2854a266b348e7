// SPDX-License-Identifier: Apache-2.0
//
// What all trackers of a node add up to, and what they report, as values.

/// What the trackers say about the node.
public struct TrackingVerdict: Hashable, Sendable {
    /// Most points that count: no priority can fall further (RFC 9568 §5.2.4: 1-254).
    public static let penaltyPointsMax = 253

    /// The points of all failing trackers together, at most ``penaltyPointsMax``.
    public var penaltyPoints = 0
    /// Failing trackers that keep the node from serving, in configured order.
    public var faults: [TrackerIdentity] = []
    /// The witness was never reached or does not answer: silence of the Active proves nothing.
    public var isWitnessMissing = false

    /// A verdict without any complaint.
    public init() {}

    /// Whether the workers make no progress.
    public var isDataPlaneStalled: Bool { faults.contains { $0.kind == .workers } }

    /// Whether anything but the workers keeps the node from serving.
    public var hasTrackerFault: Bool { faults.contains { $0.kind != .workers } }

    /// The priority of a router whose configured one is `base`.
    ///
    /// Never below 1, and an owner's stays (RFC 9568 §5.2.4: 0 and 255 mean something else).
    public func priority(base: UInt8) -> UInt8 {
        guard base != 255 else { return base }
        return UInt8(max(1, Int(base) - penaltyPoints))
    }
}

/// A tracker began or ceased to fail.
public struct TrackerReport: Hashable, Sendable {
    /// Which tracker.
    public var identity: TrackerIdentity
    /// What it does now.
    public var state: TrackerState
    /// What its failure does.
    public var effect: TrackerEffect
    /// What the driver found, for example a script's exit status; empty when nothing.
    public var detail: String
    /// Changes of this tracker that were not reported since the last one that was.
    public var suppressedCount: UInt64

    /// Makes a report.
    public init(
        _ identity: TrackerIdentity, state: TrackerState, effect: TrackerEffect, detail: String,
        suppressedCount: UInt64
    ) {
        self.identity = identity
        self.state = state
        self.effect = effect
        self.detail = detail
        self.suppressedCount = suppressedCount
    }
}

extension TrackerReport: CustomStringConvertible {
    /// `script disk failed (exit 1): the priority is lower by 50`.
    public var description: String {
        let found = detail.isEmpty ? "" : " (\(detail))"
        guard state == .failing else { return "\(identity) is good again\(found)" }
        return "\(identity) failed\(found): \(consequence)"
    }

    private var consequence: String {
        let isWitness = identity.kind == .gateway
        return switch effect {
        case .none: isWitness ? "silence is no reason to take over" : "no consequence"
        case .fault: "this node does not serve"
        case .points(let points): "the priority is lower by \(points)"
        }
    }
}

/// What a result causes.
public enum TrackingAction: Hashable, Sendable {
    /// The verdict is another one from now on.
    case verdictChanged(TrackingVerdict)
    /// A tracker changed: log it.
    case report(TrackerReport)
}
