// SPDX-License-Identifier: Apache-2.0
//
// Every failure has an answer that our own strict parser accepts.

import HTTPCore
import Testing

private func bytes(_ response: LocalResponse, keepsAlive: Bool) -> [UInt8] {
    var answer = ComposedAnswer(response)
    answer.keepsAlive = keepsAlive
    return [UInt8](unsafeUninitializedCapacity: answer.byteCountMax) { buffer, count in
        count = answer.write(answering: .get, into: UnsafeMutableRawBufferPointer(buffer)) ?? 0
    }
}

@Test(arguments: LocalResponse.allCases, [false, true])
func localResponseIsWellFormed(_ response: LocalResponse, _ keepsAlive: Bool) throws {
    let bytes = bytes(response, keepsAlive: keepsAlive)
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

@Test(arguments: MessageFault.allCases)
func everyFaultHasAnAnswer(_ fault: MessageFault) {
    #expect(LocalResponse(fault).rawValue == fault.statusCode)
}

@Test func methodNotAllowedSaysWhatIs() {
    // RFC 9110 §15.5.6: Allow is required.
    let text = String(decoding: bytes(.methodNotAllowed, keepsAlive: false), as: UTF8.self)
    #expect(
        text == "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain\r\n"
            + "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\nContent-Length: 19\r\n"
            + "Connection: close\r\n\r\nMethod Not Allowed\n")
}

@Test func continueIsAnInterimResponse() {
    let bench = ResponseBench()
    let bytes = Array("\(LocalResponse.continueResponse)".utf8)
    #expect(
        bench.verdict(bytes).facts
            == ResponseFacts(
                status: 100, reason: "Continue", headByteCount: bytes.count, isInterim: true))
}
