// SPDX-License-Identifier: Apache-2.0
//
// Goal: a thread that was late knows how late, and its numbers say so. Method: values for the
// histogram, and a loop whose thread rests on purpose.

import EventLoop
import LinuxIO
import Telemetry
import Testing
import WireCore

@testable import VRRPService

@Suite struct TimerLatenessTests {
    private func makeLateness() -> TimerLateness {
        TimerLateness(
            advertiseInterval: .milliseconds(10), activeDownInterval: .milliseconds(36),
            isRealTime: true, isMemoryLocked: false)
    }

    @Test func latenessIsSortedAndCountedOverTheLimits() {
        let lateness = makeLateness()
        let now = Clock.now()
        for span in [
            TimeSpan.zero, .microseconds(50), .microseconds(51), .milliseconds(10),
            .microseconds(10_001), .milliseconds(36), .milliseconds(40), .seconds(3),
        ] {
            lateness.record(span, now: now)
        }
        let status = lateness.status
        #expect(status.count == 8)
        #expect(status.max == .seconds(3))
        #expect(status.recentMax == .seconds(3))
        #expect(status.overAdvertiseIntervalCount == 4)
        #expect(status.overActiveDownIntervalCount == 2)
        var text = MetricsText()
        lateness.collect(into: &text)
        for line in [
            #"tandem_pair_timer_lateness_seconds_bucket{le="5e-05"} 2"#,
            #"tandem_pair_timer_lateness_seconds_bucket{le="0.0001"} 3"#,
            #"tandem_pair_timer_lateness_seconds_bucket{le="0.01"} 4"#,
            #"tandem_pair_timer_lateness_seconds_bucket{le="1"} 7"#,
            #"tandem_pair_timer_lateness_seconds_bucket{le="+Inf"} 8"#,
            "tandem_pair_timer_lateness_seconds_count 8",
            "tandem_pair_timer_lateness_max_seconds 3",
            #"tandem_pair_timer_late_total{over="advertise_interval"} 4"#,
            #"tandem_pair_timer_late_total{over="active_down_interval"} 2"#,
            "tandem_pair_real_time 1", "tandem_memory_locked 0",
        ] {
            #expect(text.rendered.contains(line + "\n"), "\(line) in\n\(text.rendered)")
        }
    }

    @Test func theRecentMaximumFades() {
        let lateness = makeLateness()
        let long = Clock.now().nanoseconds - TimeSpan.seconds(60).nanoseconds
        lateness.record(.seconds(2), now: Instant(nanoseconds: long))
        #expect(lateness.status.max == .seconds(2))
        #expect(lateness.status.recentMax == .zero)
        lateness.record(.milliseconds(1), now: Clock.now())
        #expect(lateness.status.recentMax == .milliseconds(1))
    }

    /// Nothing else is scheduled on this loop: the measurement itself sees the stall.
    @Test func aStallIsSeenByALoopWithoutOtherTimers() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let lateness = makeLateness()
        lateness.observe(loop)
        _ = loop.run(until: Clock.now() + .milliseconds(50)) { false }
        #expect(lateness.status.count >= 2)
        KernelThread.pause(milliseconds: 120)
        #expect(loop.run(until: Clock.now() + .seconds(5)) { lateness.status.max > .zero })
        #expect(loop.poll { lateness.status.max >= .milliseconds(100) })
        #expect(lateness.status.overActiveDownIntervalCount >= 1)
    }
}
