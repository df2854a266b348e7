// SPDX-License-Identifier: Apache-2.0
//
// What a governor is told about backends: who they are, what the operator wants, what checks and
// traffic found.

public import WireCore

/// One backend as the configuration names it.
public struct GovernedBackend: Hashable, Sendable {
    /// Its name, unique in the pool; what is known of it stays with the name.
    public var name: String
    /// The weight of the configuration.
    public var weight: Int
    /// Where it listens; a backend of the same name elsewhere is another one, of which nothing is
    /// known but what the operator said.
    public var address: Endpoint?
    /// Its zone and priority, which panic depends on.
    public var placement: BackendPlacement

    /// Names a backend.
    public init(
        name: String, weight: Int = 1, address: Endpoint? = nil,
        placement: BackendPlacement = BackendPlacement()
    ) {
        self.name = name
        self.weight = weight
        self.address = address
        self.placement = placement
    }
}

/// What the operator made of a backend.
public enum AdminState: Hashable, Sendable, CaseIterable {
    /// Checks and traffic decide.
    case ready
    /// Nothing new but clients that stick to it; what it has may end.
    case drain
    /// Nothing at all; what it has may end.
    case maintenance
}

/// Which of the two checks of a backend.
public enum CheckKind: Hashable, Sendable, CaseIterable {
    /// A backend that fails it is dead.
    case liveness
    /// A backend that fails it wants nothing new.
    case readiness
}

/// How the one request of a trial ended.
public enum TrialOutcome: Hashable, Sendable {
    /// The backend answered well.
    case succeeded
    /// It did not.
    case failed
    /// Nothing was learned: the client went away, or this node could not ask.
    case abandoned
}

/// What the workers counted of one backend since the beginning; numbers only grow.
public struct BackendTally: Hashable, Sendable {
    /// Requests that ended.
    public var requests: UInt64
    /// Those of them that failed: 5xx, refused, reset, timed out.
    public var failures: UInt64

    /// Makes a tally.
    public init(requests: UInt64 = 0, failures: UInt64 = 0) {
        self.requests = requests
        self.failures = failures
    }
}

/// What a backend's traffic did to it.
public enum EjectionCause: Hashable, Sendable {
    /// So many answers 5xx in a row.
    case serverErrors(count: Int)
    /// So many answers 502, 503 or 504 in a row.
    case gatewayErrors(count: Int)
    /// So many connections in a row were refused, or could not be made.
    case refusedConnections(count: Int)
    /// So many requests in a row were reset or timed out.
    case localErrors(count: Int)
    /// Far fewer requests succeeded than at its siblings; both in 1/10,000.
    case lowSuccessRate(rate: Int, threshold: Int)
    /// So many percent of its requests failed.
    case highFailureRate(percent: Int)
    /// The one request that was let through on trial failed.
    case failedTrial

    /// True when nothing seems to listen any more, which no other backend can be the cause of.
    public var meansDead: Bool {
        if case .refusedConnections = self { return true }
        return false
    }
}
