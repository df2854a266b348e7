// SPDX-License-Identifier: Apache-2.0
//
// What a governor does and tells. Its owner performs the actions in order.

public import WireCore

/// What the owner of a governor does.
public enum GovernorAction: Hashable, Sendable {
    /// Tell the workers what a backend may be given.
    ///
    /// Each one with the admission `trial` lets exactly one more request through, even when it
    /// repeats the last one. One that ends another admission than `serving` forgets the failures
    /// in a row that were counted before.
    case standing(backend: Int, BackendStanding)
    /// Close the idle connections to a backend.
    case closeIdle(backend: Int)
    /// Cut what is in flight to a backend: requests, and tunnels as well when said.
    case forceClose(backend: Int, tunnelsToo: Bool)
    /// Log and count.
    case report(GovernorEvent)
}

/// Why a backend was not ejected although its traffic asked for it.
public enum EjectionRefusal: Hashable, Sendable {
    /// Nobody else would be left.
    case lastBackend
    /// So many of the pool are out that one more would be too many.
    case limit(outCount: Int, outMax: Int)
    /// Too many got bad verdicts at once: the cause is not theirs.
    case cascade
}

/// Something to log and count; backends are named.
public enum GovernorEvent: Hashable, Sendable {
    /// A check took a backend out.
    case wentDown(backend: String, CheckKind, reason: ProbeFailure)
    /// A check lets a backend serve again after so long.
    case cameUp(backend: String, CheckKind, after: TimeSpan)
    /// Its traffic took a backend out for so long; it is the n-th time in a row.
    case ejected(backend: String, EjectionCause, time: TimeSpan, number: Int)
    /// The traffic of the other node took a backend out; so long is left of it.
    case ejectedByPeer(backend: String, EjectionCause, time: TimeSpan)
    /// Its traffic asks for it, but the backend stays.
    case ejectionRefused(backend: String, EjectionCause, EjectionRefusal)
    /// Its checks pass while its traffic fails: the check does not see what clients see.
    case checkLies(backend: String, EjectionCause, passingFor: TimeSpan, ejections: Int)
    /// The ejection is over: one request is let through.
    case trialBegan(backend: String)
    /// The trial was passed, so long after the ejection.
    case returned(backend: String, after: TimeSpan)
    /// So many of the pool got bad verdicts within the window: a shared cause.
    case cascadeBegan(badCount: Int, total: Int, window: TimeSpan)
    /// The verdicts recovered.
    case cascadeEnded(after: TimeSpan, badCount: Int)
    /// Nobody would be left: all are used although they are out.
    case failedOpen(total: Int)
    /// Too few are healthy: all are used.
    case panicBegan(servingCount: Int, total: Int)
    /// Enough are healthy again.
    case panicEnded(after: TimeSpan)
    /// The operator takes a backend out; its work may end.
    case drainBegan(backend: String, AdminState)
    /// The time was over: so many requests or tunnels were cut.
    case drainForced(backend: String, exchanges: Int, tunnels: Int)
    /// The backend has nothing left, or was made ready before.
    case drainEnded(backend: String, after: TimeSpan, forcedCount: Int, isComplete: Bool)
    /// The backend's share grows from now on.
    case slowStartBegan(backend: String, window: TimeSpan)
    /// The backend has its whole share.
    case slowStartEnded(backend: String, after: TimeSpan)
    /// The operator made a backend ready.
    case madeReady(backend: String)
    /// The operator gave a weight; `nil` that of the configuration.
    case weightSet(backend: String, weight: Int?)
    /// The operator overruled checks and traffic; `nil`: they decide again.
    case healthForced(backend: String, ForcedHealth?)
}
