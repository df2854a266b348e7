// SPDX-License-Identifier: Apache-2.0
//
// How long a backend lets a connection idle, learned from what it says and from when it closes, so
// that no request is sent on a connection that is just about to end.

internal import WireCore

/// What is known about one backend's idle timeout.
struct IdleEstimate {
    /// Connections that end sooner tell of something else, such as a restart.
    static let shortest = TimeSpan.seconds(1)
    /// Ends within this span of each other are one event: a restart closes everything at once.
    static let eventSpan = TimeSpan.milliseconds(100)

    /// The timeout, `nil` while it is unknown.
    private(set) var timeout: TimeSpan?
    /// An end that waits for a second one like it.
    private var candidate = TimeSpan.zero
    private var candidateAt = Instant(nanoseconds: 0)

    /// How long a connection is kept, at most `longest`: 80 % of what the backend allows.
    @inline(__always)
    func span(longest: TimeSpan) -> TimeSpan {
        guard let timeout else { return longest }
        return min(longest, timeout.multiplied(by: 4).divided(by: 5))
    }

    /// The backend closed a connection that had been idle for `idle`.
    ///
    /// Believed when a second connection ends at about the same age at another time.
    mutating func ended(after idle: TimeSpan, now: Instant) {
        guard idle >= Self.shortest else { return }
        if let timeout, idle >= timeout { return }
        let slack = candidate.divided(by: 8)
        let isLike = idle + slack >= candidate && idle <= candidate + slack
        if isLike, now - candidateAt >= Self.eventSpan {
            timeout = min(idle, candidate)
            return
        }
        candidate = idle
        candidateAt = now
    }

    /// The backend said so (`Keep-Alive: timeout=`).
    mutating func advertised(_ span: TimeSpan) {
        guard span >= Self.shortest else { return }
        timeout = span
    }

    /// A connection reached the span it is kept for: the backend may allow more than is known.
    ///
    /// Forgets slowly: one sixteenth each time, until `longest` alone counts again.
    mutating func outlived(longest: TimeSpan) {
        guard let known = timeout else { return }
        let next = known + known.divided(by: 16)
        timeout = next.multiplied(by: 4).divided(by: 5) > longest ? nil : next
    }
}

extension IdleEstimate {
    /// The seconds in a `Keep-Alive` value such as `timeout=5, max=100`; `nil` without any.
    static func advertisedSeconds(_ value: UnsafeRawBufferPointer) -> UInt64? {
        let name = "timeout=" as StaticString
        let count = name.utf8CodeUnitCount
        var start = 0
        while start + count < value.count {
            let isHere = (0..<count).allSatisfy {
                value[start + $0] | 0x20 == name.utf8Start[$0] | 0x20
            }
            guard isHere else {
                start += 1
                continue
            }
            var seconds: UInt64 = 0
            var at = start + count
            while at < value.count, value[at] >= 0x30, value[at] <= 0x39, seconds < 1_000_000 {
                seconds = seconds * 10 + UInt64(value[at] - 0x30)
                at += 1
            }
            return at > start + count ? seconds : nil
        }
        return nil
    }
}
