// SPDX-License-Identifier: Apache-2.0
//
// WebSockets through the proxy: who may switch protocols and when, and what passes afterwards.

import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

/// What a client sends to ask for a WebSocket.
let webSocketRequest =
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

/// What a backend answers to it.
let webSocketAnswer =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

@Suite(.serialized)
struct TunnelTests {
    /// A client and a backend with an open WebSocket between them.
    private struct Pair {
        let tandem: TestPlane
        let listener: TunnelListener
        let client: TunnelPeer
        let backend: TunnelPeer

        init(
            early: String = "", late: String = "",
            timeouts: TimeoutConfiguration = TimeoutConfiguration()
        ) throws {
            listener = try TunnelListener()
            tandem = try TestPlane([listener.endpoint], timeouts: timeouts)
            client = try TunnelPeer(connectingTo: tandem.endpoint)
            try client.send(webSocketRequest + early)
            backend = try listener.accept()
            _ = try backend.take(until: "\r\n\r\n")
            try backend.send(webSocketAnswer + late)
            _ = try client.take(until: "\r\n\r\n")
        }
    }

    @Test func bothSidesSeeTheSwitchAndThenEachOther() throws {
        let listener = try TunnelListener()
        let tandem = try TestPlane([listener.endpoint])
        let client = try TunnelPeer(connectingTo: tandem.endpoint)
        try client.send(webSocketRequest)
        let backend = try listener.accept()
        let request = ReceivedRequest(head: try backend.take(until: "\r\n\r\n"))
        #expect(request.field("connection")?.lowercased() == "upgrade")
        #expect(request.field("upgrade") == "websocket")
        #expect(request.field("sec-websocket-key") == "dGhlIHNhbXBsZSBub25jZQ==")
        #expect(request.field("x-forwarded-for") == "127.0.0.1")
        try backend.send(webSocketAnswer)
        let answer = ReceivedResponse(head: try client.take(until: "\r\n\r\n"))
        #expect(answer.head.hasPrefix("HTTP/1.1 101 "))
        #expect(answer.field("connection")?.lowercased() == "upgrade")
        #expect(answer.field("upgrade") == "websocket")
        #expect(answer.field("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        try client.send("from the client")
        try backend.expect("from the client")
        try backend.send("from the backend")
        try client.expect("from the backend")
        #expect(tandem.listener.tunnelsOpen == 1)
        #expect(tandem.backend(0).requestsInFlight == 1)
        try client.finishSending()
        #expect(try backend.end() == .ended)
        try backend.finishSending()
        #expect(try client.end() == .ended)
        #expect(eventually { tandem.listener.tunnelsOpen == 0 })
        #expect(eventually { tandem.backend(0).requestsInFlight == 0 })
        #expect(tandem.listener.tunnels == 1)
        #expect(tandem.listener.responses.informational == 1)
    }

    /// Bytes behind the request would be a request of their own to a backend that does not switch
    /// (CVE-2026-73548).
    @Test func nothingPassesBeforeTheBackendSwitches() throws {
        let listener = try TunnelListener()
        let tandem = try TestPlane([listener.endpoint])
        let client = try TunnelPeer(connectingTo: tandem.endpoint)
        try client.send(webSocketRequest + "GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n")
        let backend = try listener.accept()
        let head = try backend.take(until: "\r\n\r\n")
        #expect(!head.contains("smuggled"))
        try client.send("more")
        #expect(try backend.isQuiet())
        try backend.send(webSocketAnswer)
        try backend.expect("GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\nmore")
    }

    @Test func aRefusalIsAnOrdinaryResponse() throws {
        let backend = try TestBackend { request in
            request.target == "/chat"
                ? [.text("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")]
                : ReplyStep.ok("next")
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        try client.send(webSocketRequest + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        let refusal = try client.response()
        #expect(refusal.status == 403)
        #expect(refusal.text == "no")
        // What looked like early bytes is the next request, routed and counted as one.
        #expect(try client.response().text == "next")
        #expect(try client.exchange("/again").text == "next")
        #expect(backend.log.requests.map(\.target) == ["/chat", "/next", "/again"])
        #expect(tandem.listener.tunnels == 0)
        #expect(tandem.listener.requests == 3)
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        // Another protocol.
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        // Not named by Connection.
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        // Not a GET, and one with a body.
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            + "Content-Length: 1\r\n\r\nx",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            + "Content-Length: 1\r\n\r\nx",
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ])
    func aSwitchNobodyAskedForIsABadGateway(request: String) throws {
        let listener = try TunnelListener()
        let tandem = try TestPlane([listener.endpoint])
        let client = try tandem.client()
        try client.send(request)
        let backend = try listener.accept()
        let seen = ReceivedRequest(head: try backend.take(until: "\r\n\r\n"))
        #expect(seen.field("upgrade") == nil)
        try backend.send(webSocketAnswer)
        #expect(try client.response().status == 502)
        #expect(tandem.listener.tunnels == 0)
    }

    @Test(arguments: [
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket, x\r\n\r\n",
    ])
    func aSwitchToSomethingElseIsABadGateway(answer: String) throws {
        let listener = try TunnelListener()
        let tandem = try TestPlane([listener.endpoint])
        let client = try tandem.client()
        try client.send(webSocketRequest)
        let backend = try listener.accept()
        _ = try backend.take(until: "\r\n\r\n")
        try backend.send(answer)
        #expect(try client.response().status == 502)
        #expect(tandem.listener.tunnels == 0)
        #expect(eventually { tandem.backend(0).requestsInFlight == 0 })
    }

    @Test func bytesBehindTheAnswerReachTheClient() throws {
        let pair = try Pair(early: "ping", late: "hello")
        try pair.client.expect("hello")
        try pair.backend.expect("ping")
    }

    @Test func eachDirectionEndsByItself() throws {
        let pair = try Pair()
        try pair.client.finishSending()
        #expect(try pair.backend.end() == .ended)
        try pair.backend.send("still talking")
        try pair.client.expect("still talking")
        #expect(pair.tandem.listener.tunnelsOpen == 1)
        try pair.backend.finishSending()
        #expect(try pair.client.end() == .ended)
        #expect(eventually { pair.tandem.listener.tunnelsOpen == 0 })

        let other = try Pair()
        try other.backend.finishSending()
        #expect(try other.client.end() == .ended)
        try other.client.send("a last word")
        try other.backend.expect("a last word")
        try other.client.finishSending()
        #expect(try other.backend.end() == .ended)
    }

    @Test func aResetOfOneSideResetsTheOther() throws {
        let pair = try Pair()
        try pair.client.close(byReset: true)
        #expect(try pair.backend.end() == .reset)
        #expect(eventually { pair.tandem.listener.tunnelsOpen == 0 })

        let other = try Pair()
        try other.backend.close(byReset: true)
        #expect(try other.client.end() == .reset)
        #expect(eventually { other.tandem.listener.tunnelsOpen == 0 })
        #expect(other.tandem.backend(0).requestsInFlight == 0)
    }

    @Test func anIdleTunnelIsClosed() throws {
        var timeouts = TimeoutConfiguration()
        timeouts.tunnelIdle = .milliseconds(300)
        let pair = try Pair(timeouts: timeouts)
        // Bytes in one direction keep both.
        for _ in 0..<8 {
            try pair.backend.send("x")
            try pair.client.expect("x")
            KernelThread.pause(milliseconds: 60)
        }
        #expect(pair.tandem.listener.tunnelsOpen == 1)
        #expect(try pair.client.end() == .ended)
        #expect(try pair.backend.end() == .ended)
        #expect(pair.tandem.listener.tunnelTimeouts == 1)
        #expect(pair.tandem.listener.tunnelsOpen == 0)
    }

    @Test func tunnelsStayWhenTheNodeLeavesUntilTheDeadline() throws {
        let pair = try Pair()
        pair.tandem.plane.sayFarewell()
        try pair.client.send("one")
        try pair.backend.expect("one")
        pair.tandem.plane.beginDrain(deadline: Clock.now() + .milliseconds(600))
        try pair.client.send("two")
        try pair.backend.expect("two")
        #expect(!pair.tandem.plane.isDrained)
        #expect(try pair.client.end() == .reset)
        #expect(try pair.backend.end() == .reset)
        #expect(eventually { pair.tandem.plane.isDrained })
    }
}
