// SPDX-License-Identifier: Apache-2.0
//
// Exchanges in which a response has begun before its request ended: who may be slow, and that
// nobody is waited for without a limit.

import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct StalledExchangeTests {
    @Test func backendThatStopsBothWaysAfterAnEarlyHeadIsCutOff() throws {
        let listener = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
        let bound = try #require(try StreamSocket.localEndpoint(listener))
        let tandem = try TestPlane(
            [bound],
            timeouts: TimeoutConfiguration(
                bodyIdle: .seconds(2), responseHead: .seconds(10), streamIdle: .seconds(2)))
        let client = try tandem.client()
        // A busy machine must not make this side late: that would be another fault.
        try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nstart")
        var accepted: SocketBox?
        #expect(
            try eventually {
                if let connection = try StreamSocket.accept(from: listener) {
                    accepted = SocketBox(connection.takeSocket())
                }
                return accepted != nil
            })
        let backend = try #require(accepted)
        let early = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
        _ = try StreamSocket.send(backend.descriptor, Array(early.utf8))
        // More than all buffers on the way hold: the backend never reads it.
        let cutOff = Result { try client.send([UInt8](repeating: 0x62, count: 50_000_000)) }
        #expect(throws: Errno.self) { try cutOff.get() }
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
        #expect(tandem.listener.truncatedResponses == 1)
        #expect(tandem.backend(0).requestsInFlight == 0)
        withExtendedLifetime(backend) {}
    }

    @Test func clientMayPauseItsBodyWhileItsResponseComes() throws {
        let piece: [ReplyStep] = [.wait(.milliseconds(100)), .text("x")]
        let backend = try TestBackend(answersHead: true) { _ in
            [.text("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")]
                + (0..<12).flatMap { _ in piece }
        }
        let tandem = try TestPlane(
            [backend.endpoint], timeouts: TimeoutConfiguration(bodyIdle: .milliseconds(500)))
        let client = try tandem.client()
        try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nstart")
        #expect(try client.response().text == String(repeating: "x", count: 12))
        #expect(tandem.listener.clientTimeouts == 0)
    }

    @Test func exchangeWhereBothSidesPauseIsCutOff() throws {
        let backend = try TestBackend(answersHead: true) { _ in
            [.text("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhalf")]
        }
        let tandem = try TestPlane(
            [backend.endpoint],
            timeouts: TimeoutConfiguration(
                bodyIdle: .milliseconds(200), streamIdle: .milliseconds(200)))
        let client = try tandem.client()
        try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nstart")
        #expect(client.isClosedByPeer())
        #expect(eventually { tandem.listener.clientTimeouts == 1 })
        #expect(tandem.backend(0).requestsInFlight == 0)
    }

    @Test func everyClientThatHasConnectedIsServedBeforeAListenerCloses() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane([backend.endpoint])
        // Adopting a large pool keeps the worker busy while clients queue up in the kernel.
        let many = [Endpoint](repeating: backend.endpoint, count: 2_000)
        _ = try tandem.reload(pools: [TestPlane.pool("web", many)])
        _ = try tandem.reload(pools: [TestPlane.pool("web", many)])
        let clients = try (0..<250).map { _ in try tandem.client() }
        for client in clients { try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
        tandem.plane.beginDrain(deadline: Clock.now() + .seconds(20))
        for client in clients { #expect(try client.response().status == 200) }
    }
}
