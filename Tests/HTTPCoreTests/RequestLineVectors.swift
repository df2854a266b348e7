// SPDX-License-Identifier: Apache-2.0
//
// Request lines, hosts and connection fields that must be refused.

import HTTPCore

private func line(_ rule: String, _ line: String, _ fault: MessageFault) -> RefusedRequest {
    RefusedRequest(rule, line + "\r\nHost: a.example\r\n\r\n", fault)
}

private func host(_ rule: String, _ value: String, _ fault: MessageFault = .invalidHost)
    -> RefusedRequest
{
    RefusedRequest(rule, "GET / HTTP/1.1\r\nHost: \(value)\r\n\r\n", fault)
}

let requestLineVectors: [RefusedRequest] = [
    line("9112 §3: no version", "GET /", .malformedStartLine),
    line("9112 §3: two spaces before the target", "GET  / HTTP/1.1", .invalidTarget),
    line("9112 §3: two spaces before the version", "GET /  HTTP/1.1", .malformedStartLine),
    line("9112 §3: a tab for a space", "GET\t/ HTTP/1.1", .malformedStartLine),
    line("9112 §3: a tab before the version", "GET /\tHTTP/1.1", .malformedStartLine),
    line("9112 §3: space behind the version", "GET / HTTP/1.1 ", .malformedStartLine),
    line("9112 §3: a word behind the version", "GET / HTTP/1.1 x", .malformedStartLine),
    line("9112 §3: space before the method", " GET / HTTP/1.1", .malformedStartLine),
    line("9112 §3.2: space in the target", "GET /a b HTTP/1.1", .malformedStartLine),
    line("9112 §2.3: lower-case version", "GET / http/1.1", .malformedStartLine),
    line("9112 §2.3: version without a minor", "GET / HTTP/1", .malformedStartLine),
    line("9112 §2.3: two-digit minor", "GET / HTTP/1.10", .malformedStartLine),
    line("9112 §2.3: two-digit major", "GET / HTTP/01.1", .malformedStartLine),
    line("9112 §2.3: another protocol", "GET / ICY/1.1", .malformedStartLine),
    line("9110 §15.6.6: HTTP/1.2", "GET / HTTP/1.2", .unsupportedVersion),
    line("9110 §15.6.6: HTTP/2.0", "GET / HTTP/2.0", .unsupportedVersion),
    line("9110 §15.6.6: HTTP/0.9", "GET / HTTP/0.9", .unsupportedVersion),
    line("9110 §15.6.6: HTTP/9.9", "GET / HTTP/9.9", .unsupportedVersion),
    line("9113 §3.4: the HTTP/2 preface", "PRI * HTTP/2.0", .invalidTarget),
    line("9110 §9.1: slash in the method", "GE/T / HTTP/1.1", .invalidMethod),
    line("9110 §9.1: NUL in the method", "GET\0 / HTTP/1.1", .invalidMethod),
    line("9110 §9.1: colon in the method", "GET: / HTTP/1.1", .invalidMethod),
    line("9110 §9.1: high byte in the method", "G\u{CB}T / HTTP/1.1", .invalidMethod),
    line("9110 §9.1: TLS instead of HTTP", "\u{16}\u{03}\u{01}\u{02}", .invalidMethod),
    line(
        "9112 §3: a very long method", String(repeating: "A", count: 33) + " / HTTP/1.1",
        .methodTooLong),
    line("9112 §3.2: no target", "GET HTTP/1.1", .invalidTarget),
    line("9112 §3.2: relative target", "GET a/b HTTP/1.1", .invalidTarget),
    line("9112 §3.2: NUL in the target", "GET /\0 HTTP/1.1", .invalidTarget),
    line("9112 §3.2: control byte in the target", "GET /\u{01} HTTP/1.1", .invalidTarget),
    line("9112 §3.2: DEL in the target", "GET /\u{7F} HTTP/1.1", .invalidTarget),
    line("9112 §3.2: high byte in the target", "GET /\u{E4} HTTP/1.1", .invalidTarget),
    line("9112 §3.2: high byte in the query", "GET /?\u{E4} HTTP/1.1", .invalidTarget),
    line("9112 §3.2: fragment", "GET /a#b HTTP/1.1", .invalidTarget),
    line("9112 §3.2: fragment behind a query", "GET /a?b#c HTTP/1.1", .invalidTarget),
    line("9112 §3.2: backslash in the path", "GET /a\\..\\b HTTP/1.1", .invalidTarget),
    line("9112 §3.2: angle brackets", "GET /<script> HTTP/1.1", .invalidTarget),
    line("9112 §3.2: quote", "GET /\" HTTP/1.1", .invalidTarget),
    line("9112 §2.2: CR in the target", "GET /a\rb HTTP/1.1", .malformedStartLine),
    line("3986 §2.1: percent alone", "GET /% HTTP/1.1", .invalidPercentEncoding),
    line("3986 §2.1: one digit", "GET /%2 HTTP/1.1", .invalidPercentEncoding),
    line("3986 §2.1: no digits", "GET /%zz/a HTTP/1.1", .invalidPercentEncoding),
    line("3986 §2.1: escape cut off by the query", "GET /%2?0 HTTP/1.1", .invalidPercentEncoding),
    line("3986 §2.1: IIS style escape", "GET /%u002e HTTP/1.1", .invalidPercentEncoding),
    line("encoded NUL", "GET /a%00.html HTTP/1.1", .invalidPercentEncoding),
    line("9112 §3.2.2: another scheme", "GET ftp://a.example/ HTTP/1.1", .invalidTarget),
    line("9112 §3.2.2: one slash", "GET http:/a.example/ HTTP/1.1", .invalidTarget),
    line("9110 §4.2.1: no host", "GET http:///a HTTP/1.1", .invalidHost),
    line("9110 §4.2.4: user information", "GET http://u:p@a.example/ HTTP/1.1", .invalidHost),
    line("9112 §3.2.2: bad port", "GET http://a.example:8o/ HTTP/1.1", .invalidHost),
    line(
        "9112 §3.2.3: authority-form without CONNECT", "GET a.example:80 HTTP/1.1", .invalidTarget),
    line("9112 §3.2.3: CONNECT with a path", "CONNECT /a HTTP/1.1", .invalidHost),
    line("9112 §3.2.3: CONNECT with a URI", "CONNECT http://a.example/ HTTP/1.1", .invalidTarget),
    line("9110 §9.3.6: CONNECT without a port", "CONNECT a.example HTTP/1.1", .invalidTarget),
    line("9110 §9.3.6: CONNECT with more", "CONNECT a.example:80/x HTTP/1.1", .invalidTarget),
    line("9112 §3.2.4: * without OPTIONS", "GET * HTTP/1.1", .invalidTarget),
    line("9112 §3.2.4: * and more", "OPTIONS *a HTTP/1.1", .invalidTarget),
    RefusedRequest(
        "9112 §2.2: three empty lines", "\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n", .malformedStartLine),
    RefusedRequest("9112 §2.2: HTTP/0.9", "GET /\r\n\r\n", .malformedStartLine),
]

let hostVectors: [RefusedRequest] = [
    .init("9112 §3.2: no Host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", .missingHost),
    .init("9112 §3.2: no field at all", "GET / HTTP/1.1\r\n\r\n", .missingHost),
    .init(
        "9112 §3.2: no Host with absolute-form", "GET http://a.example/ HTTP/1.1\r\n\r\n",
        .missingHost),
    .init(
        "9112 §3.2: two Hosts", "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
        .repeatedHost),
    .init(
        "9112 §3.2: two equal Hosts",
        "GET / HTTP/1.1\r\nHost: a.example\r\nA: b\r\nhost: a.example\r\n\r\n", .repeatedHost),
    .init(
        "9112 §3.2: two Hosts in HTTP/1.0",
        "GET / HTTP/1.0\r\nHost: a.example\r\nHost: b.example\r\n\r\n", .repeatedHost),
    .init(
        "9112 §3.2: invalid Host beside an absolute target",
        "GET http://a.example/ HTTP/1.1\r\nHost: a b\r\n\r\n", .invalidHost),
    host("9110 §4.2.1: empty", ""),
    host("9112 §3.2: two names", "a.example, b.example"),
    host("9112 §3.2: space", "a.example b.example"),
    host("9112 §3.2: path", "a.example/b"),
    host("9112 §3.2: query", "a.example?b"),
    host("9112 §3.2: URI", "http://a.example"),
    host("9110 §4.2.4: user information", "u@a.example"),
    host("9112 §3.2: backslash", "a.example\\b"),
    host("9112 §3.2: quote", "\"a.example\""),
    host("9112 §3.2: high byte", "\u{E4}.example"),
    host("9112 §3.2: percent escape", "a%2eexample"),
    host("9112 §3.2: port of letters", "a.example:http"),
    host("9112 §3.2: port above 65535", "a.example:65536"),
    host("9112 §3.2: port of six digits", "a.example:000080"),
    host("9112 §3.2: signed port", "a.example:+80"),
    host("9112 §3.2: two ports", "a.example:80:81"),
    host("9112 §3.2: port alone", ":80"),
    host("9112 §3.2: dot alone", "."),
    host("9112 §3.2: IPv6 without brackets", "2001:db8::1"),
    host("9112 §3.2: IPv6 not closed", "[2001:db8::1"),
    host("9112 §3.2: IPv6 with a zone", "[fe80::1%25eth0]"),
    host("9112 §3.2: empty brackets", "[]"),
    host("9112 §3.2: IPv4 in brackets", "[192.0.2.1]"),
    host("9112 §3.2: text behind brackets", "[::1]a"),
    host("9112 §3.2: a very long literal", "[" + String(repeating: "1:", count: 40) + "]"),
    host("9110 §5.5: NUL", "a.example\0", .invalidFieldValue),
]

let connectionVectors: [RefusedRequest] = [
    .init("9110 §7.6.1: no token", fields: "Connection: close;x\r\n", .invalidConnection),
    .init("9110 §7.6.1: two words", fields: "Connection: keep alive\r\n", .invalidConnection),
    .init("9110 §7.6.1: quoted", fields: "Connection: \"close\"\r\n", .invalidConnection),
    .init("9110 §7.6.1: high byte", fields: "Connection: close\u{E4}\r\n", .invalidConnection),
    .init(
        "limit: 17 options",
        fields: "Connection: " + Array(repeating: "a", count: 17).joined(separator: ",") + "\r\n",
        .invalidConnection),
    .init(
        "limit: 17 options on 17 lines",
        fields: String(repeating: "Connection: a\r\n", count: 17), .invalidConnection),
    .init("9110 §10.1.1: unknown", fields: "Expect: 200-ok\r\n", .unknownExpectation),
    .init("9110 §10.1.1: empty", fields: "Expect:\r\n", .unknownExpectation),
    .init("9110 §10.1.1: list", fields: "Expect: 100-continue, x\r\n", .unknownExpectation),
    .init(
        "Expect desync: twice", fields: "Expect: 100-continue\r\nExpect: 100-continue\r\n",
        .unknownExpectation),
    .init("Expect desync: a prefix", fields: "Expect: y100-continue\r\n", .unknownExpectation),
]

let refusedRequests =
    transferEncodingVectors + contentLengthVectors + lineVectors + requestLineVectors
    + hostVectors + connectionVectors
