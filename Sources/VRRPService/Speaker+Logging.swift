// SPDX-License-Identifier: Apache-2.0
//
// One line per transition, in words an operator can act on.

internal import Telemetry
internal import VRRPCore
internal import WireCore

extension Speaker {
    func logTransition(_ transition: VirtualRouterTransition, _ failover: FailoverRecord?) {
        let text =
            "[vrid \(settings.virtualRouterID)] \(transition.from.rawValue) -> "
            + "\(transition.to.rawValue): \(explanation(of: transition, failover))"
        guard let failover else {
            logger.info(text, ["cause": transition.cause.rawValue])
            return
        }
        logger.info(
            text,
            [
                "cause": failover.detectedBecause.rawValue,
                "silence_us": failover.silence.map { String($0.microseconds) } ?? "none",
                "claim_us": String(failover.claimDuration.microseconds),
                "announce_us": String(failover.announceDuration.microseconds),
            ])
    }

    private func explanation(
        of transition: VirtualRouterTransition, _ failover: FailoverRecord?
    ) -> String {
        let other = status.heardActive.map { "\($0.address) (priority \($0.priority))" }
        switch transition.cause {
        case .startup:
            return report.transitions.value > 1 ? "in service again" : "started"
        case .shutdown: return "shutting down"
        case .activeDownTimerFired:
            guard let other, let silence = failover?.silence else { return "heard no Active" }
            return "\(other) silent for \(silence.milliseconds)ms"
        case .activeGaveUp: return "the Active gave up (priority 0)"
        case .higherPriorityHeard: return "heard the better router \(other ?? "unknown")"
        case .peerDeathProven: return "peer process died (link EOF, port refused)"
        case .peerHandedOver:
            return failover?.detectedBecause == .switchover
                ? "peer handed over (switchover)" : "peer handed over (it leaves)"
        case .switchoverRequested: return "switchover to the other node"
        case .overslept: return "ran too late and may have been replaced"
        case .localFault: return status.faults.first?.explanation ?? "a local fault"
        }
    }
}
