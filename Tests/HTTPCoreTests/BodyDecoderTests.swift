// SPDX-License-Identifier: Apache-2.0
//
// Bodies of every framing, and the chunk lines we write ourselves.

import HTTPCore
import Testing

@Test func bodyOfKnownLengthEndsAtItsLength() {
    let memory = GuardedBytes(capacity: 4096)
    let bytes = latin1("hello") + latin1("GET /")
    for size in 1...10 {
        let decoded = decodeBody(bytes, .length(5), pieceByteCount: size, memory)
        #expect(
            decoded
                == DecodedBody(payload: latin1("hello"), consumedByteCount: 5, status: .complete))
    }
}

@Test(arguments: [BodyFraming.none, .length(0)])
func bodyOfNoBytesIsCompleteAtOnce(_ framing: BodyFraming) {
    var decoder = BodyDecoder(framing)
    #expect(decoder.isComplete)
    #expect(decoder.remainingByteCount == 0)
    latin1("GET /").withUnsafeBytes { bytes in
        let step = decoder.next(bytes)
        #expect(step.consumedByteCount == 0)
        #expect(step.status == .complete)
    }
    let outcome1 = decoder.inputEnded()
    #expect(outcome1)
}

@Test func bodyUntilCloseTakesEverything() {
    var decoder = BodyDecoder(.untilClose)
    latin1("0\r\n\r\n").withUnsafeBytes { bytes in
        let step = decoder.next(bytes)
        #expect(step.payloadByteCount == 5)
        #expect(step.consumedByteCount == 5)
        #expect(step.status == .more)
    }
    #expect(!decoder.isComplete)
    #expect(decoder.remainingByteCount == nil)
    let outcome2 = decoder.inputEnded()
    #expect(outcome2)
    #expect(decoder.isComplete)
}

@Test func bodyCutOffIsNotWhole() {
    // RFC 9112 §8: a message shorter than its framing says is incomplete.
    var length = BodyDecoder(.length(5))
    var chunked = BodyDecoder(.chunked)
    latin1("3").withUnsafeBytes { bytes in
        let outcome3 = length.next(bytes)
        #expect(outcome3.status == .more)
        let outcome4 = chunked.next(bytes)
        #expect(outcome4.status == .more)
    }
    #expect(length.remainingByteCount == 4)
    let outcome5 = length.inputEnded()
    #expect(!outcome5)
    let outcome6 = chunked.inputEnded()
    #expect(!outcome6)
}

@Test func hugeLengthDoesNotOverflow() {
    var decoder = BodyDecoder(.length(BodyFraming.lengthMax))
    latin1("abc").withUnsafeBytes { bytes in
        let outcome7 = decoder.next(bytes)
        #expect(outcome7.payloadByteCount == 3)
    }
    #expect(decoder.remainingByteCount == BodyFraming.lengthMax - 3)
}

@Test(arguments: [1, 9, 10, 15, 16, 255, 256, 4095, 4096, 65536, 1 << 20, Int.max])
func sizeLineIsHexadecimal(_ count: Int) {
    let expected = Array((String(count, radix: 16) + "\r\n").utf8)
    #expect(ChunkFramer.sizeLineByteCount(payloadByteCount: count) == expected.count)
    #expect(expected.count <= ChunkFramer.sizeLineByteCountMax)
    var output = [UInt8](repeating: 0xAA, count: 24)
    let written = output.withUnsafeMutableBytes {
        ChunkFramer.writeSizeLine(payloadByteCount: count, into: $0)
    }
    #expect(written == expected.count)
    #expect(output.starts(with: expected))
    #expect(output[expected.count...].allSatisfy { $0 == 0xAA })
    output = [UInt8](repeating: 0xAA, count: 24)
    let before = output.withUnsafeMutableBytes {
        ChunkFramer.writeSizeLineBefore(payloadByteCount: count, endOf: $0)
    }
    #expect(before == expected.count)
    #expect(Array(output.suffix(expected.count)) == expected)
    #expect(output[..<(24 - expected.count)].allSatisfy { $0 == 0xAA })
}

@Test func sizeLineThatDoesNotFitIsRefused() {
    var output = [UInt8](repeating: 0xAA, count: 3)
    output.withUnsafeMutableBytes { buffer in
        #expect(ChunkFramer.writeSizeLine(payloadByteCount: 16, into: buffer) == nil)
        #expect(ChunkFramer.writeSizeLineBefore(payloadByteCount: 16, endOf: buffer) == nil)
    }
    #expect(output == [0xAA, 0xAA, 0xAA])
}

@Test func whatTheFramerWritesTheDecoderReads() {
    let memory = GuardedBytes(capacity: 4096)
    let payload = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    var wire: [UInt8] = []
    for (start, end) in [(0, 1), (1, 17), (17, 300), (300, 1000)] {
        var line = [UInt8](repeating: 0, count: ChunkFramer.sizeLineByteCountMax)
        let count = line.withUnsafeMutableBytes {
            ChunkFramer.writeSizeLine(payloadByteCount: end - start, into: $0)
        }
        wire += line[..<(count ?? 0)] + payload[start..<end]
        wire += Array(
            "\(end == 1000 ? ChunkFramer.chunkEndAndLastChunk : ChunkFramer.chunkEnd)".utf8)
    }
    let decoded = decodeBody(wire, .chunked, pieceByteCount: 11, memory)
    #expect(
        decoded
            == DecodedBody(payload: payload, consumedByteCount: wire.count, status: .complete))
    #expect(
        "\(ChunkFramer.chunkEndAndLastChunk)" == "\(ChunkFramer.chunkEnd)\(ChunkFramer.lastChunk)")
}
