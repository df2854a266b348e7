// SPDX-License-Identifier: Apache-2.0
//
// A data plane on the loopback address that tells a test about its connections.

import ConfigurationCore
import EventLoop
import LinuxIO
import ProxyService
import ReplicationCore
import Synchronization
import Telemetry
import Testing
import WireCore

/// A running data plane with one listener whose connections are carried over.
final class ShadowPlane {
    let plane: DataPlane
    let endpoint: Endpoint
    let journal: ConnectionJournal
    private(set) var configuration: Configuration
    private(set) var receiver: ShadowReceiver
    /// Workers that lost their channel.
    let losses: Counter

    /// Serves `backends` as one pool, behind `routes` before it.
    init(
        _ backends: [Endpoint], level: CarryOver, routes: [RouteConfiguration] = [],
        timeouts: TimeoutConfiguration = TimeoutConfiguration(),
        limits: LimitConfiguration = LimitConfiguration(),
        proxySources: [IPNetwork] = [], tunnelSource: IPAddress? = nil,
        opensChannel: Bool = true
    ) throws {
        let all = routes + [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        let http = HTTPListenerConfiguration(routes: all, carryOver: level)
        let listener = ListenerConfiguration(
            name: "web", bind: Endpoint(address: .v4(.loopback), port: 0), service: .http(http),
            proxyProtocolSources: proxySources)
        var pool = TestPlane.pool("web", backends)
        pool.tunnelSource = tunnelSource
        configuration = Configuration(
            workers: .exactly(1), pair: nil, listeners: [listener],
            pools: [pool],
            admin: AdminConfiguration(http: nil, socket: nil), timeouts: timeouts, limits: limits)
        journal = try ConnectionJournal(watching: [.v4(.loopback)], capacity: 1 << 16)
        let losses = Counter()
        self.losses = losses
        plane = try DataPlane(
            configuration: configuration, nodeName: "test", logger: Logger("proxy", sink: nil),
            descriptorLimit: 4_096, journal: journal,
            shadowChannelLost: { _ in losses.add() })
        try plane.start()
        endpoint = try #require(plane.boundEndpoint(listener: "web"))
        receiver = try ShadowReceiver()
        if opensChannel { try open() }
    }

    deinit {
        plane.stop()
    }

    /// Opens the channel and waits for its first snapshot.
    func open() throws {
        plane.openShadowChannel(receiver.grant, worker: 0)
        let receiver = receiver
        #expect(
            eventually {
                receiver.heard().events.contains {
                    if case .snapshotEnded = $0 { true } else { false }
                }
            })
    }

    /// Replaces the channel.
    func reopen(isNarrow: Bool = false) throws {
        receiver = try ShadowReceiver(isNarrow: isNarrow)
        try open()
    }

    func client() throws -> TestClient {
        try TestClient(endpoint)
    }

    /// A client whose connection was told about.
    func knownClient() throws -> TestClient {
        let client = try client()
        let receiver = receiver
        #expect(eventually { !receiver.records(ofPort: client.localPort).isEmpty })
        return client
    }

    func carryOver(_ level: CarryOver) throws {
        guard case .http(var http) = configuration.listeners[0].service else { return }
        http.carryOver = level
        configuration.listeners[0].service = .http(http)
        _ = try plane.apply(configuration)
    }

    /// The last thing that was told about a client so far; nothing is waited for.
    func last(_ client: TestClient) -> ShadowRecord? {
        receiver.records(ofPort: client.localPort).last
    }

    /// What must have been told when the client has all of an answer: the numbers of its own
    /// socket, seen from the other end.
    func answered(_ client: TestClient) throws -> ShadowRecord {
        let state = try client.transport()
        return .answered(
            receiveSequence: state.sendSequence, sendSequence: state.receiveSequence)
    }
}

/// How often something happened, on any thread.
final class Counter: Sendable {
    private let cell = Atomic<Int>(0)

    func add() {
        cell.add(1, ordering: .relaxed)
    }

    var value: Int { cell.load(ordering: .relaxed) }
}
