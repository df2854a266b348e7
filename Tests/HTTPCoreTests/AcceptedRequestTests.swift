// SPDX-License-Identifier: Apache-2.0
//
// Valid requests are accepted with the right facts, and no prefix of one is ever anything but
// incomplete: any split of the input gives the same result.

import HTTPCore
import Testing

@Test(arguments: acceptedRequests)
func requestIsAccepted(_ vector: AcceptedRequest) throws {
    let bench = RequestBench()
    let verdict = bench.verdict(vector.bytes)
    let facts = try #require(verdict.facts, "\(verdict)")
    #expect(facts.framing == vector.framing)
    #expect(facts.keepsAlive == vector.keepsAlive)
    #expect(facts.expectsContinue == vector.expectsContinue)
    #expect(facts.headByteCount == vector.head.count)
}

@Test(arguments: acceptedRequests)
func everyPrefixOfAValidHeadNeedsMore(_ vector: AcceptedRequest) {
    let bench = RequestBench()
    let head = vector.head
    for count in 0..<head.count {
        #expect(bench.verdict(head[..<count]) == .needMore, "prefix \(count)")
    }
    #expect(bench.verdict(head).facts != nil)
}

@Test(arguments: acceptedRequests)
func everySplitOfAValidHeadGivesTheSameFacts(_ vector: AcceptedRequest) {
    let bench = RequestBench()
    let whole = bench.verdict(vector.bytes)
    for count in 1..<vector.bytes.count {
        #expect(bench.verdict(vector.bytes, pieces: [count]) == whole, "split at \(count)")
    }
    for size in [1, 2, 3, 7] {
        let pieces = Array(repeating: size, count: vector.bytes.count)
        #expect(bench.verdict(vector.bytes, pieces: pieces) == whole, "pieces of \(size)")
    }
}

@Test func browserHeadSplitAnywhereIsTheSame() {
    let bench = RequestBench()
    let bytes = Array(browserHead.utf8)
    let whole = bench.verdict(bytes)
    for first in stride(from: 1, to: bytes.count, by: 3) {
        for second in stride(from: 1, to: bytes.count - first, by: 29) {
            #expect(bench.verdict(bytes, pieces: [first, second]) == whole)
        }
    }
}

/// A head must cost its bytes, not their square: byte-by-byte arrival looks at each byte once.
///
/// The count of parses is not visible, so the test bounds time by a large factor instead: 60 KiB
/// in single bytes would be 1.8 billion byte visits when quadratic, minutes in a debug build.
@Test func headArrivingByteByByteIsNotQuadratic() throws {
    let bench = RequestBench()
    var text = "GET / HTTP/1.1\r\nHost: a.example\r\n"
    for index in 0..<60 { text += "X-\(index): \(String(repeating: "v", count: 1000))\r\n" }
    let bytes = latin1(text + "\r\n")
    var progress = HeadProgress()
    let clock = ContinuousClock()
    let start = clock.now
    bytes.withUnsafeBytes { buffer in
        for count in 1..<bytes.count {
            let prefix = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            guard bench.head.parse(prefix, progress: &progress) == .needMore else {
                Issue.record("prefix \(count) is complete")
                return
            }
        }
        #expect(
            bench.head.parse(buffer, progress: &progress)
                == .complete(headByteCount: bytes.count))
    }
    #expect(clock.now - start < .seconds(5))
}

@Test func pipelinedRequestsAreToldApart() throws {
    let bench = RequestBench()
    let first = latin1("GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\n")
    let second = latin1("GET /2 HTTP/1.1\r\nHost: b.example\r\n\r\n")
    let bytes = first + second + second
    let one = try #require(bench.verdict(bytes).facts)
    #expect(one.target == "/1")
    #expect(one.headByteCount == first.count)
    let two = try #require(bench.verdict(bytes[one.headByteCount...]).facts)
    #expect(two.target == "/2")
    #expect(two.host == "b.example")
}

@Test func factsOfOneHeadDoNotLeakIntoTheNext() throws {
    let bench = RequestBench()
    let rich = latin1(
        "POST http://b.example:81/c%2fd?e HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\n"
            + "Connection: close, upgrade\r\nUpgrade: x\r\nTE: trailers\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n")
    #expect(bench.verdict(rich).facts != nil)
    #expect(bench.head.acceptsTrailers && bench.head.requestsUpgrade)
    #expect(bench.head.pathHasEncodedSlash && bench.head.targetScheme == .http)
    let plain = latin1("GET / HTTP/1.0\r\n\r\n")
    let facts = try #require(bench.verdict(plain).facts)
    #expect(
        facts
            == RequestFacts(
                method: "GET", target: "/", path: "/", minorVersion: 0, keepsAlive: false,
                headByteCount: plain.count))
    #expect(!bench.head.acceptsTrailers && !bench.head.pathHasEncodedSlash)
    #expect(bench.head.targetScheme == nil && bench.head.value(of: .host) == nil)
}
