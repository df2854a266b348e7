// SPDX-License-Identifier: Apache-2.0
//
// What one node of a pair tells the other about one backend. Times are spans from when it was said,
// never readings of a clock.

public import WireCore

/// How a backend stands with the traffic of the node that says so.
public struct EjectionReport: Hashable, Sendable {
    /// Where an ejection stands.
    public enum Phase: Hashable, Sendable {
        /// It is not ejected.
        case over
        /// Nothing is sent for so long.
        case out(remaining: TimeSpan)
        /// One request may go, or is on its way.
        case trial(isTaken: Bool)
    }

    /// Where it stands.
    public var phase: Phase
    /// Why it was ejected; means nothing when it is not.
    public var cause: EjectionCause
    /// Ejections in a row, which the length of the next one depends on.
    public var number: Int
    /// How long ago the first ejection of the series began.
    public var age: TimeSpan

    /// Makes a report.
    public init(phase: Phase, cause: EjectionCause, number: Int, age: TimeSpan) {
        self.phase = phase
        self.cause = cause
        self.number = number
        self.age = age
    }

    /// The same report so much later.
    public func later(by span: TimeSpan) -> EjectionReport {
        var report = self
        report.age = age + span
        if case .out(let remaining) = phase { report.phase = .out(remaining: remaining - span) }
        return report
    }
}

/// Something that a node found out about a backend.
public enum BackendReport: Hashable, Sendable {
    /// What its traffic came to.
    case ejection(EjectionReport)
    /// What a check says; `nil` when it passes, or says nothing.
    case check(CheckKind, ProbeFailure?)
    /// How long its share has been growing; `nil` when it does not grow.
    case ramp(TimeSpan?)
}

/// Kinds of reports that a governor owes.
struct OwedReports: OptionSet, Sendable {
    let rawValue: UInt8

    static let ejection = OwedReports(rawValue: 1)
    static let liveness = OwedReports(rawValue: 2)
    static let readiness = OwedReports(rawValue: 4)
    static let ramp = OwedReports(rawValue: 8)

    static func check(_ kind: CheckKind) -> OwedReports {
        switch kind {
        case .liveness: liveness
        case .readiness: readiness
        }
    }
}
