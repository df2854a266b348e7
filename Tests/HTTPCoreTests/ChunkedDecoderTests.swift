// SPDX-License-Identifier: Apache-2.0
//
// The chunked coding: what is decoded, what is refused, at any split of the input.

import HTTPCore
import Testing

/// What a body decoder made of some bytes.
struct DecodedBody: Equatable {
    var payload: [UInt8] = []
    var consumedByteCount = 0
    var status = BodyStep.Status.more
}

/// Feeds bytes in pieces of the given size, each against the guard page.
func decodeBody(
    _ bytes: [UInt8], _ framing: BodyFraming, pieceByteCount: Int, _ memory: GuardedBytes
) -> DecodedBody {
    var decoder = BodyDecoder(framing)
    var result = DecodedBody()
    var start = 0
    while start < bytes.count, result.status == .more {
        let end = min(bytes.count, start + pieceByteCount)
        while start < end, result.status == .more {
            memory.with(bytes[start..<end]) { buffer in
                let step = decoder.next(buffer)
                let run = step.payloadOffset..<(step.payloadOffset + step.payloadByteCount)
                result.payload += buffer[run]
                result.consumedByteCount += step.consumedByteCount
                result.status = step.status
                start += step.consumedByteCount
            }
        }
    }
    #expect(decoder.isComplete == (result.status == .complete))
    return result
}

private let validChunks: [(rule: String, text: String, payload: String)] = [
    ("9112 §7.1: empty body", "0\r\n\r\n", ""),
    ("9112 §7.1: one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"),
    ("9112 §7.1: two chunks", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"),
    (
        "9112 §7.1: hex in both cases", "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n",
        "01234567890123456789a"
    ),
    ("9112 §7.1: leading zeros", "0000000000000005\r\nhello\r\n000\r\n\r\n", "hello"),
    (
        "9112 §7.1: payload that looks like framing", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n"
    ),
    ("9112 §7.1.1: extension", "5;a\r\nhello\r\n0;b=c\r\n\r\n", "hello"),
    ("9112 §7.1.1: quoted extension", "5;a=\"b;\\\"c\"\r\nhello\r\n0\r\n\r\n", "hello"),
    ("9112 §7.1.1: blanks before the semicolon", "5 \t;a\r\nhello\r\n0 ;\r\n\r\n", "hello"),
    ("9112 §7.1.1: high bytes and tabs", "5;\u{E4}\t\u{FF}\r\nhello\r\n0\r\n\r\n", "hello"),
    ("9112 §7.1.2: trailers", "5\r\nhello\r\n0\r\nA: b\r\nC:\r\nX-Y:\t\u{E4} \r\n\r\n", "hello"),
    (
        "9110 §6.5.1: framing in trailers is dropped",
        "0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n", ""
    ),
]

@Test(arguments: validChunks)
func chunkedBodyIsDecodedAtAnySplit(_ rule: String, _ text: String, _ payload: String) {
    let memory = GuardedBytes(capacity: 4096)
    let bytes = latin1(text)
    let rest = latin1("GET / HTTP/1.1\r\n")
    for size in 1...(bytes.count + rest.count) {
        let decoded = decodeBody(bytes + rest, .chunked, pieceByteCount: size, memory)
        #expect(decoded.payload == latin1(payload), "\(rule)")
        #expect(decoded.consumedByteCount == bytes.count)
        #expect(decoded.status == .complete)
    }
    for count in 0..<bytes.count {
        let prefix = Array(bytes[..<count])
        let decoded = decodeBody(prefix, .chunked, pieceByteCount: max(1, count), memory)
        #expect(decoded.status == .more, "prefix \(count)")
        #expect(decoded.consumedByteCount == count)
        #expect(latin1(payload).starts(with: decoded.payload))
    }
}

private let invalidChunks: [(rule: String, text: String, fault: MessageFault)] = [
    ("9112 §7.1: no size", "\r\nhello\r\n0\r\n\r\n", .invalidChunkSize),
    ("9112 §7.1: no digit", "x\r\n", .invalidChunkSize),
    ("9112 §7.1: g is no digit", "5g\r\nhello\r\n", .invalidChunkSize),
    ("9112 §7.1: 0x", "0x5\r\nhello\r\n", .invalidChunkSize),
    ("9112 §7.1: plus", "+5\r\nhello\r\n", .invalidChunkSize),
    ("9112 §7.1: minus", "-1\r\nhello\r\n", .invalidChunkSize),
    ("9112 §7.1: underscore", "1_0\r\n", .invalidChunkSize),
    ("9112 §7.1: comma", "1,0\r\n", .invalidChunkSize),
    ("9112 §7.1: dot", "5.0\r\n", .invalidChunkSize),
    ("9112 §7.1: space before", " 5\r\nhello\r\n", .invalidChunkSize),
    ("9112 §7.1: space behind", "5 \r\nhello\r\n", .invalidChunkSize),
    ("9112 §7.1: two sizes", "5 5\r\nhello\r\n", .invalidChunkSize),
    ("9112 §7.1: NUL behind", "5\0\r\nhello\r\n", .invalidChunkSize),
    ("9112 §7.1: 17 digits", "00000000000000005\r\nhello\r\n", .invalidChunkSize),
    ("9112 §7.1: 64 bits", "FFFFFFFFFFFFFFFF\r\n", .invalidChunkSize),
    ("9112 §7.1: above 64 bits", "10000000000000005\r\nhello\r\n", .invalidChunkSize),
    ("9112 §7.1: the bound and one", "4000000000000000\r\n", .invalidChunkSize),
    ("9112 §7.1: LF behind the size", "5\nhello\r\n0\r\n\r\n", .invalidChunkEnd),
    ("9112 §7.1: CR alone behind the size", "5\rhello\r\n", .invalidChunkEnd),
    ("9112 §7.1: LF behind an extension", "5;a\nhello\r\n", .invalidChunkEnd),
    ("9112 §7.1: CR within an extension", "5;a\rb\r\nhello\r\n", .invalidChunkEnd),
    ("9112 §7.1: chunk longer than its size", "5\r\nhello!\r\n0\r\n\r\n", .invalidChunkEnd),
    ("9112 §7.1: chunk shorter than its size", "6\r\nhello\r\n0\r\n\r\n", .invalidChunkEnd),
    ("9112 §7.1: LF behind the chunk", "5\r\nhello\n0\r\n\r\n", .invalidChunkEnd),
    ("9112 §7.1: CR alone behind the chunk", "5\r\nhello\r0\r\n\r\n", .invalidChunkEnd),
    ("9112 §7.1: nothing behind the chunk", "5\r\nhello0\r\n\r\n", .invalidChunkEnd),
    ("9112 §7.1.1: NUL in an extension", "5;a\0\r\nhello\r\n", .invalidChunkExtension),
    ("9112 §7.1.1: DEL in an extension", "5;a\u{7F}\r\nhello\r\n", .invalidChunkExtension),
    ("9112 §7.1.2: LF as the last line", "0\r\n\n", .invalidTrailer),
    ("9112 §7.1.2: LF behind the last chunk", "0\n\r\n", .invalidChunkEnd),
    ("9112 §7.1.2: CR alone as the last line", "0\r\n\rX", .invalidTrailer),
    ("9112 §7.1.2: no colon", "0\r\nabc\r\n\r\n", .invalidTrailer),
    ("9112 §7.1.2: no name", "0\r\n: b\r\n\r\n", .invalidTrailer),
    ("9112 §7.1.2: space before colon", "0\r\nA : b\r\n\r\n", .invalidTrailer),
    ("9112 §7.1.2: fold", "0\r\nA: b\r\n c\r\n\r\n", .invalidTrailer),
    ("9112 §7.1.2: leading blank", "0\r\n A: b\r\n\r\n", .invalidTrailer),
    ("9112 §7.1.2: underscore", "0\r\nA_B: b\r\n\r\n", .invalidTrailer),
    ("9112 §7.1.2: NUL", "0\r\nA: \0\r\n\r\n", .invalidTrailer),
    ("9112 §7.1.2: bare LF", "0\r\nA: b\n\r\n", .invalidTrailer),
    ("9112 §7.1.2: bare CR", "0\r\nA: b\rc\r\n\r\n", .invalidTrailer),
    ("a request where trailers are expected", "0\r\nGET / HTTP/1.1\r\n\r\n", .invalidTrailer),
]

@Test(arguments: invalidChunks)
func chunkedBodyIsRefusedAtAnySplit(_ rule: String, _ text: String, _ fault: MessageFault) {
    let memory = GuardedBytes(capacity: 4096)
    let bytes = latin1(text)
    for size in 1...bytes.count {
        let decoded = decodeBody(bytes, .chunked, pieceByteCount: size, memory)
        #expect(decoded.status == .malformed(fault), "\(rule)")
    }
}

@Test func refusedBodyStaysRefused() {
    var decoder = BodyDecoder(.chunked)
    latin1("x").withUnsafeBytes { bytes in
        let outcome1 = decoder.next(bytes)
        #expect(outcome1.status == .malformed(.invalidChunkSize))
        let outcome2 = decoder.next(bytes)
        #expect(outcome2.status == .malformed(.invalidChunkSize))
    }
    let none = UnsafeRawBufferPointer(start: nil, count: 0)
    let outcome3 = decoder.next(none)
    #expect(outcome3.status == .malformed(.invalidChunkSize))
    let outcome4 = decoder.inputEnded()
    #expect(!outcome4)
}

@Test func extensionLineLimit() {
    let memory = GuardedBytes(capacity: 4096)
    let room = ChunkLimits.extensionLineByteCountMax
    let most = latin1("1;" + String(repeating: "a", count: room - 1) + "\r\nx\r\n0\r\n\r\n")
    #expect(decodeBody(most, .chunked, pieceByteCount: 9, memory).status == .complete)
    let more = latin1("1;" + String(repeating: "a", count: room) + "\r\nx\r\n0\r\n\r\n")
    #expect(
        decodeBody(more, .chunked, pieceByteCount: 9, memory).status
            == .malformed(.invalidChunkExtension))
}

/// Many tiny chunks with extensions cost more than they carry; large chunks may have them.
@Test func extensionBytesNeedPayloadToJustifyThem() {
    let memory = GuardedBytes(capacity: 256 * 1024)
    let mark = ";sig=" + String(repeating: "f", count: 95)
    let tiny = latin1(String(repeating: "1\(mark)\r\nx\r\n", count: 50) + "0\r\n\r\n")
    #expect(
        decodeBody(tiny, .chunked, pieceByteCount: 4096, memory).status
            == .malformed(.invalidChunkExtension))
    let chunk = "1000\(mark)\r\n" + String(repeating: "x", count: 4096) + "\r\n"
    let large = latin1(String(repeating: chunk, count: 50) + "0\r\n\r\n")
    let decoded = decodeBody(large, .chunked, pieceByteCount: 16384, memory)
    #expect(decoded.status == .complete)
    #expect(decoded.payload.count == 50 * 4096)
}

@Test func trailerLimits() {
    let memory = GuardedBytes(capacity: 64 * 1024)
    let most = "0\r\n" + String(repeating: "a: b\r\n", count: ChunkLimits.trailerFieldCountMax)
    #expect(
        decodeBody(latin1(most + "\r\n"), .chunked, pieceByteCount: 100, memory).status
            == .complete)
    #expect(
        decodeBody(latin1(most + "a: b\r\n\r\n"), .chunked, pieceByteCount: 100, memory).status
            == .malformed(.invalidTrailer))
    // The section is name, colon, value, CRLF and the CR of the empty line.
    let room = ChunkLimits.trailerByteCountMax - 5
    let long = latin1("0\r\na:" + String(repeating: "b", count: room) + "\r\n\r\n")
    #expect(decodeBody(long, .chunked, pieceByteCount: 100, memory).status == .complete)
    let over = latin1("0\r\na:" + String(repeating: "b", count: room + 1) + "\r\n\r\n")
    #expect(
        decodeBody(over, .chunked, pieceByteCount: 100, memory).status
            == .malformed(.invalidTrailer))
}

@Test func sumOfChunkSizesIsBounded() {
    var decoder = BodyDecoder(.chunked)
    latin1("3fffffffffffffff\r\nx").withUnsafeBytes { bytes in
        let step = decoder.next(bytes)
        #expect(step.payloadByteCount == 1)
        #expect(step.status == .more)
    }
}
