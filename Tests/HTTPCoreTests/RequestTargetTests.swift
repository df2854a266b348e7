// SPDX-License-Identifier: Apache-2.0
//
// Methods, targets, hosts and known names: what the head says about them, and what a router asks.

import HTTPCore
import Testing

private func request(_ line: String, host: String = "a.example") -> [UInt8] {
    latin1("\(line) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
}

@Test(arguments: [
    ("GET", RequestMethod.get), ("HEAD", .head), ("POST", .post), ("PUT", .put),
    ("DELETE", .delete), ("OPTIONS", .options), ("PATCH", .patch), ("TRACE", .trace),
    ("get", .other), ("GETS", .other), ("GE", .other), ("PROPFIND", .other), ("Head", .other),
])
func methodIsRecognisedWithItsCase(_ name: String, _ method: RequestMethod) {
    let bench = RequestBench()
    #expect(bench.verdict(request("\(name) /")).facts?.method == name)
    #expect(bench.head.method == method)
}

@Test func idempotentMethodsAreThoseOfTheRFC() {
    // RFC 9110 §9.2.2.
    let idempotent = RequestMethod.allCases.filter(\.isIdempotent)
    #expect(idempotent == [.get, .head, .put, .delete, .options, .trace])
}

@Test func originFormIsSplitAtTheFirstQuestionMark() throws {
    let bench = RequestBench()
    let facts = try #require(bench.verdict(request("GET /a/b?c?d=/e")).facts)
    #expect(facts.targetForm == .origin)
    #expect(facts.target == "/a/b?c?d=/e")
    #expect(facts.path == "/a/b")
    #expect(facts.query == "?c?d=/e")
}

@Test func absoluteFormTakesPrecedenceOverHost() throws {
    // RFC 9112 §3.2.2.
    let bench = RequestBench()
    let facts = try #require(
        bench.verdict(request("GET HTTP://B.example:81/c?d", host: "a.example:82")).facts)
    #expect(facts.targetForm == .absolute)
    #expect(facts.authority == "B.example:81")
    #expect(facts.host == "B.example")
    #expect(facts.port == 81)
    #expect(facts.path == "/c")
    #expect(facts.query == "?d")
}

@Test(arguments: [
    ("http://b.example/", "a.example", "b.example", nil as UInt16?),
    ("http://b.example:8080/", "a.example:80", "b.example", 8080),
    ("http://b.example/", "b.example:8080", "b.example", nil),
    ("https://[2001:db8::2]:443/", "[2001:db8::1]", "[2001:db8::2]", 443),
    ("HTTP://B.EXAMPLE./", "a.example", "B.EXAMPLE", nil),
])
func hostOfAnAbsoluteTargetIsRoutedByAndSent(
    _ target: String, _ host: String, _ expected: String, _ port: UInt16?
) throws {
    // RFC 9112 §3.2.2: a proxy must ignore the received Host and replace it.
    let bench = RequestBench()
    let bytes = request("GET \(target)", host: host)
    let facts = try #require(bench.verdict(bytes).facts)
    #expect(facts.host == expected)
    #expect(facts.port == port)
    #expect(ask(bytes, expected.lowercased()) { $0.hostEquals($1, in: $2) })
    #expect(!ask(bytes, host) { $0.hostEquals($1, in: $2) } || host.hasPrefix(expected))
    let sent = try #require(bench.rewrite(bytes).flatMap { StrictMessage($0) })
    #expect(sent.values("host") == [facts.authority])
    #expect(sent.startLine[1] == "/")
}

@Test func absoluteFormInHTTP10NeedsNoHost() throws {
    let bytes = latin1("GET http://b.example/a HTTP/1.0\r\n\r\n")
    let bench = RequestBench()
    #expect(try #require(bench.verdict(bytes).facts).host == "b.example")
    let sent = try #require(bench.rewrite(bytes).flatMap { StrictMessage($0) })
    #expect(sent.values("host") == ["b.example"])
}

@Test(arguments: ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "options"])
func asteriskAndAuthorityFormsAreForOneMethodEach(_ method: String) {
    // RFC 9112 §3.2.3, §3.2.4.
    let bench = RequestBench()
    #expect(bench.verdict(request("\(method) *")) == .malformed(.invalidTarget))
    #expect(bench.verdict(request("\(method) a.example:80")) == .malformed(.invalidTarget))
    #expect(bench.verdict(request("\(method) /")).facts?.targetForm == .origin)
    #expect(bench.verdict(request("\(method) http://b/")).facts?.targetForm == .absolute)
}

@Test func connectAndOptionsTakeTheirOwnForms() {
    let bench = RequestBench()
    #expect(bench.verdict(request("CONNECT *")) == .malformed(.invalidHost))
    #expect(bench.verdict(request("CONNECT /")) == .malformed(.invalidHost))
    #expect(bench.verdict(request("CONNECT b.example:0443")).facts?.port == 443)
    #expect(bench.verdict(request("OPTIONS *")).facts?.targetForm == .asterisk)
    #expect(bench.verdict(request("OPTIONS a.example:80")) == .malformed(.invalidTarget))
    #expect(bench.verdict(request("OPTIONS /*")).facts?.path == "/*")
}

@Test func connectIsRecognised() throws {
    // RFC 9112 §3.2.3.
    let bench = RequestBench()
    let facts = try #require(bench.verdict(request("CONNECT [::1]:443")).facts)
    #expect(bench.head.method == .connect)
    #expect(facts.targetForm == .authority)
    #expect(facts.host == "[::1]")
    #expect(facts.port == 443)
    #expect(bench.rewrite(request("CONNECT [::1]:443")) == nil)
}

@Test(arguments: [
    ("a.example", "a.example", nil), ("a.example:80", "a.example", 80 as UInt16),
    ("a.example:", "a.example", nil), ("a.example.:8080", "a.example", 8080),
    ("[2001:db8::1]:65535", "[2001:db8::1]", 65535), ("[::1]", "[::1]", nil),
    ("192.0.2.1:00080", "192.0.2.1", 80), ("a:0", "a", 0),
])
func hostIsSplitFromItsPort(_ value: String, _ host: String, _ port: UInt16?) throws {
    let bench = RequestBench()
    let facts = try #require(bench.verdict(request("GET /", host: value)).facts)
    #expect(facts.authority == value)
    #expect(facts.host == host)
    #expect(facts.port == port)
}

@Test func everyKnownNameIsRecognisedInAnyCase() {
    let names: [(String, KnownField)] = [
        ("Connection", .connection), ("Keep-Alive", .keepAlive), ("TE", .te),
        ("Trailer", .trailer), ("Proxy-Connection", .proxyConnection),
        ("Proxy-Authorization", .proxyAuthorization), ("Upgrade", .upgrade),
        ("Proxy-Authenticate", .proxyAuthenticate), ("Proxy", .proxy),
        ("X-Forwarded-For", .xForwardedFor), ("X-Forwarded-Proto", .xForwardedProto),
        ("X-Forwarded-Host", .xForwardedHost), ("X-Forwarded-Port", .xForwardedPort),
        ("X-Real-IP", .xRealIP), ("Forwarded", .forwarded), ("Via", .via),
        ("Authorization", .authorization), ("Cookie", .cookie), ("Set-Cookie", .setCookie),
        ("Content-Type", .contentType), ("Content-Encoding", .contentEncoding),
        ("Location", .location), ("Referer", .referer), ("User-Agent", .userAgent),
        ("X-Request-Id", .xRequestID), ("traceparent", .traceparent),
        ("tracestate", .tracestate),
        ("Accept", .accept), ("Accept-Encoding", .acceptEncoding),
        ("Accept-Language", .acceptLanguage), ("Cache-Control", .cacheControl),
        ("Date", .date), ("ETag", .etag), ("Last-Modified", .lastModified),
        ("Server", .server),
    ]
    // `Host`, framing and `Expect` have rules for their values and vectors of their own.
    #expect(names.count + 5 == KnownField.allCases.count)
    let bench = RequestBench()
    for (name, field) in names {
        for spelling in [name, name.lowercased(), name.uppercased()] {
            let bytes = latin1("GET / HTTP/1.1\r\nHost: a\r\n\(spelling): x\r\n\r\n")
            #expect(bench.verdict(bytes).facts != nil)
            #expect(bench.head.field(1) == field, "\(spelling)")
            #expect(bench.head.value(of: field) == bench.head.fieldValue(1))
        }
        for other in ["x" + name, name + "x", String(name.dropLast()), "^" + name.dropFirst()] {
            let bytes = latin1("GET / HTTP/1.1\r\nHost: a\r\n\(other): x\r\n\r\n")
            #expect(bench.verdict(bytes).facts != nil)
            #expect(bench.head.field(1) == .other, "\(other)")
        }
    }
}

/// Calls a router's question with texts for patterns.
private func ask(
    _ bytes: [UInt8], _ pattern: String,
    _ question: (borrowing RequestHead, UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Bool
) -> Bool {
    var head = RequestHead()
    var progress = HeadProgress()
    return bytes.withUnsafeBytes { buffer in
        guard case .complete = head.parse(buffer, progress: &progress) else {
            Issue.record("not a request")
            return false
        }
        return Array(pattern.utf8).withUnsafeBytes { question(head, $0, buffer) }
    }
}

@Test(arguments: [
    ("a.example", "a.example", true), ("A.EXAMPLE:80", "a.example", true),
    ("a.example.", "a.example", true), ("a.example", "b.example", false),
    ("a.example", "a.exampl", false), ("aa.example", "a.example", false),
    ("a.example", "", false),
])
func hostEqualsIgnoresCaseAndPort(_ host: String, _ name: String, _ expected: Bool) {
    let bytes = request("GET /", host: host)
    #expect(ask(bytes, name) { $0.hostEquals($1, in: $2) } == expected)
}

@Test(arguments: [
    ("a.example.org", true), ("a.b.Example.ORG:81", true), ("example.org", false),
    ("aexample.org", false), ("a.example.org.evil", false),
])
func hostSuffixNeedsALabelInFront(_ host: String, _ expected: Bool) {
    let bytes = request("GET /", host: host)
    #expect(ask(bytes, ".example.org") { $0.hostHasSuffix($1, in: $2) } == expected)
}

@Test(arguments: [
    ("GET /api/x", "/api/", true, true), ("GET /api", "/api/", false, false),
    ("GET /api", "/api", true, true), ("GET /apix", "/api", true, false),
    ("GET /api/x?y", "/api", true, true), ("GET /API", "/api", false, false),
    ("GET /?/api", "/api", false, false), ("GET /a", "", true, true),
    ("GET /a", "/", true, true), ("GET http://b", "/", true, true),
    ("GET http://b", "/a", false, false), ("GET http://b/a", "/a", true, true),
    ("OPTIONS *", "/", false, false), ("OPTIONS *", "", true, true),
    ("GET /%61pi", "/api", false, false),
])
func pathPrefixes(_ line: String, _ prefix: String, _ plain: Bool, _ segment: Bool) {
    let bytes = request(line)
    #expect(ask(bytes, prefix) { $0.pathHasPrefix($1, in: $2) } == plain)
    #expect(ask(bytes, prefix) { $0.pathHasSegmentPrefix($1, in: $2) } == segment)
}

@Test(arguments: [
    ("Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n", true, true),
    ("Upgrade: h2c\r\nConnection: upgrade\r\n", true, false),
    ("Upgrade: websocket, h2c\r\nConnection: upgrade\r\n", true, false),
    ("Upgrade: websocket\r\nUpgrade: h2c\r\nConnection: upgrade\r\n", true, false),
    ("Upgrade: websocket\r\n", false, false),
    ("Connection: upgrade\r\n", false, false),
])
func upgradeCountsOnlyWhenConnectionNamesIt(
    _ fields: String, _ upgrade: Bool, _ webSocket: Bool
) {
    // RFC 9110 §7.8.
    for version in ["1.1", "1.0"] {
        let bench = RequestBench()
        let bytes = latin1("GET / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n")
        #expect(bench.verdict(bytes).facts?.requestsUpgrade == (upgrade && version == "1.1"))
        #expect(bench.head.requestsWebSocket == (webSocket && version == "1.1"))
    }
}
