// SPDX-License-Identifier: Apache-2.0
//
// What goes on: heads written anew, without hop-by-hop fields and with framing of our own.

import HTTPCore
import Testing

private let identity = """
    X-Forwarded-For: 192.0.2.7\r
    X-Forwarded-Proto: http\r
    X-Forwarded-Host: a.example\r

    """

/// The upstream head for a request with these fields behind `Host`, without what is always added.
private func forwarded(
    _ fields: String, line: String = "GET / HTTP/1.1",
    configure: (inout RequestRewrite) -> Void = { _ in }
) -> String? {
    let bytes = latin1("\(line)\r\nHost: a.example\r\n\(fields)\r\n")
    guard let output = RequestBench().rewrite(bytes, configure: configure) else { return nil }
    return String(decoding: output, as: UTF8.self)
}

/// A request with one more field line, and the lines that reach the backend beside the usual ones.
private let hopByHop: [(rule: String, fields: String, kept: String)] = [
    ("end-to-end", "Accept: */*\r\n", "Accept: */*\r\n"),
    ("9110 §7.6.1: Connection", "A: b\r\nConnection: keep-alive\r\nC: d\r\n", "A: b\r\nC: d\r\n"),
    (
        "9110 §7.6.1: named fields", "X-A: b\r\nConnection: x-a, X-C\r\nX-C: d\r\nX-E: f\r\n",
        "X-E: f\r\n"
    ),
    ("9110 §7.6.1: named twice", "x-a: 1\r\nX-A: 2\r\nConnection: X-a\r\n", ""),
    ("Keep-Alive", "Keep-Alive: timeout=5\r\n", ""),
    ("Proxy-Connection", "Proxy-Connection: keep-alive\r\n", ""),
    ("9110 §10.1.4: TE", "TE: trailers, deflate\r\n", ""),
    ("9110 §6.6.2: Trailer", "Trailer: X-A\r\n", ""),
    (
        "9110 §7.8: Upgrade",
        "Upgrade: h2c\r\nConnection: upgrade, HTTP2-Settings\r\nHTTP2-Settings: A\r\n", ""
    ),
    ("9110 §11.7: Proxy-Authorization", "Proxy-Authorization: Basic eA==\r\n", ""),
    ("Proxy-Authenticate", "Proxy-Authenticate: Basic\r\n", ""),
    ("httpoxy", "Proxy: evil:80\r\n", ""),
    ("X-Forwarded-For", "X-Forwarded-For: 127.0.0.1\r\nx-forwarded-for: 10.0.0.1\r\n", ""),
    ("X-Forwarded-Proto", "X-Forwarded-Proto: https\r\n", ""),
    ("X-Forwarded-Host", "X-Forwarded-Host: evil\r\n", ""),
    ("X-Forwarded-Port", "X-Forwarded-Port: 443\r\n", ""),
    ("X-Real-IP", "X-Real-IP: 127.0.0.1\r\n", ""),
    ("7239: Forwarded", "Forwarded: for=127.0.0.1\r\n", ""),
    ("Via passes", "Via: 1.1 a\r\n", "Via: 1.1 a\r\n"),
    (
        "5: what Connection may not remove",
        "Authorization: x\r\nCookie: y\r\nContent-Type: z\r\nX-Request-Id: 1\r\n"
            + "Connection: host, authorization, cookie, content-type, x-forwarded-for, "
            + "x-request-id\r\n",
        "Authorization: x\r\nCookie: y\r\nContent-Type: z\r\nX-Request-Id: 1\r\n"
    ),
    ("Expect", "Expect: 100-continue\r\n", ""),
    ("blanks in values stay", "A:  b \r\nB:\tc\r\n", "A:  b \r\nB:\tc\r\n"),
]

@Test(arguments: hopByHop)
func upstreamHeadHasOnlyEndToEndFields(_ rule: String, _ fields: String, _ kept: String) {
    let expected = "GET / HTTP/1.1\r\nHost: a.example\r\n" + kept + identity + "\r\n"
    #expect(forwarded(fields) == expected, "\(rule)")
}

@Test(arguments: [
    ("Content-Length: 005\r\n", "Content-Length: 5\r\n"),
    ("Content-Length: 0\r\n", "Content-Length: 0\r\n"),
    ("content-length:  1234567890123 \r\n", "Content-Length: 1234567890123\r\n"),
    ("Transfer-Encoding: CHUNKED\r\n", "Transfer-Encoding: chunked\r\n"),
    ("Content-Length: 5\r\nConnection: content-length\r\n", "Content-Length: 5\r\n"),
    (
        "Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n",
        "Transfer-Encoding: chunked\r\n"
    ),
])
func framingIsMadeByUs(_ fields: String, _ framing: String) {
    let expected = "POST /a HTTP/1.1\r\nHost: a.example\r\n" + identity + framing + "\r\n"
    #expect(forwarded(fields, line: "POST /a HTTP/1.1") == expected)
}

@Test(arguments: [
    ("GET /a?b HTTP/1.1", "GET /a?b HTTP/1.1\r\nHost: a.example\r\n", "a.example"),
    ("GET http://b:81/a?c HTTP/1.1", "GET /a?c HTTP/1.1\r\nHost: b:81\r\n", "b:81"),
    ("GET http://b HTTP/1.1", "GET / HTTP/1.1\r\nHost: b\r\n", "b"),
    ("GET http://b?c HTTP/1.1", "GET /?c HTTP/1.1\r\nHost: b\r\n", "b"),
    ("OPTIONS http://b HTTP/1.1", "OPTIONS * HTTP/1.1\r\nHost: b\r\n", "b"),
    ("OPTIONS http://b/ HTTP/1.1", "OPTIONS / HTTP/1.1\r\nHost: b\r\n", "b"),
    ("OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n", "a.example"),
    ("M-SEARCH /%2F//a HTTP/1.0", "M-SEARCH /%2F//a HTTP/1.1\r\nHost: a.example\r\n", "a.example"),
])
func targetIsWrittenInOriginForm(_ line: String, _ start: String, _ host: String) {
    // RFC 9112 §3.2.1, §3.2.2, §3.2.4.
    let expected =
        start + "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"
        + "X-Forwarded-Host: \(host)\r\n\r\n"
    #expect(forwarded("", line: line) == expected)
}

@Test func http10WithoutHostGetsTheFallback() throws {
    let output = try #require(RequestBench().rewrite(latin1("GET / HTTP/1.0\r\nA: b\r\n\r\n")))
    #expect(
        String(decoding: output, as: UTF8.self)
            == "GET / HTTP/1.1\r\nHost: backend:8080\r\nA: b\r\nX-Forwarded-For: 192.0.2.7\r\n"
            + "X-Forwarded-Proto: http\r\n\r\n")
}

@Test func rewriteOptionsAreFollowed() {
    let upgrade = forwarded("Connection: Upgrade\r\nUpgrade: websocket\r\n") {
        $0.forwardsUpgrade = true
    }
    #expect(upgrade?.hasSuffix("Connection: upgrade\r\nUpgrade: websocket\r\n\r\n") == true)
    let unasked = forwarded("Upgrade: websocket\r\n") { $0.forwardsUpgrade = true }
    #expect(unasked?.contains("pgrade") == false)
    let expect = forwarded("Expect: 100-continue\r\nContent-Length: 1\r\n") {
        $0.forwardsExpect = true
    }
    #expect(expect?.hasSuffix("Content-Length: 1\r\nExpect: 100-continue\r\n\r\n") == true)
    let close = forwarded("") { $0.closesConnection = true }
    #expect(close?.hasSuffix("Connection: close\r\n\r\n") == true)
    let secure = RequestBench().rewrite(latin1(browserHead), scheme: .https)
    #expect(
        secure.map { String(decoding: $0, as: UTF8.self) }?.contains("Proto: https\r\n") == true)
}

@Test func smallBufferIsRefusedAndNothingIsWritten() {
    let bench = RequestBench()
    let bytes = latin1(browserHead)
    var progress = HeadProgress()
    bytes.withUnsafeBytes { buffer in
        #expect(
            bench.head.parse(buffer, progress: &progress) == .complete(headByteCount: bytes.count))
        let rewrite = RequestRewrite(clientAddress: buffer, scheme: .http, fallbackHost: buffer)
        for count in [0, 1, 100, bench.head.upstreamHeadByteCountMax(rewrite) - 1] {
            var output = [UInt8](repeating: 0xAA, count: count)
            let written = output.withUnsafeMutableBytes {
                bench.head.writeUpstreamHead(from: buffer, rewrite: rewrite, into: $0)
            }
            #expect(written == nil)
            #expect(output.allSatisfy { $0 == 0xAA })
        }
    }
}

private func answered(
    _ fields: String, line: String = "HTTP/1.1 200 OK", answering method: RequestMethod = .get,
    clientMinorVersion: UInt8 = 1, keepsAlive: Bool = true
) -> String? {
    ResponseBench().rewrite(
        latin1("\(line)\r\n\(fields)\r\n"), answering: method,
        clientMinorVersion: clientMinorVersion, keepsAlive: keepsAlive
    ).map { String(decoding: $0, as: UTF8.self) }
}

@Test(arguments: [
    ("Content-Length: 05\r\n", 1 as UInt8, true, "Content-Length: 5\r\n"),
    ("Content-Length: 5\r\n", 1, false, "Content-Length: 5\r\nConnection: close\r\n"),
    ("Content-Length: 5\r\n", 0, true, "Content-Length: 5\r\nConnection: keep-alive\r\n"),
    ("Content-Length: 5\r\nConnection: close\r\n", 1, true, "Content-Length: 5\r\n"),
    ("Transfer-Encoding: chunked\r\n", 1, true, "Transfer-Encoding: chunked\r\n"),
    ("Transfer-Encoding: chunked\r\n", 0, true, "Connection: close\r\n"),
    ("", 1, true, "Transfer-Encoding: chunked\r\n"),
    ("", 0, true, "Connection: close\r\n"),
    ("Keep-Alive: timeout=5\r\nContent-Length: 0\r\n", 1, true, "Content-Length: 0\r\n"),
    (
        "Upgrade: h2c\r\nConnection: x-a\r\nX-A: b\r\nTrailer: c\r\n", 1, true,
        "Transfer-Encoding: chunked\r\n"
    ),
])
func clientHeadIsFramedByUs(
    _ fields: String, _ minorVersion: UInt8, _ keepsAlive: Bool, _ made: String
) {
    let output = answered(
        "Server: s\r\n" + fields + "Set-Cookie: a=b\r\n", clientMinorVersion: minorVersion,
        keepsAlive: keepsAlive)
    #expect(output == "HTTP/1.1 200 OK\r\nServer: s\r\nSet-Cookie: a=b\r\n" + made + "\r\n")
}

@Test func bodilessResponsesKeepTheirDescription() {
    #expect(
        answered("Content-Length: 5\r\n", answering: .head)
            == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    #expect(
        answered("Content-Length: 5\r\n", line: "HTTP/1.1 304 Not Modified", keepsAlive: false)
            == "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nConnection: close\r\n\r\n")
    #expect(
        answered("Content-Length: 5\r\n", line: "HTTP/1.0 204 No Content")
            == "HTTP/1.1 204 No Content\r\n\r\n")
    #expect(answered("", line: "HTTP/1.1 100 Continue") == "HTTP/1.1 100 Continue\r\n\r\n")
    #expect(answered("A: b\r\n", line: "HTTP/1.1 103") == "HTTP/1.1 103 \r\nA: b\r\n\r\n")
}

@Test func switchingProtocolsKeepsUpgrade() {
    // RFC 9110 §7.8.
    #expect(
        answered(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n",
            line: "HTTP/1.1 101 Switching Protocols")
            == "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n"
            + "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
}

@Test func smallBufferForAResponseIsRefused() {
    let bench = ResponseBench()
    let bytes = latin1("HTTP/1.1 200 OK\r\n\r\n")
    #expect(bench.rewrite(bytes) != nil)
    #expect(bench.rewrite(bytes, missingByteCount: 1) == nil)
}

@Test func clientFramingIsWhatTheHeadSays() {
    let bench = ResponseBench()
    #expect(bench.verdict(latin1("HTTP/1.1 200 OK\r\n\r\n")).facts?.framing == .untilClose)
    #expect(bench.head.clientFraming(clientMinorVersion: 1) == .chunked)
    #expect(bench.head.clientFraming(clientMinorVersion: 0) == .untilClose)
    let chunked = latin1("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    #expect(bench.verdict(chunked).facts?.framing == .chunked)
    #expect(bench.head.clientFraming(clientMinorVersion: 1) == .chunked)
    #expect(bench.head.clientFraming(clientMinorVersion: 0) == .untilClose)
}
