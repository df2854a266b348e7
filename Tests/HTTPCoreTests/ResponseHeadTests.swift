// SPDX-License-Identifier: Apache-2.0
//
// Response heads: accepted, refused, and how their bodies end.

import HTTPCore
import Testing

/// A response head and what it must mean.
struct ResponseVector: CustomTestStringConvertible {
    let rule: String
    let bytes: [UInt8]
    let method: RequestMethod
    let framing: BodyFraming
    let keepsAlive: Bool
    let describedLength: UInt64?

    init(
        _ rule: String, line: String = "HTTP/1.1 200 OK", _ fields: String,
        answering method: RequestMethod = .get, _ framing: BodyFraming, keepsAlive: Bool = true,
        describes length: UInt64? = nil
    ) {
        self.rule = rule
        bytes = latin1(line + "\r\n" + fields + "\r\n")
        self.method = method
        self.framing = framing
        self.keepsAlive = keepsAlive
        describedLength = length
    }

    var testDescription: String { rule }
}

let acceptedResponses: [ResponseVector] = [
    .init("9112 §6.3: length", "Content-Length: 5\r\n", .length(5)),
    .init("9112 §6.3: length of zero", "Content-Length: 0\r\n", .length(0)),
    .init("9112 §6.3: chunked", "Transfer-Encoding: Chunked\r\n", .chunked),
    .init("9112 §6.3: until close", "", .untilClose, keepsAlive: false),
    .init(
        "9112 §6.3: until close whatever Connection says", "Connection: keep-alive\r\n",
        .untilClose, keepsAlive: false),
    .init(
        "9112 §9.3: HTTP/1.0 closes", line: "HTTP/1.0 200 OK", "Content-Length: 5\r\n",
        .length(5), keepsAlive: false),
    .init(
        "9112 §9.3: HTTP/1.0 keep-alive", line: "HTTP/1.0 200 OK",
        "Content-Length: 5\r\nConnection: keep-alive\r\n", .length(5)),
    .init(
        "9112 §9.3: close", "Content-Length: 5\r\nConnection: close\r\n", .length(5),
        keepsAlive: false),
    .init("9112 §6.3: 204", line: "HTTP/1.1 204 No Content", "", .none),
    .init(
        "9110 §8.6: 204 with a length it must not have", line: "HTTP/1.1 204 No Content",
        "Content-Length: 5\r\n", .none),
    .init(
        "9112 §6.1: 204 with a coding it must not have", line: "HTTP/1.1 204 No Content",
        "Transfer-Encoding: chunked\r\n", .none),
    .init(
        "9112 §6.3: 304 describes", line: "HTTP/1.1 304 Not Modified", "Content-Length: 5\r\n",
        .none, describes: 5),
    .init("9112 §6.3: 304", line: "HTTP/1.1 304 Not Modified", "", .none),
    .init(
        "9112 §6.3: HEAD describes", "Content-Length: 5\r\n", answering: .head, .none,
        describes: 5),
    .init(
        "9112 §6.3: HEAD with chunked", "Transfer-Encoding: chunked\r\n", answering: .head, .none),
    .init("9112 §6.3: HEAD with nothing", "", answering: .head, .none),
    .init("9110 §15.2: 100", line: "HTTP/1.1 100 Continue", "", .none),
    .init("9110 §15.2: 103", line: "HTTP/1.1 103 Early Hints", "Link: </a>\r\n", .none),
    .init(
        "9110 §7.8: 101", line: "HTTP/1.1 101 Switching Protocols",
        "Connection: upgrade\r\nUpgrade: websocket\r\n", .none),
    .init(
        "9112 §4: empty reason", line: "HTTP/1.1 200 ", "Content-Length: 1\r\n", .length(1)),
    .init(
        "9112 §4: no reason and no space", line: "HTTP/1.1 200", "Content-Length: 1\r\n",
        .length(1)),
    .init(
        "9112 §4: high bytes and tabs in the reason", line: "HTTP/1.1 404 a\tb\u{E4}",
        "Content-Length: 1\r\n", .length(1)),
    .init("underscore in a name from a backend", "X_Y: z\r\nContent-Length: 1\r\n", .length(1)),
    .init("9112 §4: status 599", line: "HTTP/1.1 599 x", "Content-Length: 1\r\n", .length(1)),
]

@Test(arguments: acceptedResponses)
func responseIsAccepted(_ vector: ResponseVector) throws {
    let bench = ResponseBench()
    let verdict = bench.verdict(vector.bytes + latin1("rest"), answering: vector.method)
    let facts = try #require(verdict.facts, "\(verdict)")
    #expect(facts.framing == vector.framing)
    #expect(facts.keepsAlive == vector.keepsAlive)
    #expect(facts.describedLength == vector.describedLength)
    #expect(facts.headByteCount == vector.bytes.count)
}

@Test(arguments: acceptedResponses)
func everyPrefixAndSplitOfAResponseIsTheSame(_ vector: ResponseVector) {
    let bench = ResponseBench()
    let whole = bench.verdict(vector.bytes, answering: vector.method)
    for count in 0..<vector.bytes.count {
        #expect(
            bench.verdict(vector.bytes[..<count], answering: vector.method) == .needMore,
            "prefix \(count)")
    }
    for size in 1..<20 {
        #expect(
            bench.verdict(vector.bytes, answering: vector.method, pieceByteCount: size) == whole)
    }
}

let refusedResponses: [(rule: String, text: String, fault: MessageFault)] = [
    (
        "9112 §6.3: invalid length", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        .invalidContentLength
    ),
    ("9112 §6.3: signed", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", .invalidContentLength),
    ("9112 §6.3: list", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", .invalidContentLength),
    (
        "9112 §6.3: two lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        .repeatedContentLength
    ),
    (
        "9112 §6.3: TE and CL",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        .transferEncodingWithContentLength
    ),
    (
        "9112 §6.1: TE in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        .transferEncodingInHTTP10
    ),
    (
        "9112 §6.3: TE not ending in chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", .invalidTransferEncoding
    ),
    (
        "9112 §6.1: coding we lack", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        .unknownTransferCoding
    ),
    ("9112 §5.2: fold", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", .obsoleteFolding),
    ("9112 §5.1: space before colon", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", .spaceBeforeColon),
    ("9112 §2.2: LF", "HTTP/1.1 200 OK\nA: b\n\n", .bareLineFeed),
    ("9112 §2.2: LF without a reason", "HTTP/1.1 200\nA: b\n\n", .bareLineFeed),
    ("9112 §2.2: CR", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", .bareCarriageReturn),
    ("9112 §2.2: CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", .bareCarriageReturn),
    ("9110 §5.5: NUL", "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", .invalidFieldValue),
    ("9112 §4: NUL in the reason", "HTTP/1.1 200 O\0K\r\n\r\n", .invalidFieldValue),
    ("9112 §4: two digits", "HTTP/1.1 20 OK\r\n\r\n", .invalidStatusLine),
    ("9112 §4: four digits", "HTTP/1.1 2000 OK\r\n\r\n", .invalidStatusLine),
    ("9112 §4: 099", "HTTP/1.1 099 OK\r\n\r\n", .invalidStatusLine),
    ("9112 §4: 600", "HTTP/1.1 600 OK\r\n\r\n", .invalidStatusLine),
    ("9112 §4: letters", "HTTP/1.1 2x0 OK\r\n\r\n", .invalidStatusLine),
    ("9112 §4: two spaces", "HTTP/1.1  200 OK\r\n\r\n", .invalidStatusLine),
    ("9112 §4: no status", "HTTP/1.1\r\n\r\nabcdefg", .invalidStatusLine),
    ("9112 §2.2: an empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", .invalidStatusLine),
    ("a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", .invalidStatusLine),
    ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n", .invalidStatusLine),
    ("9112 §2.3: HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", .unsupportedVersion),
    ("9110 §7.6.1: Connection", "HTTP/1.1 200 OK\r\nConnection: a b\r\n\r\n", .invalidConnection),
]

@Test(arguments: refusedResponses)
func responseIsRefused(_ rule: String, _ text: String, _ fault: MessageFault) {
    let bench = ResponseBench()
    let bytes = latin1(text)
    #expect(bench.verdict(bytes) == .malformed(fault), "\(rule)")
    for size in 1..<8 {
        #expect(bench.verdict(bytes, answering: .get, pieceByteCount: size) == .malformed(fault))
    }
    for count in 0..<bytes.count {
        let verdict = bench.verdict(bytes[..<count])
        #expect(verdict == .needMore || verdict == .malformed(fault), "prefix \(count)")
    }
}

@Test(arguments: [
    (100, true, false), (101, false, true), (102, true, false), (199, true, false),
    (200, false, false), (204, false, false),
])
func interimAndSwitchingAreToldApart(_ status: Int, _ interim: Bool, _ switches: Bool) {
    let facts = ResponseBench().verdict(latin1("HTTP/1.1 \(status) \r\n\r\n")).facts
    #expect(facts?.isInterim == interim)
    #expect(facts?.switchesProtocols == switches)
}

@Test func responseFactsDoNotLeakIntoTheNext() throws {
    let bench = ResponseBench()
    let described = latin1("HTTP/1.0 200 a\r\nContent-Length: 5\r\n\r\n")
    #expect(bench.verdict(described, answering: .head).facts?.describedLength == 5)
    let plain = latin1("HTTP/1.1 204 \r\n\r\n")
    #expect(
        bench.verdict(plain).facts
            == ResponseFacts(status: 204, headByteCount: plain.count))
}

@Test func responseHeadHasTheSameLimits() {
    var limits = HeadLimits()
    limits.fieldCountMax = 2
    limits.headByteCountMax = 80
    let bench = ResponseBench(limits: limits)
    let start = "HTTP/1.1 200 OK\r\nA: b\r\nA: b\r\n"
    #expect(bench.verdict(latin1(start + "\r\n")).facts != nil)
    #expect(bench.verdict(latin1(start + "A: b\r\n\r\n")) == .malformed(.tooManyFields))
    let long = latin1("HTTP/1.1 200 OK\r\nA: " + String(repeating: "b", count: 80))
    #expect(bench.verdict(long[..<79]) == .needMore)
    #expect(bench.verdict(long[..<80]) == .malformed(.headTooLarge))
}
