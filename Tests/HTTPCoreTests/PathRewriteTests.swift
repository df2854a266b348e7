// SPDX-License-Identifier: Apache-2.0
//
// Another prefix before the path: what the backend gets, and where redirects lead.

import HTTPCore
import Testing

private let prefixes: [(target: String, prefix: Int, replacement: StaticString, written: String)] =
    [
        ("/api", 4, "/v2", "/v2"),
        ("/api/", 4, "/v2", "/v2/"),
        ("/api/x?q=/api", 4, "/v2", "/v2/x?q=/api"),
        ("/api/x", 4, "/v2/", "/v2/x"),
        ("/api", 4, "/v2/", "/v2/"),
        ("/api/", 4, "/", "/"),
        ("/api/x", 4, "/", "/x"),
        ("/api", 4, "/", "/"),
        ("/api?q", 4, "/", "/?q"),
        // The prefix ended in a slash.
        ("/api/x", 5, "/v2", "/v2/x"),
        ("/api/x", 5, "/v2/", "/v2/x"),
        ("/api/", 5, "/v2", "/v2"),
        // One slash at the joint, however many there were; elsewhere they stay.
        ("/api//evil.example/x", 4, "/", "/evil.example/x"),
        ("/api///x//y", 4, "/v2", "/v2/x//y"),
        ("/api//", 4, "/", "/"),
        // The whole path, and everything below the root.
        ("/a/b/c", 6, "/x", "/x"),
        ("/a/b", 1, "/x", "/x/a/b"),
        ("/", 1, "/x", "/x"),
        ("/?q", 1, "/x/y", "/x/y?q"),
        // No prefix matched: the replacement comes before the path.
        ("/a", 0, "/x", "/x/a"),
        // More than there is, and a replacement that lacks its slash, are mended.
        ("/a", 99, "/x", "/x"),
        ("/api/x", 4, "v2", "/v2/x"),
        ("/api/x", 4, "", "/api/x"),
    ]

@Test(arguments: prefixes)
func prefixOfThePathIsReplaced(
    _ target: String, _ prefix: Int, _ replacement: StaticString, _ written: String
) {
    for target in [target, "http://b.example" + target] {
        let bytes = latin1("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
        let output = RequestBench().rewrite(bytes) {
            $0.path = PathRewrite(matchedByteCount: prefix, replacement: wire(replacement))
        }
        let message = output.flatMap { StrictMessage($0) }
        #expect(message?.startLine == ["GET", written, "HTTP/1.1"])
    }
}

@Test(arguments: [
    ("GET http://b.example", "/x"), ("GET http://b.example?q", "/x?q"),
    ("OPTIONS *", "*"), ("OPTIONS http://b.example", "*"), ("OPTIONS http://b.example/", "/x"),
    ("OPTIONS /", "/x"),
])
func targetsWithoutAPathAreRewrittenAsTheRoot(_ line: String, _ written: String) {
    let output = RequestBench().rewrite(latin1("\(line) HTTP/1.1\r\nHost: a\r\n\r\n")) {
        $0.path = PathRewrite(matchedByteCount: 1, replacement: wire("/x"))
    }
    #expect(output.flatMap { StrictMessage($0) }?.startLine[1] == written)
}

@Test func theOneFormOfThePathIsRewritten() throws {
    var head = RequestHead()
    var progress = HeadProgress()
    let bytes = latin1("GET /a/../%61pi/./x?q HTTP/1.1\r\nHost: a.example\r\n\r\n")
    var output = [UInt8](repeating: 0, count: 1024)
    let written = bytes.withUnsafeBytes { buffer -> Int? in
        guard case .complete = head.parse(buffer, progress: &progress),
            head.applyPathPolicy(PathPolicy(), in: buffer) == nil
        else { return nil }
        var rewrite = RequestRewrite(
            clientAddress: wire("192.0.2.7"), scheme: .http, fallbackHost: wire("b"))
        rewrite.path = PathRewrite(matchedByteCount: 4, replacement: wire("/v2"))
        return output.withUnsafeMutableBytes {
            head.writeUpstreamHead(from: buffer, rewrite: rewrite, into: $0)
        }
    }
    let count = try #require(written)
    #expect(StrictMessage(Array(output[..<count]))?.startLine[1] == "/v2/x?q")
}

/// A redirect as the configuration has it.
private struct Redirect {
    var scheme: URIScheme?
    var host: StaticString = ""
    var port: UInt16?
    var path: StaticString = ""
    var prefix: (Int, StaticString) = (0, "")
    var fallback: StaticString = "192.0.2.1"
}

private func location(
    _ bytes: [UInt8], _ redirect: Redirect, clientScheme: URIScheme = .http,
    missingByteCount: Int = 0
) -> String? {
    guard
        let target = RedirectTarget(
            scheme: redirect.scheme, host: wire(redirect.host), port: redirect.port,
            path: wire(redirect.path))
    else { return nil }
    let bench = RequestBench()
    let rewrite = PathRewrite(
        matchedByteCount: redirect.prefix.0, replacement: wire(redirect.prefix.1))
    var progress = HeadProgress()
    return bench.memory.with(bytes) { buffer in
        guard case .complete = bench.head.parse(buffer, progress: &progress),
            bench.head.applyPathPolicy(PathPolicy(), in: buffer) == nil
        else { return nil }
        let byteCount = bench.head.locationByteCountMax(
            target, fallbackHost: wire(redirect.fallback), rewrite: rewrite)
        var output = [UInt8](repeating: 0, count: byteCount - missingByteCount)
        let written = output.withUnsafeMutableBytes {
            bench.head.writeLocation(
                from: buffer, redirect: target, clientScheme: clientScheme,
                fallbackHost: wire(redirect.fallback), rewrite: rewrite, into: $0)
        }
        return written.map { String(decoding: output[..<$0], as: UTF8.self) }
    }
}

private let redirects: [(target: String, host: String, redirect: Redirect, uri: String)] = [
    ("/a?b", "a.example", Redirect(scheme: .https), "https://a.example/a?b"),
    ("/a", "a.example:8080", Redirect(scheme: .https), "https://a.example/a"),
    ("/a", "a.example:8080", Redirect(), "http://a.example:8080/a"),
    ("/a", "a.example:80", Redirect(), "http://a.example/a"),
    ("/a", "a.example:443", Redirect(), "http://a.example:443/a"),
    ("/a", "a.example", Redirect(scheme: .https, port: 8443), "https://a.example:8443/a"),
    ("/a", "a.example", Redirect(scheme: .https, port: 443), "https://a.example/a"),
    ("/a", "a.example:8080", Redirect(port: 80), "http://a.example/a"),
    ("/a", "a.example.", Redirect(scheme: .https), "https://a.example/a"),
    ("/a", "[2001:db8::1]:81", Redirect(), "http://[2001:db8::1]:81/a"),
    ("/a", "a", Redirect(host: "2001:db8::2", port: 81), "http://[2001:db8::2]:81/a"),
    ("/a", "a", Redirect(host: "[2001:db8::2]"), "http://[2001:db8::2]/a"),
    ("/a?b=c", "a", Redirect(host: "b.example"), "http://b.example/a?b=c"),
    ("/a?b=c", "a", Redirect(path: "/new"), "http://a/new?b=c"),
    ("/api/x?b", "a", Redirect(prefix: (4, "/v2")), "http://a/v2/x?b"),
    ("/api/x?b", "a", Redirect(path: "/", prefix: (4, "/v2")), "http://a/?b"),
    ("/x/../a", "a", Redirect(), "http://a/a"),
    // An absolute URI keeps a path that looks like a host a path.
    ("//evil.example/x", "a", Redirect(), "http://a//evil.example/x"),
    ("//evil.example/x", "a", Redirect(prefix: (1, "/")), "http://a/evil.example/x"),
    ("/%0d%0aA:%20b", "a", Redirect(), "http://a/%0D%0AA:%20b"),
    ("http://b.example:81/a", "a", Redirect(), "http://b.example:81/a"),
    ("http://b.example", "a", Redirect(scheme: .https), "https://b.example/"),
    ("http://b.example?c", "a", Redirect(scheme: .https), "https://b.example/?c"),
]

@Test(arguments: redirects)
private func redirectLeadsTo(_ target: String, _ host: String, _ redirect: Redirect, _ uri: String)
{
    let bytes = latin1("GET \(target) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
    #expect(location(bytes, redirect) == uri)
    #expect(location(bytes, redirect, missingByteCount: 1) == nil)
}

@Test func redirectOfAClientThatCameWithTLS() {
    let bytes = latin1("GET /a HTTP/1.1\r\nHost: a.example:8443\r\n\r\n")
    #expect(
        location(bytes, Redirect(host: "b"), clientScheme: .https) == "https://b:8443/a")
    #expect(location(bytes, Redirect(scheme: .http), clientScheme: .https) == "http://a.example/a")
}

@Test func redirectWithoutAnyHostIsNone() {
    let bytes = latin1("GET /a HTTP/1.0\r\n\r\n")
    #expect(location(bytes, Redirect()) == "http://192.0.2.1/a")
    #expect(location(bytes, Redirect(fallback: "2001:db8::9")) == "http://[2001:db8::9]/a")
    #expect(location(bytes, Redirect(fallback: "")) == nil)
    #expect(location(bytes, Redirect(host: "b", fallback: "")) == "http://b/a")
    #expect(location(latin1("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), Redirect()) == "http://a/")
}

@Test(arguments: [
    ("a b", ""), ("a\r\n", ""), ("a/b", ""), ("a@b", ""), ("a?b", ""), ("a#b", ""), ("", "a"),
    ("", "/a b"), ("", "/a\r\nA: b"), ("", "/a?b"), ("", "/a#b"), ("", "/\"<>"), ("", "/a\\b"),
    ("", "/\u{7F}"),
])
func redirectPartsThatCouldBreakOutAreRefused(_ host: String, _ path: String) {
    let host = latin1(host)
    let path = latin1(path)
    host.withUnsafeBytes { host in
        path.withUnsafeBytes { path in
            #expect(RedirectTarget(scheme: nil, host: host, port: nil, path: path) == nil)
        }
    }
}

@Test func locationsOfMutatedRequestsAreOneLine() {
    let (random, replay) = FuzzSettings.generator(for: "locationsOfMutatedRequestsAreOneLine")
    var mutator = MessageMutator(
        corpus: redirects.map { latin1("GET \($0.target) HTTP/1.1\r\nHost: \($0.host)\r\n\r\n") },
        tokens: headTokens, random: random)
    var count = 0
    for index in 0..<(FuzzSettings.caseCount / 4) {
        let bytes = mutator.next()
        let redirect = redirects[mutator.below(redirects.count)].redirect
        guard let uri = location(bytes, redirect) else { continue }
        count += 1
        let isSafe =
            uri.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 }
            && !uri.utf8.prefix { $0 != 0x3F }.contains(0x5C)
            && (uri.hasPrefix("http://") || uri.hasPrefix("https://"))
        // The authority is a host: no user information in front of another one.
        let authority = uri.split(separator: "/", omittingEmptySubsequences: false)[2]
        guard isSafe, !authority.isEmpty, !authority.contains("@"), !authority.contains("?") else {
            Issue.record("case \(index): \(uri) for \(bytes). \(replay)")
            return
        }
    }
    #expect(count > FuzzSettings.caseCount / 100, replay)
}
