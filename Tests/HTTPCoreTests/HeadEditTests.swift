// SPDX-License-Identifier: Apache-2.0
//
// Edits of field lines: which are allowed, what they do to heads, and how they add up.

import HTTPCore
import Testing

private let identity =
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.example\r\n"

private func upstream(_ fields: String, _ edits: [Edit]) -> String? {
    withEdits(edits) { list in
        let bytes = latin1("POST /a?b HTTP/1.1\r\nHost: a.example\r\n\(fields)\r\n")
        return RequestBench().rewrite(bytes) { $0.edits = list }
            .map { String(decoding: $0, as: UTF8.self) }
    }
}

private let requestEdits: [(edits: [Edit], fields: String, kept: String, identity: String)] = [
    ([], "A: b\r\n", "A: b\r\n", identity),
    ([.remove("a")], "A: 1\r\nB: 2\r\na: 3\r\nAA: 4\r\n", "B: 2\r\nAA: 4\r\n", identity),
    ([.remove("A")], "B: 2\r\n", "B: 2\r\n", identity),
    (
        [.remove("COOKIE")], "A: 1\r\ncookie: x\r\nCookie: y\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n",
        identity
    ),
    (
        [.set("x-canary", "on")], "X-Canary: 1\r\nB: 2\r\n", "B: 2\r\n",
        identity + "x-canary: on\r\n"
    ),
    ([.set("User-Agent", "t")], "user-agent: c\r\n", "", identity + "User-Agent: t\r\n"),
    ([.add("A", "2")], "A: 1\r\n", "A: 1\r\n", identity + "A: 2\r\n"),
    ([.add("A", "")], "", "", identity + "A: \r\n"),
    // The listener's, then the route's: later edits see the result of earlier ones.
    (
        [.set("A", "1"), .add("B", "2"), .remove("B"), .set("a", "3"), .add("C", "4")], "B: x\r\n",
        "", identity + "a: 3\r\nC: 4\r\n"
    ),
    ([.add("A", "1"), .set("A", "2")], "A: 0\r\n", "", identity + "A: 2\r\n"),
    ([.set("A", "1"), .add("A", "2")], "A: 0\r\n", "", identity + "A: 1\r\nA: 2\r\n"),
    ([.remove("A"), .add("A", "2")], "A: 0\r\n", "", identity + "A: 2\r\n"),
    // What the proxy says about the client can be edited like the rest.
    (
        [.set("X-Forwarded-Proto", "https"), .remove("x-forwarded-for")],
        "X-Forwarded-For: 1\r\n", "",
        "X-Forwarded-Host: a.example\r\nX-Forwarded-Proto: https\r\n"
    ),
    // A name that Connection removes anyway.
    ([.remove("B")], "X-A: 1\r\nConnection: x-a\r\nB: 2\r\nC: 3\r\n", "C: 3\r\n", identity),
]

@Test(arguments: requestEdits)
func requestIsEdited(_ edits: [Edit], _ fields: String, _ kept: String, _ added: String) {
    let expected = "POST /a?b HTTP/1.1\r\nHost: a.example\r\n" + kept + added
    #expect(upstream(fields, edits) == expected + "\r\n")
    #expect(
        upstream("Content-Length: 3\r\n" + fields, edits)
            == expected + "Content-Length: 3\r\n\r\n", "framing is last and ours")
}

@Test(arguments: [
    "Host", "connection", "Content-Length", "TRANSFER-ENCODING", "Expect", "Upgrade", "TE",
    "Trailer", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate",
    "Proxy",
])
func framingAndHopByHopFieldsCannotBeEdited(_ name: String) {
    for direction in [HeadDirection.request, .response] {
        let builder = EditBench(direction)
        #expect(!builder.takes(.remove(name)))
        #expect(!builder.takes(.set(name, "1")))
        #expect(!builder.takes(.add(name, "1")))
        #expect(!HeadEditBuilder.mayEdit(latin1(name), direction))
        let edits = builder.builder.build()
        #expect(edits.list.isEmpty, "what is refused has no effect")
    }
}

@Test(arguments: ["", "a b", "a:", "a\r\n", "a\0", "ä", "a\"", "a(b)", "Content-Length ", "a/b"])
func namesThatAreNoTokensAreRefused(_ name: String) {
    let builder = EditBench(.response)
    #expect(!builder.takes(.add(name, "1")))
}

@Test(arguments: ["\r\nA: b", "a\rb", "a\nb", "\0", "\u{7F}", "\u{1B}[0m"])
func valuesThatCouldEndALineAreRefused(_ value: String) {
    let builder = EditBench(.response)
    #expect(!builder.takes(.set("X-A", value)))
    #expect(!builder.takes(.add("X-A", value)))
    #expect(builder.takes(.set("X-A", "a\tb \u{E4}")))
}

@Test func underscoresAreForResponsesOnly() {
    // In requests, CGI-style servers would read framing in it.
    let request = EditBench(.request)
    #expect(!request.takes(.set("Content_Length", "5")))
    let response = EditBench(.response)
    #expect(response.takes(.remove("X_Powered_By")))
}

@Test func editsAreLimited() {
    let many = EditBench(.request)
    for index in 0..<HeadEdits.editCountMax {
        #expect(many.takes(.remove("x-\(index)")))
    }
    #expect(!many.takes(.remove("one-more")))
    let large = EditBench(.request)
    let value = String(repeating: "a", count: HeadEdits.lineByteCountMax - 5)
    #expect(!large.takes(.set("AB", value)))
    #expect(large.takes(.set("A", value)))
    #expect(!large.takes(.add("B", "")))
    // What a later edit takes away is free again.
    #expect(large.takes(.remove("A")))
    #expect(large.takes(.add("B", "")))
    let longest = String(repeating: "a", count: HeadLimits.fieldNameByteCountMax)
    #expect(!large.takes(.remove(longest + longest)))
    #expect(large.takes(.remove(longest)))
}

@Test func aRouteStartsFromACopyOfItsListener() {
    var listener = HeadEditBuilder(.request)
    listener.set(latin1("A"), to: latin1("1"))
    var route = listener
    route.remove(latin1("A"))
    let listenerEdits = listener.build()
    let routeEdits = route.build()
    let bytes = latin1("GET / HTTP/1.0\r\n\r\n")
    let ofListener = RequestBench().rewrite(bytes) { $0.edits = listenerEdits.list }
    let ofRoute = RequestBench().rewrite(bytes) { $0.edits = routeEdits.list }
    #expect(ofListener.flatMap { StrictMessage($0) }?.values("a") == ["1"])
    #expect(ofRoute.flatMap { StrictMessage($0) }?.values("a") == [])
}

private func client(
    _ fields: String, _ edits: [Edit], line: String = "HTTP/1.1 200 OK"
) -> String? {
    withEdits(edits, .response) { list in
        ResponseBench().rewrite(latin1("\(line)\r\n\(fields)\r\n")) { $0.edits = list }
            .map { String(decoding: $0, as: UTF8.self) }
    }
}

@Test(arguments: [
    ([Edit.remove("server"), .set("Cache-Control", "no-store")], "Cache-Control: no-store\r\n"),
    ([.remove("X-POWERED-BY"), .remove("Server")], "Cache-Control: public\r\n"),
    (
        [.add("Strict-Transport-Security", "max-age=1")],
        "Server: s\r\nCache-Control: public\r\nX-Powered-By: p\r\n"
            + "Strict-Transport-Security: max-age=1\r\n"
    ),
])
func responseIsEdited(_ edits: [Edit], _ written: String) {
    let fields = "Server: s\r\nCache-Control: public\r\nX-Powered-By: p\r\nContent-Length: 1\r\n"
    let own = edits.contains { $0.name.lowercased() == "x-powered-by" || $0.name.hasPrefix("S") }
    let expected = own ? written : "X-Powered-By: p\r\n" + written
    #expect(client(fields, edits) == "HTTP/1.1 200 OK\r\n" + expected + "Content-Length: 1\r\n\r\n")
}

@Test(arguments: ["100 Continue", "102 Processing", "103 Early Hints"])
func interimResponsesAreNotEdited(_ status: String) {
    let output = client(
        "Link: </a>\r\n", [.remove("Link"), .add("A", "b")], line: "HTTP/1.1 \(status)")
    #expect(output == "HTTP/1.1 \(status)\r\nLink: </a>\r\n\r\n")
}

@Test func editsMakeTheBufferLarger() {
    let bytes = latin1("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    let answer = latin1("HTTP/1.1 200 OK\r\n\r\n")
    let value = String(repeating: "v", count: 20_000)
    withEdits([.set("A", value)]) { list in
        #expect(RequestBench().rewrite(bytes) { $0.edits = list }?.count ?? 0 > 20_000)
        #expect(RequestBench().rewrite(bytes, missingByteCount: 1) { $0.edits = list } == nil)
        #expect(ResponseBench().rewrite(answer) { $0.edits = list }?.count ?? 0 > 20_000)
        #expect(ResponseBench().rewrite(answer, missingByteCount: 1) { $0.edits = list } == nil)
    }
}
