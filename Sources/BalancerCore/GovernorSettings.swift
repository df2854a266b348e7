// SPDX-License-Identifier: Apache-2.0
//
// What the governor of a pool goes by: one value for each of its rules.

public import WireCore

/// When bad verdicts have a shared cause.
public struct CascadeSettings: Hashable, Sendable {
    /// More than this share of the pool, in percent, got a bad verdict within the window.
    public var thresholdPercent = 50
    /// The window; a good one is the check interval times `fall`, at least ten seconds.
    public var window = TimeSpan.seconds(15)

    /// The defaults; see each property.
    public init() {}
}

/// How the share of a returning backend grows.
public struct SlowStartSettings: Hashable, Sendable {
    /// The time until it has its whole share.
    public var window = TimeSpan.seconds(60)
    /// In hundredths: 100 grows evenly, more grows faster at first.
    public var aggressionPercent = 100
    /// The share it begins with, in percent; 1 to 100.
    public var minPercent = 10

    /// The defaults; see each property.
    public init() {}
}

/// How long the work of a backend may go on after it was taken out.
public struct DrainSettings: Hashable, Sendable {
    /// Requests in flight are cut after so long.
    public var timeout = TimeSpan.seconds(30)
    /// Tunnels are cut after so long.
    public var tunnelTimeout = TimeSpan.seconds(300)

    /// The defaults; see each property.
    public init() {}
}

/// The rules of one pool.
public struct GovernorSettings: Hashable, Sendable {
    /// Judging by traffic; `nil` does not.
    public var outlier: OutlierSettings? = OutlierSettings()
    /// The guard against verdicts with a shared cause; `nil` takes each verdict by itself.
    public var cascade: CascadeSettings? = CascadeSettings()
    /// Slow start; `nil` gives a returning backend its whole share at once.
    public var slowStart: SlowStartSettings?
    /// When a level panics; only to say so, the workers see to it themselves.
    public var sharing = PoolSharing()
    /// Draining.
    public var drain = DrainSettings()
    /// Requests in flight are cut when a backend fails its liveness check.
    public var cutsExchangesWhenDown = false
    /// How long the one request of a trial may take to be reported before another is let through;
    /// longer than a backend may take for the head of its answer.
    public var trialTimeout = TimeSpan.seconds(60)

    /// The defaults; see each property.
    public init() {}
}
