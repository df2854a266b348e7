// SPDX-License-Identifier: Apache-2.0
//
// Single cookies: finding them by name in requests and responses, and sending a request on without
// one, against guard pages.

import HTTPCore
import Testing

@Suite struct CookieTests {
    private static func values(_ lines: [String], named name: String) -> [String] {
        var head = RequestHead()
        var progress = HeadProgress()
        let text = "GET / HTTP/1.1\r\nHost: a\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
        return GuardedBytes(capacity: 4_096).with(latin1(text)) { buffer in
            guard case .complete = head.parse(buffer, progress: &progress) else { return ["?"] }
            return GuardedBytes(capacity: 4_096).with(latin1(name)) { name in
                var cursor = CookieCursor()
                var found: [String] = []
                while let value = head.nextCookie(named: name, in: buffer, &cursor) {
                    found.append(String(decoding: value, as: UTF8.self))
                }
                return found
            }
        }
    }

    @Test(arguments: [
        (["Cookie: a=1"], ["1"]),
        (["Cookie: a=1; b=2; a=3"], ["1", "3"]),
        (["Cookie: b=2", "X: a=9", "cookie:a=1;a=2"], ["1", "2"]),
        (["Cookie: a=\"x y\"; a=\"; a=\"\""], ["x y", "\"", ""]),
        (["Cookie:   a = 1 ;;; ; a"], ["1"]),
        (["Cookie: aa=1; A=2; =3; a=b=c"], ["b=c"]),
        (["Cookie: "], []), (["Cookie: ;"], []), ([], []),
    ])
    func cookiesAreFoundInOrder(lines: [String], expected: [String]) {
        #expect(Self.values(lines, named: "a") == expected)
    }

    private static func rewritten(_ lines: [String], hiding name: String) -> [String] {
        var head = RequestHead()
        var progress = HeadProgress()
        let text = "GET / HTTP/1.1\r\nHost: a\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
        let address = latin1("10.0.0.1")
        return GuardedBytes(capacity: 8_192).with(latin1(text)) { buffer in
            guard case .complete = head.parse(buffer, progress: &progress) else { return ["?"] }
            return address.withUnsafeBytes { address in
                latin1(name).withUnsafeBytes { name in
                    var rewrite = RequestRewrite(
                        clientAddress: address, scheme: .http, fallbackHost: address)
                    rewrite.hiddenCookie = name
                    var output = [UInt8](
                        repeating: 0, count: head.upstreamHeadByteCountMax(rewrite))
                    let count = output.withUnsafeMutableBytes {
                        head.writeUpstreamHead(from: buffer, rewrite: rewrite, into: $0) ?? 0
                    }
                    return String(decoding: output[..<count], as: UTF8.self)
                        .split(separator: "\r\n").map(String.init)
                        .filter { $0.lowercased().hasPrefix("cookie") }
                }
            }
        }
    }

    @Test(arguments: [
        (["Cookie: a=1"], []),
        (["Cookie: a=1; b=2"], ["Cookie: b=2"]),
        (["Cookie: b=2; a=1; c=3;a=4"], ["Cookie: b=2; c=3"]),
        (["cookie:b=2;c=3"], ["Cookie: b=2;c=3"]),
        (["Cookie: b=2", "Cookie: a=1", "Cookie: c"], ["Cookie: b=2", "Cookie: c"]),
        (["Cookie: aa=1;  A=2"], ["Cookie: aa=1; A=2"]),
        (["Cookie: ;;a=1;;"], []),
    ])
    func theOthersGoOnWithoutTheHiddenOne(lines: [String], expected: [String]) {
        #expect(Self.rewritten(lines, hiding: "a") == expected)
    }

    @Test func manyShortLinesFitTheRoomThatIsAsked() {
        let lines = (0..<90).map { _ in "Cookie:b" }
        #expect(Self.rewritten(lines, hiding: "a").count == 90)
    }

    @Test(arguments: [
        ("Set-Cookie: a=1; Path=/", "1"), ("Set-Cookie: a=1\r\nSet-Cookie: a=2", "2"),
        ("Set-Cookie: a=\"x\"; HttpOnly", "x"), ("Set-Cookie: a=; Max-Age=0", nil),
        ("Set-Cookie: b=1", nil), ("Set-Cookie: a", nil), ("Set-Cookie: b; a=1", nil),
        ("X-Set-Cookie: a=1", nil), ("set-cookie:a=1;a=2", "1"),
    ])
    func theCookieOfAResponseIsFound(line: String, expected: String?) {
        var head = ResponseHead()
        var progress = HeadProgress()
        let text = "HTTP/1.1 200 OK\r\n\(line)\r\nContent-Length: 0\r\n\r\n"
        let found = GuardedBytes(capacity: 4_096).with(latin1(text)) { buffer -> String? in
            guard case .complete = head.parse(buffer, answering: .get, progress: &progress) else {
                return "?"
            }
            return latin1("a").withUnsafeBytes { name in
                head.cookieSet(named: name, in: buffer).map { String(decoding: $0, as: UTF8.self) }
            }
        }
        #expect(found == expected)
    }

    @Test func aCookieOfOurOwnIsAddedToAFinalResponse() {
        var head = ResponseHead()
        var progress = HeadProgress()
        let value = latin1("tandem=abc; Path=/")
        for (status, isExpected) in [("200 OK", true), ("103 Early Hints", false)] {
            progress = HeadProgress()
            let text = "HTTP/1.1 \(status)\r\nSet-Cookie: a=1\r\n\r\n"
            let written = GuardedBytes(capacity: 4_096).with(latin1(text)) { buffer -> String in
                guard case .complete = head.parse(buffer, answering: .get, progress: &progress)
                else { return "?" }
                return value.withUnsafeBytes { value in
                    var rewrite = ResponseRewrite(clientMinorVersion: 1, keepsAlive: true)
                    rewrite.setCookie = value
                    var output = [UInt8](
                        repeating: 0, count: head.clientHeadByteCountMax(rewrite))
                    let count = output.withUnsafeMutableBytes {
                        head.writeClientHead(from: buffer, rewrite: rewrite, into: $0) ?? 0
                    }
                    return String(decoding: output[..<count], as: UTF8.self)
                }
            }
            #expect(written.contains("\r\nSet-Cookie: a=1\r\n"))
            #expect(written.contains("\r\nSet-Cookie: tandem=abc; Path=/\r\n") == isExpected)
        }
    }
}
