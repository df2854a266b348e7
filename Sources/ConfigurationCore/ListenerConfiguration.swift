// SPDX-License-Identifier: Apache-2.0
//
// The listeners: where clients arrive, what is believed about them, and which service they get.

public import WireCore

/// One entry of `listeners`.
public struct ListenerConfiguration: Hashable, Sendable {
    /// The listener's name.
    public var name: String
    /// Address and port to bind; may be a virtual address that the node does not hold.
    public var bind: Endpoint
    /// Key `protocol` and what belongs to it.
    public var service: ListenerService
    /// Key `proxy_protocol.from`: peers in these networks begin each connection with a PROXY
    /// header, v1 or v2.
    ///
    /// A missing header closes the connection. Others are taken as they are. Empty: nobody.
    public var proxyProtocolSources: [IPNetwork]
    /// Key `limits`: what one listener admits.
    public var limits: ListenerLimits

    /// Makes a listener.
    public init(
        name: String, bind: Endpoint, service: ListenerService,
        proxyProtocolSources: [IPNetwork] = [], limits: ListenerLimits = ListenerLimits()
    ) {
        self.name = name
        self.bind = bind
        self.service = service
        self.proxyProtocolSources = proxyProtocolSources
        self.limits = limits
    }

    /// Makes a plain HTTP listener with these routes.
    public init(name: String, bind: Endpoint, routes: [RouteConfiguration]) {
        self.init(name: name, bind: bind, service: .http(HTTPListenerConfiguration(routes: routes)))
    }

    /// Routes in file order; none for a TCP listener, where setting them has no effect.
    public var routes: [RouteConfiguration] {
        get {
            switch service {
            case .http(let http): http.routes
            case .tcp: []
            }
        }
        set {
            guard case .http(var http) = service else { return }
            http.routes = newValue
            service = .http(http)
        }
    }
}

/// What clients of a listener get.
public enum ListenerService: Hashable, Sendable {
    /// `protocol: http`, the default.
    case http(HTTPListenerConfiguration)
    /// `protocol: tcp`: bytes go to a backend of the pool `pool` and back, unread.
    case tcp(pool: String)
}

/// The keys of a listener with `protocol: http`.
public struct HTTPListenerConfiguration: Hashable, Sendable {
    /// Routes in file order; the first match wins.
    public var routes: [RouteConfiguration]
    /// Key `trusted_proxies`: peers whose `X-Forwarded-*`, `Forwarded`, `X-Request-Id` and
    /// `traceparent` are believed.
    ///
    /// From others they are replaced. Empty: nobody is believed.
    public var trustedProxies: [IPNetwork]
    /// Key `forwarded`: also write `Forwarded` (RFC 7239); default false.
    public var sendsForwarded: Bool
    /// Key `path`: how request paths are brought into one form before routing.
    public var path: PathConfiguration
    /// Key `allow_trace`: TRACE is passed on instead of answered with 405; default false.
    public var allowsTrace: Bool
    /// Key `request_headers`: edits for every request of the listener, before those of its route.
    public var requestHeaders: HeaderEdits
    /// Key `response_headers`: edits for every response, before those of the route.
    public var responseHeaders: HeaderEdits
    /// Key `rate_limits`: every one of them must admit a request.
    public var rateLimits: [RateLimitConfiguration]
    /// Key `error_pages`: bodies for answers the proxy gives itself, by status 400-599.
    public var errorPages: [ErrorPage]
    /// Key `carry_over`: which client connections go on at the other node after a takeover.
    public var carryOver: CarryOver

    /// Makes the settings; each has its default.
    public init(
        routes: [RouteConfiguration], trustedProxies: [IPNetwork] = [],
        sendsForwarded: Bool = false, path: PathConfiguration = PathConfiguration(),
        allowsTrace: Bool = false, requestHeaders: HeaderEdits = HeaderEdits(),
        responseHeaders: HeaderEdits = HeaderEdits(), rateLimits: [RateLimitConfiguration] = [],
        errorPages: [ErrorPage] = [], carryOver: CarryOver = .off
    ) {
        self.routes = routes
        self.trustedProxies = trustedProxies
        self.sendsForwarded = sendsForwarded
        self.path = path
        self.allowsTrace = allowsTrace
        self.requestHeaders = requestHeaders
        self.responseHeaders = responseHeaders
        self.rateLimits = rateLimits
        self.errorPages = errorPages
        self.carryOver = carryOver
    }
}

/// Key `carry_over` of a listener: what a takeover means to connections to virtual addresses.
public enum CarryOver: String, Hashable, Sendable, CaseIterable {
    /// They are reset at once.
    case off
    /// Those without a request in flight go on.
    case idle
    /// Those with a request that may be repeated go on, too: it is issued again.
    case requests
}

/// Key `path` of a listener.
///
/// Whatever is chosen, the router and the backend see the same path: the one form is also sent.
public struct PathConfiguration: Hashable, Sendable {
    /// What happens to `.` and `..` segments, written plainly or percent-encoded.
    public enum DotSegments: String, Hashable, Sendable, CaseIterable {
        /// Resolved as RFC 3986 §5.2.4 says; above the root is 400. The default.
        case resolve
        /// 400.
        case reject
        /// Left as they are.
        case keep
    }

    /// What happens to `%2F` and `%5C`.
    public enum EncodedSlashes: String, Hashable, Sendable, CaseIterable {
        /// Left encoded, never a separator for routes; 400 where decoding would make a dot
        /// segment. The default.
        case keep
        /// 400.
        case reject
        /// `%2F` becomes `/` before dot segments are looked at; `%5C` is 400.
        case decode
    }

    /// Key `dot_segments`.
    public var dotSegments: DotSegments
    /// Key `encoded_slashes`.
    public var encodedSlashes: EncodedSlashes
    /// Key `merge_slashes`: `//` becomes `/`; default false.
    public var mergesSlashes: Bool

    /// Makes a policy; each setting has its default.
    public init(
        dotSegments: DotSegments = .resolve, encodedSlashes: EncodedSlashes = .keep,
        mergesSlashes: Bool = false
    ) {
        self.dotSegments = dotSegments
        self.encodedSlashes = encodedSlashes
        self.mergesSlashes = mergesSlashes
    }
}

/// Key `limits` of a listener.
public struct ListenerLimits: Hashable, Sendable {
    /// Key `connections`: client connections at a time on the node; more wait in the kernel's
    /// queue.
    ///
    /// `nil`: the node's own limit only.
    public var connections: Int?
    /// Key `connections_per_client`: of one client address (IPv6: one /64) at a time; more are
    /// closed at once.
    ///
    /// `nil`: no limit.
    public var connectionsPerClient: Int?

    /// Makes limits; the default is none.
    public init(connections: Int? = nil, connectionsPerClient: Int? = nil) {
        self.connections = connections
        self.connectionsPerClient = connectionsPerClient
    }
}

/// One entry of `error_pages`.
public struct ErrorPage: Hashable, Sendable {
    /// The status whose body it replaces, 400-599.
    public var status: UInt16
    /// Key `content_type`; default text/html; charset=utf-8.
    public var contentType: String
    /// Key `body`, at most 64 KiB.
    public var body: String

    /// Makes a page.
    public init(status: UInt16, contentType: String, body: String) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }
}

/// A version of the PROXY protocol header.
public enum ProxyHeaderVersion: String, Hashable, Sendable, CaseIterable {
    /// The line of text.
    case v1
    /// The binary header.
    case v2
}
