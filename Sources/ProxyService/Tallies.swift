// SPDX-License-Identifier: Apache-2.0
//
// The counters of the data plane. Each cell has one writer, a worker, and any number of readers,
// so that counting is a plain load and store.

internal import Synchronization

/// A number that one thread adds to and others read.
struct Tally: ~Copyable, Sendable {
    private let cell = Atomic<UInt64>(0)

    /// Adds `amount`; only the owning worker may call this.
    @inline(__always)
    borrowing func add(_ amount: UInt64 = 1) {
        cell.store(cell.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    /// Takes `amount` off; only the owning worker may call this.
    @inline(__always)
    borrowing func subtract(_ amount: UInt64 = 1) {
        cell.store(cell.load(ordering: .relaxed) &- amount, ordering: .relaxed)
    }

    /// Begins anew; only the owning worker may call this.
    borrowing func reset() {
        cell.store(0, ordering: .relaxed)
    }

    var value: UInt64 { cell.load(ordering: .relaxed) }
}

/// Responses by the first digit of their status.
struct StatusTallies: ~Copyable, Sendable {
    let informational = Tally()
    let success = Tally()
    let redirection = Tally()
    let clientError = Tally()
    let serverError = Tally()

    @inline(__always)
    borrowing func add(status: UInt16) {
        switch status {
        case 200..<300: success.add()
        case 300..<400: redirection.add()
        case 400..<500: clientError.add()
        case 500...: serverError.add()
        default: informational.add()
        }
    }

    var classes: ResponseClassCounts {
        ResponseClassCounts(
            informational: informational.value, success: success.value,
            redirection: redirection.value, clientError: clientError.value,
            serverError: serverError.value)
    }
}

/// Attempts without an answer, by kind.
struct FailureTallies: ~Copyable, Sendable {
    let refused = Tally()
    let connectTimeouts = Tally()
    let resets = Tally()
    let timeouts = Tally()
    let malformed = Tally()
    let truncated = Tally()

    borrowing func add(_ failure: AttemptFailure) {
        switch failure {
        case .refused: refused.add()
        case .connectTimeout: connectTimeouts.add()
        case .reset: resets.add()
        case .timeout: timeouts.add()
        case .malformed: malformed.add()
        case .truncated: truncated.add()
        case .ours: break
        }
    }

    var sum: UInt64 {
        refused.value &+ connectTimeouts.value &+ resets.value &+ timeouts.value
            &+ malformed.value &+ truncated.value
    }
}

/// What one worker counts about one listener.
final class ListenerTallies: Sendable {
    let connectionsAccepted = Tally()
    let connectionsOpen = Tally()
    let requests = Tally()
    let bytesReceived = Tally()
    let bytesSent = Tally()
    let statuses = StatusTallies()
    /// Responses cut short because the backend broke off or stalled.
    let truncatedResponses = Tally()
    /// Clients that went away before their response was complete.
    let clientAborts = Tally()
    /// Clients cut off because they took too long to send or to read.
    let clientTimeouts = Tally()
    /// Connections closed because their peer owed a PROXY header.
    let proxyHeaderFailures = Tally()
    /// Connections of a TCP listener that no backend took.
    let refusedStreams = Tally()
    /// Tunnels begun: connections of a TCP listener, and WebSockets.
    let tunnels = Tally()
    let tunnelsOpen = Tally()
    /// Tunnels closed because nothing moved.
    let tunnelTimeouts = Tally()
}

/// What one worker counts about one backend.
final class BackendTallies: Sendable {
    let requests = Tally()
    let connections = Tally()
    let connectFailures = Tally()
    let retries = Tally()
    let replays = Tally()
    let failures = Tally()
    let idleConnections = Tally()
    let gatewayErrors = Tally()
    let localFailures = FailureTallies()
    /// Requests and tunnels that an order of the control thread cut.
    let cutRequests = Tally()
    let cutTunnels = Tally()
    let latencyMicroseconds = Tally()
    let latencyCount = Tally()
    let latencies = LatencyCells()
    let statuses = StatusTallies()
    /// The average that choices go by, in microseconds; 0 while this worker knows nothing of late.
    let averageMicroseconds = Atomic<UInt32>(0)
}

/// What one worker counts about itself, and what other threads may ask of it at any time.
final class WorkerTallies: Sendable {
    /// Monotonic nanoseconds of the beginning of the last turn; 0 before the first.
    let lastTurnNanoseconds = Atomic<UInt64>(0)
    /// Client connections open, lingering ones included.
    let openConnections = Atomic<Int>(0)
    /// Bytes of buffers attached to connections.
    let bufferByteCount = Atomic<Int>(0)
    /// It was told to leave and accepts nothing any more.
    let isDraining = Atomic<Bool>(false)
    /// The worker could not set itself up.
    let hasFailed = Atomic<Bool>(false)
    /// The longest time that a change of configuration took the worker.
    let longestAdoptionNanoseconds = Atomic<UInt64>(0)
    /// Snapshots adopted.
    let reloads = Tally()
    let requestFaults: FaultTallies
    let responseFaults: FaultTallies
    let limits = LimitTallies()
    let carry = CarryTallies()
    let shadows = ShadowTallies()

    init() {
        requestFaults = FaultTallies()
        responseFaults = FaultTallies()
    }
}

/// How often each limit of the data plane was hit.
final class LimitTallies: Sendable {
    /// The connection limit kept clients waiting in the kernel's queue.
    let connections = Tally()
    /// accept(2) had no descriptor left.
    let descriptors = Tally()
    /// A request found no room for an upstream connection.
    let upstreams = Tally()
    /// A listener had as many clients as it may and kept others waiting in the kernel's queue.
    let listenerConnections = Tally()
    /// A client address had as many connections as it may; one more was closed.
    let clientAddresses = Tally()
    /// An idle upstream connection gave way to another one.
    let idleUpstreams = Tally()
    /// A client connection carried as many requests as it may.
    let connectionRequests = Tally()
    /// Buffers were short: a request was answered 503.
    let memory = Tally()
    /// A client sent or took a body below the minimum rate.
    let bodyRate = Tally()
    /// A drain deadline cut connections off.
    let drainCuts = Tally()
    /// A request body was longer than allowed.
    let bodies = Tally()
}
