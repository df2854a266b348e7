// SPDX-License-Identifier: Apache-2.0
//
// Goal: every request vector is taken or refused as its file says, however its bytes arrive.
// Method: heads and bodies go through the parser, the path policy and the writer as in a worker;
// what would go to the backend is read by the strict second reader.

import HTTPCore
import Testing

/// What became of the bytes of one client connection.
private struct RequestStory: Equatable {
    var seen: [ConformanceVector.Seen] = []
    /// The heads that the backend got, as written.
    var heads: [[UInt8]] = []
    var framing: [BodyFraming] = []
    var ending = ConformanceVector.Verdict.wait
    var keepsAlive = true
}

/// A client connection without sockets: the same calls in the same order as a worker.
private final class RequestReader {
    var head = RequestHead()
    let memory = GuardedBytes(capacity: 256 * 1024)

    /// Reads bytes that arrive in pieces of one size.
    func read(_ bytes: [UInt8], pieceByteCount: Int) -> RequestStory {
        var story = RequestStory()
        var start = 0
        while true {
            guard let headEnd = readHead(bytes, &start, pieceByteCount, &story) else { break }
            start = headEnd
            guard readBody(bytes, &start, pieceByteCount, &story) else { break }
            guard story.keepsAlive else {
                story.ending = .accept
                break
            }
            if start == bytes.count {
                story.ending = .accept
                break
            }
        }
        return story
    }

    /// Parses the head at `start`; `nil` when the story ends there.
    private func readHead(
        _ bytes: [UInt8], _ start: inout Int, _ pieceByteCount: Int, _ story: inout RequestStory
    ) -> Int? {
        var progress = HeadProgress()
        var end = start
        while end < bytes.count {
            end = min(bytes.count, end + pieceByteCount)
            let (outcome, upstream) = memory.with(bytes[start..<end]) { buffer in
                let outcome = head.parse(buffer, progress: &progress)
                guard case .complete = outcome else { return (outcome, [UInt8]()) }
                if let fault = head.applyPathPolicy(PathPolicy(), in: buffer) {
                    return (.malformed(fault), [])
                }
                return (outcome, written(buffer))
            }
            switch outcome {
            case .needMore: continue
            case .malformed(let fault):
                story.ending = .reject(fault.statusCode)
                return nil
            case .complete(let count):
                if head.method == .connect || head.method == .trace {
                    story.ending = .reject(405)
                    return nil
                }
                note(upstream, &story)
                return start + count
            }
        }
        story.ending = .wait
        return nil
    }

    private func written(_ buffer: UnsafeRawBufferPointer) -> [UInt8] {
        let address = Array("192.0.2.7".utf8)
        return address.withUnsafeBytes { address in
            let rewrite = RequestRewrite(
                clientAddress: address, scheme: .http, fallbackHost: address)
            var output = [UInt8](repeating: 0, count: head.upstreamHeadByteCountMax(rewrite))
            let count = output.withUnsafeMutableBytes {
                head.writeUpstreamHead(from: buffer, rewrite: rewrite, into: $0)
            }
            return Array(output[..<(count ?? 0)])
        }
    }

    private func note(_ upstream: [UInt8], _ story: inout RequestStory) {
        let message = StrictMessage(upstream)
        story.heads.append(upstream)
        story.framing.append(head.framing)
        story.keepsAlive = head.keepsAlive
        story.seen.append(
            .init(
                method: message?.startLine.first ?? "not canonical",
                target: message?.startLine.dropFirst().first ?? ""))
    }

    /// Decodes the body at `start`; false when the story ends there.
    private func readBody(
        _ bytes: [UInt8], _ start: inout Int, _ pieceByteCount: Int, _ story: inout RequestStory
    ) -> Bool {
        var decoder = BodyDecoder(head.framing)
        while !decoder.isComplete {
            guard start < bytes.count else {
                story.seen.removeLast()
                story.ending = .wait
                return false
            }
            let end = min(bytes.count, start + pieceByteCount)
            let step = memory.with(bytes[start..<end]) { decoder.next($0) }
            let run =
                (start + step.payloadOffset)..<(start + step.payloadOffset + step.payloadByteCount)
            if case .malformed(let fault) = step.status {
                story.seen.removeLast()
                story.ending = .reject(fault.statusCode)
                return false
            }
            story.seen[story.seen.count - 1].body += bytes[run]
            start += step.consumedByteCount
        }
        return true
    }
}

@Suite struct ConformanceRequestTests {
    @Test func vectorsAreAllThere() {
        #expect(ConformanceVectors.requests.count >= 550)
        let names = Set(ConformanceVectors.requests.map(\.name))
        #expect(names.count == ConformanceVectors.requests.count)
    }

    @Test(arguments: ConformanceVectors.requests)
    func requestIsTakenOrRefusedAsTheVectorSays(_ vector: ConformanceVector) {
        let reader = RequestReader()
        let story = reader.read(vector.bytes, pieceByteCount: max(1, vector.bytes.count))
        #expect(story.ending == vector.verdict, "\(vector)")
        #expect(story.seen == vector.seen, "\(vector)")
        check(vector, story)
    }

    @Test(arguments: ConformanceVectors.requests.filter { $0.bytes.count < 2048 })
    func requestDoesNotDependOnHowItsBytesArrive(_ vector: ConformanceVector) {
        let reader = RequestReader()
        let whole = reader.read(vector.bytes, pieceByteCount: max(1, vector.bytes.count))
        for count in [1, 2, 3, 7] {
            let pieces = reader.read(vector.bytes, pieceByteCount: count)
            #expect(pieces == whole, "\(vector) in pieces of \(count)")
        }
    }

    /// Checks the lines of a vector that are about the head and the connection.
    private func check(_ vector: ConformanceVector, _ story: RequestStory) {
        guard vector.verdict == .accept, let last = story.heads.last else { return }
        guard let head = StrictMessage(last) else {
            Issue.record("\(vector): not canonical: \(String(decoding: last, as: UTF8.self))")
            return
        }
        let keeps = vector.values("keeps").first ?? "yes"
        if keeps != "either" { #expect(story.keepsAlive == (keeps == "yes"), "\(vector)") }
        for line in vector.values("with") + vector.values("not") {
            let (name, value) = Self.field(line)
            let isThere = head.values(name).contains(value)
            #expect(isThere == vector.values("with").contains(line), "\(vector): \(line)")
        }
        for name in vector.values("without") where name != "Connection" {
            #expect(head.values(name).isEmpty, "\(vector): \(name)")
        }
        for name in vector.values("has") { #expect(!head.values(name).isEmpty, "\(vector)") }
        if let framing = vector.values("framing").first {
            let words = framing.split(separator: " ")
            let wanted: BodyFraming =
                switch words[0] {
                case "chunked": .chunked
                case "length": .length(words.last.flatMap { UInt64($0) } ?? 0)
                default: .none
                }
            #expect(story.framing.first == wanted, "\(vector)")
        }
    }

    /// `Name: value` with escapes, as characters below U+0100.
    static func field(_ line: String) -> (name: String, value: String) {
        let bytes = (try? ConformanceVector.unescaped(line)) ?? []
        let text = String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
        let colon = text.firstIndex(of: ":") ?? text.endIndex
        return (String(text[..<colon]), String(text[colon...].dropFirst(2)))
    }
}
