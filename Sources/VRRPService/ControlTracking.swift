// SPDX-License-Identifier: Apache-2.0
//
// The trackers of the control thread: check scripts and the share of backends. Results are handed
// on; what they mean is decided on the pair thread.

public import ConfigurationCore
public import EventLoop
internal import LinuxIO
public import Telemetry
internal import VRRPCore
public import WireCore

/// Drives the trackers that must not delay the pair thread; belongs to the control thread.
public final class ControlTracking {
    /// How often the pools are looked at.
    public static let shareLookInterval = TimeSpan.milliseconds(200)
    /// An unchanged share is told again after so many looks, should a message have been lost.
    static let looksPerRepeat = 5

    private let track: TrackingConfiguration
    private let loop: EventLoop
    private let shares: () -> [ServingShare]
    private let report: (TrackedResult) -> Void
    private let scripts: [ScriptTracker]
    private var shareTimer: TimerID?
    private var lastTold: TrackedResult?
    private var looksSinceTold = 0

    /// Makes trackers that do nothing yet.
    ///
    /// - Parameters:
    ///   - track: what is watched.
    ///   - loop: the loop of the calling thread.
    ///   - logger: speaks as `track`.
    ///   - shares: how every pool stands now.
    ///   - report: hears each result, on this thread.
    public init(
        track: TrackingConfiguration, loop: EventLoop, logger: Logger,
        shares: @escaping () -> [ServingShare], report: @escaping (TrackedResult) -> Void
    ) {
        self.track = track
        self.loop = loop
        self.shares = shares
        self.report = report
        scripts = track.scripts.map {
            ScriptTracker(script: $0, loop: loop, logger: logger, report: report)
        }
    }

    /// Runs every script once and looks at the pools, and goes on.
    public func start() {
        for script in scripts { script.start() }
        if track.backends != nil { look() }
    }

    /// Kills what runs and ends.
    public func stop() {
        for script in scripts { script.stop() }
        if let shareTimer { loop.cancel(shareTimer) }
        shareTimer = nil
    }

    private func look() {
        guard let backends = track.backends else { return }
        shareTimer = loop.schedule(after: Self.shareLookInterval) { [weak self] in self?.look() }
        guard let result = Self.result(of: shares(), for: backends) else { return }
        looksSinceTold += 1
        if result == lastTold, looksSinceTold < Self.looksPerRepeat { return }
        lastTold = result
        looksSinceTold = 0
        report(result)
    }

    /// What the shares say, or `nil` when they lie between the two limits.
    static func result(of shares: [ServingShare], for backends: TrackedBackends) -> TrackedResult? {
        let counted = shares.filter { backends.pools.isEmpty || backends.pools.contains($0.pool) }
        guard
            let least = counted.min(by: { $0.hundredthsOfPercent < $1.hundredthsOfPercent })
        else { return nil }
        let share = least.hundredthsOfPercent
        if share < backends.below {
            return TrackedResult(
                .backends, isGood: false,
                detail: "\(least.servingCount) of \(least.totalCount) of pool \(least.pool) serve")
        }
        return share >= backends.above ? TrackedResult(.backends, isGood: true) : nil
    }
}
