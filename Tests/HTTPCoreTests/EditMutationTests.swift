// SPDX-License-Identifier: Apache-2.0
//
// Mutated heads with random edits and options: what goes on is one message, its framing is ours,
// and its fields are those that the plainest reading of the edits gives.

import HTTPCore
import Testing
import WireCore

/// Names that edits are tried with; some may not be edited at all.
private let names = [
    "Host", "Content-Length", "content_length", "Transfer-Encoding", "Connection", "Upgrade", "TE",
    "Trailer", "Expect", "X-A", "x-a", "A", "B", "Cookie", "User-Agent", "Via", "Date", "Server",
    "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Forwarded",
    "X-Request-Id", "traceparent", "tracestate", "Set-Cookie", "Location", "Accept", "",
    "Proxy", "Keep-Alive", "bad name", "X-A\r\nContent-Length",
]

private let values = ["1", "", "chunked", "a, b", "\u{E4}", "x\ty", "5\r\nContent-Length: 5", "\0"]

extension MessageMutator {
    /// A few edits, allowed or not.
    fileprivate mutating func edits() -> [Edit] {
        (0..<below(6)).map { _ in
            let name = names[below(names.count)]
            let value = values[below(values.count)]
            return switch below(3) {
            case 0: .remove(name)
            case 1: .set(name, value)
            default: .add(name, value)
            }
        }
    }

    fileprivate mutating func flip() -> Bool { below(2) == 0 }
}

/// The edits that a builder takes, told without it.
private func allowed(_ edits: [Edit], _ direction: HeadDirection) -> [Edit] {
    let refused: Set = [
        "host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer",
        "expect", "proxy", "keep-alive", "", "bad name", "x-a\r\ncontent-length",
    ]
    return edits.filter { edit in
        if refused.contains(edit.name.lowercased()) { return false }
        if direction == .request, edit.name.contains("_") { return false }
        switch edit {
        case .remove: return true
        case .set(_, let value), .add(_, let value):
            return !value.utf8.contains { $0 < 0x20 && $0 != 0x09 }
        }
    }
}

/// Options of a request, all at once or some of them.
private struct Options {
    var bits: Int

    func apply(to rewrite: inout RequestRewrite, edits: HeadEditList) {
        func has(_ bit: Int) -> Bool { bits & (1 << bit) != 0 }
        rewrite.edits = edits
        rewrite.trustsPeer = has(0)
        rewrite.writesForwarded = has(1)
        rewrite.offersTrailers = has(2)
        rewrite.forwardsTrailers = has(3)
        rewrite.forwardsUpgrade = has(4)
        rewrite.closesConnection = has(5)
        rewrite.forwardsExpect = has(6)
        if has(7) { rewrite.forwardedPort = 65535 }
        if has(8) { rewrite.requestID = wire("0123456789abcdef0123456789abcdef") }
        if has(9) {
            rewrite.traceparent = wire("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
        }
        if has(10) { rewrite.via = wire("tandem") }
        if has(11) { rewrite.realAddress = wire("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff") }
        if has(12) { rewrite.forwardedBy = wire("2001:db8:ffff:ffff:ffff:ffff:ffff:fffe") }
        if has(13) { rewrite.host = wire("internal.example:65535") }
        if has(14) { rewrite.path = PathRewrite(matchedByteCount: 3, replacement: wire("/v2/x")) }
    }

    static let count = 1 << 15
}

@Test func editedRequestsAreOneMessageWithOurFraming() {
    let (random, replay) = FuzzSettings.generator(
        for: "editedRequestsAreOneMessageWithOurFraming")
    var mutator = MessageMutator(
        corpus: (acceptedRequests.map(\.bytes) + [latin1(browserHead)]).filter { $0.count < 1000 },
        tokens: headTokens + [
            "Forwarded: for=\"x\r\n", "Forwarded: for=a;by=\"b\\\"\"\r\n", "traceparent: 1\r\n",
            "tracestate: 1\r\n", "Trailer: A\r\n", "X-Request-Id: 1\r\n", "Via: 1.1 a\r\n",
            "Cookie: a=b\r\n", "X-Forwarded-Proto: https\r\n",
        ], random: random)
    let bench = RequestBench()
    var completeCount = 0
    for index in 0..<FuzzSettings.caseCount {
        let bytes = mutator.next()
        guard let facts = bench.verdict(bytes).facts, facts.method != "CONNECT" else { continue }
        completeCount += 1
        let options = Options(bits: mutator.below(Options.count))
        let edits = mutator.edits()
        let address = mutator.flip() ? "192.0.2.7" : "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"
        if let problem = requestProblem(bytes, facts, edits, options, address, bench) {
            Issue.record("case \(index): \(problem): \(edits) \(options) \(bytes). \(replay)")
            return
        }
    }
    #expect(completeCount > FuzzSettings.caseCount / 50, replay)
}

private func requestProblem(
    _ bytes: [UInt8], _ facts: RequestFacts, _ edits: [Edit], _ options: Options,
    _ address: String, _ bench: RequestBench
) -> String? {
    var builder = HeadEditBuilder(.request)
    let kept = allowed(edits, .request).map(\.description)
    for edit in edits where edit.apply(to: &builder) != kept.contains(edit.description) {
        return "\(edit) was judged wrongly"
    }
    let compiled = builder.build()
    func rewritten(_ list: HeadEditList, missingByteCount: Int = 0) -> [UInt8]? {
        bench.rewrite(bytes, clientAddress: address, missingByteCount: missingByteCount) {
            options.apply(to: &$0, edits: list)
        }
    }
    guard rewritten(compiled.list, missingByteCount: 1) == nil else { return "too small a buffer" }
    guard let plain = rewritten(HeadEditList()).flatMap({ StrictMessage($0) }) else {
        return "second reader refuses the unedited head"
    }
    guard let output = rewritten(compiled.list), let message = StrictMessage(output) else {
        return "second reader refuses the edited head"
    }
    var expected = plain.fields
    for edit in allowed(edits, .request) { edit.apply(to: &expected) }
    guard meaning(message.fields) == meaning(expected) else {
        return "\(message.fields) is not \(expected)"
    }
    guard message.startLine == plain.startLine, message.startLine[1].first != nil,
        message.values("host").count == 1, message.values("x-forwarded-for").count <= 8
    else { return "start line or host \(message)" }
    guard case .complete(let again) = bench.verdict(output) else { return "we refuse our output" }
    guard again.framing == facts.framing, again.method == facts.method,
        again.headByteCount == output.count
    else { return "read again as \(again)" }
    for name in ["keep-alive", "proxy", "proxy-connection", "content_length"]
    where !message.values(name).isEmpty {
        return "\(name) was forwarded"
    }
    let isUpgrade = message.values("upgrade") == ["websocket"]
    guard isUpgrade || message.values("upgrade").isEmpty else { return "an upgrade" }
    return nil
}

@Test func editedResponsesAreOneMessageWithOurFraming() {
    let (random, replay) = FuzzSettings.generator(
        for: "editedResponsesAreOneMessageWithOurFraming")
    var mutator = MessageMutator(
        corpus: acceptedResponses.map(\.bytes),
        tokens: headTokens + ["Date: x\r\n", "Server: a\r\n"],
        random: random)
    let bench = ResponseBench()
    var completeCount = 0
    for index in 0..<FuzzSettings.caseCount {
        let bytes = mutator.next()
        let method: RequestMethod = mutator.below(4) == 0 ? .head : .get
        guard let facts = bench.verdict(bytes, answering: method).facts else { continue }
        completeCount += 1
        let bits = mutator.below(32)
        let edits = mutator.edits()
        if let problem = responseProblem(bytes, facts, method, edits, bits, bench) {
            Issue.record("case \(index): \(problem): \(edits) \(bits) \(bytes). \(replay)")
            return
        }
    }
    #expect(completeCount > FuzzSettings.caseCount / 50, replay)
}

private func responseProblem(
    _ bytes: [UInt8], _ facts: ResponseFacts, _ method: RequestMethod, _ edits: [Edit],
    _ bits: Int, _ bench: ResponseBench
) -> String? {
    func has(_ bit: Int) -> Bool { bits & (1 << bit) != 0 }
    var builder = HeadEditBuilder(.response)
    for edit in edits { _ = edit.apply(to: &builder) }
    let compiled = builder.build()
    let minorVersion: UInt8 = has(0) ? 1 : 0
    func rewritten(_ list: HeadEditList, missingByteCount: Int = 0) -> [UInt8]? {
        bench.rewrite(
            bytes, answering: method, clientMinorVersion: minorVersion, keepsAlive: has(1),
            missingByteCount: missingByteCount
        ) {
            $0.edits = list
            $0.forwardsTrailers = has(2)
            if has(3) { $0.requestID = wire("r") }
            if has(4) { $0.date = wire("Sat, 21 Nov 2026 12:00:00 GMT") }
        }
    }
    guard rewritten(compiled.list, missingByteCount: 1) == nil else { return "too small a buffer" }
    guard let plain = rewritten(HeadEditList()).flatMap({ StrictMessage($0) }),
        let output = rewritten(compiled.list), let message = StrictMessage(output)
    else { return "second reader refuses it" }
    var expected = plain.fields
    if !facts.isInterim {
        for edit in allowed(edits, .response) { edit.apply(to: &expected) }
    }
    guard meaning(message.fields) == meaning(expected), message.startLine == plain.startLine else {
        return "\(message) is not \(expected)"
    }
    let framing = bench.head.clientFraming(clientMinorVersion: minorVersion)
    guard let again = bench.verdict(output, answering: method).facts, again.framing == framing,
        again.status == facts.status, again.headByteCount == output.count,
        again.describedLength == facts.describedLength
    else { return "read again otherwise" }
    return nil
}
