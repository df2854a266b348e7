// SPDX-License-Identifier: Apache-2.0
//
// What a node watches beside its virtual routers: who a tracker is, what its failure does, and how
// many results it takes to believe it. Asks nobody; results come in as values.

public import WireCore

/// Names one tracker of a node.
public struct TrackerIdentity: Hashable, Sendable {
    /// What is watched; the raw value serves in logs and metrics.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// The carrier of an interface.
        case interface
        /// The witness on the LAN.
        case gateway
        /// The share of backends that can serve.
        case backends
        /// A command's exit status.
        case script
        /// The progress of the workers.
        case workers
    }

    /// What is watched.
    public var kind: Kind
    /// Which one of its kind: an interface's or script's name, a witness's address, or nothing.
    public var name: String

    /// Names a tracker.
    public init(_ kind: Kind, _ name: String = "") {
        self.kind = kind
        self.name = name
    }
}

extension TrackerIdentity: CustomStringConvertible {
    /// `script disk`.
    public var description: String {
        name.isEmpty ? kind.rawValue : "\(kind.rawValue) \(name)"
    }
}

/// What a failing tracker does to the node.
public enum TrackerEffect: Hashable, Sendable {
    /// Nothing; a witness still keeps a Backup from claiming.
    case none
    /// No virtual router runs while it lasts.
    case fault
    /// The priority is lower by so much.
    case points(UInt8)
}

extension TrackerEffect: CustomStringConvertible {
    /// `none`, `fault` or `50 points`.
    public var description: String {
        switch self {
        case .none: "none"
        case .fault: "fault"
        case .points(let points): "\(points) points"
        }
    }
}

/// One tracker and its hysteresis.
public struct TrackerSettings: Hashable, Sendable {
    /// Most results in a row that may be asked for.
    public static let runMax = 100

    /// Which tracker.
    public var identity: TrackerIdentity
    /// What its failure does.
    public var effect: TrackerEffect
    /// Bad results in a row that mean failure, 1 to ``runMax``.
    public let fall: Int
    /// Good results in a row that end a failure, 1 to ``runMax``.
    public let rise: Int
    /// For how long results must have been good before a failure ends.
    public var upDelay: TimeSpan

    /// Describes a tracker; counts out of range are taken for the nearest in it.
    public init(
        _ identity: TrackerIdentity, effect: TrackerEffect, fall: Int = 1, rise: Int = 1,
        upDelay: TimeSpan = .zero
    ) {
        self.identity = identity
        self.effect = effect
        self.fall = min(max(fall, 1), Self.runMax)
        self.rise = min(max(rise, 1), Self.runMax)
        self.upDelay = upDelay
    }

    /// Whether the node may not claim by silence while this tracker was not heard or fails.
    var isWitness: Bool { identity.kind == .gateway }

    /// Whether the first result decides alone.
    ///
    /// A node that starts beside a dead disk must not serve for a few runs of its check first.
    /// Workers make their first turn some time after they were started.
    var isFirstResultDecisive: Bool { identity.kind != .workers }
}

/// What is known of a tracker; the raw value serves in logs and metrics.
public enum TrackerState: String, Hashable, Sendable, CaseIterable {
    /// No result came yet.
    case unknown
    /// It is as it should be.
    case good
    /// It fails.
    case failing
}
