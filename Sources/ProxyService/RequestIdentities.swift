// SPDX-License-Identifier: Apache-2.0
//
// Names for requests and traces: 128 bits each, made from a number that the worker counts up, so
// that eight bytes are enough to make the same name again when a request is sent again.

internal import HTTPCore
internal import LinuxIO

/// One worker's source of names.
///
/// Two names are the same only if the kernel gave two workers seeds that collide: within a worker
/// the mixing is one-to-one. They are not secret: who knows one can compute the next.
struct RequestIdentities: ~Copyable {
    private static let memoryByteCount = RequestIdentifier.byteCount + TraceContext.byteCount
    /// Where the trace-id lies in a `traceparent` (W3C Trace Context §3.2.2).
    static let traceIDRange = 3..<35

    private let memory: UnsafeMutableRawBufferPointer
    private let highSeed: UInt64
    private let lowSeed: UInt64
    private var lastNumber: UInt64 = 0
    /// The number whose texts are in `memory`.
    private var writtenNumber: UInt64 = 0

    init() {
        memory = .allocate(byteCount: Self.memoryByteCount, alignment: 16)
        highSeed = RandomBytes.seed()
        lowSeed = RandomBytes.seed()
    }

    deinit {
        memory.deallocate()
    }

    /// The number of another request; never 0.
    @inline(__always)
    mutating func next() -> UInt64 {
        lastNumber &+= 1
        return lastNumber
    }

    /// Makes the texts of a request; they are valid until another number is asked for.
    @inline(__always)
    mutating func write(_ number: UInt64) {
        if writtenNumber != number { make(number) }
    }

    /// `X-Request-Id`.
    var requestID: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: memory[..<RequestIdentifier.byteCount])
    }

    /// `traceparent` of a new trace.
    ///
    /// It says "sampled": most services decide for themselves only when nobody asked before, and
    /// "not sampled" would silently end the tracing of all of them.
    var traceparent: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: memory[RequestIdentifier.byteCount...])
    }

    @inline(never)
    private mutating func make(_ number: UInt64) {
        writtenNumber = number
        let high = Self.mixed(highSeed &+ number &* 0x9E37_79B9_7F4A_7C15)
        let low = Self.mixed(lowSeed &+ number &* 0x9E37_79B9_7F4A_7C15)
        _ = RequestIdentifier.write(high, low, into: memory)
        _ = TraceContext.writeNew(
            high, low, isSampled: true,
            into: UnsafeMutableRawBufferPointer(rebasing: memory[RequestIdentifier.byteCount...]))
    }

    /// The finaliser of SplitMix64, which maps no two numbers to one.
    @inline(__always)
    private static func mixed(_ value: UInt64) -> UInt64 {
        var bits = value
        bits = (bits ^ bits &>> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits &>> 27) &* 0x94D0_49BB_1331_11EB
        return bits ^ bits &>> 31
    }
}
