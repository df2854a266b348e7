// SPDX-License-Identifier: Apache-2.0
//
// A worker's end of the access log: lines are collected in a chunk, and the chunk goes to the
// writing thread when it is full or has waited long enough.

public import WireCore

/// Collects the lines of one worker; belongs to its thread.
public struct AccessLogBuffer: ~Copyable {
    /// A line waits at most this long, plus a turn of the worker, before it is handed over.
    public static let waitMax = TimeSpan.milliseconds(100)

    private let log: AccessLog
    private let lane: Unmanaged<AccessLogLane>
    private var chunk: UnsafeMutableRawPointer?
    private var usedByteCount = 0
    private var lineCount = 0
    private var handOverDue = Instant.distantFuture

    /// The end of `log` that belongs to worker number `index`.
    public init(_ log: AccessLog, worker index: Int) {
        self.log = log
        lane = Unmanaged.passUnretained(log.lane(index))
    }

    /// True when lines wait that should be handed over now.
    @inline(__always)
    public func isDue(now: Instant) -> Bool {
        now >= handOverDue
    }

    /// Room for one line of any length; `nil`, and the line is counted as dropped, when the writer
    /// has not caught up.
    public mutating func room() -> UnsafeMutableRawBufferPointer? {
        let wanted = AccessLogFormatter.lineByteCountMax
        if AccessLogLane.chunkByteCount &- usedByteCount < wanted { handOver() }
        if chunk == nil { chunk = lane._withUnsafeGuaranteedRef { $0.freeChunk() } }
        guard let chunk else {
            lane._withUnsafeGuaranteedRef { $0.drop() }
            return nil
        }
        return UnsafeMutableRawBufferPointer(start: chunk + usedByteCount, count: wanted)
    }

    /// Keeps the line that was written into `room`.
    public mutating func commit(byteCount: Int, now: Instant) {
        guard byteCount > 0 else { return }
        if lineCount == 0 { handOverDue = now + Self.waitMax }
        usedByteCount &+= byteCount
        lineCount &+= 1
    }

    /// Gives the lines so far to the writer.
    public mutating func handOver() {
        handOverDue = .distantFuture
        guard lineCount > 0 else { return }
        lane._withUnsafeGuaranteedRef {
            $0.fill(byteCount: usedByteCount, lineCount: lineCount)
        }
        chunk = nil
        usedByteCount = 0
        lineCount = 0
        log.wake()
    }
}
