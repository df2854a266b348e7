// SPDX-License-Identifier: Apache-2.0
//
// Trailers: kept when asked for, at any split of the input, and only those forwarded that may be.

import HTTPCore
import Testing
import WireCore

/// What a decoder with a section made of some bytes.
private struct DecodedTrailers: Equatable {
    var lines: [UInt8] = []
    var payload: [UInt8] = []
    var consumedByteCount = 0
    var status = BodyStep.Status.more
    var neededMemory = false
}

/// Feeds bytes in pieces; gives the section `memoryByteCount` bytes, or drops it when `nil`.
private func decode(
    _ bytes: [UInt8], pieceByteCount: Int, memoryByteCount: Int?, _ memory: GuardedBytes
) -> DecodedTrailers {
    var decoder = BodyDecoder(.chunked)
    var section = TrailerSection()
    var result = DecodedTrailers()
    let storage = UnsafeMutableRawBufferPointer.allocate(
        byteCount: (memoryByteCount ?? 0) + 1, alignment: 1)
    defer { storage.deallocate() }
    storage.initializeMemory(as: UInt8.self, repeating: 0xAA)
    var start = 0
    while start < bytes.count, result.status == .more {
        let end = min(bytes.count, start + pieceByteCount)
        while start < end, result.status == .more {
            memory.with(bytes[start..<end]) { buffer in
                let step = decoder.next(buffer, trailers: &section)
                let run = step.payloadOffset..<(step.payloadOffset + step.payloadByteCount)
                result.payload += buffer[run]
                result.consumedByteCount += step.consumedByteCount
                result.status = step.status
                start += step.consumedByteCount
            }
            guard section.needsMemory else { continue }
            #expect(!result.neededMemory, "asked once")
            result.neededMemory = true
            if let memoryByteCount {
                section.keep(
                    in: UnsafeMutableRawBufferPointer(rebasing: storage[..<memoryByteCount]))
            } else {
                section.drop()
            }
        }
    }
    result.lines = Array(section.fieldLines)
    #expect(section.byteCount == result.lines.count)
    #expect(storage.last == 0xAA, "nothing is written beyond the memory given")
    return result
}

private let sections: [(text: String, lines: String)] = [
    ("0\r\n\r\n", ""),
    ("5\r\nhello\r\n0\r\n\r\n", ""),
    ("0\r\nA: b\r\n\r\n", "A: b\r\n"),
    (
        "5\r\nhello\r\n0;x=y\r\nA: b\r\nC:\r\nX-Y:\t\u{E4} \r\n\r\n",
        "A: b\r\nC:\r\nX-Y:\t\u{E4} \r\n"
    ),
]

@Test(arguments: sections)
func trailersAreKeptAtAnySplit(_ text: String, _ lines: String) {
    let memory = GuardedBytes(capacity: 4096)
    let bytes = latin1(text)
    let rest = latin1("GET / HTTP/1.1\r\n")
    for size in 1...(bytes.count + rest.count) {
        for room in [TrailerSection.byteCountMax, lines.unicodeScalars.count] {
            let decoded = decode(
                bytes + rest, pieceByteCount: size, memoryByteCount: room, memory)
            #expect(decoded.lines == latin1(lines))
            #expect(decoded.consumedByteCount == bytes.count)
            #expect(decoded.status == .complete)
            #expect(decoded.neededMemory == !lines.isEmpty)
        }
        let dropped = decode(bytes + rest, pieceByteCount: size, memoryByteCount: nil, memory)
        #expect(dropped.lines.isEmpty)
        #expect(dropped.consumedByteCount == bytes.count)
        #expect(dropped.status == .complete)
    }
    // One byte of room too few is the sender's fault, not a write beyond the memory.
    if !lines.isEmpty {
        for size in 1...bytes.count {
            let decoded = decode(
                bytes, pieceByteCount: size, memoryByteCount: lines.unicodeScalars.count - 1,
                memory)
            #expect(decoded.status == .malformed(.invalidTrailer))
        }
    }
}

@Test func keptTrailersHaveTheLimitsOfDroppedOnes() {
    let memory = GuardedBytes(capacity: 64 * 1024)
    func status(_ text: String) -> BodyStep.Status {
        decode(
            latin1(text), pieceByteCount: 100, memoryByteCount: TrailerSection.byteCountMax, memory
        ).status
    }
    let most = "0\r\n" + String(repeating: "a: b\r\n", count: ChunkLimits.trailerFieldCountMax)
    #expect(status(most + "\r\n") == .complete)
    #expect(status(most + "a: b\r\n\r\n") == .malformed(.invalidTrailer))
    let room = ChunkLimits.trailerByteCountMax - 5
    let long = "0\r\na:" + String(repeating: "b", count: room)
    #expect(status(long + "\r\n\r\n") == .complete)
    #expect(status(long + "b\r\n\r\n") == .malformed(.invalidTrailer))
}

@Test(arguments: [
    "0\r\nA : b\r\n\r\n", "0\r\nA: \0\r\n\r\n", "0\r\nA: b\n\r\n", "0\r\n A: b\r\n\r\n",
    "0\r\nA: b\r\n c\r\n\r\n", "0\r\nA_B: c\r\n\r\n", "0\r\nGET / HTTP/1.1\r\n\r\n",
])
func malformedTrailersAreAFaultWhenKept(_ text: String) {
    let memory = GuardedBytes(capacity: 4096)
    let bytes = latin1(text)
    for size in 1...bytes.count {
        let decoded = decode(bytes, pieceByteCount: size, memoryByteCount: 4096, memory)
        #expect(decoded.status == .malformed(.invalidTrailer))
    }
}

@Test func bodiesStaySmallPerConnection() {
    #expect(MemoryLayout<TrailerSection>.size <= 16)
    #expect(MemoryLayout<ChunkedDecoder>.size <= 40)
    #expect(MemoryLayout<BodyDecoder>.size <= 41)
}

// MARK: Forwarding

private func lastChunk(_ lines: String) -> String? {
    GuardedBytes(capacity: 64 * 1024).with(latin1(lines)) { buffer in
        let room = buffer.count + TrailerFilter.addedByteCount
        var output = [UInt8](repeating: 0xAA, count: room)
        let count = output.withUnsafeMutableBytes {
            TrailerFilter.writeLastChunk(with: buffer, into: $0)
        }
        return count.map {
            String(String.UnicodeScalarView(output[..<$0].map(Unicode.Scalar.init)))
        }
    }
}

private func isForwardable(_ name: String) -> Bool {
    GuardedBytes(capacity: 4096).with(latin1(name)) { TrailerFilter.isForwardable($0) }
}

@Test(arguments: [
    "X-Checksum", "Grpc-Status", "grpc-message", "Server-Timing", "ETag", "Content-Digest",
    "Repr-Digest", "Signature", "Authentication-Info", "a", "X-Forward", "Tex", "Hosts", "Ifx",
])
func fieldsMadeForTrailersGoOn(_ name: String) {
    for spelling in [name, name.lowercased(), name.uppercased()] {
        #expect(isForwardable(spelling))
        #expect(lastChunk("\(spelling): v\r\n") == "0\r\n\(spelling): v\r\n\r\n")
    }
}

// RFC 9110 §6.5.1.
@Test(arguments: [
    "Transfer-Encoding", "Content-Length", "Host", "Connection", "TE", "Trailer", "Keep-Alive",
    "Upgrade", "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "Proxy",
    "Proxy-Status", "Authorization", "WWW-Authenticate", "Cookie", "Cookie2", "Set-Cookie",
    "Set-Cookie2", "Cache-Control", "Expect", "Range", "Max-Forwards", "Pragma", "If-Match",
    "If-None-Match", "If-Range", "Content-Encoding", "Content-Type", "Content-Range",
    "Content-Location", "Content-Disposition", "Content-Digest-X", "Age", "Date", "Expires",
    "Location", "Retry-After", "Vary", "Warning", "Last-Modified", "Forwarded", "X-Forwarded-For",
    "X-Forwarded-Proto", "X-Forwarded-Anything", "X-Real-IP", "Via", "X-Request-Id",
    "traceparent", "tracestate", "Accept", "Accept-Encoding", "Access-Control-Allow-Origin",
    "Sec-WebSocket-Key", "X-HTTP-Method-Override", "X-Original-URL", "X-Rewrite-URL", "Refresh",
    "Alt-Svc", "Clear-Site-Data", "Strict-Transport-Security", "HTTP2-Settings", "Early-Data",
    "", "A_B", "A B", "\u{E4}", String(repeating: "a", count: 257),
])
func fieldsThatDecideAnythingDoNot(_ name: String) {
    for spelling in [name, name.lowercased(), name.uppercased()] {
        #expect(!isForwardable(spelling), "\(spelling)")
    }
    #expect(lastChunk("A: b\r\n\(name): v\r\n")?.contains("v") == false)
}

@Test func linesThatMayGoOnKeepTheirOrder() {
    #expect(lastChunk("") == "0\r\n\r\n")
    #expect(
        lastChunk("A: b\r\nHost: evil\r\nC:\td \r\nTE: x\r\nA: e\r\n")
            == "0\r\nA: b\r\nC:\td \r\nA: e\r\n\r\n")
}

@Test(arguments: [
    "A: b\r\nC", "A: b\r\nC: d", "A: b\r\nC: d\r", "A: b\r\nC: d\n", "A: b\r\nC : d\r\n",
    "A: b\r\nC: d\rX\r\n", "A: b\r\n: d\r\n", "A: b\r\n C: d\r\n", "A: b\r\nC: \0\r\n",
    "A: b\r\n\r\nC: d\r\n",
])
func nothingIsWrittenFromAMalformedLineOn(_ lines: String) {
    #expect(lastChunk(lines) == "0\r\nA: b\r\n\r\n")
}

@Test func lastChunkWithoutRoomIsNotWritten() {
    latin1("A: b\r\n").withUnsafeBytes { lines in
        var output = [UInt8](repeating: 0xAA, count: lines.count + 4)
        let count = output.withUnsafeMutableBytes {
            TrailerFilter.writeLastChunk(with: lines, into: $0)
        }
        #expect(count == nil)
        #expect(output.allSatisfy { $0 == 0xAA })
    }
}

@Test func mutatedTrailersAreReadAgainAsTheyWereWritten() {
    let (random, replay) = FuzzSettings.generator(for: "mutatedTrailersAreReadAgain")
    var mutator = MessageMutator(
        corpus: sections.map { latin1($0.text) }
            + [latin1("0\r\nHost: a\r\nX-A: b\r\nSet-Cookie: c\r\nD: e\r\n\r\n")],
        tokens: chunkTokens + ["Host: x\r\n", "TE: x\r\n", "X-B: c\r\n", "Cookie"], random: random)
    let memory = GuardedBytes(capacity: 4096)
    var keptCount = 0
    for _ in 0..<(FuzzSettings.caseCount / 4) {
        let bytes = mutator.next()
        let size = 1 + mutator.below(max(1, bytes.count))
        let whole = decode(
            bytes, pieceByteCount: max(1, bytes.count), memoryByteCount: 8192, memory)
        let split = decode(bytes, pieceByteCount: size, memoryByteCount: 8192, memory)
        if case .malformed = whole.status {
            #expect(split.status == whole.status, replay)
            continue
        }
        #expect(split == whole, "pieces of \(size): \(bytes): \(replay)")
        // The older reader, which drops them, agrees on where the body ends.
        let plain = decodeBody(bytes, .chunked, pieceByteCount: size, memory)
        #expect(plain.consumedByteCount == whole.consumedByteCount, replay)
        guard whole.status == .complete, !whole.lines.isEmpty else { continue }
        keptCount += 1
        guard
            let written = lastChunk(
                String(String.UnicodeScalarView(whole.lines.map(Unicode.Scalar.init))))
        else {
            Issue.record("no last chunk: \(replay)")
            continue
        }
        let again = decode(
            latin1(written), pieceByteCount: size, memoryByteCount: 8192, memory)
        #expect(again.status == .complete, replay)
        #expect(again.consumedByteCount == written.unicodeScalars.count, replay)
        for line in String(decoding: again.lines, as: UTF8.self).split(separator: "\r\n") {
            #expect(isForwardable(String(line.prefix { $0 != ":" })), "\(line): \(replay)")
        }
    }
    #expect(keptCount > FuzzSettings.caseCount / 200, replay)
}

// MARK: Named by Connection

@Test(arguments: [
    ("", false), ("Connection: close\r\n", false), ("Connection: keep-alive, Upgrade\r\n", false),
    ("Connection: TE\r\n", false), ("Connection: X-Sum\r\n", true),
    ("Connection: close\r\nConnection: keep-alive, x-sum\r\n", true),
])
func fieldsNamedByConnectionAreNoted(_ fields: String, _ expected: Bool) {
    // RFC 9110 §7.6.1.
    let bench = RequestBench()
    #expect(
        bench.verdict(latin1("GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\n\r\n")).facts != nil)
    #expect(bench.verdict(latin1("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")).facts != nil)
    #expect(bench.head.connectionNamesFields == expected)
    let responses = ResponseBench()
    #expect(responses.verdict(latin1("HTTP/1.1 200 OK\r\nConnection: x\r\n\r\n")).facts != nil)
    #expect(responses.verdict(latin1("HTTP/1.1 200 OK\r\n\(fields)\r\n")).facts != nil)
    #expect(responses.head.connectionNamesFields == expected)
}
