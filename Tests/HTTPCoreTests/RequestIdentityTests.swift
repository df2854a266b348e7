// SPDX-License-Identifier: Apache-2.0
//
// What a backend is told about the client, the request and its way here.

import HTTPCore
import Testing

/// The fields behind `Host` that the backend gets.
private func told(
    _ fields: String, line: String = "GET / HTTP/1.1", host: String = "Host: a.example\r\n",
    clientAddress: String = "192.0.2.7", scheme: URIScheme = .http,
    configure: (inout RequestRewrite) -> Void
) -> String? {
    let bytes = latin1("\(line)\r\n\(host)\(fields)\r\n")
    guard
        let output = RequestBench().rewrite(
            bytes, scheme: scheme, clientAddress: clientAddress, configure: configure)
    else { return nil }
    let text = String(decoding: output, as: UTF8.self)
    let start = "GET / HTTP/1.1\r\n"
    guard text.hasPrefix(start), text.hasSuffix("\r\n\r\n") else { return nil }
    // CRLF is one Character.
    return String(text.dropFirst(start.count).dropLast())
}

private let claims =
    "X-Forwarded-For: 203.0.113.9\r\nA: b\r\nX-Forwarded-Proto: https\r\n"
    + "X-Forwarded-Host: shop.example\r\nX-Forwarded-Port: 443\r\nX-Real-IP: 203.0.113.9\r\n"
    + "x-forwarded-for: 198.51.100.1, 198.51.100.2 \r\nForwarded: for=203.0.113.9\r\n"

@Test func claimsOfStrangersAreReplaced() {
    let output = told(claims) {
        $0.trustsPeer = false
        $0.forwardedPort = 8443
        $0.realAddress = wire("192.0.2.7")
    }
    #expect(
        output == "Host: a.example\r\nA: b\r\nX-Forwarded-For: 192.0.2.7\r\n"
            + "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a.example\r\n"
            + "X-Forwarded-Port: 8443\r\nX-Real-IP: 192.0.2.7\r\n")
}

@Test func trustedProxiesAreBelievedAndAppendedTo() {
    let output = told(claims) {
        $0.trustsPeer = true
        $0.forwardedPort = 8443
    }
    #expect(
        output == "Host: a.example\r\nA: b\r\nX-Forwarded-Proto: https\r\n"
            + "X-Forwarded-Host: shop.example\r\nX-Forwarded-Port: 443\r\n"
            + "Forwarded: for=203.0.113.9\r\n"
            + "X-Forwarded-For: 203.0.113.9, 198.51.100.1, 198.51.100.2, 192.0.2.7\r\n")
}

@Test func whatATrustedProxyLeftOutIsSaid() {
    let output = told("X-Forwarded-For:\r\n", scheme: .https) {
        $0.trustsPeer = true
        $0.forwardedPort = 443
    }
    #expect(
        output == "Host: a.example\r\nX-Forwarded-For: 192.0.2.7\r\n"
            + "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n"
            + "X-Forwarded-Port: 443\r\n")
}

private let elements: [(address: String, host: String, old: String, trusted: Bool, line: String)] =
    [
        ("192.0.2.7", "a.example", "", false, "for=192.0.2.7;by=_lb;host=a.example;proto=http"),
        (
            "2001:db8::7", "a.example", "", false,
            "for=\"[2001:db8::7]\";by=_lb;host=a.example;proto=http"
        ),
        (
            "192.0.2.7", "a.example:81", "", false,
            "for=192.0.2.7;by=_lb;host=\"a.example:81\";proto=http"
        ),
        (
            "192.0.2.7", "[2001:db8::1]", "", false,
            "for=192.0.2.7;by=_lb;host=\"[2001:db8::1]\";proto=http"
        ),
        (
            "192.0.2.7", "a", "Forwarded: for=1\r\n", false,
            "for=192.0.2.7;by=_lb;host=a;proto=http"
        ),
        (
            "192.0.2.7", "a", "Forwarded: for=1;by=\"a\\\"b\"\r\nforwarded: for=2\r\n", true,
            "for=1;by=\"a\\\"b\", for=2, for=192.0.2.7;by=_lb;host=a;proto=http"
        ),
        // Open quotes would swallow what comes behind them.
        (
            "192.0.2.7", "a", "Forwarded: for=\"1\r\n", true,
            "for=192.0.2.7;by=_lb;host=a;proto=http"
        ),
        (
            "192.0.2.7", "a", "Forwarded: for=1\r\nForwarded: for=\"\\\"\r\n", true,
            "for=192.0.2.7;by=_lb;host=a;proto=http"
        ),
    ]

@Test(arguments: elements)
func forwardedIsWritten(
    _ address: String, _ host: String, _ old: String, _ isTrusted: Bool, _ line: String
) {
    // RFC 7239 §4, §6.
    let output = told(old, host: "Host: \(host)\r\n", clientAddress: address) {
        $0.trustsPeer = isTrusted
        $0.writesForwarded = true
        $0.forwardedBy = wire("_lb")
    }
    #expect(output?.hasSuffix("\r\nForwarded: \(line)\r\n") == true, "\(output ?? "")")
    #expect(output?.components(of: "Forwarded:") == 1)
}

@Test func forwardedWithoutHostAndBy() {
    let output = RequestBench().rewrite(latin1("GET / HTTP/1.0\r\n\r\n"), scheme: .https) {
        $0.writesForwarded = true
    }
    #expect(
        output.flatMap { StrictMessage($0) }?.values("forwarded") == ["for=192.0.2.7;proto=https"])
    let byAddress = RequestBench().rewrite(latin1("GET / HTTP/1.0\r\n\r\n")) {
        $0.writesForwarded = true
        $0.forwardedBy = wire("2001:db8::1")
    }
    #expect(
        byAddress.flatMap { StrictMessage($0) }?.values("forwarded")
            == ["for=192.0.2.7;by=\"[2001:db8::1]\";proto=http"])
}

private let ours =
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.example\r\n"

@Test func requestIdentifierIsPassedOrReplaced() {
    let passed = told("x-request-id: theirs\r\n") { $0.requestID = wire("") }
    #expect(passed == "Host: a.example\r\nx-request-id: theirs\r\n" + ours)
    let replaced = told("x-request-id: theirs\r\nX-Request-Id: more\r\n") {
        $0.requestID = wire("ours")
    }
    #expect(replaced == "Host: a.example\r\n" + ours + "X-Request-Id: ours\r\n")
}

@Test func repeatedIdentifiersAreSeen() {
    let bench = RequestBench()
    let bytes = latin1(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: 1\r\nA: b\r\nx-request-id: 2\r\n"
            + "traceparent: 1\r\n\r\n")
    #expect(bench.verdict(bytes).facts != nil)
    let fields: [KnownField] = [.xRequestID, .traceparent, .via]
    #expect(fields.map { bench.head.isRepeated($0) } == [true, false, false])
}

@Test func traceIsPassedOrStartedAnew() {
    // W3C Trace Context §3.3: tracestate belongs to the traceparent that it came with.
    let both = "traceparent: 00-a-b-01\r\nTraceState: v=1\r\n"
    #expect(told(both) { $0.traceparent = wire("") } == "Host: a.example\r\n" + both + ours)
    let started = told(both) { $0.traceparent = wire("00-c-d-01") }
    #expect(started == "Host: a.example\r\n" + ours + "traceparent: 00-c-d-01\r\n")
}

@Test func viaIsAppendedWhenAsked() {
    // RFC 9110 §7.6.3.
    let output = told("Via: 1.0 a\r\n") { $0.via = wire("tandem") }
    #expect(output == "Host: a.example\r\nVia: 1.0 a\r\n" + ours + "Via: 1.1 tandem\r\n")
    let old = told("", line: "GET / HTTP/1.0") { $0.via = wire("tandem") }
    #expect(old == "Host: a.example\r\n" + ours + "Via: 1.0 tandem\r\n")
}

@Test func hostIsRewritten() {
    let output = told("A: b\r\n") { $0.host = wire("internal:8080") }
    #expect(output == "Host: internal:8080\r\nA: b\r\n" + ours)
    let absolute = told("", line: "GET http://b.example/ HTTP/1.1") { $0.host = wire("internal") }
    #expect(
        absolute == "Host: internal\r\nX-Forwarded-For: 192.0.2.7\r\n"
            + "X-Forwarded-Proto: http\r\nX-Forwarded-Host: b.example\r\n")
    let missing = told("", line: "GET / HTTP/1.0", host: "") { $0.host = wire("internal") }
    #expect(
        missing
            == "Host: internal\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n")
}

@Test(arguments: [
    ("TE: trailers\r\n", false, false, "TE: trailers\r\nConnection: TE\r\n"),
    ("TE: Trailers\r\n", true, false, "TE: trailers\r\nConnection: close, TE\r\n"),
    ("TE: gzip\r\n", false, false, ""),
    ("", true, false, "Connection: close\r\n"),
    (
        "TE: trailers\r\nUpgrade: WebSocket\r\nConnection: upgrade, te\r\n", false, true,
        "TE: trailers\r\nConnection: upgrade, TE\r\nUpgrade: websocket\r\n"
    ),
    (
        "Upgrade: websocket\r\nConnection: upgrade\r\n", false, true,
        "Connection: upgrade\r\nUpgrade: websocket\r\n"
    ),
    // Nothing else is tunnelled, whatever the caller says.
    (
        "Upgrade: h2c\r\nConnection: upgrade, HTTP2-Settings\r\nHTTP2-Settings: A\r\n", false, true,
        ""
    ),
    ("Upgrade: websocket, h2c\r\nConnection: upgrade\r\n", false, true, ""),
])
func connectionNamesWhatIsOfThisHop(
    _ fields: String, _ closes: Bool, _ upgrades: Bool, _ made: String
) {
    let output = told(fields) {
        $0.offersTrailers = true
        $0.closesConnection = closes
        $0.forwardsUpgrade = upgrades
    }
    #expect(output == "Host: a.example\r\n" + ours + made)
}

@Test func http10ClientsNeverUpgrade() {
    let output = told(
        "Upgrade: websocket\r\nConnection: upgrade\r\n", line: "GET / HTTP/1.0"
    ) { $0.forwardsUpgrade = true }
    #expect(output == "Host: a.example\r\n" + ours)
}

@Test func trailerIsKeptWithTheTrailers() {
    let chunked = "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n"
    #expect(
        told(chunked) { $0.forwardsTrailers = true }
            == "Host: a.example\r\nTrailer: X-Sum\r\n" + ours + "Transfer-Encoding: chunked\r\n")
    #expect(
        told("Trailer: X-Sum\r\nContent-Length: 1\r\n") { $0.forwardsTrailers = true }
            == "Host: a.example\r\n" + ours + "Content-Length: 1\r\n")
}

extension String {
    /// How often `part` occurs.
    fileprivate func components(of part: String) -> Int {
        var rest = self[...]
        var count = 0
        while let range = rest.firstRange(of: part) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
