// SPDX-License-Identifier: Apache-2.0
//
// What is kept of a request until its line can be written, and the memory for it. A connection
// between requests has no record, and a worker without an access log has none at all.

internal import Telemetry
internal import WireCore

/// One request on its way into the access log: numbers, and behind them the opening of its line.
struct AccessRecord {
    typealias Pointer = UnsafeMutablePointer<AccessRecord>

    /// Times that were not reached.
    static let never = Instant(nanoseconds: 0)
    /// The longest name of a pool or a backend.
    static let nameByteCountMax = 64
    /// No route matched.
    static let noRoute = UInt16.max

    /// The first byte of the request.
    var began: Instant
    var headEnded = AccessRecord.never
    var chosen = AccessRecord.never
    var connected = AccessRecord.never
    var answered = AccessRecord.never
    /// Bytes read so far; bytes that turn out to be of the next request are taken off at the end.
    var receivedByteCount: UInt64 = 0
    var sentByteCount: UInt64 = 0
    var sentHeadByteCount: UInt32 = 0
    var idleMicroseconds: UInt32 = 0
    var status: UInt16 = 0
    var route = AccessRecord.noRoute
    var prefixByteCount: UInt16 = 0
    var openingByteCount: UInt16 = 0
    var attemptCount: UInt8 = 0
    var replayCount: UInt8 = 0
    var isReused = false
    /// It waited for room in its pool.
    var hasWaited = false
    var isLarge: Bool
    var format: AccessLogFormat
    var cause = AccessLogCause.none
    var phase = AccessLogPhase.request
    var poolNameByteCount: UInt8 = 0
    var backendNameByteCount: UInt8 = 0
    /// The pool's name and behind it the backend's: either may be gone before the request is over.
    var names = InlineArray<128, UInt8>(repeating: 0)

    init(began: Instant, isLarge: Bool, format: AccessLogFormat) {
        self.began = began
        self.isLarge = isLarge
        self.format = format
    }

    /// Where the opening is: behind the record.
    static func room(of record: Pointer) -> UnsafeMutableRawBufferPointer {
        let size = MemoryLayout<AccessRecord>.stride
        let byteCount =
            record.pointee.isLarge
            ? AccessRecordPool.largeByteCount : AccessRecordPool.smallByteCount
        return UnsafeMutableRawBufferPointer(
            start: UnsafeMutableRawPointer(record) + size, count: byteCount &- size)
    }

    /// Remembers who is to answer.
    static func setNames(
        of record: Pointer, pool: UnsafeRawBufferPointer, backend: UnsafeRawBufferPointer
    ) {
        let poolCount = min(pool.count, nameByteCountMax)
        let backendCount = min(backend.count, nameByteCountMax)
        withUnsafeMutableBytes(of: &record.pointee.names) { names in
            guard let base = names.baseAddress else { return }
            if let text = pool.baseAddress { base.copyMemory(from: text, byteCount: poolCount) }
            if let text = backend.baseAddress {
                (base + poolCount).copyMemory(from: text, byteCount: backendCount)
            }
        }
        record.pointee.poolNameByteCount = UInt8(truncatingIfNeeded: poolCount)
        record.pointee.backendNameByteCount = UInt8(truncatingIfNeeded: backendCount)
    }
}

/// One worker's free records of two sizes, last returned first taken.
struct AccessRecordPool: ~Copyable {
    /// Room for the openings of ordinary requests.
    static let smallByteCount = 1_024
    /// Room for the longest opening.
    static let largeByteCount =
        AccessLogFormatter.openingByteCountMax + MemoryLayout<AccessRecord>.stride
    /// Free small records kept for the next taker (512 KiB).
    static let smallKeptMax = 512
    /// Free large records kept for the next taker (64 KiB).
    static let largeKeptMax = 16

    private let small: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private let large: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private var smallCount = 0
    private var largeCount = 0

    init() {
        small = .allocate(capacity: Self.smallKeptMax)
        large = .allocate(capacity: Self.largeKeptMax)
    }

    deinit {
        for index in 0..<smallCount { small[index].deallocate() }
        for index in 0..<largeCount { large[index].deallocate() }
        small.deallocate()
        large.deallocate()
    }

    /// Memory for a record and its opening.
    mutating func take(isLarge: Bool) -> UnsafeMutableRawPointer {
        if isLarge {
            guard largeCount > 0 else {
                return .allocate(byteCount: Self.largeByteCount, alignment: 16)
            }
            largeCount &-= 1
            return large[largeCount]
        }
        guard smallCount > 0 else {
            return .allocate(byteCount: Self.smallByteCount, alignment: 16)
        }
        smallCount &-= 1
        return small[smallCount]
    }

    /// Takes a record back.
    mutating func giveBack(_ record: AccessRecord.Pointer) {
        let isLarge = record.pointee.isLarge
        let memory = UnsafeMutableRawPointer(record)
        if isLarge, largeCount < Self.largeKeptMax {
            large[largeCount] = memory
            largeCount &+= 1
        } else if !isLarge, smallCount < Self.smallKeptMax {
            small[smallCount] = memory
            smallCount &+= 1
        } else {
            memory.deallocate()
        }
    }
}
