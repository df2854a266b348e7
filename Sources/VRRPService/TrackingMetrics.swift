// SPDX-License-Identifier: Apache-2.0
//
// The trackers' numbers and last states, written on the pair thread and read on any.

internal import Synchronization
public import Telemetry
internal import VRRPCore

/// What the trackers of this node found; safe to read from any thread.
public final class TrackingMetrics: MetricSource {
    private struct State {
        var trackers: [TrackerStatus] = []
        var verdict = TrackingVerdict()
        var goodCounts: [TrackerIdentity: UInt64] = [:]
        var badCounts: [TrackerIdentity: UInt64] = [:]
    }

    private let shared = Mutex(State())

    init() {}

    func publish(_ trackers: [TrackerStatus], _ verdict: TrackingVerdict) {
        shared.withLock { state in
            state.trackers = trackers
            state.verdict = verdict
        }
    }

    func count(_ result: TrackedResult) {
        shared.withLock { state in
            // Only trackers that exist are counted, so that the tables cannot grow.
            guard state.trackers.contains(where: { $0.identity == result.identity }) else { return }
            if result.isGood {
                state.goodCounts[result.identity, default: 0] &+= 1
            } else {
                state.badCounts[result.identity, default: 0] &+= 1
            }
        }
    }

    /// Writes the present values.
    public func collect(into text: inout MetricsText) {
        let state = shared.withLock { $0 }
        for tracker in state.trackers {
            text.add(
                "tandem_tracker_failing", .gauge, help: "1 while the tracker fails.",
                labels: ["kind": tracker.identity.kind.rawValue, "name": tracker.identity.name],
                tracker.state == .failing ? 1 : 0)
        }
        for tracker in state.trackers {
            for (result, counts) in [("good", state.goodCounts), ("bad", state.badCounts)] {
                text.add(
                    "tandem_tracker_results_total", .counter, help: "Results of the tracker.",
                    labels: [
                        "kind": tracker.identity.kind.rawValue, "name": tracker.identity.name,
                        "result": result,
                    ], Double(counts[tracker.identity] ?? 0))
            }
        }
        text.add(
            "tandem_tracking_penalty_points", .gauge,
            help: "By how much failing trackers lower the priority.",
            Double(state.verdict.penaltyPoints))
        text.add(
            "tandem_tracking_witness_missing", .gauge,
            help: "1 while the witness does not answer.", state.verdict.isWitnessMissing ? 1 : 0)
    }
}
