// SPDX-License-Identifier: Apache-2.0
//
// The state machine's time: monotonic, but a suspended host must notice that it slept, so the
// sleep is added. Everything a person or another node sees stays on the monotonic clock.

internal import LinuxIO
internal import WireCore

/// Turns monotonic instants into the machine's and back.
struct SpeakerClock {
    /// Shorter differences are the cost of reading two clocks.
    static let suspensionMin = TimeSpan.milliseconds(5)

    private let suspendedSpan: () -> TimeSpan
    private let suspendedAtStart: TimeSpan

    /// Starts with no suspension.
    init(suspendedSpan: @escaping () -> TimeSpan = Clock.suspendedSpan) {
        self.suspendedSpan = suspendedSpan
        suspendedAtStart = suspendedSpan()
    }

    /// How long the host slept since the clock was made.
    func suspension() -> TimeSpan {
        let span = suspendedSpan() - suspendedAtStart
        return span < Self.suspensionMin ? .zero : span
    }

    /// The machine's instant for a monotonic one.
    func machineTime(_ instant: Instant) -> Instant {
        instant + suspension()
    }

    /// The monotonic instant of a deadline that the machine named; past ones are due at once.
    func monotonicTime(_ deadline: Instant) -> Instant {
        if deadline == .distantFuture { return deadline }
        return Instant(nanoseconds: (deadline - Instant(nanoseconds: 0) - suspension()).nanoseconds)
    }
}
