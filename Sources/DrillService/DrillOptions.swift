// SPDX-License-Identifier: Apache-2.0
//
// What a drill is asked to do. Pure values.

public import WireCore

/// An `http` URL whose host is a literal address: a drill must not measure a name server.
public struct DrillTarget: Hashable, Sendable {
    /// Where to connect.
    public var endpoint: Endpoint
    /// The request target, beginning with `/`.
    public var path: String

    /// Makes a target.
    public init(endpoint: Endpoint, path: String = "/") {
        self.endpoint = endpoint
        self.path = path
    }

    /// Parses `http://10.77.0.100`, `http://10.77.0.100:8080/path` or `http://[::1]/`.
    public init?(_ url: String) {
        let scheme = "http://"
        guard url.hasPrefix(scheme) else { return nil }
        let rest = url.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" }
        let path = rest.dropFirst(authority.count)
        guard path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        let endpoint = Endpoint(authority) ?? Endpoint(String(authority) + ":80")
        guard let endpoint, endpoint.port > 0 else { return nil }
        self.init(endpoint: endpoint, path: path.isEmpty ? "/" : String(path))
    }

    /// The URL.
    public var url: String { "http://\(endpoint)\(path)" }
}

/// What must hold for the drill to pass.
public struct DrillBars: Hashable, Sendable {
    /// The median gap may be at most this.
    public var median: TimeSpan?
    /// The worst gap may be at most this.
    public var worst: TimeSpan?

    /// Makes bars; `nil` asks for nothing.
    public init(median: TimeSpan? = nil, worst: TimeSpan? = nil) {
        self.median = median
        self.worst = worst
    }
}

/// One drill: load, fault, how often, where the report goes.
public struct DrillOptions: Hashable, Sendable {
    /// New connections a second, at most.
    public static let ratePerSecondMax = 5_000
    /// Keep-alive clients, at most.
    public static let keepAliveClientsMax = 5_000
    /// Runs, at most.
    public static let runsMax = 10_000

    /// The address that must stay reachable.
    public var target: DrillTarget
    /// Shell command that injects the fault; may print `fault_at_wall_ns=N`.
    public var faultCommand: String
    /// Shell command that repairs the pair.
    public var restoreCommand: String
    /// Shell command that prints the nodes' status as JSON.
    public var statusCommand: String?
    /// What the report is called.
    public var label = "tandem drill"
    /// How often the fault is injected.
    public var runs = 1
    /// New connections a second.
    public var ratePerSecond = 500
    /// Clients that keep one connection open.
    public var keepAliveClients = 20
    /// Time between two requests of one keep-alive client.
    public var keepAliveInterval = TimeSpan.milliseconds(50)
    /// The faults are spread over one such interval.
    public var advertInterval = TimeSpan.seconds(1)
    /// Traffic is observed at least so long after the fault.
    public var duration = TimeSpan.seconds(1)
    /// A probe without a complete answer after this has timed out.
    public var probeTimeout = TimeSpan.seconds(5)
    /// Traffic that is not back after this has not resumed.
    public var resumeLimit = TimeSpan.seconds(30)

    /// Longest watch after a fault: as long as asked for, and until every probe has its fate.
    var observationMax: TimeSpan { max(resumeLimit, duration) + probeTimeout }
    /// Seed of the random phases.
    public var seed: UInt64 = 1
    /// File for the JSON report.
    public var jsonPath: String?
    /// File for the HTML report.
    public var htmlPath: String?
    /// What must hold.
    public var bars = DrillBars()

    /// Makes options with the defaults for everything else.
    public init(target: DrillTarget, faultCommand: String, restoreCommand: String) {
        self.target = target
        self.faultCommand = faultCommand
        self.restoreCommand = restoreCommand
    }

    /// Time between two new connections.
    var probeInterval: TimeSpan {
        TimeSpan.seconds(1).divided(by: UInt64(max(ratePerSecond, 1)))
    }
}
