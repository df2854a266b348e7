// SPDX-License-Identifier: Apache-2.0
//
// Every response made here is one that our own strict parser accepts.

import HTTPCore
import Testing

@Test(arguments: LocalResponse.allCases, [false, true])
func localResponseIsWellFormed(_ response: LocalResponse, _ keepsAlive: Bool) throws {
    let bytes = Array("\(response.bytes(keepsAlive: keepsAlive))".utf8)
    let bench = ResponseBench()
    let facts = try #require(bench.verdict(bytes).facts)
    #expect(facts.status == response.rawValue)
    #expect(facts.keepsAlive == keepsAlive)
    #expect(facts.fields.contains(Field(name: "Content-Type", value: "text/plain")))
    let body = Array("\(response.body)".utf8)
    #expect(facts.framing == .length(UInt64(body.count)))
    #expect(Array(bytes[facts.headByteCount...]) == body)
    #expect("\(response.body)" == facts.reason + "\n")
}

@Test func methodNotAllowedSaysWhatIs() {
    // RFC 9110 §15.5.6: Allow is required.
    let text = "\(LocalResponse.methodNotAllowed.bytes(keepsAlive: false))"
    #expect(text.contains("\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"))
}

@Test func continueIsAnInterimResponse() {
    let bench = ResponseBench()
    let bytes = Array("\(LocalResponse.continueResponse)".utf8)
    #expect(
        bench.verdict(bytes).facts
            == ResponseFacts(
                status: 100, reason: "Continue", headByteCount: bytes.count, isInterim: true))
}
