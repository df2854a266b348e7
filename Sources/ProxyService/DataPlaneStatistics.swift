// SPDX-License-Identifier: Apache-2.0
//
// The numbers of the data plane at one moment, summed over its workers.

public import BalancerCore
public import WireCore

/// Responses counted by the first digit of their status.
public struct ResponseClassCounts: Hashable, Sendable {
    /// 1xx.
    public var informational: UInt64 = 0
    /// 2xx.
    public var success: UInt64 = 0
    /// 3xx.
    public var redirection: UInt64 = 0
    /// 4xx.
    public var clientError: UInt64 = 0
    /// 5xx.
    public var serverError: UInt64 = 0

    static func += (left: inout ResponseClassCounts, right: ResponseClassCounts) {
        left.informational &+= right.informational
        left.success &+= right.success
        left.redirection &+= right.redirection
        left.clientError &+= right.clientError
        left.serverError &+= right.serverError
    }

    /// Each class with its label, such as `2xx`.
    public var labelled: [(label: String, count: UInt64)] {
        [
            ("1xx", informational), ("2xx", success), ("3xx", redirection),
            ("4xx", clientError), ("5xx", serverError),
        ]
    }
}

/// The numbers of one listener.
public struct ListenerStatistics: Hashable, Sendable {
    /// The listener's name.
    public var name: String
    /// Where it was told to bind.
    public var bind: Endpoint
    /// Connections accepted since the start.
    public var connectionsAccepted: UInt64 = 0
    /// Connections open now.
    public var connectionsOpen: UInt64 = 0
    /// Requests begun, refused ones included.
    public var requests: UInt64 = 0
    /// Responses begun, our own included.
    public var responses = ResponseClassCounts()
    /// Bytes received from clients.
    public var bytesReceived: UInt64 = 0
    /// Bytes sent to clients.
    public var bytesSent: UInt64 = 0
    /// Responses cut short because the backend broke off or stalled.
    public var truncatedResponses: UInt64 = 0
    /// Clients that went away before their response was complete.
    public var clientAborts: UInt64 = 0
    /// Clients cut off because they were too slow.
    public var clientTimeouts: UInt64 = 0
    /// Connections closed because their peer owed a PROXY header.
    public var proxyHeaderFailures: UInt64 = 0
    /// Connections of a TCP listener that no backend took.
    public var refusedStreams: UInt64 = 0
    /// Tunnels begun: connections of a TCP listener, and WebSockets.
    public var tunnels: UInt64 = 0
    /// Tunnels open now.
    public var tunnelsOpen: UInt64 = 0
    /// Tunnels closed because nothing moved.
    public var tunnelTimeouts: UInt64 = 0
}

/// The numbers of one backend.
public struct BackendStatistics: Hashable, Sendable {
    /// The pool's name.
    public var pool: String
    /// The backend's name.
    public var name: String
    /// Where it listens.
    public var address: Endpoint
    /// What it may be given now.
    public var standing: BackendStanding
    /// True when anybody may be sent there.
    public var isUp: Bool { standing.admission == .serving }
    /// Requests in flight now, connecting ones and tunnels included.
    public var requestsInFlight: Int
    /// How many of them are tunnels.
    public var tunnelsInFlight: Int
    /// Connections now, idle ones included.
    public var openConnections: Int
    /// Idle connections kept now.
    public var idleConnections: UInt64 = 0
    /// Requests sent to it, retries included.
    public var requests: UInt64 = 0
    /// Connections it accepted.
    public var connections: UInt64 = 0
    /// Connections it refused or did not accept in time.
    public var connectFailures: UInt64 = 0
    /// Requests it got after another backend had failed them.
    public var retries: UInt64 = 0
    /// Requests sent again because a reused connection was just closing.
    public var replays: UInt64 = 0
    /// Requests that got no response, or a broken one.
    public var failures: UInt64 = 0
    /// Requests that an order cut while they were with it.
    public var cutRequests: UInt64 = 0
    /// Tunnels that an order cut.
    public var cutTunnels: UInt64 = 0
    /// Responses begun.
    public var responses = ResponseClassCounts()
    /// Sum of the times from the choice of the backend to its response head.
    public var latencySum = TimeSpan.zero
    /// How many times that sum has.
    public var latencyCount: UInt64 = 0
    /// The same times by how long they were.
    public var latencies = LatencyCounts()
    /// Those of the last 10 to 20 seconds; all of them while nobody watches the traffic.
    public var recentLatencies = LatencyCounts()
    /// Requests a second in that time.
    public var requestRate = 0.0
    /// Attempts without a whole answer, by kind.
    public var failureKinds: [LabelledCount] = []
}

/// The numbers of one pool at this moment.
public struct PoolStatistics: Hashable, Sendable {
    /// The pool's name.
    public var name: String
    /// Requests at its backends, connecting ones included, tunnels not.
    public var requestsInFlight: Int
    /// Connections to its backends, idle ones and tunnels included.
    public var connections: Int
    /// Requests that are with a backend after another attempt of theirs failed.
    public var retriesInFlight: Int
    /// Requests in its queue.
    public var waiting: Int
    /// Requests that may be in flight as latency has it; `nil` without adaptive concurrency.
    public var adaptiveLimit: Int?
    /// Requests in flight for the weight, over the backends that serve.
    public var inFlightSpread = LoadSpread()
    /// Requests a second for the weight in the last 10 to 20 seconds, over the backends that serve.
    public var requestRateSpread = LoadSpread()
}

/// One refused kind of message and how often it came.
public struct FaultCount: Hashable, Sendable {
    /// The stable word for the reason.
    public var reason: String
    /// How often.
    public var count: UInt64
}

/// One limit of the data plane and how often it was hit.
public struct LimitCount: Hashable, Sendable {
    /// The stable word for the limit.
    public var limit: String
    /// How often.
    public var count: UInt64
}

/// The numbers of the data plane at one moment.
public struct DataPlaneStatistics: Hashable, Sendable {
    /// Listeners in file order.
    public var listeners: [ListenerStatistics]
    /// Backends in file order of their pools.
    public var backends: [BackendStatistics]
    /// Pools in file order.
    public var pools: [PoolStatistics]
    /// Requests refused, by reason; reasons that never came are left out.
    public var requestFaults: [FaultCount]
    /// Responses refused, by reason; reasons that never came are left out.
    public var responseFaults: [FaultCount]
    /// How often each limit was hit.
    public var limits: [LimitCount]
    /// Client connections open now, those of removed listeners included.
    public var openConnections: Int
    /// Threads that serve.
    public var workerCount: Int
    /// Bytes of buffers in use now.
    public var bufferByteCount: Int
    /// The longest time that a change of configuration has kept a worker from its clients.
    public var longestAdoption: TimeSpan
}
