// SPDX-License-Identifier: Apache-2.0
//
// How late the two timers of RFC 9568 §6.2 fired for one virtual router: whether this node can
// keep the advert interval it was given.

internal import Synchronization
internal import Telemetry
internal import VRRPCore
internal import WireCore

/// Histograms of timer lateness, written on the speaker's thread and read on any.
final class SpeakerTimerLateness: Sendable {
    /// Bounds of the buckets: from what an idle core needs to what loses an election.
    static let bounds: [TimeSpan] = [
        .microseconds(100), .milliseconds(1), .milliseconds(5), .milliseconds(20),
        .milliseconds(100), .milliseconds(500),
    ]

    /// One timer's observations.
    private final class Histogram: Sendable {
        let buckets = bounds.map { _ in Counter() }
        let count = Counter()
        let sumNanoseconds = Counter()
        let max = Atomic<UInt64>(0)

        func observe(_ lateness: TimeSpan) {
            for (bucket, bound) in zip(buckets, bounds) where lateness <= bound { bucket.add() }
            count.add()
            sumNanoseconds.add(lateness.nanoseconds)
            if lateness.nanoseconds > max.load(ordering: .relaxed) {
                max.store(lateness.nanoseconds, ordering: .relaxed)
            }
        }
    }

    private let advertisement = Histogram()
    private let activeDown = Histogram()

    /// A timer fired so much after its deadline, in this state.
    func observe(_ lateness: TimeSpan, in state: VirtualRouterState) {
        switch state {
        case .initialize: break
        case .backup: activeDown.observe(lateness)
        case .active: advertisement.observe(lateness)
        }
    }

    /// The largest lateness of either timer.
    var largest: TimeSpan {
        TimeSpan(
            nanoseconds: Swift.max(
                advertisement.max.load(ordering: .relaxed),
                activeDown.max.load(ordering: .relaxed)))
    }

    /// Writes the present values.
    func collect(_ labels: InstanceLabels, into text: inout MetricsText) {
        for (timer, histogram) in [
            ("advertisement", advertisement), ("active_down", activeDown),
        ] {
            let all = labels.with("timer", timer)
            text.addHistogram(
                "tandem_vrrp_timer_lateness_seconds",
                help: "How late Adver_Timer and Active_Down_Timer fired.", labels: all,
                bounds: zip(Self.bounds, histogram.buckets).map {
                    ($0.secondsAsDouble, $1.value)
                },
                sum: Double(histogram.sumNanoseconds.value) / 1e9, count: histogram.count.value)
            text.add(
                "tandem_vrrp_timer_lateness_max_seconds", .gauge,
                help: "The largest lateness of a timer since the start.", labels: all,
                Double(histogram.max.load(ordering: .relaxed)) / 1e9)
        }
    }
}
