// SPDX-License-Identifier: Apache-2.0
//
// The golden file with every key of the HTTP data plane, value by value.

import ConfigurationCore
import ConfigurationService
import Testing
import WireCore

@Suite struct EveryKeyTests {
    private static func load(_ text: String) throws -> Configuration {
        try ConfigurationLoader.load(Array(text.utf8), name: "t", node: .unchecked)
            .get().configuration
    }

    private static func everyKey() throws -> Configuration {
        try load(GoldenFile(name: "ok-every-http-key").input)
    }

    private static func network(_ text: String) throws -> IPNetwork {
        try #require(IPNetwork(text))
    }

    private static func http(_ configuration: Configuration) throws -> HTTPListenerConfiguration {
        guard case .http(let http) = configuration.listeners.first?.service else {
            throw ScalarExpected()
        }
        return http
    }

    private struct ScalarExpected: Error {}

    @Test func listenerKeysMeanWhatTheySay() throws {
        let configuration = try Self.everyKey()
        let web = configuration.listeners[0]
        #expect(
            web.proxyProtocolSources == [
                try Self.network("10.0.0.0/8"), try Self.network("2001:db8::/32"),
            ])
        #expect(web.limits == ListenerLimits(connections: 10_000, connectionsPerClient: 100))
        let http = try Self.http(configuration)
        #expect(http.trustedProxies == [try Self.network("10.0.0.0/8")])
        #expect(http.sendsForwarded)
        #expect(http.allowsTrace)
        #expect(
            http.path
                == PathConfiguration(
                    dotSegments: .reject, encodedSlashes: .decode, mergesSlashes: true))
        #expect(
            http.requestHeaders
                == HeaderEdits(
                    remove: ["X-Debug"], set: [HeaderEdits.Header(name: "X-Edge", value: "1")],
                    add: [HeaderEdits.Header(name: "X-Hop", value: "a")]))
        #expect(
            http.responseHeaders.set == [
                HeaderEdits.Header(name: "Strict-Transport-Security", value: "max-age=31536000")
            ])
        #expect(
            http.rateLimits == [
                RateLimitConfiguration(requests: 100, per: .seconds(1), burst: 200, key: .client),
                RateLimitConfiguration(
                    requests: 10, per: .seconds(60), burst: 10, key: .header("x-api-key")),
            ])
        #expect(
            http.errorPages == [
                ErrorPage(
                    status: 503, contentType: "text/html; charset=utf-8",
                    body: "<h1>Back soon</h1>")
            ])
        #expect(configuration.listeners[1].service == .tcp(pool: "db"))
    }

    @Test func routeKeysMeanWhatTheySay() throws {
        let routes = try Self.http(try Self.everyKey()).routes
        #expect(
            routes[0]
                == RouteConfiguration(
                    match: RouteMatch(
                        host: "h", path: .prefix("/api/"), methods: ["GET", "POST"],
                        headers: [
                            RouteMatch.Condition(name: "x-canary", value: "true"),
                            RouteMatch.Condition(name: "x-any", value: nil),
                        ],
                        query: [RouteMatch.Condition(name: "v", value: "2")],
                        cookies: [RouteMatch.Condition(name: "Beta", value: "1")]),
                    action: .split([
                        PoolShare(pool: "web", weight: 95), PoolShare(pool: "canary", weight: 5),
                    ]),
                    rewrite: RouteRewrite(pathPrefix: "/", host: "internal.example.org"),
                    requestHeaders: HeaderEdits(remove: ["X-A"]),
                    responseHeaders: HeaderEdits(
                        add: [HeaderEdits.Header(name: "X-B", value: "")]),
                    rateLimits: [
                        RateLimitConfiguration(
                            requests: 5, per: .milliseconds(100), burst: 5, key: .route)
                    ],
                    mirror: MirrorConfiguration(pool: "shadow", shareBasisPoints: 525)))
        #expect(
            routes[1]
                == RouteConfiguration(
                    match: RouteMatch(path: .exact("/old")),
                    action: .redirect(
                        RedirectConfiguration(
                            status: 307, scheme: "https", host: "www.example.org", port: 443,
                            path: "/new"))))
        #expect(
            routes[2]
                == RouteConfiguration(
                    action: .respond(
                        FixedResponseConfiguration(
                            status: 404, contentType: "text/plain", body: "nothing here"))))
    }

    @Test func limitsTimesAndLogMeanWhatTheySay() throws {
        let configuration = try Self.everyKey()
        #expect(configuration.pools.map(\.sendsProxyHeader) == [.v2, nil, nil, .v1])
        #expect(
            configuration.limits
                == LimitConfiguration(
                    headerFields: 50, headerByteCount: 32 << 10, uriByteCount: 4 << 10,
                    bodyByteCount: 10 << 20, bodyRateMin: 0, bufferByteCount: 128 << 20,
                    requestsPerConnection: 1_000))
        #expect(
            configuration.timeouts
                == TimeoutConfiguration(
                    proxyHeader: .seconds(1), bodyGrace: .seconds(2), streamIdle: .seconds(3),
                    tunnelIdle: .seconds(4)))
        #expect(
            configuration.accessLog
                == AccessLogConfiguration(file: "/var/log/tandem/access.log", format: .combined))
    }

    @Test func absentKeysHaveTheDefaultsOfTheTypes() throws {
        let configuration = try Self.load(GoldenFile(name: "ok-minimal").input)
        #expect(configuration.limits == LimitConfiguration())
        #expect(configuration.timeouts == TimeoutConfiguration())
        #expect(configuration.accessLog == nil)
        #expect(configuration.listeners[0].limits == ListenerLimits())
        #expect(configuration.listeners[0].proxyProtocolSources == [])
        let http = try Self.http(configuration)
        #expect(http == HTTPListenerConfiguration(routes: http.routes))
        #expect(configuration.pools[0].sendsProxyHeader == nil)
    }

    @Test(arguments: [(3, true), (4, false)])
    func editsOfListenerAndRouteTogetherAreBounded(lineCount: Int, isAllowed: Bool) {
        // Each line takes 4,103 bytes of 32 KiB: three and four of them fit, four and four do not.
        let value = String(repeating: "a", count: 4_096)
        let lines = { (place: String) in
            (0..<4).map { "X-\(place)\($0): \(value)" }
        }
        let text = """
            listeners:
              web:
                bind: 0.0.0.0:80
                response_headers: { set: { \(lines("A").joined(separator: ", ")) } }
                routes:
                  - pool: web
                    response_headers:
                      add: { \(lines("B").prefix(lineCount).joined(separator: ", ")) }
            pools: { web: { backends: { be1: { address: 10.0.0.1:80 } } } }
            """
        let (exitCode, output) = ConfigurationLoader.check(Array(text.utf8), name: "t")
        #expect((exitCode == 0) == isAllowed)
        #expect(output.contains("together with those of the listener writes") == !isAllowed)
    }

    @Test func emptySectionsMeanTheDefaultsToo() throws {
        let text = """
            listeners:
              web:
                bind: 0.0.0.0:80
                path: {}
                limits: {}
                routes:
                  - match: { path: /a }
                    respond: {}
                  - match: { path: /b }
                    pool: web
                    rewrite: {}
                    mirror: { pool: web }
                    rate_limits: [{ requests: 7 }]
                  - pool: web
            pools: { web: { backends: { be1: { address: 10.0.0.1:80 } } } }
            limits: {}
            access_log: { file: stderr }
            """
        let configuration = try Self.load(text)
        let http = try Self.http(configuration)
        #expect(http.path == PathConfiguration())
        #expect(http.routes[0].action == .respond(FixedResponseConfiguration()))
        #expect(http.routes[1].rewrite == RouteRewrite())
        #expect(http.routes[1].mirror?.shareBasisPoints == 10_000)
        #expect(
            http.routes[1].rateLimits == [
                RateLimitConfiguration(requests: 7, per: .seconds(1), burst: 7, key: .client)
            ])
        #expect(configuration.limits == LimitConfiguration())
        #expect(configuration.accessLog == AccessLogConfiguration(file: nil, format: .json))
    }
}
