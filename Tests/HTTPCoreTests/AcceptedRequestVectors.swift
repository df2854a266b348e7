// SPDX-License-Identifier: Apache-2.0
//
// Requests that must be accepted, and what they say.

import HTTPCore
import Testing

/// A request that must be accepted, with the facts that matter for it.
struct AcceptedRequest: CustomTestStringConvertible {
    let rule: String
    let bytes: [UInt8]
    let framing: BodyFraming
    let keepsAlive: Bool
    let expectsContinue: Bool

    /// Request line and fields as given; `tail` is what follows the head.
    init(
        _ rule: String, line: String = "GET / HTTP/1.1", fields: String = "",
        tail: String = "", framing: BodyFraming = .none, keepsAlive: Bool = true,
        expectsContinue: Bool = false, host: String = "Host: a.example\r\n"
    ) {
        self.rule = rule
        bytes = latin1(line + "\r\n" + host + fields + "\r\n" + tail)
        self.framing = framing
        self.keepsAlive = keepsAlive
        self.expectsContinue = expectsContinue
    }

    var testDescription: String { rule }

    /// The head without what follows it.
    var head: [UInt8] {
        let start = bytes.firstIndex { $0 != 0x0D && $0 != 0x0A } ?? 0
        let end = (start..<(bytes.count - 3)).first {
            Array(bytes[$0..<($0 + 4)]) == [0x0D, 0x0A, 0x0D, 0x0A]
        }
        return Array(bytes[..<((end ?? bytes.count - 4) + 4)])
    }
}

let acceptedFramings: [AcceptedRequest] = [
    .init("9112 §6.3: no body"),
    .init(
        "9112 §6.3: length", line: "POST / HTTP/1.1", fields: "Content-Length: 5\r\n",
        tail: "hello", framing: .length(5)),
    .init(
        "9112 §6.3: length of zero", line: "POST / HTTP/1.1", fields: "Content-Length: 0\r\n",
        tail: "GET ", framing: .length(0)),
    .init(
        "9110 §8.6: leading zeros", line: "POST / HTTP/1.1", fields: "Content-Length: 005\r\n",
        framing: .length(5)),
    .init(
        "9110 §8.6: blanks around the number", line: "POST / HTTP/1.1",
        fields: "Content-Length: \t 5 \t\r\n", framing: .length(5)),
    .init(
        "9110 §8.6: no blank before the number", line: "POST / HTTP/1.1",
        fields: "Content-Length:5\r\n", framing: .length(5)),
    .init(
        "9110 §8.6: the largest length", line: "PUT / HTTP/1.1",
        fields: "Content-Length: 4611686018427387903\r\n", framing: .length(BodyFraming.lengthMax)),
    .init(
        "9112 §6.1: chunked", line: "POST / HTTP/1.1", fields: "Transfer-Encoding: chunked\r\n",
        tail: "0\r\n\r\n", framing: .chunked),
    .init(
        "9112 §7: codings ignore case", line: "POST / HTTP/1.1",
        fields: "tRANSFER-eNCODING:\tChunKED \r\n", framing: .chunked),
    .init(
        "9110 §9.3.1: GET with a body", fields: "Content-Length: 3\r\n", tail: "abc",
        framing: .length(3)),
    .init(
        "9112 §6.3: HTTP/1.0 with a length", line: "POST / HTTP/1.0",
        fields: "Content-Length: 3\r\n", framing: .length(3), keepsAlive: false),
    .init(
        "a field whose name only begins like Content-Length",
        fields: "Content-Lengthy: 5\r\nContent-Lengt: 5\r\nXContent-Length: 5\r\n"),
    .init(
        "a field whose name only begins like Transfer-Encoding",
        fields: "Transfer-Encodings: chunked\r\nTransfer.Encoding: chunked\r\n"),
]

let acceptedConnections: [AcceptedRequest] = [
    .init("9112 §9.3: close", fields: "Connection: close\r\n", keepsAlive: false),
    .init("9112 §9.3: Close", fields: "connection: Close\r\n", keepsAlive: false),
    .init("9112 §9.3: keep-alive", fields: "Connection: keep-alive\r\n"),
    .init(
        "9112 §9.3: close wins", fields: "Connection: keep-alive, close\r\n", keepsAlive: false),
    .init(
        "9112 §9.3: close on a second line",
        fields: "Connection: keep-alive\r\nConnection: close\r\n", keepsAlive: false),
    .init("9112 §9.3: HTTP/1.0", line: "GET / HTTP/1.0", keepsAlive: false),
    .init(
        "9112 §9.3: HTTP/1.0 keep-alive", line: "GET / HTTP/1.0",
        fields: "Connection: Keep-Alive\r\n"),
    .init(
        "9112 §3.2: HTTP/1.0 without Host", line: "GET / HTTP/1.0", keepsAlive: false, host: ""),
    .init(
        "9110 §5.6.1: empty list elements", fields: "Connection: ,close , ,\r\n", keepsAlive: false),
    .init("9110 §7.6.1: empty", fields: "Connection:\r\n"),
    .init("limit: 16 options", fields: "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p\r\n"),
    .init("9112 §9.3: a word that contains close", fields: "Connection: closed, aclose\r\n"),
    .init(
        "9110 §10.1.1: waiting with a body", line: "PUT / HTTP/1.1",
        fields: "Expect: 100-Continue\r\nContent-Length: 1\r\n", framing: .length(1),
        expectsContinue: true),
    .init("9110 §10.1.1: waiting without a body", fields: "Expect: 100-continue\r\n"),
    .init(
        "9110 §10.1.1: ignored in HTTP/1.0", line: "PUT / HTTP/1.0",
        fields: "Expect: 100-continue\r\nContent-Length: 1\r\n", framing: .length(1),
        keepsAlive: false),
]

let acceptedLines: [AcceptedRequest] = [
    .init("9112 §2.2: one empty line first", line: "\r\nGET / HTTP/1.1"),
    .init("9112 §2.2: two empty lines first", line: "\r\n\r\nGET / HTTP/1.1"),
    .init("9110 §9.1: any token is a method", line: "M-SEARCH / HTTP/1.1"),
    .init("9110 §9.1: every token character", line: "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1"),
    .init(
        "9110 §9.1: a method of 32 bytes", line: String(repeating: "A", count: 32) + " / HTTP/1.1"),
    .init("9110 §5.1: every token character", fields: "!#$%&'*+-.^`|~09azAZ: x\r\n"),
    .init("9110 §5.5: empty value", fields: "A:\r\nB: \r\nC:\t\r\n"),
    .init("9110 §5.5: high bytes", fields: "A: \u{80}\u{FF}\u{E4}\r\n"),
    .init("9110 §5.5: tabs within", fields: "A: b\tc\t\td, e                   f\r\n"),
    .init("9110 §5.5: everything visible", fields: "A: !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\r\n"),
    .init("9110 §5.1: a long name", fields: String(repeating: "n", count: 256) + ": x\r\n"),
    .init("9112 §3.2: what browsers send unencoded", line: "GET /a|b{c}^?q=[x]|{y}\\^` HTTP/1.1"),
    .init("3986 §3.3: sub-delimiters", line: "GET /a;b=c,d@e:f!$&'()*+ HTTP/1.1"),
    .init("3986 §2.1: escapes", line: "GET /%41%c3%A4%20%3b%2f HTTP/1.1"),
    .init("a query may hold anything", line: "GET /?..//../%zz%2e&a=b?c HTTP/1.1"),
    .init("dots that are no segment", line: "GET /a.b/.well-known/..a/a../...//x.. HTTP/1.1"),
    .init("dot segments are for the path policy", line: "GET /../a/%2e%2E/..;x/.%2f HTTP/1.1"),
    .init("empty segments", line: "GET //a///b// HTTP/1.1"),
    .init("9112 §3.2.2: absolute-form", line: "GET http://b.example:81/c?d HTTP/1.1"),
    .init("9112 §3.2.2: scheme in capitals", line: "GET HTTPS://b.example HTTP/1.1"),
    .init("9112 §3.2.4: asterisk-form", line: "OPTIONS * HTTP/1.1"),
    .init("9112 §3.2.3: authority-form", line: "CONNECT b.example:443 HTTP/1.1"),
    .init("9112 §3.2: IPv6 host", host: "Host: [2001:db8::1]:8080\r\n"),
    .init("9112 §3.2: IPv6 with IPv4", host: "Host: [::ffff:192.0.2.1]\r\n"),
    .init("9112 §3.2: empty port", host: "Host: a.example:\r\n"),
    .init("9112 §3.2: trailing dot", host: "Host: a.example.\r\n"),
    .init("9112 §3.2: underscore and tilde", host: "Host: a_b~c.example\r\n"),
    .init("9112 §3.2: Host last", fields: "Host: a.example\r\n", host: "A: b\r\n"),
]

let acceptedRequests = acceptedFramings + acceptedConnections + acceptedLines
