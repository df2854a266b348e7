// SPDX-License-Identifier: Apache-2.0
//
// How a pool finds out which backends work: by asking them, and by watching their traffic.

public import WireCore

/// Keys `health_check` and `readiness_check` of a pool.
public struct HealthCheckConfiguration: Hashable, Sendable {
    /// What a probe does.
    public enum Probe: Hashable, Sendable {
        /// Key `type: http`, the default.
        case http(HTTPProbe)
        /// Key `type: tcp`: the connection is accepted, and the exchange is as said.
        case tcp(PayloadProbe)
        /// Key `type: grpc`: `grpc.health.v1.Health/Check` of key `service` answers SERVING.
        case grpc(service: String)
        /// Key `type: udp`: an answer comes to what is sent.
        case udp(PayloadProbe)
    }

    /// Key `type` and what belongs to it.
    public var probe: Probe
    /// Key `interval`: time between probes; default 5 s.
    public var interval: TimeSpan
    /// Key `timeout`: time a probe may take; default 3 s.
    public var timeout: TimeSpan
    /// Key `fall`: failed probes in a row that take a backend out; default 3.
    public var fall: Int
    /// Key `rise`: passed probes in a row that bring it back; default 2.
    public var rise: Int
    /// Key `fast_interval`: time between probes while results speak against the verdict; default
    /// 1 s, at most `interval`.
    public var fastInterval: TimeSpan
    /// Key `down_interval`: time between probes of a backend that is out; default `interval`.
    public var downInterval: TimeSpan
    /// Key `jitter`: each wait is drawn from its length plus or minus so many percent; default 15,
    /// 0 to 100.
    public var jitterPercent: Int
    /// Key `port`: where to ask; `nil` (the default) where the traffic goes.
    public var port: UInt16?
    /// Key `reuse`: probes of type http and grpc go on with their connection; default true.
    public var reusesConnection: Bool

    /// Makes a health check; what is not named has its default.
    public init(
        probe: Probe, interval: TimeSpan = .seconds(5), timeout: TimeSpan = .seconds(3),
        fall: Int = 3, rise: Int = 2, fastInterval: TimeSpan? = nil,
        downInterval: TimeSpan? = nil, jitterPercent: Int = 15, port: UInt16? = nil,
        reusesConnection: Bool = true
    ) {
        self.probe = probe
        self.interval = interval
        self.timeout = timeout
        self.fall = fall
        self.rise = rise
        self.fastInterval = fastInterval ?? min(interval, .seconds(1))
        self.downInterval = downInterval ?? interval
        self.jitterPercent = jitterPercent
        self.port = port
        self.reusesConnection = reusesConnection
    }
}

/// The keys of a check with `type: http`.
public struct HTTPProbe: Hashable, Sendable {
    /// Key `method`: GET (the default), HEAD or OPTIONS.
    public var method: String
    /// Key `path`; default `/`.
    public var path: String
    /// Key `host`: the Host header; `nil` (the default) is the backend's address.
    public var host: String?
    /// Key `headers`: further fields.
    public var headers: [HeaderEdits.Header]
    /// Key `status`: ranges that pass, such as `200-299`, `404`; default 200-399.
    public var statuses: [ClosedRange<UInt16>]
    /// Key `body`: the answer's body must contain it, within its first 64 KiB.
    public var body: String?

    /// Makes a probe; each setting has its default.
    public init(
        method: String = "GET", path: String = "/", host: String? = nil,
        headers: [HeaderEdits.Header] = [], statuses: [ClosedRange<UInt16>] = [200...399],
        body: String? = nil
    ) {
        self.method = method
        self.path = path
        self.host = host
        self.headers = headers
        self.statuses = statuses
        self.body = body
    }
}

/// The keys of a check with `type: tcp` or `type: udp`.
public struct PayloadProbe: Hashable, Sendable {
    /// Key `send`: bytes to send, written with escapes such as `\n`, `\x00`; at most 1,024.
    public var send: [UInt8]
    /// Key `expect`: bytes that the answer must contain; empty takes any answer for UDP, and needs
    /// none for TCP.
    public var expect: [UInt8]

    /// Makes a probe; the default sends and expects nothing.
    public init(send: [UInt8] = [], expect: [UInt8] = []) {
        self.send = send
        self.expect = expect
    }
}

/// Key `outlier_detection` of a pool: backends are judged by what their traffic gets.
public struct OutlierConfiguration: Hashable, Sendable {
    /// Key `growth`: how ejections of the same backend get longer.
    public enum Growth: String, Hashable, Sendable, CaseIterable {
        /// 30 s, 60 s, 90 s; the default.
        case linear
        /// 30 s, 60 s, 120 s.
        case double
    }

    /// Key `consecutive_5xx`: default 5; 0 turns it off.
    public var consecutiveServerErrors: Int
    /// Key `consecutive_gateway`: 502, 503 and 504 in a row; default 5; 0 turns it off.
    public var consecutiveGatewayErrors: Int
    /// Key `consecutive_local`: refused, reset or timed out in a row; default 5; 0 turns it off.
    public var consecutiveLocalErrors: Int
    /// Key `interval`: how often rates are looked at; default 10 s, 100 ms to 1 h.
    public var interval: TimeSpan
    /// Key `success_rate_factor`, in thousandths: a backend below mean - factor x deviation is
    /// out; default 1,900, written `1.9`; 0 turns it off.
    public var successRateFactorMilli: Int
    /// Key `success_rate_hosts`: backends with enough requests that this needs; default 5.
    public var successRateHostsMin: Int
    /// Key `success_rate_requests`: requests of a backend in an interval that count; default 100.
    public var successRateRequestsMin: Int
    /// Key `failure_percentage`: a backend that fails so many percent is out; default 0, off.
    public var failurePercent: Int
    /// Key `failure_percentage_requests`: requests in an interval that this needs; default 50.
    public var failurePercentRequestsMin: Int
    /// Key `ejection_time`: the first ejection; default 30 s.
    public var ejectionTime: TimeSpan
    /// Key `ejection_time_max`: default 300 s.
    public var ejectionTimeMax: TimeSpan
    /// Key `growth`.
    public var growth: Growth
    /// Key `max_ejected`: percent of the pool out at once, rounded down, never the last; default
    /// 50.
    public var ejectedPercentMax: Int

    /// Makes the settings; each has its default.
    public init(
        consecutiveServerErrors: Int = 5, consecutiveGatewayErrors: Int = 5,
        consecutiveLocalErrors: Int = 5, interval: TimeSpan = .seconds(10),
        successRateFactorMilli: Int = 1_900, successRateHostsMin: Int = 5,
        successRateRequestsMin: Int = 100, failurePercent: Int = 0,
        failurePercentRequestsMin: Int = 50, ejectionTime: TimeSpan = .seconds(30),
        ejectionTimeMax: TimeSpan = .seconds(300), growth: Growth = .linear,
        ejectedPercentMax: Int = 50
    ) {
        self.consecutiveServerErrors = consecutiveServerErrors
        self.consecutiveGatewayErrors = consecutiveGatewayErrors
        self.consecutiveLocalErrors = consecutiveLocalErrors
        self.interval = interval
        self.successRateFactorMilli = successRateFactorMilli
        self.successRateHostsMin = successRateHostsMin
        self.successRateRequestsMin = successRateRequestsMin
        self.failurePercent = failurePercent
        self.failurePercentRequestsMin = failurePercentRequestsMin
        self.ejectionTime = ejectionTime
        self.ejectionTimeMax = ejectionTimeMax
        self.growth = growth
        self.ejectedPercentMax = ejectedPercentMax
    }
}

/// Key `cascade_guard` of a pool: many bad verdicts at once have one cause, which is not theirs.
public struct CascadeConfiguration: Hashable, Sendable {
    /// Key `threshold`: percent of the pool that gets a bad verdict within the window; default 50,
    /// 1 to 100.
    public var thresholdPercent: Int
    /// Key `window`; default 15 s, 1 s to 10 min.
    public var window: TimeSpan

    /// Makes the settings; each has its default.
    public init(thresholdPercent: Int = 50, window: TimeSpan = .seconds(15)) {
        self.thresholdPercent = thresholdPercent
        self.window = window
    }
}
