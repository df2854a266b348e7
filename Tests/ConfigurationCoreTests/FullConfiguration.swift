// SPDX-License-Identifier: Apache-2.0
//
// A configuration in which every optional value is there and every list has an entry.

import ConfigurationCore
import WireCore

enum FullConfiguration {
    static func make() -> Configuration {
        Configuration(
            workers: .exactly(2), pair: pair, listeners: [web, database],
            pools: [
                pool(
                    "web",
                    probe: .http(
                        HTTPProbe(
                            path: "/healthz", host: "h",
                            headers: [HeaderEdits.Header(name: "X-Probe", value: "1")],
                            body: "ok")),
                    readiness: .grpc(service: "shop")),
                pool(
                    "db", probe: .tcp(PayloadProbe(send: [1], expect: [2])),
                    readiness: .udp(PayloadProbe(send: [3], expect: [4]))),
            ],
            admin: AdminConfiguration(http: endpoint(1, 9_900), socket: "/run/t"),
            timeouts: TimeoutConfiguration(),
            limits: LimitConfiguration(bodyByteCount: 1 << 20, requestsPerConnection: 1_000),
            accessLog: AccessLogConfiguration(file: "/var/log/a"), zone: "east",
            resolver: ResolverConfiguration(servers: [endpoint(53, 53)]))
    }

    static func endpoint(_ last: UInt8, _ port: UInt16) -> Endpoint {
        Endpoint(address: .v4(IPv4Address(10, 0, 0, last)), port: port)
    }

    static func network(_ second: UInt8) -> IPNetwork {
        let address = IPAddress.v4(IPv4Address(10, second, 0, 0))
        guard let network = IPNetwork(address: address, prefixLength: 16) else {
            preconditionFailure("bits behind the prefix")
        }
        return network
    }

    private static let pair = PairConfiguration(
        interface: "eth0",
        nodes: [
            NodeConfiguration(
                name: "a", address: IPv4Address(10, 0, 0, 1), priority: 2, zone: "z",
                ipv6Address: IPv6Address(high: 0xFD00 << 48, low: 1)),
            NodeConfiguration(name: "b", address: IPv4Address(10, 0, 0, 2), priority: 1),
        ],
        link: PairLinkConfiguration(
            port: 7_946, secretFile: "/etc/k", heartbeatInterval: .milliseconds(100)),
        virtualRouters: [
            VirtualRouterConfiguration(
                id: 51, addresses: [IPAddress(10, 0, 0, 100)], interface: "eth0",
                advertiseInterval: .seconds(1),
                preempt: true, preemptDelay: .seconds(1), lease: .seconds(2),
                transport: .multicast,
                nodes: [
                    "a": VirtualRouterNode(
                        priority: 3, address: IPv4Address(10, 1, 0, 1),
                        ipv6Address: IPv6Address(high: 0xFD01 << 48, low: 1))
                ], group: "main")
        ], track: track)

    private static let track = TrackingConfiguration(
        interfaces: [TrackedInterface(name: "eth1", penalty: .points(10))],
        gateway: TrackedGateway(
            address: IPAddress(10, 0, 0, 254), interface: "eth0", penalty: .points(20)),
        backends: TrackedBackends(pools: ["web"], penalty: .points(30)),
        scripts: [
            TrackedScript(name: "disk", command: ["/bin/check", "-v"], penalty: .points(40))
        ])

    private static let edits = HeaderEdits(
        remove: ["X-Debug"], set: [HeaderEdits.Header(name: "X-Edge", value: "1")],
        add: [HeaderEdits.Header(name: "X-Hop", value: "a")])

    private static let rateLimits = [
        RateLimitConfiguration(requests: 100, per: .seconds(1), burst: 200, key: .client),
        RateLimitConfiguration(requests: 10, per: .seconds(1), burst: 20, key: .header("x-key")),
        RateLimitConfiguration(requests: 1, per: .seconds(1), burst: 2, key: .route),
    ]

    private static let routes = [
        RouteConfiguration(
            match: RouteMatch(
                host: "h", path: .prefix("/api/"), methods: ["GET"],
                headers: [RouteMatch.Condition(name: "x-canary", value: "true")],
                query: [RouteMatch.Condition(name: "v", value: "2")],
                cookies: [RouteMatch.Condition(name: "beta", value: "1")]),
            action: .split([
                PoolShare(pool: "web", weight: 95), PoolShare(pool: "db", weight: 5),
            ]),
            rewrite: RouteRewrite(pathPrefix: "/", host: "i"), requestHeaders: edits,
            responseHeaders: edits, rateLimits: rateLimits,
            mirror: MirrorConfiguration(pool: "db", shareBasisPoints: 500)),
        RouteConfiguration(
            match: RouteMatch(path: .exact("/old")),
            action: .redirect(
                RedirectConfiguration(
                    status: 308, scheme: "https", host: "w", port: 443, path: "/new"))),
        RouteConfiguration(
            action: .respond(
                FixedResponseConfiguration(status: 404, contentType: "text/plain", body: "no"))),
        RouteConfiguration(action: .pool("web")),
    ]

    private static let web = ListenerConfiguration(
        name: "web", bind: endpoint(1, 80),
        service: .http(
            HTTPListenerConfiguration(
                routes: routes, trustedProxies: [network(1)], requestHeaders: edits,
                responseHeaders: edits, rateLimits: rateLimits,
                errorPages: [ErrorPage(status: 503, contentType: "text/html", body: "sorry")])),
        proxyProtocolSources: [network(2)],
        limits: ListenerLimits(connections: 1_000, connectionsPerClient: 100))

    private static let database = ListenerConfiguration(
        name: "db", bind: endpoint(1, 5_432), service: .tcp(pool: "db"))

    private static let backends = [
        BackendConfiguration(
            name: "be1", address: endpoint(21, 8_080), weight: 1, zone: "z", priority: 1,
            maxRequests: 10, maxConnections: 20),
        BackendConfiguration(
            name: "be2", location: .host(name: "app.internal", port: 8_080), weight: 1),
        BackendConfiguration(
            name: "be3", location: .service(name: "_http._tcp.app.internal"), weight: 1),
    ]

    private static func pool(
        _ name: String, probe: HealthCheckConfiguration.Probe,
        readiness: HealthCheckConfiguration.Probe
    ) -> PoolConfiguration {
        var pool = PoolConfiguration(
            name: name, balance: .leastTime, backends: backends,
            healthCheck: HealthCheckConfiguration(
                probe: probe, interval: .seconds(5), timeout: .seconds(3), fall: 3, rise: 2,
                port: 9_000),
            sendsProxyHeader: .v2)
        pool.tunnelSource = IPAddress("10.77.0.100")
        pool.readinessCheck = HealthCheckConfiguration(probe: readiness, port: 9_001)
        pool.hash = HashConfiguration(key: name == "web" ? .header("x-user") : .cookie("user"))
        pool.sticky = StickyConfiguration(maxAge: .seconds(60), domain: "example.org")
        pool.slowStart = SlowStartConfiguration()
        pool.limits = PoolLimits(requests: 100, connections: 200, retries: 5)
        pool.retries = RetryConfiguration(conditions: [.reset], perTryTimeout: .seconds(2))
        pool.hedging = HedgingConfiguration(after: .milliseconds(50))
        pool.adaptiveConcurrency = AdaptiveConcurrencyConfiguration()
        return pool
    }
}
