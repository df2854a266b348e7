// SPDX-License-Identifier: Apache-2.0
//
// One change for each value of FullConfiguration, and whether it needs a restart.

import ConfigurationCore
import WireCore

struct ConfigurationMutation: Sendable {
    var name: String
    var needsRestart: Bool
    var apply: @Sendable (inout Configuration) -> Void

    static let all =
        general + pairs + virtualRouters + tracking + listeners + http + routes + actions + pools
        + balancing
        + checks + verdicts + poolLimits + resolver + limits

    static func live(
        _ name: String, _ apply: @escaping @Sendable (inout Configuration) -> Void
    ) -> ConfigurationMutation {
        ConfigurationMutation(name: name, needsRestart: false, apply: apply)
    }

    static func restart(
        _ name: String, _ apply: @escaping @Sendable (inout Configuration) -> Void
    ) -> ConfigurationMutation {
        ConfigurationMutation(name: name, needsRestart: true, apply: apply)
    }

    private static func web(
        _ name: String, _ apply: @escaping @Sendable (inout HTTPListenerConfiguration) -> Void
    ) -> ConfigurationMutation {
        live(name) { configuration in
            guard case .http(var http) = configuration.listeners[0].service else { return }
            apply(&http)
            configuration.listeners[0].service = .http(http)
        }
    }

    private static func route(
        _ name: String, _ apply: @escaping @Sendable (inout RouteConfiguration) -> Void
    ) -> ConfigurationMutation {
        live("route \(name)") { apply(&$0.listeners[0].routes[0]) }
    }

    private static func redirect(
        _ name: String, _ apply: @escaping @Sendable (inout RedirectConfiguration) -> Void
    ) -> ConfigurationMutation {
        live("redirect \(name)") { configuration in
            guard case .redirect(var redirect) = configuration.listeners[0].routes[1].action
            else { return }
            apply(&redirect)
            configuration.listeners[0].routes[1].action = .redirect(redirect)
        }
    }

    private static func respond(
        _ name: String, _ apply: @escaping @Sendable (inout FixedResponseConfiguration) -> Void
    ) -> ConfigurationMutation {
        live("respond \(name)") { configuration in
            guard case .respond(var respond) = configuration.listeners[0].routes[2].action
            else { return }
            apply(&respond)
            configuration.listeners[0].routes[2].action = .respond(respond)
        }
    }

    private static let general = [
        restart("workers") { $0.workers = .exactly(3) },
        restart("workers auto") { $0.workers = .automatic },
        live("zone") { $0.zone = "x" },
        live("no zone") { $0.zone = nil },
        live("a zone called none") { $0.zone = "none" },
        restart("admin http") { $0.admin.http?.port = 1 },
        restart("admin socket") { $0.admin.socket = "/x" },
        live("log file") { $0.accessLog?.file = "/x" },
        live("log to stderr") { $0.accessLog?.file = nil },
        live("log format") { $0.accessLog?.format = .combined },
        live("no log") { $0.accessLog = nil },
    ]

    private static let listeners = [
        restart("listener name") { $0.listeners[0].name = "x" },
        restart("bind") { $0.listeners[0].bind.port = 81 },
        restart("http to tcp") { $0.listeners[0].service = .tcp(pool: "web") },
        restart("tcp to http") {
            $0.listeners[1].service = .http(HTTPListenerConfiguration(routes: []))
        },
        live("tcp pool") { $0.listeners[1].service = .tcp(pool: "web") },
        live("proxy sources") {
            $0.listeners[0].proxyProtocolSources[0] = FullConfiguration.network(9)
        },
        live("no proxy sources") { $0.listeners[0].proxyProtocolSources = [] },
        live("proxy sources of tcp") {
            $0.listeners[1].proxyProtocolSources = [FullConfiguration.network(9)]
        },
        live("connections") { $0.listeners[0].limits.connections = 1 },
        live("any connections") { $0.listeners[0].limits.connections = nil },
        live("per client") { $0.listeners[0].limits.connectionsPerClient = 1 },
        live("any per client") { $0.listeners[0].limits.connectionsPerClient = nil },
        live("per client of tcp") { $0.listeners[1].limits.connectionsPerClient = 1 },
        live("limits of tcp") { $0.listeners[1].limits.connections = 1 },
    ]

    private static let http = [
        web("trusted") { $0.trustedProxies[0] = FullConfiguration.network(9) },
        web("nobody trusted") { $0.trustedProxies = [] },
        web("forwarded") { $0.sendsForwarded.toggle() },
        web("trace") { $0.allowsTrace.toggle() },
        web("dot segments") { $0.path.dotSegments = .keep },
        web("dot segments rejected") { $0.path.dotSegments = .reject },
        web("encoded slashes") { $0.path.encodedSlashes = .decode },
        web("merge slashes") { $0.path.mergesSlashes.toggle() },
        web("remove") { $0.requestHeaders.remove[0] = "x" },
        web("set name") { $0.requestHeaders.set[0].name = "x" },
        web("set value") { $0.requestHeaders.set[0].value = "x" },
        web("add name") { $0.requestHeaders.add[0].name = "x" },
        web("add value") { $0.requestHeaders.add[0].value = "x" },
        web("response remove") { $0.responseHeaders.remove[0] = "x" },
        web("response set name") { $0.responseHeaders.set[0].name = "x" },
        web("response set value") { $0.responseHeaders.set[0].value = "x" },
        web("response add name") { $0.responseHeaders.add[0].name = "x" },
        web("response add value") { $0.responseHeaders.add[0].value = "x" },
        web("set becomes add") {
            $0.requestHeaders.add.append($0.requestHeaders.set.removeFirst())
        },
        web("no edits") { $0.requestHeaders = HeaderEdits() },
        web("rate") { $0.rateLimits[0].requests = 9 },
        web("rate per") { $0.rateLimits[0].per = .seconds(9) },
        web("rate burst") { $0.rateLimits[0].burst = 9 },
        web("rate key") { $0.rateLimits[0].key = .header("client") },
        web("rate header") { $0.rateLimits[1].key = .header("x") },
        web("rate key of all") { $0.rateLimits[2].key = .client },
        web("no rate") { $0.rateLimits.removeLast() },
        web("page status") { $0.errorPages[0].status = 500 },
        web("page type") { $0.errorPages[0].contentType = "text/plain" },
        web("page body") { $0.errorPages[0].body = "sorrx" },
        web("no page") { $0.errorPages = [] },
    ]

    private static let routes = [
        route("host") { $0.match.host = "x" },
        route("any host") { $0.match.host = nil },
        route("path") { $0.match.path = .prefix("/x") },
        route("exact path") { $0.match.path = .exact("/api/") },
        route("any path") { $0.match.path = nil },
        route("method") { $0.match.methods[0] = "PUT" },
        route("two methods") { $0.match.methods.append("PUT") },
        route("header") { $0.match.headers[0].name = "x" },
        route("header value") { $0.match.headers[0].value = "x" },
        route("header present") { $0.match.headers[0].value = nil },
        route("header is parameter") { $0.match.query.append($0.match.headers.removeLast()) },
        route("query") { $0.match.query[0].name = "x" },
        route("query value") { $0.match.query[0].value = "x" },
        route("cookie") { $0.match.cookies[0].name = "x" },
        route("cookie value") { $0.match.cookies[0].value = "x" },
        route("rewrite") { $0.rewrite.pathPrefix = "/x" },
        route("rewrite host") { $0.rewrite.host = "x" },
        route("remove") { $0.requestHeaders.remove[0] = "x" },
        route("set name") { $0.requestHeaders.set[0].name = "x" },
        route("set value") { $0.requestHeaders.set[0].value = "x" },
        route("add name") { $0.requestHeaders.add[0].name = "x" },
        route("add value") { $0.requestHeaders.add[0].value = "x" },
        route("response remove") { $0.responseHeaders.remove[0] = "x" },
        route("response set name") { $0.responseHeaders.set[0].name = "x" },
        route("response set value") { $0.responseHeaders.set[0].value = "x" },
        route("response add name") { $0.responseHeaders.add[0].name = "x" },
        route("response add value") { $0.responseHeaders.add[0].value = "x" },
        route("rate") { $0.rateLimits[0].requests = 9 },
        route("rate per") { $0.rateLimits[0].per = .seconds(9) },
        route("rate burst") { $0.rateLimits[0].burst = 9 },
        route("rate key") { $0.rateLimits[0].key = .route },
        route("rate header") { $0.rateLimits[1].key = .header("x") },
        route("rate key of all") { $0.rateLimits[2].key = .client },
        route("mirror pool") { $0.mirror?.pool = "web" },
        route("mirror share") { $0.mirror?.shareBasisPoints = 1 },
        route("no mirror") { $0.mirror = nil },
    ]

    private static let actions = [
        route("split pool") {
            $0.action = .split([
                PoolShare(pool: "x", weight: 95), PoolShare(pool: "db", weight: 5),
            ])
        },
        route("split weight") {
            $0.action = .split([
                PoolShare(pool: "web", weight: 94), PoolShare(pool: "db", weight: 5),
            ])
        },
        route("split to pool") { $0.action = .pool("web") },
        live("pool") { $0.listeners[0].routes[3].action = .pool("db") },
        live("exact path") { $0.listeners[0].routes[1].match.path = .exact("/x") },
        redirect("status") { $0.status = 301 },
        redirect("scheme") { $0.scheme = "http" },
        redirect("no scheme") { $0.scheme = nil },
        redirect("host") { $0.host = "x" },
        redirect("no host") { $0.host = nil },
        redirect("port") { $0.port = 1 },
        redirect("no port") { $0.port = nil },
        redirect("path") { $0.path = "/x" },
        redirect("no path") { $0.path = nil },
        respond("status") { $0.status = 403 },
        respond("type") { $0.contentType = "text/html" },
        respond("body") { $0.body = "on" },
        live("route order") { $0.listeners[0].routes.swapAt(1, 2) },
        live("a route less") { $0.listeners[0].routes.removeLast() },
    ]

    private static let limits = [
        live("proxy header") { $0.timeouts.proxyHeader = .seconds(9) },
        live("request head") { $0.timeouts.requestHead = .seconds(9) },
        live("keep alive") { $0.timeouts.keepAlive = .seconds(9) },
        live("body idle") { $0.timeouts.bodyIdle = .seconds(9) },
        live("body grace") { $0.timeouts.bodyGrace = .seconds(9) },
        live("connect") { $0.timeouts.connect = .seconds(9) },
        live("response head") { $0.timeouts.responseHead = .seconds(9) },
        live("stream idle") { $0.timeouts.streamIdle = .seconds(9) },
        live("tunnel idle") { $0.timeouts.tunnelIdle = .seconds(9) },
        live("upstream idle") { $0.timeouts.upstreamIdle = .seconds(9) },
        live("drain") { $0.timeouts.drain = .seconds(9) },
        live("header fields") { $0.limits.headerFields = 99 },
        live("header size") { $0.limits.headerByteCount = 99 },
        live("uri size") { $0.limits.uriByteCount = 99 },
        live("body size") { $0.limits.bodyByteCount = 99 },
        live("any body size") { $0.limits.bodyByteCount = nil },
        live("body rate") { $0.limits.bodyRateMin = 99 },
        live("buffer memory") { $0.limits.bufferByteCount = 99 },
        live("requests per connection") { $0.limits.requestsPerConnection = 99 },
        live("any requests per connection") { $0.limits.requestsPerConnection = nil },
    ]
}
