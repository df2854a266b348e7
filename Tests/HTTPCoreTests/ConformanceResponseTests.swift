// SPDX-License-Identifier: Apache-2.0
//
// Goal: every response vector reaches the client, is refused, or is seen to be broken as its file
// says, however its bytes arrive. Method: as for the requests, without sockets.

import HTTPCore
import Testing

/// What a client would get of the bytes that a backend sent.
private struct ResponseStory: Equatable {
    var status: UInt16 = 0
    var body: [UInt8] = []
    var clientHead: [UInt8] = []
    var ending = ConformanceVector.Verdict.wait
    /// Bytes behind the message: the connection must not be used again.
    var leftByteCount = 0
}

private final class ResponseReader {
    var head = ResponseHead()
    let memory = GuardedBytes(capacity: 256 * 1024)

    func read(
        _ bytes: [UInt8], answering method: RequestMethod, pieceByteCount: Int
    ) -> ResponseStory {
        var story = ResponseStory()
        var start = 0
        repeat {
            guard let end = readHead(bytes, start, method, pieceByteCount, &story) else {
                return story
            }
            start = end
            // Nobody asked for another protocol.
            if head.switchesProtocols {
                story.ending = .reject(502)
                return story
            }
        } while head.isInterim
        readBody(bytes, start, pieceByteCount, &story)
        return story
    }

    private func readHead(
        _ bytes: [UInt8], _ start: Int, _ method: RequestMethod, _ pieceByteCount: Int,
        _ story: inout ResponseStory
    ) -> Int? {
        var progress = HeadProgress()
        var end = start
        while end < bytes.count {
            end = min(bytes.count, end + pieceByteCount)
            let (outcome, client) = memory.with(bytes[start..<end]) { buffer in
                let outcome = head.parse(buffer, answering: method, progress: &progress)
                guard case .complete = outcome else { return (outcome, [UInt8]()) }
                return (outcome, written(buffer))
            }
            switch outcome {
            case .needMore: continue
            case .malformed:
                story.ending = .reject(502)
                return nil
            case .complete(let count):
                story.status = head.status
                story.clientHead = client
                return start + count
            }
        }
        // The backend is silent or closes: without a whole head both are 502 in the end.
        story.ending = .reject(502)
        return nil
    }

    private func written(_ buffer: UnsafeRawBufferPointer) -> [UInt8] {
        let rewrite = ResponseRewrite(clientMinorVersion: 1, keepsAlive: true)
        var output = [UInt8](repeating: 0, count: head.clientHeadByteCountMax)
        let count = output.withUnsafeMutableBytes {
            head.writeClientHead(from: buffer, rewrite: rewrite, into: $0)
        }
        return Array(output[..<(count ?? 0)])
    }

    private func readBody(
        _ bytes: [UInt8], _ bodyStart: Int, _ pieceByteCount: Int, _ story: inout ResponseStory
    ) {
        var decoder = BodyDecoder(head.framing)
        var start = bodyStart
        while !decoder.isComplete, start < bytes.count {
            let end = min(bytes.count, start + pieceByteCount)
            let step = memory.with(bytes[start..<end]) { decoder.next($0) }
            if case .malformed = step.status {
                story.ending = .abort
                return
            }
            let run =
                (start + step.payloadOffset)..<(start + step.payloadOffset + step.payloadByteCount)
            story.body += bytes[run]
            start += step.consumedByteCount
        }
        story.ending = decoder.isComplete || decoder.inputEnded() ? .accept : .abort
        story.leftByteCount = bytes.count - start
    }
}

@Suite struct ConformanceResponseTests {
    @Test func vectorsAreAllThere() {
        #expect(ConformanceVectors.responses.count >= 100)
    }

    @Test(arguments: ConformanceVectors.responses)
    func responseReachesTheClientAsTheVectorSays(_ vector: ConformanceVector) {
        let reader = ResponseReader()
        let method: RequestMethod = vector.values("to") == ["HEAD"] ? .head : .get
        let story = reader.read(
            vector.bytes, answering: method, pieceByteCount: max(1, vector.bytes.count))
        #expect(story.ending == vector.verdict, "\(vector)")
        if vector.bytes.count < 4096 {
            for count in [1, 2, 5] {
                let pieces = reader.read(vector.bytes, answering: method, pieceByteCount: count)
                #expect(pieces.ending == story.ending, "\(vector) in pieces of \(count)")
                #expect(pieces.status == story.status, "\(vector) in pieces of \(count)")
                if story.ending == .accept {
                    #expect(pieces == story, "\(vector) in pieces of \(count)")
                }
            }
        }
        guard vector.verdict == .accept else { return }
        check(vector, story)
    }

    private func check(_ vector: ConformanceVector, _ story: ResponseStory) {
        let words = (vector.values("answer").first ?? "").split(separator: " ", maxSplits: 1)
        #expect(words.first.flatMap { UInt16($0) } == story.status, "\(vector)")
        let body = words.count == 2 ? Array(words[1].utf8) : []
        #expect(story.body == body, "\(vector)")
        #expect((story.leftByteCount > 0) == !vector.values("upstream-dropped").isEmpty)
        guard let head = StrictMessage(story.clientHead) else {
            Issue.record("\(vector): the client's head is not canonical")
            return
        }
        for line in vector.values("client-with") {
            let (name, value) = ConformanceRequestTests.field(line)
            #expect(head.values(name).contains(value), "\(vector): \(line)")
        }
        for name in vector.values("client-without") {
            #expect(head.values(name).isEmpty, "\(vector): \(name)")
        }
    }
}
