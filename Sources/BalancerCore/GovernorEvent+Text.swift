// SPDX-License-Identifier: Apache-2.0
//
// The events of a governor in words, for the log. Who it is about stands before them.

import WireCore

extension GovernorEvent {
    /// The backend it is about; `nil` when it is about the pool.
    public var backend: String? {
        switch self {
        case .wentDown(let name, _, _), .cameUp(let name, _, _), .ejected(let name, _, _, _),
            .ejectionRefused(let name, _, _), .checkLies(let name, _, _, _),
            .trialBegan(let name), .returned(let name, _), .drainBegan(let name, _),
            .drainForced(let name, _, _), .drainEnded(let name, _, _, _),
            .slowStartBegan(let name, _), .slowStartEnded(let name, _), .madeReady(let name),
            .weightSet(let name, _), .healthForced(let name, _), .ejectedByPeer(let name, _, _):
            name
        case .cascadeBegan, .cascadeEnded, .failedOpen, .panicBegan, .panicEnded:
            nil
        }
    }

    /// True when somebody should look at it; what was asked for or is over needs nobody.
    public var isWarning: Bool {
        switch self {
        case .wentDown, .ejected, .ejectedByPeer, .ejectionRefused, .checkLies, .cascadeBegan,
            .failedOpen, .panicBegan, .drainForced:
            true
        case .cameUp, .trialBegan, .returned, .cascadeEnded, .panicEnded, .drainBegan,
            .drainEnded, .slowStartBegan, .slowStartEnded, .madeReady, .weightSet,
            .healthForced:
            false
        }
    }
}

extension GovernorEvent: CustomStringConvertible {
    /// What happened: `ejected for 31.2s (2 in a row): 5 answers 5xx in a row`.
    public var description: String {
        switch self {
        case .wentDown(_, let check, let reason):
            "fails its \(check) check: \(reason)"
        case .cameUp(_, let check, let after):
            "passes its \(check) check again after \(after.rounded)"
        case .ejected(_, let cause, let time, let number):
            "ejected for \(time.rounded) (\(number) in a row): \(cause)"
        case .ejectedByPeer(_, let cause, let time):
            "ejected for \(time.rounded), as the other node found: \(cause)"
        case .ejectionRefused(_, let cause, let refusal):
            "stays in although its traffic fails: \(cause); \(refusal)"
        case .checkLies(_, let cause, let passingFor, let ejections):
            "its check lies: passing for \(passingFor.rounded) while its traffic fails"
                + " (\(cause), ejected \(ejections) in a row)"
        case .trialBegan:
            "on trial: one request is let through"
        case .returned(_, let after):
            "returned \(after.rounded) after its ejection"
        case .slowStartBegan(_, let window):
            "its share grows for \(window)"
        case .slowStartEnded(_, let after):
            "has its whole share after \(after.rounded)"
        case .madeReady:
            "made ready"
        case .weightSet(_, let weight):
            weight.map { "weight set to \($0)" } ?? "weight as configured again"
        case .healthForced(_, let health):
            health.map { "said to be \($0.rawValue)" } ?? "judged by its checks again"
        case .drainBegan, .drainForced, .drainEnded:
            drainDescription
        case .cascadeBegan, .cascadeEnded, .failedOpen, .panicBegan, .panicEnded:
            poolDescription
        }
    }

    private var drainDescription: String {
        switch self {
        case .drainBegan(_, .maintenance): "taken out for maintenance"
        case .drainForced(_, let exchanges, let tunnels):
            "drain took too long: \(exchanges) requests and \(tunnels) tunnels cut"
        case .drainEnded(_, let after, let forcedCount, true):
            "drain ended after \(after.rounded), forced \(forcedCount)"
        case .drainEnded(_, let after, let forcedCount, false):
            "drain given up after \(after.rounded), forced \(forcedCount)"
        default: "draining"
        }
    }

    private var poolDescription: String {
        switch self {
        case .cascadeBegan(let badCount, let total, let window):
            "\(badCount) of \(total) backends got bad verdicts within \(window): the cause is"
                + " shared, they stay in"
        case .cascadeEnded(let after, let badCount):
            "the shared cause is over after \(after.rounded), \(badCount) still bad"
        case .failedOpen(let total):
            "nobody would be left: all \(total) backends stay in"
        case .panicBegan(let servingCount, let total):
            "panic: only \(servingCount) of \(total) backends are healthy, all are used"
        case .panicEnded(let after):
            "panic is over after \(after.rounded)"
        default: ""
        }
    }
}

extension CheckKind: CustomStringConvertible {
    /// `liveness` or `readiness`.
    public var description: String {
        switch self {
        case .liveness: "liveness"
        case .readiness: "readiness"
        }
    }
}

extension EjectionCause: CustomStringConvertible {
    /// The cause in words: `5 answers 5xx in a row`.
    public var description: String {
        switch self {
        case .serverErrors(let count): "\(count) answers 5xx in a row"
        case .gatewayErrors(let count): "\(count) answers 502, 503 or 504 in a row"
        case .refusedConnections(let count): "\(count) failures in a row, connection refused"
        case .localErrors(let count): "\(count) requests in a row reset or timed out"
        case .lowSuccessRate(let rate, let threshold):
            "\(Self.percent(rate)) of requests succeed, \(Self.percent(threshold)) are expected"
        case .highFailureRate(let percent): "\(percent)% of requests fail"
        case .failedTrial: "the trial failed"
        }
    }

    /// Hundredths of a percent with one decimal.
    private static func percent(_ hundredths: Int) -> String {
        let tenths = max(0, hundredths) / 10
        return "\(tenths / 10).\(tenths % 10)%"
    }
}

extension EjectionRefusal: CustomStringConvertible {
    /// The reason in words.
    public var description: String {
        switch self {
        case .lastBackend: "nobody else is left"
        case .limit(let outCount, let outMax): "\(outCount) are out, at most \(outMax) may be"
        case .cascade: "the cause is shared"
        }
    }
}

extension TimeSpan {
    /// With one decimal in seconds, or in whole milliseconds below one.
    fileprivate var rounded: String {
        guard nanoseconds >= 1_000_000_000 else { return "\(milliseconds)ms" }
        let tenths = nanoseconds / 100_000_000
        return "\(tenths / 10).\(tenths % 10)s"
    }
}
