// SPDX-License-Identifier: Apache-2.0
//
// What a router asks beyond host and path: methods, fields, query parameters and cookies.

import HTTPCore
import Testing

/// Parses a request against the guard page and asks with a name and a value.
private func ask(
    _ text: String, _ name: String, _ value: String?,
    _ question: (
        borrowing RequestHead, UnsafeRawBufferPointer, UnsafeRawBufferPointer?,
        UnsafeRawBufferPointer
    ) -> Bool
) -> Bool {
    var head = RequestHead()
    var progress = HeadProgress()
    return GuardedBytes(capacity: 4096).with(latin1(text)) { buffer in
        guard case .complete = head.parse(buffer, progress: &progress) else {
            Issue.record("not a request: \(text)")
            return false
        }
        // Patterns lie against guard pages as well.
        return GuardedBytes(capacity: 4096).with(latin1(name)) { name in
            guard let value else { return question(head, name, nil, buffer) }
            return GuardedBytes(capacity: 4096).with(latin1(value)) {
                question(head, name, $0, buffer)
            }
        }
    }
}

@Test(arguments: [
    ("GET", "GET", true), ("GET", "get", false), ("GET", "GE", false), ("GET", "GETS", false),
    ("PROPFIND", "PROPFIND", true), ("PROPFIND", "PROPPATCH", false),
    ("M-SEARCHALL", "M-SEARCHALM", false), ("GET", "", false),
])
func methodsCompareByteForByte(_ method: String, _ name: String, _ expected: Bool) {
    let text = "\(method) / HTTP/1.1\r\nHost: a\r\n\r\n"
    #expect(ask(text, name, nil) { $0.methodEquals($1, in: $3) } == expected)
}

@Test(arguments: [
    ("/api", "/api", true), ("/api/", "/api", false), ("/ap", "/api", false),
    ("/API", "/api", false), ("/api?x", "/api", true),
    (
        "/longer/than/eight", "/longer/than/eighT",
        false
    ), ("/longer/than/eight", "/longer/than/eight", true),
])
func pathsCompareByteForByte(_ target: String, _ path: String, _ expected: Bool) {
    let text = "GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n"
    #expect(ask(text, path, nil) { $0.pathEquals($1, in: $3) } == expected)
}

private let fieldCases: [(fields: String, name: String, value: String?, expected: Bool)] = [
    ("X-Canary: true\r\n", "x-canary", "true", true),
    ("X-Canary: true\r\n", "x-canary", nil, true),
    ("x-CANARY:true\r\n", "x-canary", "true", true),
    ("X-Canary: \t true \r\n", "x-canary", "true", true),
    ("X-Canary: True\r\n", "x-canary", "true", false),
    ("X-Canary: true, false\r\n", "x-canary", "true", false),
    ("X-Canary: false\r\nX-Canary: true\r\n", "x-canary", "true", true),
    ("X-Canary: false\r\nX-Canary: no\r\n", "x-canary", "true", false),
    ("X-Canary:\r\n", "x-canary", "", true),
    ("X-Canary:\r\n", "x-canary", nil, true),
    ("X-Canary: a\r\n", "x-canary", "", false),
    ("X-Canarz: true\r\n", "x-canary", "true", false),
    ("X-Canar: true\r\n", "x-canary", nil, false),
    ("", "x-canary", nil, false),
    ("User-Agent: curl/8\r\n", "user-agent", "curl/8", true),
    ("USER-AGENT: curl/8\r\n", "user-agent", nil, true),
    ("User-Agent: curl/8\r\n", "user-agent", "curl/9", false),
    ("Accept: a\r\nAccept: b\r\n", "accept", "b", true),
    ("Accept: a\r\n", "user-agent", nil, false),
    ("", "host", "a.example", true),
    ("X-Long: 0123456789abcdef\r\n", "x-long", "0123456789abcdef", true),
    ("X-Long: 0123456789abcdef\r\n", "x-long", "0123456789abcdeg", false),
]

@Test(arguments: fieldCases)
func fieldConditionHoldsForAnyLineOfTheName(
    _ fields: String, _ name: String, _ value: String?, _ expected: Bool
) {
    let text = "GET / HTTP/1.1\r\nHost: a.example\r\n\(fields)\r\n"
    let answer = ask(text, name, value) {
        $0.satisfies(FieldCondition(name: $1, value: $2), in: $3)
    }
    #expect(answer == expected)
}

private let queryCases: [(target: String, name: String, value: String?, expected: Bool)] = [
    ("/?a=b", "a", "b", true),
    ("/?a=b", "a", nil, true),
    ("/?x=y&a=b&z", "a", "b", true),
    ("/?a=c&a=b", "a", "b", true),
    ("/?a=bc", "a", "b", false),
    ("/?a=b", "a", "bc", false),
    ("/?aa=b", "a", nil, false),
    ("/?A=b", "a", nil, false),
    ("/?a", "a", "", true),
    ("/?a=", "a", "", true),
    ("/?a", "a", nil, true),
    ("/?a=b=c", "a", "b=c", true),
    ("/?%61=%62", "a", "b", true),
    ("/?%61%3D=b", "a=", "b", true),
    ("/?a=b+c", "a", "b c", true),
    ("/?a=b%20c", "a", "b c", true),
    ("/?a=b%2Bc", "a", "b+c", true),
    ("/?a=b+c", "a", "b+c", false),
    ("/?a=%c3%A4", "a", "\u{C3}\u{A4}", true),
    // WHATWG URL: a percent sign that begins no escape stands for itself.
    ("/?a=100%", "a", "100%", true),
    ("/?a=%zz", "a", "%zz", true),
    ("/?a=%2", "a", "%2", true),
    ("/?a=%00", "a", "\0", true),
    ("/?a=b;c=d", "c", nil, false),
    ("/?&&a=b&", "a", "b", true),
    ("/?=b", "", "b", true),
    ("/?&", "", nil, false),
    ("/?", "", nil, false),
    ("/", "a", nil, false),
    ("/?b?a=c", "b?a", "c", true),
    ("http://b?a=b", "a", "b", true),
]

@Test(arguments: queryCases)
func queryConditionIsDecodedAsFormsAre(
    _ target: String, _ name: String, _ value: String?, _ expected: Bool
) {
    let text = "GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n"
    let answer = ask(text, name, value) {
        $0.satisfies(QueryCondition(name: $1, value: $2), in: $3)
    }
    #expect(answer == expected)
}

private let cookieCases: [(fields: String, name: String, value: String?, expected: Bool)] = [
    // RFC 6265 §4.2.1.
    ("Cookie: a=b\r\n", "a", "b", true),
    ("Cookie: a=b\r\n", "a", nil, true),
    ("Cookie: x=y; a=b; z=1\r\n", "a", "b", true),
    ("Cookie: x=y;a=b\r\n", "a", "b", true),
    ("Cookie: x=y; \t a = b ;\r\n", "a", "b", true),
    ("Cookie: a=c; a=b\r\n", "a", "b", true),
    ("Cookie: x=y\r\nCookie: a=b\r\n", "a", "b", true),
    ("Cookie: A=b\r\n", "a", nil, false),
    ("Cookie: a=B\r\n", "a", "b", false),
    ("Cookie: aa=b\r\n", "a", nil, false),
    ("Cookie: xa=b\r\n", "a", nil, false),
    ("Cookie: x=a=b\r\n", "a", nil, false),
    ("Cookie: a=b=c\r\n", "a", "b=c", true),
    ("Cookie: a=\r\n", "a", "", true),
    ("Cookie: a\r\n", "a", nil, false),
    ("Cookie: a; =b\r\n", "a", nil, false),
    ("Cookie: a=\"b\"\r\n", "a", "b", true),
    ("Cookie: a=\"b\"\r\n", "a", "\"b\"", true),
    ("Cookie: a=\"b\r\n", "a", "b", false),
    ("Cookie: a=\"\r\n", "a", "", false),
    ("Cookie: a=\"\"\r\n", "a", "", true),
    ("Cookie: a=%62\r\n", "a", "b", false),
    ("Cookie: x=y, a=b\r\n", "a", nil, false),
    ("X-Cookie: a=b\r\n", "a", nil, false),
    ("Cookie:\r\n", "a", nil, false),
    ("Cookie: ;;;\r\n", "a", nil, false),
]

@Test(arguments: cookieCases)
func cookieConditionReadsPairsOfAllLines(
    _ fields: String, _ name: String, _ value: String?, _ expected: Bool
) {
    let text = "GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"
    let answer = ask(text, name, value) {
        $0.satisfies(CookieCondition(name: $1, value: $2), in: $3)
    }
    #expect(answer == expected)
}

@Test(arguments: [
    ("GET /%61pi/x", "/api", true), ("GET /x/../api", "/api", true),
    ("GET /api/../x", "/api", false), ("GET /api%2Fx", "/api", false),
    ("GET http://b/./api", "/api", true),
])
func prefixesAreMatchedOnTheOneFormOfThePath(
    _ line: String, _ prefix: String, _ expected: Bool
) {
    var head = RequestHead()
    var progress = HeadProgress()
    latin1("\(line) HTTP/1.1\r\nHost: a\r\n\r\n").withUnsafeBytes { buffer in
        _ = head.parse(buffer, progress: &progress)
        let fault = head.applyPathPolicy(PathPolicy(), in: buffer)
        #expect(fault == nil)
        latin1(prefix).withUnsafeBytes {
            #expect(head.pathHasSegmentPrefix($0, in: buffer) == expected)
        }
    }
}
