// SPDX-License-Identifier: Apache-2.0
//
// Routes: which requests they take, what is changed on the way, and where the requests go.

/// One entry of `listeners.NAME.routes`.
public struct RouteConfiguration: Hashable, Sendable {
    /// Key `match`: all conditions must hold; no condition takes every request.
    public var match: RouteMatch
    /// One of the keys `pool`, `pools`, `redirect`, `respond`.
    public var action: RouteAction
    /// Key `rewrite`.
    public var rewrite: RouteRewrite
    /// Key `request_headers`.
    public var requestHeaders: HeaderEdits
    /// Key `response_headers`.
    public var responseHeaders: HeaderEdits
    /// Key `rate_limits`: every one of them must admit a request.
    public var rateLimits: [RateLimitConfiguration]
    /// Key `mirror`.
    public var mirror: MirrorConfiguration?

    /// Makes a route.
    public init(
        match: RouteMatch = RouteMatch(), action: RouteAction,
        rewrite: RouteRewrite = RouteRewrite(), requestHeaders: HeaderEdits = HeaderEdits(),
        responseHeaders: HeaderEdits = HeaderEdits(), rateLimits: [RateLimitConfiguration] = [],
        mirror: MirrorConfiguration? = nil
    ) {
        self.match = match
        self.action = action
        self.rewrite = rewrite
        self.requestHeaders = requestHeaders
        self.responseHeaders = responseHeaders
        self.rateLimits = rateLimits
        self.mirror = mirror
    }

    /// Makes a route to one pool.
    public init(host: String?, pathPrefix: String?, pool: String) {
        self.init(
            match: RouteMatch(host: host, path: pathPrefix.map { .prefix($0) }),
            action: .pool(pool))
    }

    /// Every pool the route may send something to: its own, those of a split, the mirror's.
    public var poolNames: [String] {
        var names: [String] = []
        switch action {
        case .pool(let name): names = [name]
        case .split(let shares): names = shares.map(\.pool)
        case .redirect, .respond: break
        }
        if let mirror { names.append(mirror.pool) }
        return names
    }
}

/// Key `match` of a route.
public struct RouteMatch: Hashable, Sendable {
    /// Keys `path_prefix` and `path`.
    public enum Path: Hashable, Sendable {
        /// Begins with `/`; whole segments match.
        case prefix(String)
        /// The whole path, without query.
        case exact(String)
    }

    /// A name and the value it must have.
    public struct Condition: Hashable, Sendable {
        /// The name; header names in lower case.
        public var name: String
        /// The value, compared byte for byte; `nil` (written `present: true`) wants any value.
        public var value: String?

        /// Makes a condition.
        public init(name: String, value: String?) {
            self.name = name
            self.value = value
        }
    }

    /// Key `host`: host name in lower case, without port; `*.example.org` matches one or more
    /// labels in front; `nil` matches every host.
    public var host: String?
    /// `nil` matches every path.
    public var path: Path?
    /// Key `methods`: any of them, case-sensitive (RFC 9110 §9.1); empty matches every method.
    public var methods: [String]
    /// Key `headers`: `X-Canary: "true"`; one of several lines of a name is enough.
    public var headers: [Condition]
    /// Key `query`: parameters, percent-decoded before comparison.
    public var query: [Condition]
    /// Key `cookies`.
    public var cookies: [Condition]

    /// Makes a match; the default takes every request.
    public init(
        host: String? = nil, path: Path? = nil, methods: [String] = [],
        headers: [Condition] = [], query: [Condition] = [], cookies: [Condition] = []
    ) {
        self.host = host
        self.path = path
        self.methods = methods
        self.headers = headers
        self.query = query
        self.cookies = cookies
    }
}

/// Where a route's requests go.
public enum RouteAction: Hashable, Sendable {
    /// Key `pool`.
    case pool(String)
    /// Key `pools`: a request goes to one of them by weight.
    case split([PoolShare])
    /// Key `redirect`.
    case redirect(RedirectConfiguration)
    /// Key `respond`.
    case respond(FixedResponseConfiguration)
}

/// One entry of `pools` of a route.
public struct PoolShare: Hashable, Sendable {
    /// The pool.
    public var pool: String
    /// Its share relative to the others, 0-1,000,000; at least one share is not 0.
    public var weight: Int

    /// Makes a share.
    public init(pool: String, weight: Int) {
        self.pool = pool
        self.weight = weight
    }
}

/// Key `rewrite` of a route.
public struct RouteRewrite: Hashable, Sendable {
    /// Key `path_prefix`: what the matched `match.path_prefix` (or `match.path`) is replaced with;
    /// begins with `/`.
    public var pathPrefix: String?
    /// Key `host`: the `Host` the backend sees.
    public var host: String?

    /// Makes a rewrite; the default changes nothing.
    public init(pathPrefix: String? = nil, host: String? = nil) {
        self.pathPrefix = pathPrefix
        self.host = host
    }
}

/// Keys `request_headers` and `response_headers`.
///
/// Order: remove, then set, then add. Framing, `Connection` and other hop-by-hop names are refused
/// by the reader.
public struct HeaderEdits: Hashable, Sendable {
    /// A header and its value.
    public struct Header: Hashable, Sendable {
        /// The name as it is sent.
        public var name: String
        /// The value as it is sent.
        public var value: String

        /// Makes a header.
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Key `remove`: names, whatever their case.
    public var remove: [String]
    /// Key `set`: replaces every line of the name.
    public var set: [Header]
    /// Key `add`: adds a line.
    public var add: [Header]

    /// Makes edits; the default is none.
    public init(remove: [String] = [], set: [Header] = [], add: [Header] = []) {
        self.remove = remove
        self.set = set
        self.add = add
    }

    /// True when nothing is changed.
    public var isEmpty: Bool { remove.isEmpty && set.isEmpty && add.isEmpty }
}

/// Key `redirect` of a route.
public struct RedirectConfiguration: Hashable, Sendable {
    /// Key `status`: 301, 302, 303, 307 or 308; default 308.
    public var status: UInt16
    /// Key `scheme`: `http` or `https`; `nil` keeps the client's.
    public var scheme: String?
    /// Key `host`: `nil` keeps the request's host.
    public var host: String?
    /// Key `port`: `nil` keeps the request's, or drops it when the scheme changes.
    public var port: UInt16?
    /// Key `path`: replaces the whole path; the query is kept.
    ///
    /// `nil` keeps the path, after
    /// `rewrite.path_prefix` when the route has one.
    public var path: String?

    /// Makes a redirect.
    public init(
        status: UInt16 = 308, scheme: String? = nil, host: String? = nil, port: UInt16? = nil,
        path: String? = nil
    ) {
        self.status = status
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = path
    }
}

/// Key `respond` of a route.
public struct FixedResponseConfiguration: Hashable, Sendable {
    /// Key `status`, 200-599; default 200.
    ///
    /// 204, 205 and 304 have no body.
    public var status: UInt16
    /// Key `content_type`; default text/plain; charset=utf-8.
    public var contentType: String
    /// Key `body`, at most 64 KiB; default empty.
    public var body: String

    /// Makes a response.
    public init(
        status: UInt16 = 200, contentType: String = "text/plain; charset=utf-8", body: String = ""
    ) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }
}

/// Key `mirror` of a route: copies whose answers nobody reads.
public struct MirrorConfiguration: Hashable, Sendable {
    /// The pool that gets the copies.
    public var pool: String
    /// Key `percent`: how many requests of a hundred are copied, in hundredths: 1 to 10,000.
    public var shareBasisPoints: Int

    /// Makes a mirror.
    public init(pool: String, shareBasisPoints: Int) {
        self.pool = pool
        self.shareBasisPoints = shareBasisPoints
    }
}
