// SPDX-License-Identifier: Apache-2.0
//
// What the service needs from whoever carries the traffic. It knows no data plane: these closures,
// all called on the loop, are the whole of it.

public import BalancerCore

/// The orders to the data plane, and the questions put to it.
public struct PoolPorts {
    /// Puts standings of backends of a pool in force, all of them together.
    public var setStandings: (_ pool: String, _ changes: [StandingChange]) -> Void
    /// Closes the idle connections to these backends.
    public var closeIdle: (_ pool: String, _ backends: [String]) -> Void
    /// Cuts the requests in flight to these backends, and tunnels as well when said.
    public var forceClose: (_ pool: String, _ backends: [String], _ tunnelsToo: Bool) -> Void
    /// What the traffic of a pool's backends came to since the beginning, in any order.
    public var tallies: (_ pool: String) -> [NamedTally]
    /// What a backend has in flight.
    public var work: (_ pool: String, _ backend: String) -> BackendWork
    /// Where the other node is told what was found out; `nil` where there is none.
    var tellPeer: ((BackendWord) -> Void)?

    /// Ports that lead nowhere.
    public init() {
        setStandings = { _, _ in }
        closeIdle = { _, _ in }
        forceClose = { _, _, _ in }
        tallies = { _ in [] }
        work = { _, _ in BackendWork() }
    }
}

/// What a backend may be given from now on.
public struct StandingChange: Hashable, Sendable {
    /// The backend's name in its pool.
    public var backend: String
    /// What it may be given.
    public var standing: BackendStanding

    /// Makes a change.
    public init(backend: String, standing: BackendStanding) {
        self.backend = backend
        self.standing = standing
    }
}

/// What a backend's traffic came to.
public struct NamedTally: Hashable, Sendable {
    /// The backend's name in its pool.
    public var backend: String
    /// The counts.
    public var tally: BackendTally

    /// Makes a tally.
    public init(backend: String, tally: BackendTally) {
        self.backend = backend
        self.tally = tally
    }
}

/// What a backend has in flight.
public struct BackendWork: Hashable, Sendable {
    /// Requests.
    public var exchanges: Int
    /// Tunnels.
    public var tunnels: Int

    /// Makes a count; the default is nothing.
    public init(exchanges: Int = 0, tunnels: Int = 0) {
        self.exchanges = exchanges
        self.tunnels = tunnels
    }
}

/// What traffic showed about a backend.
public enum TrafficFinding: Hashable, Sendable {
    /// So many failures in a row as the pool's settings take for too many.
    case failedInARow(EjectionCause)
    /// A worker let the one request of a trial through.
    case trialBegan
    /// The one request of a trial ended.
    case trialEnded(TrialOutcome)
}
