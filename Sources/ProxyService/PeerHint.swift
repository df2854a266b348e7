// SPDX-License-Identifier: Apache-2.0
//
// What the other node found out, where workers can read it: a number and when it was heard, in one
// word, so that neither is ever read without the other.

internal import BalancerCore
internal import Synchronization
internal import WireCore

/// A number of microseconds and the second in which it was heard.
struct PeerHint {
    /// Hints older than this say nothing.
    ///
    /// A node with traffic tells what it knows every few seconds.
    static let freshSeconds: UInt32 = 30

    let microseconds: UInt32
    private let heardAtSeconds: UInt32

    init(_ latency: TimeSpan, now: Instant) {
        microseconds = UInt32(clamping: latency.microseconds)
        heardAtSeconds = Self.seconds(now)
    }

    init(word: UInt64) {
        microseconds = UInt32(truncatingIfNeeded: word)
        heardAtSeconds = UInt32(truncatingIfNeeded: word &>> 32)
    }

    /// Both as one word; 0 says nothing.
    var word: UInt64 { UInt64(heardAtSeconds) &<< 32 | UInt64(microseconds) }

    /// The latency, unless it is too old or nothing was ever heard.
    func latency(now: Instant) -> TimeSpan? {
        guard microseconds > 0, Self.isFresh(heardAtSeconds, now: now) else { return nil }
        return .microseconds(UInt64(microseconds))
    }

    /// A clock of seconds that is never 0.
    static func seconds(_ now: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000_000) | 0x8000_0000
    }

    /// True for what was heard of late; 0 is never.
    static func isFresh(_ heardAt: UInt32, now: Instant) -> Bool {
        heardAt != 0 && seconds(now) &- heardAt <= freshSeconds
    }
}

extension Worker {
    /// How often what was learned is made known, and what the other node learned is looked at.
    static let sharingInterval = TimeSpan.seconds(1)

    /// Makes known what this worker learned of late, and takes what the other node knows where it
    /// has learned nothing.
    mutating func shareAverages() {
        sharingDue = now + Self.sharingInterval
        for pool in pools {
            if pool.pointee.adaptiveLimit != nil {
                pool.pointee.adaptiveLimit?.share(pool.pointee.shared, now: now)
            }
            guard pool.pointee.balancer.policy == .leastTime else { continue }
            for index in 0..<pool.pointee.backendCount { shareAverage(of: index, in: pool) }
        }
    }

    private func shareAverage(of index: Int, in pool: UnsafeMutablePointer<WorkerPool>) {
        let backend = pool.pointee.backends[index]
        let isCold = pool.pointee.balancer.wantsLatency(at: index, now: now)
        var average: TimeSpan?
        if !isCold { average = pool.pointee.balancer.averageLatency(at: index, now: now) }
        backend.pointee.count {
            $0.averageMicroseconds.store(
                UInt32(clamping: average?.microseconds ?? 0), ordering: .relaxed)
        }
        guard isCold else { return }
        let hint = backend.pointee.shared._withUnsafeGuaranteedRef {
            PeerHint(word: $0.peerLatency.load(ordering: .relaxed))
        }
        guard let latency = hint.latency(now: now) else { return }
        pool.pointee.balancer.seedLatency(latency, at: index, now: now)
    }
}
