// SPDX-License-Identifier: Apache-2.0
//
// Mutated requests: nothing traps, nothing is read beyond the input, the way bytes arrive does not
// change what they mean, and what is forwarded is one message that a second reader reads alike.

import HTTPCore
import Testing
import WireCore

@Test func mutatedRequestsKeepTheInvariants() {
    let (random, replay) = FuzzSettings.generator(for: "mutatedRequestsKeepTheInvariants")
    var mutator = MessageMutator(
        corpus: (refusedRequests.map(\.bytes) + acceptedRequests.map(\.bytes)
            + [latin1(browserHead)]).filter { $0.count < 1000 },
        tokens: headTokens, random: random)
    let bench = RequestBench()
    var completeCount = 0
    for index in 0..<FuzzSettings.caseCount {
        let bytes = mutator.next()
        let whole = bench.verdict(bytes)
        let pieces = (0..<4).map { _ in 1 + mutator.below(max(1, bytes.count)) }
        let split = bench.verdict(bytes, pieces: pieces)
        guard agree(whole, split) else {
            Issue.record(
                "case \(index): split \(pieces) gives \(split), not \(whole): \(bytes). \(replay)")
            return
        }
        guard case .complete(let facts) = whole else { continue }
        completeCount += 1
        if let problem = forwardingProblem(bytes, facts, bench) {
            Issue.record("case \(index): \(problem): \(bytes). \(replay)")
            return
        }
    }
    // The corpus is worth something only if many mutants are still valid, and many are not.
    #expect(completeCount > FuzzSettings.caseCount / 50, replay)
    #expect(completeCount < FuzzSettings.caseCount * 49 / 50, replay)
}

/// Whole and split input must mean the same; a malformed message that is not finished may wait.
private func agree(_ whole: Verdict<RequestFacts>, _ split: Verdict<RequestFacts>) -> Bool {
    switch (whole, split) {
    case (.complete(let left), .complete(let right)): left == right
    case (.needMore, .needMore), (.malformed, .malformed), (.malformed, .needMore): true
    default: false
    }
}

/// What is wrong with the head we would forward for a valid request; `nil` when nothing is.
private func forwardingProblem(
    _ bytes: [UInt8], _ facts: RequestFacts, _ bench: RequestBench
) -> String? {
    guard let output = bench.rewrite(bytes) else {
        return facts.method == "CONNECT" ? nil : "no upstream head"
    }
    guard let message = StrictMessage(output) else { return "second reader refuses \(output)" }
    let target = facts.targetForm == .absolute ? nil : facts.target
    guard message.startLine.count == 3, message.startLine[0] == facts.method,
        target == nil || message.startLine[1] == target, message.startLine[2] == "HTTP/1.1"
    else { return "request line \(message.startLine)" }
    let host = facts.authority.isEmpty ? "backend:8080" : facts.authority
    guard message.values("host") == [host] else { return "Host \(message.values("host"))" }
    guard message.values("x-forwarded-for") == ["192.0.2.7"] else { return "X-Forwarded-For" }
    for name in ["connection", "keep-alive", "te", "upgrade", "proxy", "expect", "x-real-ip"] {
        guard message.values(name).isEmpty else { return "\(name) was forwarded" }
    }
    let framing: BodyFraming =
        message.values("transfer-encoding").isEmpty
        ? message.values("content-length").first.flatMap { UInt64($0) }.map { .length($0) } ?? .none
        : .chunked
    guard framing == facts.framing else { return "framing \(framing)" }
    guard case .complete(let again) = bench.verdict(output) else { return "we refuse our output" }
    guard again.framing == facts.framing, again.method == facts.method,
        facts.authority.isEmpty || again.authority == facts.authority,
        again.headByteCount == output.count
    else { return "read again as \(again)" }
    if !facts.authority.isEmpty, bench.rewrite(output) != output { return "not stable" }
    return nil
}

@Test func randomBytesAreNeverARequestAndNeverTrap() {
    var (random, replay) = FuzzSettings.generator(for: "randomBytesAreNeverARequestAndNeverTrap")
    let bench = RequestBench()
    let responses = ResponseBench()
    for _ in 0..<(FuzzSettings.caseCount / 4) {
        let count = Int.random(in: 1..<200, using: &random)
        let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        #expect(bench.verdict(bytes).facts == nil, replay)
        #expect(responses.verdict(bytes).facts == nil, replay)
    }
}
