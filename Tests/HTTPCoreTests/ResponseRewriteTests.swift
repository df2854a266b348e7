// SPDX-License-Identifier: Apache-2.0
//
// What the client gets beside the backend's own fields: the date, the request's identifier,
// trailers, and the answer to an upgrade.

import HTTPCore
import Testing

private let now: StaticString = "Sat, 21 Nov 2026 12:00:00 GMT"

private func answered(
    _ fields: String, line: String = "HTTP/1.1 200 OK", answering method: RequestMethod = .get,
    clientMinorVersion: UInt8 = 1, configure: (inout ResponseRewrite) -> Void
) -> String? {
    ResponseBench().rewrite(
        latin1("\(line)\r\n\(fields)\r\n"), answering: method,
        clientMinorVersion: clientMinorVersion, configure: configure
    ).map { String(decoding: $0, as: UTF8.self) }
}

@Test func missingDateIsAdded() {
    // RFC 9110 §6.6.1: a recipient with a clock adds it.
    let date = "Date: \(now)\r\n"
    let end = "Content-Length: 1\r\n"
    #expect(
        answered(end) { $0.date = wire(now) } == "HTTP/1.1 200 OK\r\n" + date + end + "\r\n")
    let own = "date: Fri, 20 Nov 2026 12:00:00 GMT\r\n"
    #expect(
        answered(own + end) { $0.date = wire(now) } == "HTTP/1.1 200 OK\r\n" + own + end + "\r\n")
    #expect(answered(end) { $0.date = wire("") } == "HTTP/1.1 200 OK\r\n" + end + "\r\n")
    #expect(
        answered("", line: "HTTP/1.1 204 No Content") { $0.date = wire(now) }
            == "HTTP/1.1 204 No Content\r\n" + date + "\r\n")
    #expect(
        answered(end, line: "HTTP/1.1 304 Not Modified") { $0.date = wire(now) }
            == "HTTP/1.1 304 Not Modified\r\n" + date + end + "\r\n")
    #expect(
        answered(end, answering: .head) { $0.date = wire(now) }
            == "HTTP/1.1 200 OK\r\n" + date + end + "\r\n")
    #expect(
        answered("", line: "HTTP/1.1 103 Early Hints") { $0.date = wire(now) }
            == "HTTP/1.1 103 Early Hints\r\n\r\n")
}

@Test func dateIsTheEditorsWhenItIsEdited() {
    let removed = withEdits([.remove("Date")], .response) { list in
        answered("Date: x\r\nContent-Length: 1\r\n") {
            $0.date = wire(now)
            $0.edits = list
        }
    }
    #expect(removed == "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
}

@Test func requestIdentifierIsEchoed() {
    let output = answered("X-Request-ID: theirs\r\nContent-Length: 0\r\n") {
        $0.requestID = wire("ours")
    }
    #expect(output == "HTTP/1.1 200 OK\r\nX-Request-Id: ours\r\nContent-Length: 0\r\n\r\n")
    let passed = answered("X-Request-ID: theirs\r\nContent-Length: 0\r\n") { _ in }
    #expect(passed == "HTTP/1.1 200 OK\r\nX-Request-ID: theirs\r\nContent-Length: 0\r\n\r\n")
    let interim = answered("", line: "HTTP/1.1 100 Continue") { $0.requestID = wire("ours") }
    #expect(interim == "HTTP/1.1 100 Continue\r\n\r\n")
}

@Test(arguments: [
    ("Transfer-Encoding: chunked\r\n", 1 as UInt8, true),
    ("Transfer-Encoding: chunked\r\n", 0, false),
    ("Content-Length: 1\r\n", 1, false),
    ("", 1, false),
])
func trailerIsKeptWhereTrailersAre(_ framing: String, _ minorVersion: UInt8, _ isKept: Bool) {
    // RFC 9110 §6.6.2.
    let output = answered("Trailer: X-Sum\r\n" + framing, clientMinorVersion: minorVersion) {
        $0.forwardsTrailers = true
    }
    #expect(output?.contains("Trailer: X-Sum\r\n") == isKept)
    let without = answered("Trailer: X-Sum\r\n" + framing, clientMinorVersion: minorVersion) {
        $0.forwardsTrailers = false
    }
    #expect(without?.contains("Trailer") == false)
}

@Test func serviceFieldsOfOtherHopsStayAsToday() {
    let output = answered(
        "Alt-Svc: h3=\":443\"\r\nProxy-Authenticate: Basic\r\nProxy-Connection: close\r\n"
            + "Content-Length: 0\r\n"
    ) { $0.requestID = wire("1") }
    #expect(
        output == "HTTP/1.1 200 OK\r\nAlt-Svc: h3=\":443\"\r\nX-Request-Id: 1\r\n"
            + "Content-Length: 0\r\n\r\n")
}

private let upgrades: [(rule: String, response: String, isAnswer: Bool)] = [
    ("6455 §4.1", "101 S\r\nUpgrade: websocket\r\nConnection: Upgrade", true),
    ("case and lists", "101\r\nUPGRADE: WebSocket\r\nConnection: keep-alive, upgrade", true),
    ("9110 §7.8: Connection", "101 S\r\nUpgrade: websocket", false),
    ("Connection of another kind", "101 S\r\nUpgrade: websocket\r\nConnection: close", false),
    ("no Upgrade", "101 S\r\nConnection: upgrade", false),
    ("another protocol", "101 S\r\nUpgrade: h2c\r\nConnection: upgrade", false),
    ("two protocols", "101 S\r\nUpgrade: websocket, h2c\r\nConnection: upgrade", false),
    (
        "two lines",
        "101 S\r\nUpgrade: websocket\r\nUpgrade: websocket\r\nConnection: upgrade", false
    ),
    ("no 101", "200 OK\r\nUpgrade: websocket\r\nConnection: upgrade", false),
]

@Test(arguments: upgrades)
func switchIsTheAnswerToAnUpgrade(_ rule: String, _ response: String, _ isAnswer: Bool) {
    let bench = ResponseBench()
    for version in ["1.1", "1.0"] {
        let bytes = latin1("HTTP/\(version) \(response)\r\n\r\n")
        guard bench.verdict(bytes).facts != nil else {
            Issue.record("\(rule) does not parse")
            return
        }
        let answer = bytes.withUnsafeBytes { bench.head.switchesToWebSocket(in: $0) }
        // RFC 9110 §7.8: HTTP/1.0 has no upgrade.
        #expect(answer == (isAnswer && version == "1.1"), "\(rule) \(version)")
    }
}

@Test func switchKeepsTheHandshakeAndTakesEdits() {
    let output = withEdits([.remove("Server"), .set("X-A", "b")], .response) { list in
        answered(
            "Upgrade: websocket\r\nServer: s\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n"
                + "Sec-WebSocket-Protocol: p\r\nSec-WebSocket-Extensions: e\r\n",
            line: "HTTP/1.1 101 Switching Protocols"
        ) {
            $0.edits = list
            $0.date = wire(now)
        }
    }
    #expect(
        output == "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n"
            + "Sec-WebSocket-Protocol: p\r\nSec-WebSocket-Extensions: e\r\nX-A: b\r\n"
            + "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
}
