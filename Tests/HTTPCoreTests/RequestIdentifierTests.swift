// SPDX-License-Identifier: Apache-2.0
//
// Names of requests: which of others are passed on, and that our own are among those.

import HTTPCore
import Testing
import WireCore

private func isValidID(_ text: String) -> Bool {
    GuardedBytes(capacity: 4096).with(latin1(text)) { RequestIdentifier.isValid($0) }
}

private func isValidTrace(_ text: String) -> Bool {
    GuardedBytes(capacity: 4096).with(latin1(text)) { TraceContext.isValid($0) }
}

@Test(arguments: [
    "a", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "SGVsbG8+/w==",
    "1-67891233-abcdef012345678912345678", "a.b_c~d:e@f", String(repeating: "x", count: 128),
])
func identifiersInUseAreValid(_ text: String) {
    #expect(isValidID(text))
}

@Test(arguments: [
    "", String(repeating: "x", count: 129), "a b", "a\tb", "a,b", "a;b", "a\"b", "a'b", "<a>",
    "a\u{80}", "a\u{7F}", "a\0", "{a}", "a\\b", "$(a)", "a|b", "a&b", "a?b", "a#b", "a%20b",
])
func otherIdentifiersAreNotPassedOn(_ text: String) {
    #expect(!isValidID(text))
}

private let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

@Test func everyFieldOfATraceIsChecked() {
    // W3C Trace Context §3.2.2.
    #expect(isValidTrace(trace))
    #expect(isValidTrace(trace.dropLast() + "0"))
    #expect(isValidTrace(trace.dropLast(2) + "ff"))
    #expect(!isValidTrace("01" + trace.dropFirst(2)))
    #expect(!isValidTrace("ff" + trace.dropFirst(2)))
    #expect(!isValidTrace("0" + trace.dropFirst(1).uppercased()))
    #expect(!isValidTrace(trace + "-00"))
    #expect(!isValidTrace(trace + " "))
    #expect(!isValidTrace("00-" + String(repeating: "0", count: 32) + trace.dropFirst(35)))
    #expect(!isValidTrace(trace.prefix(36) + String(repeating: "0", count: 16) + "-01"))
    for index in 0..<55 {
        var bytes = Array(trace.utf8)
        #expect(!isValidTrace(String(decoding: bytes[..<index], as: UTF8.self)))
        for byte in [0x41, 0x67, 0x2F, 0x3A, 0x60, 0x20, 0x00] as [UInt8] {
            bytes[index] = byte
            #expect(!isValidTrace(String(decoding: bytes, as: UTF8.self)), "\(index) \(byte)")
        }
        // A dash where a digit belongs, a digit where a dash belongs.
        bytes[index] = Array(trace.utf8)[index] == 0x2D ? 0x30 : 0x2D
        #expect(!isValidTrace(String(decoding: bytes, as: UTF8.self)))
    }
}

private func made(_ high: UInt64, _ low: UInt64, isSampled: Bool = true) -> (String, String)? {
    var id = [UInt8](repeating: 0xAA, count: RequestIdentifier.byteCount)
    var trace = [UInt8](repeating: 0xAA, count: TraceContext.byteCount)
    let idCount = id.withUnsafeMutableBytes { RequestIdentifier.write(high, low, into: $0) }
    let traceCount = trace.withUnsafeMutableBytes {
        TraceContext.writeNew(high, low, isSampled: isSampled, into: $0)
    }
    guard idCount == id.count, traceCount == trace.count else { return nil }
    return (String(decoding: id, as: UTF8.self), String(decoding: trace, as: UTF8.self))
}

@Test func madeNamesHaveTheSameDigits() throws {
    let (id, trace) = try #require(made(0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210))
    #expect(id == "0123456789abcdeffedcba9876543210")
    #expect(trace.hasPrefix("00-\(id)-"))
    #expect(trace.hasSuffix("-01"))
    let unsampled = try #require(made(1, 2, isSampled: false))
    #expect(unsampled.1.hasSuffix("-00"))
}

@Test func everyMadeNameIsValid() throws {
    var (random, replay) = FuzzSettings.generator(for: "everyMadeNameIsValid")
    var pairs: [(UInt64, UInt64)] = [(0, 0), (0, 1), (1, 0), (.max, .max), (5, 5 << 32)]
    for _ in 0..<1000 {
        pairs.append((random.next(), random.next()))
    }
    for (high, low) in pairs {
        let (id, trace) = try #require(made(high, low))
        #expect(isValidID(id), replay)
        #expect(isValidTrace(trace), replay)
    }
    let parents = try Set(pairs.map { try #require(made($0.0, $0.1)).1.dropFirst(36).prefix(16) })
    #expect(parents.count == pairs.count, replay)
}

@Test func namesWithoutRoomAreNotWritten() {
    var output = [UInt8](repeating: 0xAA, count: 54)
    output.withUnsafeMutableBytes { output in
        #expect(TraceContext.writeNew(1, 2, isSampled: true, into: output) == nil)
        let short = UnsafeMutableRawBufferPointer(rebasing: output[..<31])
        #expect(RequestIdentifier.write(1, 2, into: short) == nil)
    }
    #expect(output.allSatisfy { $0 == 0xAA })
}
