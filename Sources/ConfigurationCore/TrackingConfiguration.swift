// SPDX-License-Identifier: Apache-2.0
//
// The typed `pair.track` section: what a node watches to know whether it should serve.

public import WireCore

/// Key `pair.track`; all of it applies to every virtual router of the node.
public struct TrackingConfiguration: Hashable, Sendable {
    /// Interfaces beside those of the routers, which always count as a fault.
    public var interfaces: [TrackedInterface]
    /// A witness; `nil` asks none.
    public var gateway: TrackedGateway?
    /// The share of healthy backends; `nil` does not count.
    public var backends: TrackedBackends?
    /// Check scripts in file order, at most `scriptCountMax`.
    public var scripts: [TrackedScript]
    /// Key `worker_stall`: a worker without progress for so long is a fault; default 3 s.
    public var workerStall: TimeSpan
    /// Key `on_different_configuration`: default warn.
    public var onDifferentConfiguration: ConfigurationDifferencePolicy

    /// How many interfaces may be tracked.
    public static let interfaceCountMax = 16
    /// How many scripts may be tracked.
    public static let scriptCountMax = 16

    /// Describes what is watched.
    public init(
        interfaces: [TrackedInterface] = [], gateway: TrackedGateway? = nil,
        backends: TrackedBackends? = nil, scripts: [TrackedScript] = [],
        workerStall: TimeSpan = .seconds(3),
        onDifferentConfiguration: ConfigurationDifferencePolicy = .warn
    ) {
        self.interfaces = interfaces
        self.gateway = gateway
        self.backends = backends
        self.scripts = scripts
        self.workerStall = workerStall
        self.onDifferentConfiguration = onDifferentConfiguration
    }
}

/// Key `penalty`: what a failing tracker does to the node.
public enum TrackingPenalty: Hashable, Sendable {
    /// The node does not serve: no virtual router runs while it lasts.
    case fault
    /// The priority is lower by so much, 1-253, never below 1; an owner (255) cannot be lowered.
    case points(UInt8)
}

/// One entry of `pair.track.interfaces`.
public struct TrackedInterface: Hashable, Sendable {
    /// The interface's name.
    public var name: String
    /// What missing carrier does; default fault.
    public var penalty: TrackingPenalty
    /// Key `up_delay`: how long the carrier must be back before it counts; default 1 s, 0 to 1 h.
    public var upDelay: TimeSpan

    /// Describes an interface.
    public init(
        name: String, penalty: TrackingPenalty = .fault, upDelay: TimeSpan = .seconds(1)
    ) {
        self.name = name
        self.penalty = penalty
        self.upDelay = upDelay
    }
}

/// Key `pair.track.gateway`: a witness on the LAN, asked by ARP or neighbour solicitation.
///
/// A Backup that cannot reach it does not take over because of silence; a proven death of the
/// Active still counts.
public struct TrackedGateway: Hashable, Sendable {
    /// The witness's address, of either family.
    public var address: IPAddress
    /// Key `interface`: default the pair's interface.
    public var interface: String
    /// Time between two probes; default 200 ms, 10 ms to 1 min.
    public var interval: TimeSpan
    /// Unanswered probes in a row that mean it is gone; default 3, 1 to 100.
    public var fall: Int
    /// Answered probes in a row that mean it is back; default 2, 1 to 100.
    public var rise: Int
    /// What its absence does beside: default `nil`, the priority stays.
    public var penalty: TrackingPenalty?

    /// Describes a gateway.
    public init(
        address: IPAddress, interface: String, interval: TimeSpan = .milliseconds(200),
        fall: Int = 3, rise: Int = 2, penalty: TrackingPenalty? = nil
    ) {
        self.address = address
        self.interface = interface
        self.interval = interval
        self.fall = fall
        self.rise = rise
        self.penalty = penalty
    }
}

/// Key `pair.track.backends`.
public struct TrackedBackends: Hashable, Sendable {
    /// Key `pools`: whose backends count; empty means all pools.
    public var pools: [String]
    /// Key `below`: the penalty begins when a smaller share of a pool's backends can serve, in
    /// hundredths of a percent; default 50 %.
    public var below: Int
    /// Key `above`: the penalty ends when at least this share of every pool can serve again, in
    /// hundredths of a percent; default `below`, and never under it.
    public var above: Int
    /// What it does; default 50 points.
    public var penalty: TrackingPenalty

    /// Describes the share.
    public init(
        pools: [String] = [], below: Int = 5_000, above: Int = 5_000,
        penalty: TrackingPenalty = .points(50)
    ) {
        self.pools = pools
        self.below = below
        self.above = above
        self.penalty = penalty
    }
}

/// One entry of `pair.track.scripts`: a command whose exit status says whether the node may serve.
public struct TrackedScript: Hashable, Sendable {
    /// The entry's name.
    public var name: String
    /// The executable's absolute path and its arguments; no shell.
    public var command: [String]
    /// Time between two runs; default 2 s, 100 ms to 1 h.
    public var interval: TimeSpan
    /// A run that takes longer is killed and counts as failed; default 1 s, 10 ms to 1 h.
    public var timeout: TimeSpan
    /// Failed runs in a row that mean no; default 2, 1 to 100.
    public var fall: Int
    /// Good runs in a row that mean yes; default 2, 1 to 100.
    public var rise: Int
    /// What a failing script does; default fault.
    public var penalty: TrackingPenalty

    /// Describes a script.
    public init(
        name: String, command: [String], interval: TimeSpan = .seconds(2),
        timeout: TimeSpan = .seconds(1), fall: Int = 2, rise: Int = 2,
        penalty: TrackingPenalty = .fault
    ) {
        self.name = name
        self.command = command
        self.interval = interval
        self.timeout = timeout
        self.fall = fall
        self.rise = rise
        self.penalty = penalty
    }
}

/// Key `pair.track.on_different_configuration`.
public enum ConfigurationDifferencePolicy: String, Hashable, Sendable, CaseIterable {
    /// Log, count and show it; the default.
    case warn
    /// Beside that, a Backup does not take over from an Active that runs another configuration.
    case hold
}
