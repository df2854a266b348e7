// SPDX-License-Identifier: Apache-2.0
//
// The way of lines from one worker to the writing thread: a ring of chunks that neither side waits
// for.

internal import Synchronization

/// A ring of chunks with one producer, a worker, and one consumer, the writing thread.
///
/// Sendable: a chunk's memory is touched by one side only. It is the worker's from the moment the
/// consumer counts it as written, and the writer's from the moment the producer counts it as
/// filled; both counts are atomics with release and acquire.
public final class AccessLogLane: @unchecked Sendable {
    /// Bytes of a chunk: more than a hundred lines for one wake-up of the writer.
    public static let chunkByteCount = 64 << 10
    /// Chunks of a worker: what a stalled disk may keep waiting before lines are dropped.
    public static let chunkCountMax = 8

    private let memory: UnsafeMutableRawPointer
    /// Bytes and lines of each chunk, written before it is counted as filled.
    private let byteCounts: UnsafeMutablePointer<Int>
    private let lineCounts: UnsafeMutablePointer<Int>
    private let filledCount = Atomic<UInt64>(0)
    private let writtenCount = Atomic<UInt64>(0)
    private let lines = Atomic<UInt64>(0)
    private let dropped = Atomic<UInt64>(0)

    /// Reserves the memory; the kernel gives it page by page as it is used.
    init() {
        memory = .allocate(byteCount: Self.chunkByteCount * Self.chunkCountMax, alignment: 64)
        byteCounts = .allocate(capacity: Self.chunkCountMax)
        lineCounts = .allocate(capacity: Self.chunkCountMax)
        byteCounts.initialize(repeating: 0, count: Self.chunkCountMax)
        lineCounts.initialize(repeating: 0, count: Self.chunkCountMax)
    }

    deinit {
        memory.deallocate()
        byteCounts.deallocate()
        lineCounts.deallocate()
    }

    /// Lines that were handed over.
    var lineCount: UInt64 { lines.load(ordering: .relaxed) }
    /// Lines that found no room.
    var droppedLineCount: UInt64 { dropped.load(ordering: .relaxed) }

    private static func index(_ number: UInt64) -> Int {
        Int(number % UInt64(chunkCountMax))
    }

    private func chunk(_ number: UInt64) -> UnsafeMutableRawPointer {
        memory + Self.index(number) * Self.chunkByteCount
    }

    // MARK: The worker's side

    /// The chunk to fill next, or `nil` while the writer has all of them.
    func freeChunk() -> UnsafeMutableRawPointer? {
        let filled = filledCount.load(ordering: .relaxed)
        let isFull =
            filled &- writtenCount.load(ordering: .acquiring) >= UInt64(Self.chunkCountMax)
        return isFull ? nil : chunk(filled)
    }

    /// Gives the chunk that `freeChunk` named to the writer.
    func fill(byteCount: Int, lineCount: Int) {
        let number = filledCount.load(ordering: .relaxed)
        byteCounts[Self.index(number)] = byteCount
        lineCounts[Self.index(number)] = lineCount
        lines.store(
            lines.load(ordering: .relaxed) &+ UInt64(lineCount), ordering: .relaxed)
        filledCount.store(number &+ 1, ordering: .releasing)
    }

    /// Counts a line that found no room.
    func drop() {
        dropped.wrappingAdd(1, ordering: .relaxed)
    }

    // MARK: The writer's side

    /// The oldest chunk that was filled, or `nil`.
    func filledChunk() -> (bytes: UnsafeRawBufferPointer, lineCount: Int)? {
        let written = writtenCount.load(ordering: .relaxed)
        guard filledCount.load(ordering: .acquiring) != written else { return nil }
        let index = Self.index(written)
        let bytes = UnsafeRawBufferPointer(start: chunk(written), count: byteCounts[index])
        return (bytes, lineCounts[index])
    }

    /// Gives the chunk that `filledChunk` named back to the worker.
    func release() {
        let written = writtenCount.load(ordering: .relaxed)
        writtenCount.store(written &+ 1, ordering: .releasing)
    }

    /// Gives a chunk back whose lines could not be written.
    func releaseUnwritten(lineCount: Int) {
        dropped.wrappingAdd(UInt64(lineCount), ordering: .relaxed)
        release()
    }
}
