// SPDX-License-Identifier: Apache-2.0
//
// The one line a transition leaves in the log, in words an operator can act on. Pure text.

internal import VRRPCore
internal import WireCore

/// What is known about a transition when it is logged.
struct TransitionText {
    /// The instance.
    var label: String
    var transition: VirtualRouterTransition
    var failover: FailoverRecord?
    var heardActive: HeardActive?
    var faults: [LocalFault] = []
    /// Whether the router was in service before.
    var isRestart = false

    /// `[vrid 51] backup -> active: peer process died (link EOF, port refused)`.
    var line: String {
        "[\(label)] \(transition.from.rawValue) -> \(transition.to.rawValue): "
            + explanation
    }

    private var other: String? {
        heardActive.map { "\($0.address) (priority \($0.priority))" }
    }

    private var explanation: String {
        switch transition.cause {
        case .startup: isRestart ? "in service again" : "started"
        case .shutdown: "shutting down"
        case .activeDownTimerFired: silence
        case .activeGaveUp: "the Active gave up (priority 0)"
        case .higherPriorityHeard: "heard the better router \(other ?? "unknown")"
        case .peerDeathProven: "peer process died (link EOF, port refused)"
        case .peerHandedOver:
            failover?.detectedBecause == .switchover
                ? "peer handed over (switchover)" : "peer handed over (it leaves)"
        case .switchoverRequested: "switchover to the other node"
        case .overslept: "ran too late and may have been replaced"
        case .localFault: faults.first?.explanation ?? "a local fault"
        case .groupYielded: "another virtual router of the group left"
        case .splitOnLink: "a better Active spoke on the pair link"
        }
    }

    private var silence: String {
        guard let other, let silence = failover?.silence else { return "heard no Active" }
        return "\(other) silent for \(silence.milliseconds)ms"
    }
}
