// SPDX-License-Identifier: Apache-2.0
//
// Answers made of parts: golden responses, and every combination read back by the strict parsers.

import HTTPCore
import Testing

private let now: StaticString = "Sat, 21 Nov 2026 12:00:00 GMT"

/// The whole response, written into exactly as much memory as it asks for.
private func written(
    _ answer: ComposedAnswer, answering method: RequestMethod = .get, missingByteCount: Int = 0
) -> [UInt8]? {
    var output = [UInt8](repeating: 0, count: answer.byteCountMax - missingByteCount)
    let count = output.withUnsafeMutableBytes { answer.write(answering: method, into: $0) }
    return count.map { Array(output[..<$0]) }
}

private func text(_ answer: ComposedAnswer, answering method: RequestMethod = .get) -> String? {
    written(answer, answering: method).map { String(decoding: $0, as: UTF8.self) }
}

@Test func redirectIsComposed() {
    var answer = ComposedAnswer(status: 308)
    answer.location = wire("https://a.example/x?y")
    answer.date = wire(now)
    #expect(
        text(answer) == "HTTP/1.1 308 Permanent Redirect\r\nDate: \(now)\r\n"
            + "Location: https://a.example/x?y\r\nContent-Length: 0\r\n\r\n")
}

@Test func fixedResponseIsComposed() {
    var answer = ComposedAnswer(status: 200)
    answer.contentType = wire("text/plain; charset=utf-8")
    answer.body = wire("hello\n")
    answer.requestID = wire("r1")
    answer.keepsAlive = false
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nX-Request-Id: r1\r\n"
        + "Content-Length: 6\r\nConnection: close\r\n\r\n"
    #expect(text(answer) == head + "hello\n")
    #expect(text(answer, answering: .head) == head)
    var output = [UInt8](repeating: 0, count: answer.headByteCountMax)
    let count = output.withUnsafeMutableBytes { answer.writeHead(into: $0) }
    #expect(count.map { String(decoding: output[..<$0], as: UTF8.self) } == head)
    #expect(answer.bodyByteCount(answering: .get) == 6)
    #expect(answer.bodyByteCount(answering: .head) == 0)
    answer.keepsAlive = true
    answer.clientMinorVersion = 0
    #expect(text(answer)?.contains("\r\nConnection: keep-alive\r\n") == true)
}

@Test func rateLimitIsComposed() {
    var answer = ComposedAnswer(.tooManyRequests)
    answer.retryAfterSeconds = 7
    #expect(
        text(answer) == "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\n"
            + "Retry-After: 7\r\nContent-Length: 18\r\n\r\nToo Many Requests\n")
}

@Test(arguments: [204 as UInt16, 205, 304])
func statusesWithoutContentHaveNone(_ status: UInt16) {
    // RFC 9110 §6.4.1, §8.6, §15.3.6.
    var answer = ComposedAnswer(status: status)
    answer.contentType = wire("text/plain")
    answer.body = wire("never sent")
    let length = status == 205 ? "Content-Length: 0\r\n" : ""
    #expect(
        text(answer) == "HTTP/1.1 \(status) \(ReasonPhrase.phrase(for: status))\r\n\(length)\r\n")
    #expect(answer.bodyByteCount(answering: .get) == 0)
}

@Test(arguments: [(0 as UInt16, 500 as UInt16), (101, 500), (199, 500), (600, 500), (299, 299)])
func statusIsAlwaysAFinalOne(_ given: UInt16, _ sent: UInt16) {
    let bytes = written(ComposedAnswer(status: given))
    #expect(bytes.flatMap { ResponseBench().verdict($0).facts }?.status == sent)
}

@Test func editsActOnAnswersOfOurOwn() {
    let edits: [Edit] = [
        .set("Content-Type", "text/html"), .set("Retry-After", "1"), .remove("Date"),
        .remove("allow"), .remove("location"), .set("X-Request-Id", "e"), .add("Server", "t"),
    ]
    let output = withEdits(edits, .response) { list in
        var answer = ComposedAnswer(.methodNotAllowed)
        answer.date = wire(now)
        answer.location = wire("/x")
        answer.requestID = wire("r")
        answer.retryAfterSeconds = 9
        answer.edits = list
        return text(answer)
    }
    #expect(
        output == "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/html\r\nRetry-After: 1\r\n"
            + "X-Request-Id: e\r\nServer: t\r\nContent-Length: 19\r\n\r\nMethod Not Allowed\n")
}

@Test func everyCombinationIsOneMessage() {
    let longest = ReasonPhrase.phrase(for: 511)
    #expect("\(longest)" == "Network Authentication Required")
    for bits in 0..<(1 << 9) {
        func has(_ bit: Int) -> Bool { bits & (1 << bit) != 0 }
        var answer = ComposedAnswer(status: has(0) ? 431 : 303)
        answer.clientMinorVersion = has(1) ? 1 : 0
        answer.keepsAlive = has(2)
        if has(3) { answer.body = wire("12345") }
        if has(4) { answer.contentType = wire("text/html") }
        if has(5) { answer.date = wire(now) }
        if has(6) { answer.retryAfterSeconds = .max }
        if has(7) { answer.listsMethods = true }
        if has(8) { answer.location = wire("https://a/") }
        for method in [RequestMethod.get, .head] {
            guard let bytes = written(answer, answering: method),
                let facts = ResponseBench().verdict(bytes, answering: method).facts,
                StrictMessage(Array(bytes[..<facts.headByteCount])) != nil
            else {
                Issue.record("\(bits) is no message")
                return
            }
            let body = has(3) && method == .get ? 5 : 0
            #expect(bytes.count - facts.headByteCount == body)
            #expect(facts.keepsAlive == has(2))
        }
        #expect(written(answer, missingByteCount: 1) == nil)
    }
}
