// SPDX-License-Identifier: Apache-2.0
//
// How late the pair thread runs: a histogram and counts over the limits that matter. Written on the
// pair thread and read on any.

public import EventLoop
internal import LinuxIO
internal import Synchronization
public import Telemetry
public import WireCore

/// Measures how late the timers of one loop fire.
///
/// A late timer is a late advert: beyond the advert interval the peer's patience is being used up,
/// and beyond the Active_Down_Interval the peer has taken over.
public final class TimerLateness: MetricSource {
    /// Bounds of the histogram in microseconds.
    static let boundsMicroseconds: [UInt64] = [
        50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000,
    ]
    /// The rarest look: a stall that falls between two timers would not be seen.
    public static let lookIntervalMax = TimeSpan.milliseconds(100)
    /// What is worth telling the owner of the loop: a silence may have been its own.
    public static let toldMin = TimeSpan.milliseconds(5)

    /// The lateness so far; a value that may leave the thread.
    public struct Status: Hashable, Sendable {
        /// The largest lateness.
        public var max: TimeSpan
        /// The largest lateness of about the last ten seconds.
        public var recentMax: TimeSpan
        /// Turns of the loop that were measured.
        public var count: UInt64
        /// Times the lateness was above the advert interval.
        public var overAdvertiseIntervalCount: UInt64
        /// Times the lateness was above the Active_Down_Interval.
        public var overActiveDownIntervalCount: UInt64
        /// Whether the thread runs at real-time priority.
        public var isRealTime: Bool
        /// Whether the process's memory is locked.
        public var isMemoryLocked: Bool
    }

    private let advertiseInterval: TimeSpan
    private let activeDownInterval: TimeSpan
    private let isRealTime: Bool
    private let isMemoryLocked: Bool
    private let buckets = (0...boundsMicroseconds.count).map { _ in Counter() }
    private let sumMicroseconds = Counter()
    private let overAdvertiseInterval = Counter()
    private let overActiveDownInterval = Counter()
    private let maxNanoseconds = Atomic<UInt64>(0)
    private let recent = Mutex(RecentMax())

    /// Starts without a measurement.
    ///
    /// - Parameters:
    ///   - advertiseInterval: the shortest one of this node's virtual routers.
    ///   - activeDownInterval: the shortest one.
    ///   - isRealTime: whether the thread runs at real-time priority.
    ///   - isMemoryLocked: whether the process's memory is locked.
    public init(
        advertiseInterval: TimeSpan, activeDownInterval: TimeSpan, isRealTime: Bool,
        isMemoryLocked: Bool
    ) {
        self.advertiseInterval = advertiseInterval
        self.activeDownInterval = activeDownInterval
        self.isRealTime = isRealTime
        self.isMemoryLocked = isMemoryLocked
    }

    /// Measures `loop` from now on, and lets it have a timer often enough; on the loop's thread.
    ///
    /// - Parameters:
    ///   - loop: the loop.
    ///   - onLate: called when the loop did not run for longer than ``toldMin``, before timers that
    ///     were due later than the one that noticed.
    public func observe(_ loop: EventLoop, onLate: @escaping (TimeSpan) -> Void = { _ in }) {
        loop.onTimersFired = { [weak self, unowned loop] lateness in
            self?.record(lateness, now: loop.now)
        }
        look(loop, onLate)
    }

    private func look(_ loop: EventLoop, _ onLate: @escaping (TimeSpan) -> Void) {
        let interval = min(max(advertiseInterval, .milliseconds(10)), Self.lookIntervalMax)
        let deadline = loop.now + interval
        loop.schedule(at: deadline) { [weak self, unowned loop] in
            let lateness = loop.now - deadline
            if lateness > Self.toldMin { onLate(lateness) }
            self?.look(loop, onLate)
        }
    }

    func record(_ lateness: TimeSpan, now: Instant) {
        let microseconds = lateness.microseconds
        let index =
            Self.boundsMicroseconds.firstIndex { microseconds <= $0 }
            ?? Self.boundsMicroseconds.count
        buckets[index].add()
        sumMicroseconds.add(microseconds)
        if lateness > advertiseInterval { overAdvertiseInterval.add() }
        if lateness > activeDownInterval { overActiveDownInterval.add() }
        // One thread writes.
        if lateness.nanoseconds > maxNanoseconds.load(ordering: .relaxed) {
            maxNanoseconds.store(lateness.nanoseconds, ordering: .relaxed)
        }
        recent.withLock { $0.record(lateness, now: now) }
    }

    /// How the thread has run until now.
    public var status: Status {
        Status(
            max: TimeSpan(nanoseconds: maxNanoseconds.load(ordering: .relaxed)),
            recentMax: recent.withLock { $0.max(now: Clock.now()) },
            count: buckets.reduce(0) { $0 &+ $1.value },
            overAdvertiseIntervalCount: overAdvertiseInterval.value,
            overActiveDownIntervalCount: overActiveDownInterval.value,
            isRealTime: isRealTime, isMemoryLocked: isMemoryLocked)
    }

    /// Writes the present values.
    public func collect(into text: inout MetricsText) {
        let status = status
        var count: UInt64 = 0
        var bounds: [(bound: Double, count: UInt64)] = []
        for (index, bound) in Self.boundsMicroseconds.enumerated() {
            count &+= buckets[index].value
            bounds.append((Double(bound) / 1e6, count))
        }
        text.addHistogram(
            "tandem_pair_timer_lateness_seconds",
            help: "How late timers of the pair thread fired.", bounds: bounds,
            sum: Double(sumMicroseconds.value) / 1e6,
            count: count &+ buckets[Self.boundsMicroseconds.count].value)
        text.add(
            "tandem_pair_timer_lateness_max_seconds", .gauge,
            help: "The largest lateness since the start.", status.max.secondsAsDouble)
        for (limit, count) in [
            ("advertise_interval", status.overAdvertiseIntervalCount),
            ("active_down_interval", status.overActiveDownIntervalCount),
        ] {
            text.add(
                "tandem_pair_timer_late_total", .counter,
                help: "Times a timer was later than a limit.", labels: ["over": limit],
                Double(count))
        }
        text.add(
            "tandem_pair_real_time", .gauge, help: "1 when the pair thread has real-time priority.",
            isRealTime ? 1 : 0)
        text.add(
            "tandem_memory_locked", .gauge, help: "1 when the process's memory is locked.",
            isMemoryLocked ? 1 : 0)
    }
}

/// The largest lateness of the present stretch of time and the one before.
private struct RecentMax {
    static let stretch = TimeSpan.seconds(5)

    private var begin = Instant(nanoseconds: 0)
    private var current = TimeSpan.zero
    private var former = TimeSpan.zero

    mutating func record(_ lateness: TimeSpan, now: Instant) {
        roll(now: now)
        current = Swift.max(current, lateness)
    }

    mutating func max(now: Instant) -> TimeSpan {
        roll(now: now)
        return Swift.max(current, former)
    }

    private mutating func roll(now: Instant) {
        let age = now - begin
        guard age >= Self.stretch else { return }
        former = age < Self.stretch.multiplied(by: 2) ? current : .zero
        current = .zero
        begin = now
    }
}
