// SPDX-License-Identifier: Apache-2.0
//
// One change for each value of the pools of FullConfiguration; none needs a restart.

import ConfigurationCore
import WireCore

extension ConfigurationMutation {
    private static func pool(
        _ name: String, at index: Int = 0,
        _ apply: @escaping @Sendable (inout PoolConfiguration) -> Void
    ) -> ConfigurationMutation {
        live("pool \(name)") { apply(&$0.pools[index]) }
    }

    private static func probe(
        _ name: String, _ apply: @escaping @Sendable (inout HTTPProbe) -> Void
    ) -> ConfigurationMutation {
        pool("probe \(name)") { pool in
            guard case .http(var probe) = pool.healthCheck?.probe else { return }
            apply(&probe)
            pool.healthCheck?.probe = .http(probe)
        }
    }

    static let pools = [
        pool("name") { $0.name = "x" },
        pool("balance") { $0.balance = .random },
        pool("backend name") { $0.backends[0].name = "x" },
        pool("backend address") { $0.backends[0].location = .host(name: "x", port: 1) },
        pool("backend host") { $0.backends[1].location = .host(name: "x", port: 8_080) },
        pool("backend port") { $0.backends[1].location = .host(name: "app.internal", port: 1) },
        pool("backend service") { $0.backends[2].location = .service(name: "x") },
        pool("weight") { $0.backends[0].weight = 2 },
        pool("zone") { $0.backends[0].zone = "x" },
        pool("no zone") { $0.backends[0].zone = nil },
        pool("priority") { $0.backends[0].priority = 2 },
        pool("max requests") { $0.backends[0].maxRequests = 1 },
        pool("any requests") { $0.backends[0].maxRequests = nil },
        pool("max connections") { $0.backends[0].maxConnections = 1 },
        pool("any connections") { $0.backends[0].maxConnections = nil },
        pool("a backend less") { $0.backends.removeLast() },
        pool("PROXY header") { $0.sendsProxyHeader = .v1 },
        pool("no PROXY header") { $0.sendsProxyHeader = nil },
        pool("tunnel source") { $0.tunnelSource = .v4(.any) },
        pool("no tunnel source") { $0.tunnelSource = nil },
    ]

    static let balancing = [
        pool("hash header") { $0.hash.key = .header("x") },
        pool("hash cookie of that name") { $0.hash.key = .cookie("x-user") },
        pool("hash client") { $0.hash.key = .client },
        pool("hash header called client") { $0.hash.key = .header("client") },
        pool("hash path") { $0.hash.key = .path },
        pool("hash tuple") { $0.hash.key = .tuple },
        pool("hash cookie", at: 1) { $0.hash.key = .cookie("x") },
        pool("hash bound") { $0.hash.boundPercent = 100 },
        pool("no hash bound") { $0.hash.boundPercent = nil },
        pool("sticky mode") { $0.sticky?.mode = .learn },
        pool("sticky cookie") { $0.sticky?.cookie = "x" },
        pool("sticky age") { $0.sticky?.maxAge = .seconds(1) },
        pool("no sticky age") { $0.sticky?.maxAge = nil },
        pool("sticky secure") { $0.sticky?.isSecure.toggle() },
        pool("sticky same site") { $0.sticky?.sameSite = .strict },
        pool("sticky domain") { $0.sticky?.domain = "x" },
        pool("no sticky domain") { $0.sticky?.domain = nil },
        pool("sticky path") { $0.sticky?.path = "/x" },
        pool("sticky forward") { $0.sticky?.forwards.toggle() },
        pool("sticky drain") { $0.sticky?.whileDraining.toggle() },
        pool("sticky entries") { $0.sticky?.entriesMax = 1_024 },
        pool("sticky expire") { $0.sticky?.expire = .seconds(1) },
        pool("no sticky") { $0.sticky = nil },
        pool("panic") { $0.sharing.panicPercent = 1 },
        pool("overprovisioning") { $0.sharing.overprovisionPercent = 100 },
        pool("zone aware") { $0.sharing.isZoneAware.toggle() },
        pool("slow start window") { $0.slowStart?.window = .seconds(1) },
        pool("slow start aggression") { $0.slowStart?.aggressionPercent = 1 },
        pool("slow start share") { $0.slowStart?.minPercent = 1 },
        pool("no slow start") { $0.slowStart = nil },
    ]

    static let checks = [
        probe("path") { $0.path = "/x" },
        probe("host") { $0.host = "x" },
        probe("no host") { $0.host = nil },
        probe("method") { $0.method = "HEAD" },
        probe("header name") { $0.headers[0].name = "x" },
        probe("header value") { $0.headers[0].value = "x" },
        probe("no header") { $0.headers = [] },
        probe("status from") { $0.statuses = [201...399] },
        probe("status to") { $0.statuses = [200...299] },
        probe("two statuses") { $0.statuses = [200...399, 404...404] },
        probe("body") { $0.body = "x" },
        probe("no body") { $0.body = nil },
        pool("probe type") { $0.healthCheck?.probe = .tcp(PayloadProbe()) },
        pool("probe of tcp", at: 1) { $0.healthCheck?.probe = .http(HTTPProbe()) },
        pool("tcp send", at: 1) {
            $0.healthCheck?.probe = .tcp(PayloadProbe(send: [9], expect: [2]))
        },
        pool("tcp expect", at: 1) {
            $0.healthCheck?.probe = .tcp(PayloadProbe(send: [1], expect: [9]))
        },
        pool("tcp expects what was sent", at: 1) {
            $0.healthCheck?.probe = .tcp(PayloadProbe(send: [], expect: [1]))
        },
        pool("grpc service") { $0.readinessCheck?.probe = .grpc(service: "x") },
        pool("udp send", at: 1) {
            $0.readinessCheck?.probe = .udp(PayloadProbe(send: [9], expect: [4]))
        },
        pool("udp expect", at: 1) {
            $0.readinessCheck?.probe = .udp(PayloadProbe(send: [3], expect: [9]))
        },
        pool("interval") { $0.healthCheck?.interval = .seconds(9) },
        pool("timeout") { $0.healthCheck?.timeout = .seconds(9) },
        pool("fall") { $0.healthCheck?.fall = 9 },
        pool("rise") { $0.healthCheck?.rise = 9 },
        pool("fast interval") { $0.healthCheck?.fastInterval = .seconds(2) },
        pool("down interval") { $0.healthCheck?.downInterval = .seconds(2) },
        pool("jitter") { $0.healthCheck?.jitterPercent = 1 },
        pool("port") { $0.healthCheck?.port = 1 },
        pool("no port") { $0.healthCheck?.port = nil },
        pool("reuse") { $0.healthCheck?.reusesConnection.toggle() },
        pool("no health check") { $0.healthCheck = nil },
        pool("readiness interval") { $0.readinessCheck?.interval = .seconds(9) },
        pool("readiness timeout") { $0.readinessCheck?.timeout = .seconds(9) },
        pool("readiness fall") { $0.readinessCheck?.fall = 9 },
        pool("readiness rise") { $0.readinessCheck?.rise = 9 },
        pool("readiness fast interval") { $0.readinessCheck?.fastInterval = .seconds(2) },
        pool("readiness down interval") { $0.readinessCheck?.downInterval = .seconds(2) },
        pool("readiness jitter") { $0.readinessCheck?.jitterPercent = 1 },
        pool("readiness port") { $0.readinessCheck?.port = 1 },
        pool("readiness reuse") { $0.readinessCheck?.reusesConnection.toggle() },
        pool("no readiness check") { $0.readinessCheck = nil },
    ]

    static let verdicts = [
        pool("server errors") { $0.outlierDetection?.consecutiveServerErrors = 9 },
        pool("gateway errors") { $0.outlierDetection?.consecutiveGatewayErrors = 9 },
        pool("local errors") { $0.outlierDetection?.consecutiveLocalErrors = 9 },
        pool("sweep") { $0.outlierDetection?.interval = .seconds(9) },
        pool("factor") { $0.outlierDetection?.successRateFactorMilli = 9 },
        pool("hosts") { $0.outlierDetection?.successRateHostsMin = 9 },
        pool("requests") { $0.outlierDetection?.successRateRequestsMin = 9 },
        pool("failure percent") { $0.outlierDetection?.failurePercent = 9 },
        pool("failure requests") { $0.outlierDetection?.failurePercentRequestsMin = 9 },
        pool("ejection time") { $0.outlierDetection?.ejectionTime = .seconds(9) },
        pool("ejection time max") { $0.outlierDetection?.ejectionTimeMax = .seconds(99) },
        pool("growth") { $0.outlierDetection?.growth = .double },
        pool("ejected") { $0.outlierDetection?.ejectedPercentMax = 9 },
        pool("no outliers") { $0.outlierDetection = nil },
        pool("cascade threshold") { $0.cascadeGuard?.thresholdPercent = 9 },
        pool("cascade window") { $0.cascadeGuard?.window = .seconds(9) },
        pool("no cascade guard") { $0.cascadeGuard = nil },
    ]

    static let poolLimits = [
        pool("limit requests") { $0.limits.requests = 9 },
        pool("any limit requests") { $0.limits.requests = nil },
        pool("limit connections") { $0.limits.connections = 9 },
        pool("any limit connections") { $0.limits.connections = nil },
        pool("limit retries") { $0.limits.retries = 9 },
        pool("any limit retries") { $0.limits.retries = nil },
        pool("queue length") { $0.queue.length = 9 },
        pool("queue timeout") { $0.queue.timeout = .seconds(9) },
        pool("queue retry after") { $0.queue.retryAfter = .seconds(9) },
        pool("attempts") { $0.retries.attempts = 3 },
        pool("condition") { $0.retries.conditions = [.timeout] },
        pool("two conditions") { $0.retries.conditions = [.reset, .timeout] },
        pool("per try") { $0.retries.perTryTimeout = .seconds(9) },
        pool("no per try") { $0.retries.perTryTimeout = nil },
        pool("backoff") { $0.retries.backoff = .milliseconds(9) },
        pool("backoff max") { $0.retries.backoffMax = .seconds(9) },
        pool("budget") { $0.retries.budgetPercent = 9 },
        pool("no budget") { $0.retries.budgetPercent = nil },
        pool("budget floor") { $0.retries.budgetFloor = 9 },
        pool("retry body") { $0.retries.bodyByteCountMax = 9 },
        pool("hedge after") { $0.hedging?.after = .seconds(9) },
        pool("hedge auto") { $0.hedging?.after = nil },
        pool("hedge budget") { $0.hedging?.budgetPercent = 9 },
        pool("no hedging") { $0.hedging = nil },
        pool("adaptive min") { $0.adaptiveConcurrency?.requestsMin = 9 },
        pool("adaptive interval") { $0.adaptiveConcurrency?.interval = .seconds(9) },
        pool("adaptive baseline") { $0.adaptiveConcurrency?.baselineInterval = .seconds(9) },
        pool("not adaptive") { $0.adaptiveConcurrency = nil },
        pool("drain") { $0.drain.timeout = .seconds(9) },
        pool("drain tunnels") { $0.drain.tunnelTimeout = .seconds(9) },
    ]

    static let resolver = [
        live("dns server") { $0.resolver.servers[0].port = 54 },
        live("dns servers of the system") { $0.resolver.servers = [] },
        live("dns timeout") { $0.resolver.timeout = .seconds(9) },
        live("dns tries") { $0.resolver.tries = 9 },
        live("dns ttl min") { $0.resolver.ttlMin = .seconds(9) },
        live("dns ttl max") { $0.resolver.ttlMax = .seconds(9) },
        live("dns hold") { $0.resolver.hold = .seconds(9) },
    ]
}
