// SPDX-License-Identifier: Apache-2.0
//
// What traffic may cost: rates, times, sizes and counts.

public import WireCore

/// One entry of `rate_limits`: a token bucket for each key.
public struct RateLimitConfiguration: Hashable, Sendable {
    /// Key `key`: what shares a bucket.
    public enum Key: Hashable, Sendable {
        /// `client`: the client's address as found by `trusted_proxies`; IPv6 by /64.
        case client
        /// `header:NAME`: the value of the first line of that name; requests without it share one.
        case header(String)
        /// `route`: everything here shares one bucket.
        case route
    }

    /// Key `requests`: tokens that come back `per` a span, 1 to 10,000,000.
    public var requests: Int
    /// Key `per`: default 1 s, 1 ms to 1 d.
    public var per: TimeSpan
    /// Key `burst`: the bucket's size; default the same as `requests`.
    public var burst: Int
    /// Key `key`; default `client`.
    public var key: Key

    /// Makes a limit.
    public init(requests: Int, per: TimeSpan, burst: Int, key: Key) {
        self.requests = requests
        self.per = per
        self.burst = burst
        self.key = key
    }
}

/// Key `limits` at the top: what one node's data plane takes on.
public struct LimitConfiguration: Hashable, Sendable {
    /// Key `header_fields`: field lines in a head; default 100, 10 to 1,000.
    public var headerFields: Int
    /// Key `header_size`: bytes of a whole head; default 64 KiB, 4 KiB to 64 KiB.
    public var headerByteCount: Int
    /// Key `uri_size`: bytes of a request target; default 8 KiB, 256 B to 32 KiB.
    public var uriByteCount: Int
    /// Key `body_size`: bytes of a request body; `nil` (the default) takes any.
    ///
    /// More is 413.
    public var bodyByteCount: Int?
    /// Key `body_rate_min`: bytes a second that a client must send or take on average while a body
    /// is on its way, after `timeouts.body_grace`; 0 turns it off; default 500 B.
    public var bodyRateMin: Int
    /// Key `buffer_memory`: bytes of all buffers of the node together; requests that would need
    /// more are answered 503 at once.
    ///
    /// Default 256 MiB, 8 MiB to 64 GiB.
    public var bufferByteCount: Int
    /// Key `requests_per_connection`: a client connection closes after so many; `nil` (the
    /// default) sets no limit.
    public var requestsPerConnection: Int?

    /// Makes limits; each has its default.
    public init(
        headerFields: Int = 100, headerByteCount: Int = 64 << 10, uriByteCount: Int = 8 << 10,
        bodyByteCount: Int? = nil, bodyRateMin: Int = 500, bufferByteCount: Int = 256 << 20,
        requestsPerConnection: Int? = nil
    ) {
        self.headerFields = headerFields
        self.headerByteCount = headerByteCount
        self.uriByteCount = uriByteCount
        self.bodyByteCount = bodyByteCount
        self.bodyRateMin = bodyRateMin
        self.bufferByteCount = bufferByteCount
        self.requestsPerConnection = requestsPerConnection
    }
}

/// Key `timeouts`: time limits of the data plane.
public struct TimeoutConfiguration: Hashable, Sendable {
    /// A PROXY header must arrive within; default 3 s.
    public var proxyHeader: TimeSpan
    /// A whole request head must arrive within; default 10 s.
    public var requestHead: TimeSpan
    /// A client connection may idle between requests; default 60 s.
    public var keepAlive: TimeSpan
    /// A client may make no progress while it sends or takes a body; default 60 s.
    public var bodyIdle: TimeSpan
    /// `limits.body_rate_min` counts after a body has been on its way so long; default 20 s.
    public var bodyGrace: TimeSpan
    /// A backend must accept a connection within; default 3 s.
    public var connect: TimeSpan
    /// A backend must begin its response within; default 30 s.
    public var responseHead: TimeSpan
    /// A backend may be silent within a response body; default 300 s.
    public var streamIdle: TimeSpan
    /// A tunnel (TCP listener, WebSocket) may be silent in both directions; default 1 h.
    public var tunnelIdle: TimeSpan
    /// An upstream connection may idle in the pool; default 50 s.
    public var upstreamIdle: TimeSpan
    /// Requests in flight may finish after SIGTERM; default 30 s.
    public var drain: TimeSpan

    /// Makes the time limits; each has its default.
    public init(
        proxyHeader: TimeSpan = .seconds(3), requestHead: TimeSpan = .seconds(10),
        keepAlive: TimeSpan = .seconds(60), bodyIdle: TimeSpan = .seconds(60),
        bodyGrace: TimeSpan = .seconds(20), connect: TimeSpan = .seconds(3),
        responseHead: TimeSpan = .seconds(30), streamIdle: TimeSpan = .seconds(300),
        tunnelIdle: TimeSpan = .seconds(3_600), upstreamIdle: TimeSpan = .seconds(50),
        drain: TimeSpan = .seconds(30)
    ) {
        self.proxyHeader = proxyHeader
        self.requestHead = requestHead
        self.keepAlive = keepAlive
        self.bodyIdle = bodyIdle
        self.bodyGrace = bodyGrace
        self.connect = connect
        self.responseHead = responseHead
        self.streamIdle = streamIdle
        self.tunnelIdle = tunnelIdle
        self.upstreamIdle = upstreamIdle
        self.drain = drain
    }
}

/// Key `access_log`.
public struct AccessLogConfiguration: Hashable, Sendable {
    /// What a line looks like.
    public enum Format: String, Hashable, Sendable, CaseIterable {
        /// One JSON object a line.
        case json
        /// NCSA Common Log Format.
        case common
        /// Common Log Format with referer and user agent.
        case combined
    }

    /// Key `file`: a path, opened for appending and anew on each reload; `nil` (written `stderr`)
    /// is the standard error stream.
    public var file: String?
    /// Key `format`; default json.
    public var format: Format

    /// Makes an access log.
    public init(file: String?, format: Format = .json) {
        self.file = file
        self.format = format
    }
}
