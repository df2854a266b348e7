// SPDX-License-Identifier: Apache-2.0
//
// What became of the requests of a pool since the start: what waited, what was sent again, which
// limits were met.

public import WireCore

/// Counted by a word that names the kind.
public struct LabelledCount: Hashable, Sendable {
    /// The stable word.
    public var label: String
    /// How often.
    public var count: UInt64
}

/// What became of the requests of one pool since the start.
public struct AttemptStatistics: Hashable, Sendable {
    /// The pool's name.
    public var name: String
    /// What `limits.requests` and adaptive concurrency allow now; `nil` for any number.
    public var requestLimit: Int?
    /// Requests it was given.
    public var requests: UInt64 = 0
    /// Retries, by reason.
    public var retries: [LabelledCount] = []
    /// Retries that were wanted and not made, by what forbade them.
    public var refusedRetries: [LabelledCount] = []
    /// How often requests met a limit, by limit.
    public var breakers: [LabelledCount] = []
    /// Requests that began to wait.
    public var queued: UInt64 = 0
    /// Time that requests waited which got room in the end.
    public var queuedTime = TimeSpan.zero
    /// Requests whose time in the queue was over.
    public var queueTimeouts: UInt64 = 0
    /// Requests whose client left while they waited.
    public var queueAborts: UInt64 = 0
    /// Requests answered 503 at once.
    public var shed: UInt64 = 0
    /// Second attempts made to be fast.
    public var hedges: UInt64 = 0
    /// Those that answered first.
    public var hedgesWon: UInt64 = 0
    /// Second attempts not made because of their share in the traffic.
    public var hedgesOverBudget: UInt64 = 0

    /// Retries of all reasons.
    public var retriesTotal: UInt64 { retries.reduce(0) { $0 &+ $1.count } }
    /// Retries for each request since the start.
    public var retryRatio: Double {
        requests == 0 ? 0 : Double(retriesTotal) / Double(requests)
    }

    /// The count behind a word in one of the lists.
    public static func count(_ label: String, in list: [LabelledCount]) -> UInt64 {
        list.first { $0.label == label }?.count ?? 0
    }
}
