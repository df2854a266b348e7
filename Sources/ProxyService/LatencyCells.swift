// SPDX-License-Identifier: Apache-2.0
//
// How long one backend took to answer one worker, as counts in buckets. The buckets are four to an
// octave, each 14 to 25 % wide, so that the place of a time is found from its leading bits.

internal import Synchronization
internal import WireCore

/// The bounds of the buckets.
enum LatencyScale {
    /// Times up to 64 us share the first bucket.
    private static let shortestBits = 6
    /// Times above 67 s share the last one.
    private static let octaveCount = 20
    static let bucketsPerOctave = 4
    static let bucketCount = octaveCount * bucketsPerOctave + 2

    /// The bucket of a time; each holds its upper bound and not its lower one.
    @inline(__always)
    static func bucket(microseconds: UInt64) -> Int {
        let value = microseconds &- (microseconds > 0 ? 1 : 0)
        guard value >> UInt64(shortestBits) > 0 else { return 0 }
        let exponent = 63 &- value.leadingZeroBitCount
        guard exponent < shortestBits &+ octaveCount else { return bucketCount &- 1 }
        // The two bits below the leading one.
        let part = Int(truncatingIfNeeded: value &>> UInt64(exponent &- 2)) & 3
        return 1 &+ (exponent &- shortestBits) &* bucketsPerOctave &+ part
    }

    /// The longest time of a bucket in microseconds; the last one has none.
    static func upperMicroseconds(of bucket: Int) -> UInt64? {
        guard bucket < bucketCount - 1 else { return nil }
        guard bucket > 0 else { return 1 << shortestBits }
        let (octave, part) = (bucket - 1).quotientAndRemainder(dividingBy: bucketsPerOctave)
        return UInt64(bucketsPerOctave + part + 1) << (shortestBits - 2 + octave)
    }

    /// The bound below a bucket in microseconds.
    static func lowerMicroseconds(of bucket: Int) -> UInt64 {
        bucket > 0 ? upperMicroseconds(of: bucket - 1) ?? 0 : 0
    }
}

/// The counts of one worker; they take memory once something is counted.
struct LatencyCells: ~Copyable, Sendable {
    /// Written once, by the worker that counts; what it leads to is made of atomics and lives as
    /// long as this does, so that other threads may follow it.
    nonisolated(unsafe) private let cells = Atomic<UnsafeMutablePointer<Tally>?>(nil)

    deinit {
        guard let place = cells.load(ordering: .acquiring) else { return }
        place.deinitialize(count: LatencyScale.bucketCount)
        place.deallocate()
    }

    /// Counts a time; only the owning worker may call this.
    @inline(__always)
    borrowing func add(_ latency: TimeSpan) {
        let bucket = LatencyScale.bucket(microseconds: latency.microseconds)
        let place = cells.load(ordering: .relaxed) ?? allocate()
        place[bucket].add()
    }

    private borrowing func allocate() -> UnsafeMutablePointer<Tally> {
        let place = UnsafeMutablePointer<Tally>.allocate(capacity: LatencyScale.bucketCount)
        for bucket in 0..<LatencyScale.bucketCount { (place + bucket).initialize(to: Tally()) }
        cells.store(place, ordering: .releasing)
        return place
    }

    /// Adds what was counted so far.
    borrowing func collect(into counts: inout LatencyCounts) {
        guard let place = cells.load(ordering: .acquiring) else { return }
        for bucket in 0..<LatencyScale.bucketCount { counts.add(place[bucket].value, to: bucket) }
    }
}
