// SPDX-License-Identifier: Apache-2.0
//
// What a worker needs to write access log lines: the form, the chunk in use, free records, the
// names that every line repeats, and the wall clock.

internal import LinuxIO
internal import Telemetry
internal import WireCore

/// One worker's part of the access log.
struct AccessDesk: ~Copyable {
    /// How long the difference between the two clocks is believed.
    private static let wallSpan = TimeSpan.seconds(1)

    /// Lines are written; false costs one branch for each event of a request.
    private(set) var isOn = false
    var formatter = AccessLogFormatter(.json)
    var buffer: AccessLogBuffer
    var records = AccessRecordPool()
    let node: UnsafeRawBufferPointer
    /// Memory for text that is made for one line.
    let scratch: UnsafeMutableRawBufferPointer
    /// Wall clock less monotonic clock.
    private var wallOffset: UInt64 = 0
    private var wallDue = Instant(nanoseconds: 0)

    init(_ log: AccessLog, worker index: Int, nodeName: String) {
        buffer = AccessLogBuffer(log, worker: index)
        node = Self.copy(nodeName)
        scratch = .allocate(byteCount: 256, alignment: 16)
    }

    deinit {
        node.deallocate()
        scratch.deallocate()
    }

    /// Writes lines of another form from now on, or none; requests in progress keep theirs.
    mutating func adopt(_ format: AccessLogFormat?) {
        isOn = format != nil
        guard let format else {
            buffer.handOver()
            return
        }
        if format != formatter.format { formatter = AccessLogFormatter(format) }
    }

    /// The wall clock at an instant of this second, in nanoseconds since 1970.
    mutating func wall(at instant: Instant, now: Instant) -> UInt64 {
        if now >= wallDue {
            wallOffset = Clock.wallNanoseconds() &- Clock.now().nanoseconds
            wallDue = now + Self.wallSpan
        }
        return wallOffset &+ instant.nanoseconds
    }

    /// A name that lives until it is deallocated.
    static func copy(_ name: String) -> UnsafeRawBufferPointer {
        let bytes = Array(name.utf8)
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(1, bytes.count), alignment: 1)
        memory.copyBytes(from: bytes)
        return UnsafeRawBufferPointer(rebasing: memory[..<bytes.count])
    }
}
