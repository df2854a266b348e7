// SPDX-License-Identifier: Apache-2.0
//
// The state of a backend in the words of HAProxy's statistics, and why it is what it is.

internal import BalancerCore
internal import WireCore

/// A backend's state, as `show stat` says it.
public enum BackendState: String, Hashable, Sendable, CaseIterable {
    /// It serves; perhaps not with its whole share yet.
    case up = "UP"
    /// It is dead, or said to be.
    case down = "DOWN"
    /// It lives and gets nothing new: it is not ready, or its traffic keeps it out.
    case notBalanced = "NOLB"
    /// The operator drains it.
    case drain = "DRAIN"
    /// The operator works on it.
    case maintenance = "MAINT"

    init(_ status: GovernedStatus) {
        self =
            switch status.reason {
            case .admin(.drain): .drain
            case .admin(.maintenance): .maintenance
            case .forcedDown, .check(.liveness, _): .down
            case .forcedStopping, .check(.readiness, _), .ejected, .trial: .notBalanced
            case .admin(.ready), .none, .slowStart: .up
            }
    }
}

extension GovernedStatus {
    /// Why it is not given everything, in words; empty when it is.
    var why: String {
        let excuse = isExcused ? "serves all the same, the cause is shared" : ""
        return switch reason {
        case .none, .admin(.ready): excuse
        case .admin(.drain): drain.map { "draining: \($0.left)" } ?? "draining"
        case .admin(.maintenance): drain.map { "maintenance: \($0.left)" } ?? "maintenance"
        case .forcedDown: "said to be down"
        case .forcedStopping: "said to be stopping"
        case .check(let kind, let failure): "\(kind) check: \(failure)"
        case .ejected(let cause, _): "ejected: \(cause)"
        case .trial(let cause, _): "on trial: \(cause)"
        case .slowStart: "slow start: \(standing.rampPercent) %"
        }
    }
}

extension DrainStatus {
    /// What is left, in words.
    fileprivate var left: String {
        isComplete ? "nothing left" : "\(exchanges) requests and \(tunnels) tunnels left"
    }
}
