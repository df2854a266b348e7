// SPDX-License-Identifier: Apache-2.0
//
// What the drivers of trackers say to each other across threads, and what they tell of themselves,
// as values; and how a configuration becomes trackers.

internal import ConfigurationCore
public import VRRPCore
internal import WireCore

/// One result of one tracker, on its way to the pair thread.
public struct TrackedResult: Hashable, Sendable {
    /// Which tracker.
    public var identity: TrackerIdentity
    /// What it found.
    public var isGood: Bool
    /// Why, in a few words.
    public var detail: String

    /// Makes a result.
    public init(_ identity: TrackerIdentity, isGood: Bool, detail: String = "") {
        self.identity = identity
        self.isGood = isGood
        self.detail = detail
    }
}

/// How many backends of a pool can serve.
public struct ServingShare: Hashable, Sendable {
    /// The pool's name.
    public var pool: String
    /// Backends that can serve.
    public var servingCount: Int
    /// All backends.
    public var totalCount: Int

    /// Counts a pool.
    public init(pool: String, servingCount: Int, totalCount: Int) {
        self.pool = pool
        self.servingCount = servingCount
        self.totalCount = totalCount
    }

    /// The share in hundredths of a percent; a pool without backends can serve nothing.
    var hundredthsOfPercent: Int {
        guard totalCount > 0 else { return 0 }
        return min(max(servingCount, 0), totalCount) * 10_000 / totalCount
    }
}

/// A tracker as `tandem status` shows it.
public struct TrackerStatus: Hashable, Sendable {
    /// Which tracker.
    public var identity: TrackerIdentity
    /// What its failure does.
    public var effect: TrackerEffect
    /// What is known of it.
    public var state: TrackerState
    /// Why, in a few words; empty when there is nothing to say.
    public var detail: String
}

extension TrackerEffect {
    init(_ penalty: TrackingPenalty?) {
        switch penalty {
        case nil: self = .none
        case .fault: self = .fault
        case .points(let points): self = .points(points)
        }
    }
}

extension TrackerIdentity {
    static let workers = TrackerIdentity(.workers)
    static let backends = TrackerIdentity(.backends)
}

extension TrackingConfiguration {
    /// Looks at the workers in a row that must find a stall, or its end: after this process itself
    /// was frozen, the workers need a moment too.
    static let workerLooks = 3
    /// For how long enough backends must be there before it counts.
    static let backendsUpDelay = TimeSpan.seconds(1)

    /// The trackers with their hysteresis, in the order in which they are shown.
    var trackers: [TrackerSettings] {
        var trackers = [
            TrackerSettings(
                .workers, effect: .fault, fall: Self.workerLooks, rise: Self.workerLooks)
        ]
        trackers += interfaces.map {
            TrackerSettings(
                TrackerIdentity(.interface, $0.name), effect: TrackerEffect($0.penalty),
                upDelay: $0.upDelay)
        }
        if let gateway {
            trackers.append(
                TrackerSettings(
                    gateway.identity, effect: TrackerEffect(gateway.penalty), fall: gateway.fall,
                    rise: gateway.rise))
        }
        if let backends {
            trackers.append(
                TrackerSettings(
                    .backends, effect: TrackerEffect(backends.penalty),
                    upDelay: Self.backendsUpDelay))
        }
        trackers += scripts.map {
            TrackerSettings(
                TrackerIdentity(.script, $0.name), effect: TrackerEffect($0.penalty),
                fall: $0.fall, rise: $0.rise)
        }
        return trackers
    }
}

extension TrackedGateway {
    var identity: TrackerIdentity { TrackerIdentity(.gateway, address.description) }
}
