// SPDX-License-Identifier: Apache-2.0
//
// Mutated responses and chunked bodies: nothing traps, splits do not matter, and what the client
// gets is one message that a second reader reads alike.

import HTTPCore
import Testing
import WireCore

@Test func mutatedResponsesKeepTheInvariants() {
    let (random, replay) = FuzzSettings.generator(for: "mutatedResponsesKeepTheInvariants")
    var mutator = MessageMutator(
        corpus: acceptedResponses.map(\.bytes) + refusedResponses.map { latin1($0.text) },
        tokens: headTokens, random: random)
    let bench = ResponseBench()
    var completeCount = 0
    for index in 0..<FuzzSettings.caseCount {
        let bytes = mutator.next()
        let method: RequestMethod = mutator.below(4) == 0 ? .head : .get
        let whole = bench.verdict(bytes, answering: method)
        let size = 1 + mutator.below(max(1, bytes.count))
        let split = bench.verdict(bytes, answering: method, pieceByteCount: size)
        if let facts = whole.facts {
            completeCount += 1
            guard split == whole else {
                Issue.record("case \(index): pieces of \(size) give \(split): \(bytes). \(replay)")
                return
            }
            if let problem = answerProblem(bytes, facts, method, bench) {
                Issue.record("case \(index): \(problem): \(bytes). \(replay)")
                return
            }
        } else if split.facts != nil || (whole == .needMore && split != .needMore) {
            Issue.record("case \(index): pieces of \(size) give \(split): \(bytes). \(replay)")
            return
        }
    }
    #expect(completeCount > FuzzSettings.caseCount / 50, replay)
}

/// What is wrong with the head we would send to the client; `nil` when nothing is.
private func answerProblem(
    _ bytes: [UInt8], _ facts: ResponseFacts, _ method: RequestMethod, _ bench: ResponseBench
) -> String? {
    for (minorVersion, keepsAlive) in [(1 as UInt8, true), (1, false), (0, true), (0, false)] {
        guard
            let output = bench.rewrite(
                bytes, answering: method, clientMinorVersion: minorVersion,
                keepsAlive: keepsAlive)
        else { return "no client head" }
        let framing = bench.head.clientFraming(clientMinorVersion: minorVersion)
        guard let message = StrictMessage(output) else { return "second reader refuses \(output)" }
        guard message.startLine.count == 3, message.startLine[0] == "HTTP/1.1",
            message.startLine[1] == String(facts.status)
        else { return "status line \(message.startLine)" }
        if minorVersion == 0, !message.values("transfer-encoding").isEmpty {
            return "chunks for HTTP/1.0"
        }
        guard let again = bench.verdict(output, answering: method).facts else {
            return "we refuse our output"
        }
        guard again.framing == framing, again.headByteCount == output.count,
            again.describedLength == facts.describedLength, again.status == facts.status
        else { return "read again as \(again)" }
        let lives = keepsAlive && framing != .untilClose
        if facts.status >= 200, again.keepsAlive != lives { return "persistence" }
    }
    return nil
}

@Test func mutatedChunkedBodiesDecodeAlikeAtAnySplit() {
    let (random, replay) = FuzzSettings.generator(for: "mutatedChunkedBodiesDecodeAlikeAtAnySplit")
    let corpus = [
        "0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "5;a=b\r\nhello\r\n1\r\n!\r\n0;c\r\nA: b\r\n\r\n",
        "a\r\n0123456789\r\n00\r\nX-Y: z\r\nZ:\r\n\r\n", "1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\nGET /",
    ]
    var mutator = MessageMutator(corpus: corpus.map(latin1), tokens: chunkTokens, random: random)
    let memory = GuardedBytes(capacity: 4096)
    var completeCount = 0
    for index in 0..<FuzzSettings.caseCount {
        let bytes = mutator.next()
        guard !bytes.isEmpty else { continue }
        let whole = decodeBody(bytes, .chunked, pieceByteCount: bytes.count, memory)
        let size = 1 + mutator.below(bytes.count)
        let split = decodeBody(bytes, .chunked, pieceByteCount: size, memory)
        guard whole.status == split.status, whole.payload == split.payload,
            whole.status != .complete || whole.consumedByteCount == split.consumedByteCount
        else {
            Issue.record("case \(index): pieces of \(size): \(bytes). \(replay)")
            return
        }
        guard whole.status == .complete else { continue }
        completeCount += 1
        let written = framed(whole.payload, pieceByteCount: size)
        let again = decodeBody(written, .chunked, pieceByteCount: size, memory)
        guard again.payload == whole.payload, again.consumedByteCount == written.count else {
            Issue.record("case \(index): written anew as \(written): \(bytes). \(replay)")
            return
        }
    }
    #expect(completeCount > FuzzSettings.caseCount / 50, replay)
}

/// The payload in our own chunks.
private func framed(_ payload: [UInt8], pieceByteCount: Int) -> [UInt8] {
    var wire: [UInt8] = []
    var start = 0
    while start < payload.count {
        let end = min(payload.count, start + pieceByteCount)
        var line = [UInt8](repeating: 0, count: ChunkFramer.sizeLineByteCountMax)
        let count = line.withUnsafeMutableBytes {
            ChunkFramer.writeSizeLine(payloadByteCount: end - start, into: $0)
        }
        wire += line[..<(count ?? 0)] + payload[start..<end] + latin1("\(ChunkFramer.chunkEnd)")
        start = end
    }
    return wire + latin1("\(ChunkFramer.lastChunk)")
}
