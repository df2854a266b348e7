// SPDX-License-Identifier: Apache-2.0
//
// The one form of a path: what each policy makes of it, that it is a fixed point, and that the
// router and the backend get the same.

import HTTPCore
import Testing
import WireCore

private let paths: [(policy: String, path: String, result: PathResult)] = [
    ("", "/", .path("/")),
    ("", "/a/b.c/.d/..e/...", .path("/a/b.c/.d/..e/...")),
    // RFC 3986 §6.2.2.2: unreserved; §6.2.2.1: capitals.
    ("", "/%61pi", .path("/api")),
    ("", "/%41%5a%7A%30%39%2d%2E%5f%7e", .path("/AZz09-._~")),
    ("", "/%c3%a9%20%3a%25%3F%23", .path("/%C3%A9%20%3A%25%3F%23")),
    ("", "/%252e%252e/%2561", .path("/%252e%252e/%2561")),
    ("", "/%25%32%65", .path("/%252e")),
    // RFC 3986 §5.2.4.
    ("", "/a/b/c/./../../g", .path("/a/g")),
    ("", "/mid/content=5/../6", .path("/mid/6")),
    ("", "/a/.", .path("/a/")),
    ("", "/a/..", .path("/")),
    ("", "/a/b/..", .path("/a/")),
    ("", "/./a", .path("/a")),
    ("", "/.", .path("/")),
    ("", "/a/../b/../c", .path("/c")),
    ("", "/a/%2e%2E/b", .path("/b")),
    ("", "/a/.%2e/b/%2e", .path("/b/")),
    ("", "/a//../b", .path("/a/b")),
    ("", "/a/..//b", .path("//b")),
    ("", "//..", .path("/")),
    ("", "/..", .refused(.dotSegment)),
    ("", "/a/../..", .refused(.dotSegment)),
    ("", "/a/%2e%2e/%2e%2e/b", .refused(.dotSegment)),
    // A dot segment with parameters is one for some servers, and its `;` may be encoded.
    ("", "/a/..;x=1/b", .refused(.dotSegment)),
    ("", "/a/.;/b", .refused(.dotSegment)),
    ("", "/a/..;", .refused(.dotSegment)),
    ("", "/a/%2e.;/b", .refused(.dotSegment)),
    ("", "/a/..%3Bx/b", .refused(.dotSegment)),
    ("", "/a/...;x/b;/;..", .path("/a/...;x/b;/;..")),
    // Encoded slashes stay; where decoding would make a dot segment, readers would differ.
    ("", "/a%2fb%5cc", .path("/a%2Fb%5Cc")),
    ("", "/a%2Fb/../c", .path("/c")),
    ("", "/a/..%2fb", .refused(.dotSegment)),
    ("", "/a%2F..", .refused(.dotSegment)),
    ("", "/a%2F%2e%2e", .refused(.dotSegment)),
    ("", "/a%5c..%5Cb", .refused(.dotSegment)),
    ("", "/a%2F.%2Fb", .refused(.dotSegment)),
    ("", "/a%2F..;x", .refused(.dotSegment)),
    ("", "/a%2F..b/c..%2F", .path("/a%2F..b/c..%2F")),
    ("", "/a//b///", .path("/a//b///")),
    // What no policy may let in.
    ("", "/a\\b", .refused(.invalidTarget)),
    ("", "/%00", .refused(.invalidPercentEncoding)),
    ("", "/%", .refused(.invalidPercentEncoding)),
    ("", "/%2", .refused(.invalidPercentEncoding)),
    ("", "/%zz", .refused(.invalidPercentEncoding)),
    ("", "a", .refused(.invalidTarget)),
    ("", "", .refused(.invalidTarget)),

    ("reject-dots", "/a/./b", .refused(.dotSegment)),
    ("reject-dots", "/a/%2e%2e/b", .refused(.dotSegment)),
    ("reject-dots", "/a/..;x", .refused(.dotSegment)),
    ("reject-dots", "/a/...%61", .path("/a/...a")),
    ("keep-dots", "/../a/./%2e%2e/b/.", .path("/../a/./../b/.")),
    ("keep-dots", "/a/..;x/b", .path("/a/..;x/b")),
    ("keep-dots", "/a/..%2fb", .refused(.dotSegment)),

    ("reject-slashes", "/a%2fb", .refused(.encodedSlash)),
    ("reject-slashes", "/a%5Cb", .refused(.encodedSlash)),
    ("reject-slashes", "/a/../b", .path("/b")),
    ("decode-slashes", "/a%2fb", .path("/a/b")),
    ("decode-slashes", "/a%2F..%2fb", .path("/b")),
    ("decode-slashes", "/a/..%2f", .path("/")),
    ("decode-slashes", "/%2F", .path("//")),
    ("decode-slashes", "/a%252fb", .path("/a%252fb")),
    ("decode-slashes", "/a%5cb", .refused(.encodedSlash)),
    ("decode-slashes", "/%2e%2e%2fa", .refused(.dotSegment)),
    ("decode-slashes reject-dots", "/a%2F..%2fb", .refused(.dotSegment)),
    ("decode-slashes keep-dots", "/a%2F..%2fb", .path("/a/../b")),

    ("merge", "//a///b//", .path("/a/b/")),
    ("merge", "//", .path("/")),
    ("merge", "/a//../b", .path("/b")),
    ("merge", "//..", .refused(.dotSegment)),
    ("merge", "/a/.//b", .path("/a/b")),
    ("merge", "/a//.", .path("/a/")),
    ("merge decode-slashes", "/a%2f%2f/b", .path("/a/b")),
    ("merge keep-dots", "/a//..//b", .path("/a/../b")),
]

@Test(arguments: paths)
func pathGetsItsOneForm(_ text: String, _ path: String, _ result: PathResult) {
    let memory = GuardedBytes(capacity: 4096)
    #expect(canonical(path, policy(text), memory) == result, "\(text) \(path)")
    // The second implementation is worth something only if it agrees here.
    let plain = plainCanonical(path, policy(text))
    if let plain { #expect(result == .path(plain)) }
    #expect((plain != nil) == result.isPath, "\(text) \(path)")
}

extension PathResult {
    var isPath: Bool {
        if case .path = self { true } else { false }
    }
}

@Test func outputWithoutRoomIsRefused() {
    let path = latin1("/abc")
    path.withUnsafeBytes { bytes in
        var small = [UInt8](repeating: 0xAA, count: 3)
        let outcome = small.withUnsafeMutableBytes {
            PathPolicy().writeCanonical(bytes, into: $0)
        }
        #expect(outcome == .refused(.invalidTarget))
        #expect(small == [0xAA, 0xAA, 0xAA])
    }
}

private let pathPieces = [
    "/", "/", ".", "..", ";", "%2e", "%2E", "%2f", "%2F", "%5c", "%3b", "%61", "%25", "%252e", "a",
    "b", "//", "/../", "/./", "%c3%a9", "..;", "~", "%7e", "=", "\\", "%", "%0", "%00", "{", "|",
]

@Test func mutatedPathsHaveOneFormThatIsAFixedPoint() {
    var (random, replay) = FuzzSettings.generator(for: "mutatedPathsHaveOneFormThatIsAFixedPoint")
    let memory = GuardedBytes(capacity: 4096)
    var acceptedCount = 0
    for _ in 0..<FuzzSettings.caseCount {
        var path = "/"
        for _ in 0..<Int.random(in: 0..<9, using: &random) {
            path += pathPieces[Int.random(in: 0..<pathPieces.count, using: &random)]
        }
        let choice = everyPathPolicy[Int.random(in: 0..<everyPathPolicy.count, using: &random)]
        let result = canonical(path, choice, memory)
        let plain = plainCanonical(path, choice)
        switch result {
        case .refused:
            #expect(plain == nil, "\(choice) \(path): \(replay)")
        case .path(let form):
            acceptedCount += 1
            #expect(plain == form, "\(choice) \(path): \(replay)")
            #expect(canonical(form, choice, memory) == result, "\(choice) \(path): \(replay)")
            #expect(ambiguity(form, choice) == nil, "\(choice) \(path): \(replay)")
        }
    }
    #expect(acceptedCount > FuzzSettings.caseCount / 20, replay)
}

/// What a strict reader dislikes about a path that we would send; `nil` when nothing.
private func ambiguity(_ path: String, _ policy: PathPolicy) -> String? {
    guard path.first == "/" else { return "does not begin with a slash" }
    if policy.mergesSlashes, path.contains("//") { return "empty segment" }
    if policy.encodedSlashes != .keep, path.contains("%2F") || path.contains("%5C") {
        return "encoded slash"
    }
    for escape in path.matches(of: /%(..)/) where escape.1 != escape.1.uppercased() {
        return "small escape"
    }
    guard policy.dotSegments != .keep else { return nil }
    // However it is split and decoded once more, there is no dot segment.
    let parts = path.replacing("%2F", with: "/").replacing("%5C", with: "/")
        .replacing("%3B", with: ";").split(separator: "/")
    for part in parts where [".", ".."].contains(part.prefix { $0 != ";" }) {
        return "dot segment \(part)"
    }
    return nil
}

// MARK: In a request

/// The fault, or the canonical path and the upstream's request line.
private func route(_ line: String, _ policy: PathPolicy = PathPolicy()) -> [String]? {
    var head = RequestHead()
    var progress = HeadProgress()
    let bytes = latin1("\(line) HTTP/1.1\r\nHost: a.example\r\n\r\n")
    return GuardedBytes(capacity: 4096).with(bytes) { buffer in
        guard case .complete = head.parse(buffer, progress: &progress),
            head.applyPathPolicy(policy, in: buffer) == nil
        else { return nil }
        let rewrite = RequestRewrite(clientAddress: buffer, scheme: .http, fallbackHost: buffer)
        var output = [UInt8](repeating: 0, count: head.upstreamHeadByteCountMax(rewrite))
        let count = output.withUnsafeMutableBytes {
            head.writeUpstreamHead(from: buffer, rewrite: rewrite, into: $0)
        }
        let path = head.canonicalPath(in: buffer)
        let sent = output[..<(count ?? 0)].prefix { $0 != 0x0D }
        return [String(decoding: path, as: UTF8.self), String(decoding: sent, as: UTF8.self)]
    }
}

@Test(arguments: [
    ("GET /a/b?c", "/a/b", "GET /a/b?c"),
    ("GET /%61pi/../b?%61/../c", "/b", "GET /b?%61/../c"),
    ("GET /.well-known/x", "/.well-known/x", "GET /.well-known/x"),
    ("GET http://b/a/./c?d", "/a/c", "GET /a/c?d"),
    ("GET http://b", "/", "GET /"),
    ("GET http://b?c", "/", "GET /?c"),
    ("OPTIONS http://b", "/", "OPTIONS *"),
    ("OPTIONS *", "", "OPTIONS *"),
    ("OPTIONS http://b/a/..", "/", "OPTIONS /"),
])
func routerAndBackendGetTheSamePath(_ line: String, _ path: String, _ sent: String) {
    #expect(route(line) == [path, sent + " HTTP/1.1"])
}

@Test(arguments: ["GET /..", "GET http://b/../a", "GET /a/..;/b", "GET /a/..%2fb"])
func refusedPathIsAFault(_ line: String) {
    #expect(route(line) == nil)
}

@Test func mergingLooksAtPathsThatAreOtherwisePlain() {
    #expect(route("GET /a//b")?.first == "/a//b")
    #expect(route("GET /a//b", policy("merge"))?.first == "/a/b")
    #expect(route("GET //", policy("merge"))?.first == "/")
    #expect(route("GET /a/b", policy("merge"))?.first == "/a/b")
}

@Test func pathOfOneRequestDoesNotLeakIntoTheNext() {
    var head = RequestHead()
    for (line, path, isRewritten) in [
        ("/a/../b", "/b", true), ("/c", "/c", false), ("/%61", "/a", true), ("/%61", "/a", true),
    ] {
        var progress = HeadProgress()
        latin1("GET \(line) HTTP/1.1\r\nHost: a\r\n\r\n").withUnsafeBytes { buffer in
            _ = head.parse(buffer, progress: &progress)
            #expect(head.pathIsRewritten == false)
            for _ in 0..<2 {
                let fault = head.applyPathPolicy(PathPolicy(), in: buffer)
                #expect(fault == nil, "twice is once")
            }
            #expect(String(decoding: head.canonicalPath(in: buffer), as: UTF8.self) == path)
            #expect(head.pathIsRewritten == isRewritten)
        }
    }
}

@Test func longestTargetFitsTheScratch() {
    for targetByteCount in [256, 8192, 32 * 1024] {
        var limits = HeadLimits()
        limits.targetByteCountMax = targetByteCount
        var head = RequestHead(limits: limits)
        var progress = HeadProgress()
        let path = "/%C3" + String(repeating: "x", count: targetByteCount - 4)
        let bytes = latin1("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
        GuardedBytes(capacity: 64 * 1024).with(bytes) { buffer in
            let outcome = head.parse(buffer, progress: &progress)
            #expect(outcome == .complete(headByteCount: bytes.count))
            let fault = head.applyPathPolicy(PathPolicy(), in: buffer)
            #expect(fault == nil)
            #expect(head.canonicalPath(in: buffer).count == targetByteCount)
        }
    }
}
