// SPDX-License-Identifier: Apache-2.0
//
// What became of one request. Pure values; nobody here knows sockets.

internal import WireCore

/// How one probe ended.
enum ProbeOutcome: UInt8, CaseIterable, Sendable {
    /// A complete response with a status below 400.
    case answered
    /// A complete response with another status.
    case errorStatus
    /// Connection refused.
    case refused
    /// Connection reset.
    case reset
    /// The connection ended before the response did.
    case closed
    /// No route to the address, or the network said so.
    case unreachable
    /// No complete answer in time.
    case timedOut
    /// What came is not HTTP.
    case malformed
    /// The drill itself could not send: out of descriptors, ports or in-flight slots.
    case unsent

    /// The word in reports.
    var name: String {
        switch self {
        case .answered: "ok"
        case .errorStatus: "error_status"
        case .refused: "refused"
        case .reset: "reset"
        case .closed: "closed"
        case .unreachable: "unreachable"
        case .timedOut: "timed_out"
        case .malformed: "malformed"
        case .unsent: "unsent"
        }
    }
}

/// One new-connection probe from the instant it was due to the instant it was decided.
struct ProbeRecord: Hashable, Sendable {
    /// An answer later than this counts as slowed.
    static let slowLimit = TimeSpan.milliseconds(200)

    /// When the probe was due, whether or not it could be sent then.
    var scheduled: Instant
    /// When its outcome was known.
    var completed: Instant
    var outcome: ProbeOutcome
    /// How long after the due time the drill itself got to send it.
    var ownLateness = TimeSpan.zero

    /// Counted from the due time: a late start is the measured system's fault, not hidden.
    var latency: TimeSpan { completed - scheduled }
    var isSlow: Bool { outcome == .answered && latency > Self.slowLimit }
}

/// How many probes ended in which way.
struct ProbeCounts: Hashable, Sendable {
    private(set) var byOutcome = [Int](repeating: 0, count: ProbeOutcome.allCases.count)
    private(set) var slow = 0

    mutating func add(_ record: ProbeRecord) {
        byOutcome[Int(record.outcome.rawValue)] += 1
        if record.isSlow { slow += 1 }
    }

    subscript(outcome: ProbeOutcome) -> Int { byOutcome[Int(outcome.rawValue)] }

    /// All probes.
    var total: Int { byOutcome.reduce(0, +) }
    /// Probes without a good answer.
    var failed: Int { total - self[.answered] }
    /// Failures that have no column of their own in the text report.
    var otherFailures: Int { failed - self[.refused] - self[.reset] - self[.timedOut] }

    static func + (left: ProbeCounts, right: ProbeCounts) -> ProbeCounts {
        var sum = left
        for index in sum.byOutcome.indices { sum.byOutcome[index] += right.byOutcome[index] }
        sum.slow += right.slow
        return sum
    }
}

/// What became of a keep-alive client's one connection.
enum KeepAliveFate: UInt8, CaseIterable, Sendable {
    /// The same connection went on answering.
    case kept
    /// The other end closed it.
    case closed
    /// It was reset.
    case reset
    /// Nothing came back until the time limit.
    case hung
    /// It answered with something that is no good response.
    case failed

    /// The word in reports.
    var name: String {
        switch self {
        case .kept: "kept"
        case .closed: "closed"
        case .reset: "reset"
        case .hung: "hung"
        case .failed: "failed"
        }
    }
}

/// One keep-alive client over a run.
struct KeepAliveRecord: Hashable, Sendable {
    var fate: KeepAliveFate
    /// The longest time without a complete response that overlaps the time after the fault.
    var longestSilence: TimeSpan
    /// Due requests answered later than `ProbeRecord.slowLimit`, those included that could not
    /// be sent because an earlier one was still open.
    var slowCount: Int
}
