// SPDX-License-Identifier: Apache-2.0
//
// One test per limit of a head: the largest that passes and the smallest that does not.

import HTTPCore
import Testing

private func limits(_ change: (inout HeadLimits) -> Void) -> HeadLimits {
    var limits = HeadLimits()
    change(&limits)
    return limits
}

/// A head of exactly so many bytes.
private func head(byteCount: Int) -> [UInt8] {
    let start = latin1("GET / HTTP/1.1\r\nHost: a\r\nX: ")
    let end = latin1("\r\n\r\n")
    return start + [UInt8](repeating: 0x78, count: byteCount - start.count - end.count) + end
}

@Test func defaultLimitsAreThoseOfTheField() {
    #expect(HeadLimits().headByteCountMax == 65_536)
    #expect(HeadLimits().fieldCountMax == 100)
    #expect(HeadLimits().targetByteCountMax == 8192)
}

@Test func headOfTheLimitPassesAndOneMoreByteIs431() {
    let bench = RequestBench()
    #expect(bench.verdict(head(byteCount: 65_536)).facts?.headByteCount == 65_536)
    #expect(bench.verdict(head(byteCount: 65_537)) == .malformed(.headTooLarge))
    #expect(bench.verdict(head(byteCount: 65_536) + latin1("more")).facts != nil)
}

@Test func unfinishedHeadOfTheLimitIs431() {
    let bench = RequestBench(limits: limits { $0.headByteCountMax = 200 })
    let bytes = head(byteCount: 300)
    #expect(bench.verdict(bytes[..<199]) == .needMore)
    #expect(bench.verdict(bytes[..<200]) == .malformed(.headTooLarge))
    let pieces = Array(repeating: 1, count: bytes.count)
    #expect(bench.verdict(bytes, pieces: pieces) == .malformed(.headTooLarge))
}

@Test func oneFieldAboveTheLimitIs431() {
    let bench = RequestBench()
    let start = "GET / HTTP/1.1\r\nHost: a\r\n"
    let full = start + String(repeating: "X: y\r\n", count: 99)
    #expect(bench.verdict(latin1(full + "\r\n")).facts?.fields.count == 100)
    #expect(bench.verdict(latin1(full + "X: y\r\n\r\n")) == .malformed(.tooManyFields))
}

@Test func fieldCountLimitIsConfigurable() {
    let bench = RequestBench(limits: limits { $0.fieldCountMax = 1 })
    #expect(bench.verdict(latin1("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).facts != nil)
    #expect(
        bench.verdict(latin1("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n"))
            == .malformed(.tooManyFields))
}

@Test func limitsBeyondTheCeilingsAreBroughtUnderThem() {
    let bench = RequestBench(
        limits: limits {
            $0.headByteCountMax = .max
            $0.fieldCountMax = .max
            $0.targetByteCountMax = .min
        })
    #expect(bench.verdict(latin1("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).facts != nil)
    #expect(bench.verdict(latin1("GET /a HTTP/1.1\r\n")) == .malformed(.targetTooLong))
}

@Test(arguments: ["GET /", "GET /?", "GET http://a/", "GET http://"])
func targetAboveTheLimitIs414(_ start: String) {
    let bench = RequestBench()
    let room = 8192 - start.utf8.count + 4
    let end = " HTTP/1.1\r\nHost: a\r\n\r\n"
    let longest = latin1(start + String(repeating: "a", count: room) + end)
    #expect(bench.verdict(longest).facts?.target.count == 8192)
    let over = latin1(start + String(repeating: "a", count: room + 1) + end)
    #expect(bench.verdict(over) == .malformed(.targetTooLong))
    // Not after 64 KiB only, and not as 431.
    let pieces = Array(repeating: 1, count: over.count)
    #expect(bench.verdict(over, pieces: pieces) == .malformed(.targetTooLong))
    #expect(bench.verdict(over[..<8210]) == .malformed(.targetTooLong))
}

@Test func fieldNameAboveTheLimitIs431() {
    let bench = RequestBench()
    let start = "GET / HTTP/1.1\r\nHost: a\r\n"
    let name = String(repeating: "n", count: 257)
    #expect(bench.verdict(latin1(start + name + ": x\r\n\r\n")) == .malformed(.fieldNameTooLong))
    #expect(bench.verdict(latin1(start + name)) == .malformed(.fieldNameTooLong))
}

/// The ends of what the configuration takes.
@Test(arguments: [(10, 4 * 1024, 256), (1000, 64 * 1024, 32 * 1024)])
func limitsFromTheConfigurationAreExact(
    _ fieldCount: Int, _ headByteCount: Int, _ targetByteCount: Int
) {
    let bench = RequestBench(
        limits: HeadLimits(
            headByteCountMax: headByteCount, fieldCountMax: fieldCount,
            targetByteCountMax: targetByteCount))
    let responses = ResponseBench(
        limits: HeadLimits(
            headByteCountMax: headByteCount, fieldCountMax: fieldCount,
            targetByteCountMax: targetByteCount))
    let lines = String(repeating: "X: y\r\n", count: fieldCount - 1)
    let full = "GET / HTTP/1.1\r\nHost: a\r\n" + lines
    #expect(bench.verdict(latin1(full + "\r\n")).facts?.fields.count == fieldCount)
    #expect(bench.verdict(latin1(full + "X: y\r\n\r\n")) == .malformed(.tooManyFields))
    let answer = "HTTP/1.1 200 OK\r\nA: b\r\n" + lines
    #expect(responses.verdict(latin1(answer + "\r\n")).facts?.fields.count == fieldCount)
    #expect(responses.verdict(latin1(answer + "X: y\r\n\r\n")) == .malformed(.tooManyFields))
    #expect(bench.verdict(head(byteCount: headByteCount)).facts?.headByteCount == headByteCount)
    #expect(bench.verdict(head(byteCount: headByteCount + 1)) == .malformed(.headTooLarge))
    let path = "/" + String(repeating: "a", count: targetByteCount - 1)
    let end = " HTTP/1.1\r\nHost: a\r\n\r\n"
    #expect(bench.verdict(latin1("GET \(path)\(end)")).facts?.target.count == targetByteCount)
    #expect(bench.verdict(latin1("GET \(path)a\(end)")) == .malformed(.targetTooLong))
}

@Test func progressOfAHeadStaysFourBytes() {
    // One for each connection, also for those that wait.
    #expect(MemoryLayout<HeadProgress>.size == 4)
}
