// SPDX-License-Identifier: Apache-2.0
//
// Goal: connections that began elsewhere are served as if they had been accepted here, with the
// bytes that were read over there first; whoever cannot be served is reset. Method: sockets that a
// listener of the test accepted are handed to a data plane on loopback.

import ConfigurationCore
import EventLoop
import LinuxIO
import ProxyService
import Telemetry
import Testing
import WireCore

/// Where connections begin that are then somebody else's.
private struct FormerNode {
    private let listener: ManualListener

    init() throws {
        listener = try ManualListener()
    }

    /// A client that is connected, and its connection for the data plane at `endpoint`.
    func connect(
        for endpoint: Endpoint, input: AdoptedClient.Input = .none,
        expectsBytesWithin: TimeSpan? = nil, namedClient: Endpoint? = nil
    ) throws -> (client: TestClient, adopted: AdoptedClient) {
        let client = try TestClient(listener.endpoint)
        let accepted = try listener.accept()
        guard let remote = accepted.peer else { throw TestFailure.malformed("no peer") }
        let state = TransportState(
            sendSequence: 1, receiveSequence: 1, sendWindow: 65_535, receiveWindow: 65_535,
            timestamp: 0, segmentByteCountMax: 1_460, sendWindowScale: 7, receiveWindowScale: 7,
            options: [.windowScale])
        let adopted = AdoptedClient(
            accepted.takeSocket(), local: endpoint, remote: remote, transport: state,
            input: input, expectsBytesWithin: expectsBytesWithin, namedClient: namedClient)
        return (client, adopted)
    }
}

/// A listening socket whose connections are taken by hand.
private final class ManualListener {
    let endpoint: Endpoint
    private let socket: FileDescriptor

    init() throws {
        socket = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
        endpoint = try #require(try StreamSocket.localEndpoint(socket))
    }

    func accept() throws -> AcceptedConnection {
        let deadline = Clock.now() + TestClient.patience
        while Clock.now() < deadline {
            if let accepted = try StreamSocket.accept(from: socket) { return accepted }
            KernelThread.pause(milliseconds: 1)
        }
        throw TestFailure.timedOut(received: "")
    }
}

@Suite(.serialized)
struct AdoptionTests {
    private static let request = "GET /first HTTP/1.1\r\nHost: test\r\n\r\n"

    private func echo() throws -> TestBackend {
        try TestBackend {
            ReplyStep.ok("\($0.method) \($0.target) \($0.field("x-forwarded-for") ?? "-")")
        }
    }

    @Test func anIdleConnectionGoesOn() throws {
        let backend = try echo()
        let test = try TestPlane([backend.endpoint], workers: 2)
        let former = try FormerNode()
        var clients: [TestClient] = []
        var adopted: [AdoptedClient] = []
        for _ in 0..<5 {
            let pair = try former.connect(for: test.endpoint)
            clients.append(pair.client)
            adopted.append(pair.adopted)
        }
        test.plane.adopt(adopted)
        for client in clients {
            #expect(try client.exchange("/one").text == "GET /one 127.0.0.1")
            #expect(try client.exchange("/two").text == "GET /two 127.0.0.1")
        }
        #expect(test.plane.carryOverStatistics.adopted == 5)
        #expect(test.plane.openConnectionCount == 5)
        #expect(test.listener.connectionsAccepted == 0)
    }

    @Test func aRequestThatWasReadBeforeIsIssuedAgain() throws {
        let backend = try echo()
        let test = try TestPlane([backend.endpoint])
        let (client, adopted) = try FormerNode().connect(
            for: test.endpoint, input: .reissued(Array(Self.request.utf8)))
        test.plane.adopt([adopted])
        #expect(try client.response().text == "GET /first 127.0.0.1")
        #expect(test.plane.carryOverStatistics.reissued == 1)
        #expect(try client.exchange("/next").text == "GET /next 127.0.0.1")
        #expect(backend.log.requests.count == 2)
    }

    @Test(arguments: [1, 10, 37])
    func aHeadGoesOnWhereItWasInterrupted(byteCount: Int) throws {
        let backend = try echo()
        let test = try TestPlane([backend.endpoint])
        let bytes = Array(Self.request.utf8)
        let (client, adopted) = try FormerNode().connect(
            for: test.endpoint, input: .unread(Array(bytes.prefix(byteCount))))
        test.plane.adopt([adopted])
        #expect(eventually { test.plane.carryOverStatistics.adopted == 1 })
        try client.send(Array(bytes.dropFirst(byteCount)))
        #expect(try client.response().text == "GET /first 127.0.0.1")
        #expect(test.plane.carryOverStatistics.reissued == 0)
    }

    @Test func pipelinedRequestsAreAllAnswered() throws {
        let backend = try echo()
        let test = try TestPlane([backend.endpoint])
        let three = String(repeating: Self.request, count: 3)
        let (client, adopted) = try FormerNode().connect(
            for: test.endpoint, input: .unread(Array(three.utf8)))
        test.plane.adopt([adopted])
        for _ in 0..<3 { #expect(try client.response().text == "GET /first 127.0.0.1") }
    }

    @Test func aClientThatAProxyNamedKeepsItsName() throws {
        let backend = try echo()
        let test = try TestPlane([backend.endpoint])
        let named = Endpoint(address: IPAddress(192, 0, 2, 7), port: 4_711)
        let (client, adopted) = try FormerNode().connect(for: test.endpoint, namedClient: named)
        test.plane.adopt([adopted])
        #expect(try client.exchange("/").text == "GET / 192.0.2.7")
    }

    @Test func whoFindsNoListenerIsReset() throws {
        let backend = try echo()
        let test = try TestPlane([backend.endpoint])
        var elsewhere = test.endpoint
        elsewhere.port ^= 1
        let (client, adopted) = try FormerNode().connect(for: elsewhere)
        test.plane.adopt([adopted])
        #expect(throws: Errno.connectionReset) { try client.response() }
        #expect(eventually { test.plane.carryOverStatistics.refused == 1 })
        #expect(test.plane.openConnectionCount == 0)
    }

    @Test func whoFindsTheListenerFullIsReset() throws {
        let backend = try echo()
        var limits = ListenerLimits()
        limits.connections = 1
        let test = try TestPlane([backend.endpoint], listenerLimits: limits)
        let former = try FormerNode()
        let first = try former.connect(for: test.endpoint)
        let second = try former.connect(for: test.endpoint)
        test.plane.adopt([first.adopted])
        #expect(try first.client.exchange("/").status == 200)
        test.plane.adopt([second.adopted])
        #expect(throws: Errno.connectionReset) { try second.client.response() }
        #expect(try first.client.exchange("/").status == 200)
        // Its place is free again when it goes.
        first.client.finishSending()
        #expect(eventually { test.plane.openConnectionCount == 0 })
        let third = try former.connect(for: test.endpoint)
        test.plane.adopt([third.adopted])
        #expect(try third.client.exchange("/").status == 200)
    }

    @Test func whatDoesNotComeAgainIsNotWaitedFor() throws {
        let backend = try echo()
        let test = try TestPlane([backend.endpoint])
        let (client, adopted) = try FormerNode().connect(
            for: test.endpoint, expectsBytesWithin: .milliseconds(50))
        test.plane.adopt([adopted])
        #expect(throws: Errno.connectionReset) { try client.response() }
        #expect(test.plane.carryOverStatistics.expired == 1)
    }

    @Test func whatWasSentBehindARequestIsNotWaitedForEither() throws {
        let backend = try echo()
        let test = try TestPlane([backend.endpoint])
        let (client, adopted) = try FormerNode().connect(
            for: test.endpoint, input: .reissued(Array(Self.request.utf8)),
            expectsBytesWithin: .milliseconds(50))
        test.plane.adopt([adopted])
        #expect(try client.response().text == "GET /first 127.0.0.1")
        #expect(throws: Errno.connectionReset) { try client.response() }
        #expect(test.plane.carryOverStatistics.expired == 1)
    }

    @Test func whatComesAgainIsServed() throws {
        let backend = try echo()
        var timeouts = TimeoutConfiguration()
        timeouts.keepAlive = .milliseconds(200)
        let test = try TestPlane([backend.endpoint], timeouts: timeouts)
        let (client, adopted) = try FormerNode().connect(
            for: test.endpoint, expectsBytesWithin: .seconds(10))
        test.plane.adopt([adopted])
        #expect(try client.exchange("/").status == 200)
        // Later it idles like any other: it ends without a reset.
        #expect(try !client.receiveSome())
        #expect(test.plane.carryOverStatistics.expired == 0)
    }

    @Test func aDroppedConnectionIsReset() throws {
        let former = try FormerNode()
        let endpoint = Endpoint(address: .v4(.loopback), port: 1)
        let client = try former.connect(for: endpoint).client
        #expect(throws: Errno.connectionReset) { try client.response() }
    }
}
