// SPDX-License-Identifier: Apache-2.0
//
// The PROXY protocol on both sides of the proxy: who must send it, what it changes, and what
// backends are told.

import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct ProxyHeaderServiceTests {
    private static let line = "PROXY TCP4 203.0.113.7 198.51.100.1 51234 443\r\n"
    private static let connection = ProxyHeader.Connection(
        source: Endpoint(address: .v4(IPv4Address(203, 0, 113, 7)), port: 51_234),
        destination: Endpoint(address: .v4(IPv4Address(198, 51, 100, 1)), port: 443))

    /// An HTTP listener that expects headers from `sources`.
    private static func plane(
        _ backends: [Endpoint], from sources: [String] = ["127.0.0.0/8"],
        sends version: ProxyHeaderVersion? = nil,
        timeouts: TimeoutConfiguration = TimeoutConfiguration(),
        limits: ListenerLimits = ListenerLimits()
    ) throws -> TestPlane {
        var pool = TestPlane.pool("web", backends)
        pool.sendsProxyHeader = version
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        return try TestPlane(
            service: .http(HTTPListenerConfiguration(routes: routes)),
            proxyProtocolSources: try sources.map { try #require(IPNetwork($0)) }, pools: [pool],
            timeouts: timeouts, listenerLimits: limits)
    }

    private static func echo() throws -> TestBackend {
        try TestBackend { request in
            ReplyStep.ok("\(request.field("x-forwarded-for") ?? "none") \(request.target)")
        }
    }

    // MARK: From a tier in front

    @Test func theHeaderNamesTheClient() throws {
        let backend = try Self.echo()
        let tandem = try Self.plane([backend.endpoint])
        let headers: [[UInt8]] = [
            Array(Self.line.utf8), ProxyHeader.binary(for: Self.connection),
            // TLVs behind the addresses.
            ProxyHeader.binary(for: Self.connection).dropLast(14) + [0, 12 + 5]
                + ProxyHeader.binary(for: Self.connection).suffix(12) + [0x02, 0, 2, 0x61, 0x62],
            // An IPv4 client on an IPv6 socket.
            Array("PROXY TCP6 ::ffff:203.0.113.7 ::1 51234 443\r\n".utf8),
        ]
        for header in headers {
            let client = try tandem.client()
            // In one segment with a request and the beginning of the next one.
            try client.send(header + Array("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2".utf8))
            #expect(try client.response().text == "203.0.113.7 /1")
            try client.send(" HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try client.response().text == "203.0.113.7 /2")
        }
        let six = try tandem.client()
        try six.send("PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n")
        #expect(try six.exchange("/").text == "2001:db8::7 /")
        #expect(tandem.listener.proxyHeaderFailures == 0)
    }

    @Test func theHeaderMayComeByteByByte() throws {
        let backend = try Self.echo()
        let tandem = try Self.plane([backend.endpoint])
        for header in [Array(Self.line.utf8), ProxyHeader.binary(for: Self.connection)] {
            let client = try tandem.client()
            for byte in header {
                try client.send([byte])
                KernelThread.pause(milliseconds: 1)
            }
            #expect(try client.exchange("/slow").text == "203.0.113.7 /slow")
        }
    }

    @Test func localConnectionsKeepTheirRealPeer() throws {
        let backend = try Self.echo()
        let tandem = try Self.plane([backend.endpoint])
        for header in [ProxyHeader.binary(for: nil), ProxyHeader.line(for: nil)] {
            let client = try tandem.client()
            try client.send(header)
            #expect(try client.exchange("/").text == "127.0.0.1 /")
        }
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PROXY TCP4 203.0.113.7 198.51.100.1 51234 99999\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PROXY TCP4 203.0.113.7 198.51.100.1 51234 443\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ])
    func whoMustSendAHeaderGetsNoAnswerWithoutIt(bytes: String) throws {
        let backend = try Self.echo()
        let tandem = try Self.plane([backend.endpoint])
        let client = try tandem.client()
        try client.send(bytes)
        #expect(client.isClosedByPeer())
        #expect(client.received.isEmpty)
        #expect(tandem.listener.proxyHeaderFailures == 1)
        #expect(tandem.listener.requests == 0)
        #expect(backend.log.requests.isEmpty)
    }

    @Test func whoSendsNoHeaderInTimeIsClosed() throws {
        let backend = try Self.echo()
        var timeouts = TimeoutConfiguration()
        timeouts.proxyHeader = .milliseconds(200)
        let tandem = try Self.plane([backend.endpoint], timeouts: timeouts)
        let silent = try tandem.client()
        let slow = try tandem.client()
        try slow.send("PROXY TCP4 203.0")
        #expect(silent.isClosedByPeer())
        #expect(slow.isClosedByPeer())
        #expect(tandem.listener.proxyHeaderFailures == 2)
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
    }

    @Test func othersAreTakenAsTheyAre() throws {
        let backend = try Self.echo()
        let tandem = try Self.plane([backend.endpoint], from: ["10.0.0.0/8", "127.0.0.2"])
        let client = try tandem.client()
        #expect(try client.exchange("/").text == "127.0.0.1 /")
        // A header from somebody else is no request.
        let liar = try tandem.client()
        try liar.send(Self.line + "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try liar.response().status == 400)
        #expect(backend.log.requests.count == 1)
    }

    @Test func peersOnIPv6AreToldApart() throws {
        let backend = try Self.echo()
        let tandem = try Self.plane([backend.endpoint])
        var configuration = tandem.configuration
        let bind = try #require(Endpoint("[::1]:0"))
        for (name, source) in [("inside", "::1/128"), ("outside", "2001:db8::/32")] {
            configuration.listeners.append(
                ListenerConfiguration(
                    name: name, bind: bind, service: configuration.listeners[0].service,
                    proxyProtocolSources: [try #require(IPNetwork(source))]))
        }
        _ = try tandem.plane.apply(configuration)
        let inside = try #require(tandem.plane.boundEndpoint(listener: "inside"))
        let named = try TestClient(inside)
        try named.send(Self.line)
        #expect(try named.exchange("/").text == "203.0.113.7 /")
        let outside = try #require(tandem.plane.boundEndpoint(listener: "outside"))
        #expect(try TestClient(outside).exchange("/").text == "::1 /")
    }

    @Test func oneAddressMayNotHaveAllConnections() throws {
        let backend = try Self.echo()
        let tandem = try Self.plane(
            [backend.endpoint], limits: ListenerLimits(connectionsPerClient: 1))
        let first = try tandem.client()
        try first.send(Self.line)
        #expect(try first.exchange("/").status == 200)
        let second = try tandem.client()
        try second.send(Self.line)
        #expect(second.isClosedByPeer())
        // The tier in front is not the client, however many connections it has.
        let other = try tandem.client()
        try other.send("PROXY TCP4 203.0.113.8 198.51.100.1 51234 443\r\n")
        #expect(try other.exchange("/").text == "203.0.113.8 /")
    }

    // MARK: To backends

    private func header(_ version: ProxyHeaderVersion, from peer: TunnelPeer) throws -> ProxyHeader?
    {
        let wanted = version == .v1 ? 6 : ProxyHeader.fixedByteCount
        var bytes = try peer.take(wanted)
        if version == .v1 {
            bytes += Array(try peer.take(until: "\r\n").utf8)
        } else {
            bytes += try peer.take(Int(bytes[14]) << 8 | Int(bytes[15]))
        }
        guard case .complete(let header) = ProxyHeader.decode(bytes.span.bytes) else {
            return nil
        }
        #expect(header.byteCount == bytes.count)
        return header
    }

    @Test(arguments: ProxyHeaderVersion.allCases)
    func backendsAreToldTheClient(version: ProxyHeaderVersion) throws {
        let listener = try TunnelListener()
        let tandem = try Self.plane([listener.endpoint], from: [], sends: version)
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let backend = try listener.accept()
        let header = try #require(try header(version, from: backend))
        #expect(header.connection?.source.address == .v4(.loopback))
        #expect(header.connection?.source.port == client.localPort)
        #expect(header.connection?.destination == tandem.endpoint)
        #expect(try backend.take(until: "\r\n\r\n").hasPrefix("GET / HTTP/1.1\r\n"))
    }

    @Test(arguments: ProxyHeaderVersion.allCases)
    func whatATierInFrontSaidIsPassedOn(version: ProxyHeaderVersion) throws {
        let listener = try TunnelListener()
        let tandem = try Self.plane([listener.endpoint], sends: version)
        let client = try tandem.client()
        try client.send(Self.line + "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let backend = try listener.accept()
        #expect(try header(version, from: backend)?.connection == Self.connection)
        #expect(
            ReceivedRequest(head: try backend.take(until: "\r\n\r\n"))
                .field("x-forwarded-for") == "203.0.113.7")
    }

    @Test func noClientRidesOnTheConnectionOfAnother() throws {
        let listener = try TunnelListener()
        let tandem = try Self.plane([listener.endpoint], from: [], sends: .v2)
        let clients = try (0..<2).map { _ in try tandem.client() }
        for round in 0..<2 {
            for client in clients {
                try client.send("GET /\(round) HTTP/1.1\r\nHost: a\r\n\r\n")
                let backend = try listener.accept()
                let header = try header(.v2, from: backend)
                #expect(header?.connection?.source.port == client.localPort)
                let request = ReceivedRequest(head: try backend.take(until: "\r\n\r\n"))
                #expect(request.head.hasPrefix("GET /\(round) "))
                #expect(request.field("connection") == "close")
                try backend.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                #expect(try client.response().status == 200)
            }
        }
        #expect(tandem.backend(0).idleConnections == 0)
    }

    @Test func connectionsWithoutHeaderDoNotSurviveAReloadThatWantsIt() throws {
        let listener = try TunnelListener()
        let tandem = try Self.plane([listener.endpoint], from: [])
        let client = try tandem.client()
        try client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
        let old = try listener.accept()
        _ = try old.take(until: "\r\n\r\n")
        try old.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        #expect(try client.response().status == 200)
        #expect(eventually { tandem.backend(0).idleConnections == 1 })
        var pool = TestPlane.pool("web", [listener.endpoint])
        pool.sendsProxyHeader = .v1
        _ = try tandem.reload(pools: [pool])
        #expect(try old.end() == .ended)
        try client.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        let new = try listener.accept()
        #expect(try header(.v1, from: new)?.connection?.source.port == client.localPort)
        #expect(try new.take(until: "\r\n\r\n").hasPrefix("GET /2 "))
    }

    @Test(arguments: ProxyHeaderVersion.allCases)
    func streamsBeginWithTheHeader(version: ProxyHeaderVersion) throws {
        let listener = try TunnelListener()
        var pool = TestPlane.pool("tcp", [try deadEndpoint(), listener.endpoint])
        pool.sendsProxyHeader = version
        let tandem = try TestPlane(
            service: .tcp(pool: "tcp"),
            proxyProtocolSources: [try #require(IPNetwork("127.0.0.1"))], pools: [pool])
        let client = try TunnelPeer(connectingTo: tandem.endpoint)
        #expect(try listener.tryAccept() == nil)
        try client.send(Self.line + "early")
        let backend = try listener.accept()
        #expect(try header(version, from: backend)?.connection == Self.connection)
        try backend.expect("early")
        try client.send("late")
        try backend.expect("late")
        try backend.send("answer")
        try client.expect("answer")
    }

    @Test func theConnectionOfADroppedAnswerIsNotKept() throws {
        let listener = try TunnelListener()
        var pool = TestPlane.pool("web", [listener.endpoint])
        pool.outlierDetection = nil
        pool.sendsProxyHeader = .v2
        pool.retries.conditions = [.gatewayError]
        pool.retries.backoff = .milliseconds(1)
        let tandem = try TestPlane(
            routes: [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")], pools: [pool])
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let first = try listener.accept()
        _ = try header(.v2, from: first)
        _ = try first.take(until: "\r\n\r\n")
        // A backend that does not care for `Connection: close`.
        try first.send("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno")
        #expect(try first.end() == .ended)
        let second = try listener.accept()
        #expect(try header(.v2, from: second)?.connection?.source.port == client.localPort)
        _ = try second.take(until: "\r\n\r\n")
        try second.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        #expect(try client.response().status == 200)
        #expect(tandem.backend(0).idleConnections == 0)
    }
}
