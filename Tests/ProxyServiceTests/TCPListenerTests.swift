// SPDX-License-Identifier: Apache-2.0
//
// Listeners with `protocol: tcp`: who gets a connection, what passes, and how both sides hear of
// the end.

import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct TCPListenerTests {
    private static func plane(
        _ backends: [Endpoint], timeouts: TimeoutConfiguration = TimeoutConfiguration(),
        descriptorLimit: Int = 1_024
    ) throws -> TestPlane {
        try TestPlane(
            service: .tcp(pool: "tcp"), pools: [TestPlane.pool("tcp", backends)],
            timeouts: timeouts, descriptorLimit: descriptorLimit)
    }

    @Test func bytesPassBothWaysWhoeverSpeaksFirst() throws {
        let listener = try TunnelListener()
        let tandem = try Self.plane([listener.endpoint])
        let client = try TunnelPeer(connectingTo: tandem.endpoint)
        let backend = try listener.accept()
        try backend.send("220 ready\r\n")
        try client.expect("220 ready\r\n")
        try client.send("EHLO\r\n")
        try backend.expect("EHLO\r\n")
        #expect(tandem.listener.tunnelsOpen == 1)
        #expect(tandem.backend(0).requestsInFlight == 1)
        try client.finishSending()
        #expect(try backend.end() == .ended)
        try backend.send("221 bye\r\n")
        try client.expect("221 bye\r\n")
        try backend.finishSending()
        #expect(try client.end() == .ended)
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
        let numbers = tandem.listener
        #expect(numbers.connectionsAccepted == 1)
        #expect(numbers.requests == 0)
        #expect(numbers.responses.labelled.allSatisfy { $0.count == 0 })
        #expect(numbers.tunnels == 1)
        #expect(numbers.bytesReceived == 6)
        #expect(numbers.bytesSent == 20)
        #expect(tandem.backend(0).connections == 1)
        #expect(tandem.backend(0).requests == 0)
        #expect(tandem.backend(0).requestsInFlight == 0)
        #expect(tandem.backend(0).idleConnections == 0)
    }

    @Test func backendsTakeTurns() throws {
        let listeners = try (0..<3).map { _ in try TunnelListener() }
        let tandem = try Self.plane(listeners.map(\.endpoint))
        var peers: [TunnelPeer] = []
        for _ in 0..<6 {
            peers.append(try TunnelPeer(connectingTo: tandem.endpoint))
            #expect(eventually { tandem.listener.tunnels == peers.count })
        }
        for listener in listeners {
            for _ in 0..<2 { peers.append(try listener.accept()) }
            #expect(try listener.tryAccept() == nil)
        }
    }

    @Test func anotherBackendIsTriedAndLosesNoByte() throws {
        let listener = try TunnelListener()
        var pool = TestPlane.pool(
            "tcp", [try deadEndpoint(), try deadEndpoint(), listener.endpoint])
        pool.retries.attempts = 2
        let tandem = try TestPlane(service: .tcp(pool: "tcp"), pools: [pool])
        for index in 0..<3 {
            let client = try TunnelPeer(connectingTo: tandem.endpoint)
            try client.send("hello \(index)")
            let backend = try listener.accept()
            try backend.expect("hello \(index)")
        }
        #expect(tandem.backend(0).connectFailures > 0)
        #expect(tandem.listener.refusedStreams == 0)
    }

    @Test func withoutABackendTheClientIsReset() throws {
        let tandem = try Self.plane([deadEndpoint(), deadEndpoint()])
        // The reset may be there before the new connection is looked at for the first time.
        if let client = try? TunnelPeer(connectingTo: tandem.endpoint) {
            #expect(try client.end() == .reset)
        }
        #expect(eventually { tandem.listener.refusedStreams == 1 })
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
        #expect(tandem.backend(0).requestsInFlight == 0)
        #expect(tandem.backend(1).requestsInFlight == 0)
    }

    @Test func unavailableBackendsGetNothing() throws {
        let listeners = try (0..<2).map { _ in try TunnelListener() }
        let tandem = try Self.plane(listeners.map(\.endpoint))
        tandem.plane.setBackendAvailability(pool: "tcp", backend: "be0", isUp: false)
        var peers: [TunnelPeer] = []
        for _ in 0..<4 {
            peers.append(try TunnelPeer(connectingTo: tandem.endpoint))
            peers.append(try listeners[1].accept())
        }
        #expect(try listeners[0].tryAccept() == nil)
    }

    @Test func aBackendThatDoesNotAcceptInTimeIsGivenUp() throws {
        // A full queue makes the kernel drop further connections.
        let stuck = try StreamSocket.listen(
            on: Endpoint(address: .v4(.loopback), port: 0),
            options: {
                var options = StreamSocket.ListenOptions()
                options.backlog = 0
                return options
            }())
        let endpoint = try #require(try StreamSocket.localEndpoint(stuck))
        let fillers = try (0..<4).map { _ in SocketBox(try StreamSocket.connect(to: endpoint)) }
        let listener = try TunnelListener()
        var timeouts = TimeoutConfiguration()
        timeouts.connect = .milliseconds(200)
        let tandem = try Self.plane([endpoint, listener.endpoint], timeouts: timeouts)
        for index in 0..<2 {
            let client = try TunnelPeer(connectingTo: tandem.endpoint)
            try client.send("\(index)")
            try listener.accept().expect("\(index)")
        }
        #expect(tandem.backend(0).connectFailures > 0)
        withExtendedLifetime(fillers) {}
    }

    @Test func aClientThatLeavesWhileABackendIsSoughtIsForgotten() throws {
        let stuck = try StreamSocket.listen(
            on: Endpoint(address: .v4(.loopback), port: 0),
            options: {
                var options = StreamSocket.ListenOptions()
                options.backlog = 0
                return options
            }())
        let endpoint = try #require(try StreamSocket.localEndpoint(stuck))
        let fillers = try (0..<4).map { _ in SocketBox(try StreamSocket.connect(to: endpoint)) }
        let tandem = try Self.plane([endpoint])
        let client = try TunnelPeer(connectingTo: tandem.endpoint)
        #expect(eventually { tandem.backend(0).requestsInFlight == 1 })
        try client.close(byReset: true)
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
        #expect(tandem.backend(0).requestsInFlight == 0)
        #expect(tandem.listener.clientAborts == 1)
        withExtendedLifetime(fillers) {}
    }

    @Test func connectionsPerClientAreLimited() throws {
        let listener = try TunnelListener()
        let tandem = try TestPlane(
            service: .tcp(pool: "tcp"), pools: [TestPlane.pool("tcp", [listener.endpoint])],
            listenerLimits: ListenerLimits(connectionsPerClient: 2))
        let first = try TunnelPeer(connectingTo: tandem.endpoint)
        let second = try TunnelPeer(connectingTo: tandem.endpoint)
        let backends = try (0..<2).map { _ in try listener.accept() }
        let third = try TunnelPeer(connectingTo: tandem.endpoint)
        #expect(try third.end() != .open)
        try first.close(byReset: true)
        #expect(eventually { tandem.plane.openConnectionCount == 1 })
        let fourth = try TunnelPeer(connectingTo: tandem.endpoint)
        try fourth.send("x")
        try listener.accept().expect("x")
        withExtendedLifetime((second, backends)) {}
    }

    // MARK: Reload

    @Test func oldStreamsKeepTheirPoolOverAReload() throws {
        let old = try TunnelListener()
        let new = try TunnelListener()
        let tandem = try Self.plane([old.endpoint])
        let client = try TunnelPeer(connectingTo: tandem.endpoint)
        let backend = try old.accept()
        _ = try tandem.reload(pools: [TestPlane.pool("tcp", [new.endpoint])])
        #expect(
            try eventually {
                let next = try TunnelPeer(connectingTo: tandem.endpoint)
                try next.send("x")
                return try new.tryAccept() != nil
            })
        try client.send("still here")
        try backend.expect("still here")
        try backend.send("me too")
        try client.expect("me too")
    }

    @Test func tcpListenersComeAndGoWithAReload() throws {
        let listener = try TunnelListener()
        let tandem = try TestPlane([listener.endpoint])
        var configuration = tandem.configuration
        configuration.listeners.append(
            ListenerConfiguration(
                name: "raw", bind: Endpoint(address: .v4(.loopback), port: 0),
                service: .tcp(pool: "web")))
        let added = try tandem.plane.apply(configuration)
        #expect(added.addedListeners == ["raw"])
        let raw = try #require(tandem.plane.boundEndpoint(listener: "raw"))
        let client = try TunnelPeer(connectingTo: raw)
        let backend = try listener.accept()
        configuration.listeners.removeLast()
        #expect(try tandem.plane.apply(configuration).removedListeners == ["raw"])
        #expect(eventually { (try? TunnelPeer(connectingTo: raw)) == nil })
        try client.send("on and on")
        try backend.expect("on and on")
        try client.close(byReset: false)
        #expect(try backend.end() == .ended)
        try backend.close(byReset: false)
        // Connections that came before the listener went end with their backend.
        #expect(
            try eventually {
                while try listener.tryAccept() != nil {}
                return tandem.plane.openConnectionCount == 0
            })
    }

    @Test func aListenerMayChangeItsProtocol() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("http") }
        let listener = try TunnelListener()
        let pools = [
            TestPlane.pool("web", [backend.endpoint]), TestPlane.pool("tcp", [listener.endpoint]),
        ]
        let tandem = try TestPlane(
            routes: [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")], pools: pools)
        let old = try tandem.client()
        #expect(try old.exchange("/").text == "http")
        var configuration = tandem.configuration
        configuration.listeners[0].service = .tcp(pool: "tcp")
        _ = try tandem.plane.apply(configuration)
        #expect(
            try eventually {
                let client = try TunnelPeer(connectingTo: tandem.endpoint)
                try client.send("raw")
                return try listener.tryAccept() != nil
            })
        // What was HTTP stays HTTP, and has no route any more.
        #expect(try old.exchange("/").status == 404)
        configuration.listeners[0].service = .http(
            HTTPListenerConfiguration(
                routes: [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]))
        _ = try tandem.plane.apply(configuration)
        #expect(
            eventually {
                (try? tandem.client().exchange("/").text) == "http"
            })
    }
}
