// SPDX-License-Identifier: Apache-2.0
//
// Room for requests and connections: the limits of a pool and of its backends, counted for all
// workers together. A place is taken by one exchange that fails at the limit, so that a limit is
// never exceeded, not for a moment.

internal import BalancerCore
internal import Synchronization
internal import WireCore

extension Atomic<Int> {
    /// Adds one unless that would exceed a limit.
    @inline(__always)
    borrowing func addOne(upTo limit: Int) -> Bool {
        var seen = load(ordering: .sequentiallyConsistent)
        while seen < limit {
            let (done, now) = weakCompareExchange(
                expected: seen, desired: seen &+ 1, ordering: .sequentiallyConsistent)
            if done { return true }
            seen = now
        }
        return false
    }
}

/// What came of looking for a place for a request.
enum Claim {
    /// The request counts for the client's `backendIndex`.
    case granted
    /// Nobody that was not tried before may be given the request.
    case nobody
    /// Limits leave no room now.
    case noRoom
}

/// Limits that were met and not seen with room since.
struct OpenBreakers: OptionSet {
    let rawValue: UInt8

    static let requests = OpenBreakers(rawValue: 1)
    static let connections = OpenBreakers(rawValue: 2)
    static let backends = OpenBreakers(rawValue: 4)
    static let retries = OpenBreakers(rawValue: 8)
    static let queue = OpenBreakers(rawValue: 16)
    /// Those for which requests wait.
    static let places: OpenBreakers = [.requests, .connections, .backends]
}

/// Which limit refused a place.
enum PlaceOutcome {
    case taken
    case poolIsFull
    case backendIsFull
}

extension WorkerBackend {
    /// Counts a request if both limits have room for it.
    @inline(__always)
    func takePlace(poolMax: Int) -> PlaceOutcome {
        let hasRoom = pool._withUnsafeGuaranteedRef {
            $0.requestsInFlight.addOne(upTo: poolMax)
        }
        guard hasRoom else { return .poolIsFull }
        guard requestsMax == .max else { return takeLimitedPlace() }
        shared._withUnsafeGuaranteedRef { backend in
            _ = backend.requestsInFlight.wrappingAdd(1, ordering: .sequentiallyConsistent)
        }
        return .taken
    }

    private func takeLimitedPlace() -> PlaceOutcome {
        let hasRoom = shared._withUnsafeGuaranteedRef { backend in
            // Tunnels are in flight and no requests.
            let tunnels = max(0, backend.tunnelsInFlight.load(ordering: .sequentiallyConsistent))
            return backend.requestsInFlight.addOne(upTo: requestsMax &+ tunnels)
        }
        guard !hasRoom else { return .taken }
        pool._withUnsafeGuaranteedRef { pool in
            _ = pool.requestsInFlight.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        }
        return .backendIsFull
    }

    /// Counts a connection if both limits have room for it.
    func takeConnection() -> Bool {
        guard connectionsMax < .max || poolConnectionsMax < .max else {
            connectionBegins()
            return true
        }
        let hasRoom = shared._withUnsafeGuaranteedRef {
            $0.connections.addOne(upTo: connectionsMax)
        }
        guard hasRoom else { return false }
        if pool._withUnsafeGuaranteedRef({ $0.connections.addOne(upTo: poolConnectionsMax) }) {
            return true
        }
        shared._withUnsafeGuaranteedRef { backend in
            _ = backend.connections.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        }
        return false
    }
}

extension WorkerPool {
    /// Requests that may be in flight now.
    @inline(__always)
    var requestsMax: Int {
        // Where nobody waits, measuring latency must not cost a request its answer.
        let adaptive = shared._withUnsafeGuaranteedRef {
            rules.queueLength > 0
                ? $0.adaptive.limit.load(ordering: .relaxed)
                : $0.adaptive.settledLimit.load(ordering: .relaxed)
        }
        return min(rules.requestsMax, adaptive)
    }

    /// True when new connections have no room in the pool.
    var isFullOfConnections: Bool {
        guard rules.connectionsMax < .max else { return false }
        return shared._withUnsafeGuaranteedRef {
            $0.connections.load(ordering: .sequentiallyConsistent) >= rules.connectionsMax
        }
    }

    /// True when requests wait for room in the pool, on any worker.
    @inline(__always)
    var isWaitedFor: Bool {
        shared._withUnsafeGuaranteedRef { $0.waiting.load(ordering: .relaxed) > 0 }
    }

    /// True when a request might find room; a hint.
    var mayHaveRoom: Bool {
        shared._withUnsafeGuaranteedRef {
            $0.requestsInFlight.load(ordering: .sequentiallyConsistent) < requestsMax
        }
    }

    /// A request comes that is no retry.
    @inline(__always)
    mutating func requestBegan(now: Instant) {
        retryBudget.requestBegan(now: now)
        count { $0.requests.add() }
    }

    /// A request met a limit.
    mutating func opens(_ breaker: OpenBreakers) {
        guard !openBreakers.contains(breaker) else { return }
        openBreakers.insert(breaker)
        count { tallies in
            switch breaker {
            case .requests: tallies.breakers.requests.add()
            case .connections: tallies.breakers.connections.add()
            case .backends: tallies.breakers.backends.add()
            case .retries: tallies.breakers.retries.add()
            default: tallies.breakers.queue.add()
            }
        }
    }

    /// A reload that leaves the budget as it is gives nothing back to it.
    mutating func keepBudget(of old: UnsafeMutablePointer<WorkerPool>) {
        guard rules.budgetPercent == old.pointee.rules.budgetPercent,
            rules.budgetFloor == old.pointee.rules.budgetFloor
        else { return }
        retryBudget = old.pointee.retryBudget
        guard rules.hedging == old.pointee.rules.hedging else { return }
        hedgeBudget = old.pointee.hedgeBudget
        hedgeDelay = old.pointee.hedgeDelay
    }

    @inline(__always)
    func count(_ body: (PoolTallies) -> Void) {
        tallies._withUnsafeGuaranteedRef(body)
    }
}

extension Worker {
    /// Choices that others may thwart before a request waits like everybody else.
    private static let claimRoundsMax = 8

    /// Looks for a backend and takes a place for the request in its limits and those of the pool.
    @inline(__always)
    mutating func claim(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) -> Claim {
        for _ in 0..<Self.claimRoundsMax {
            switch choose(client, pool) {
            case .chosen(let index): client.pointee.backendIndex = index
            case .noneAvailable: return .nobody
            case .allAtLimit:
                if pool.pointee.isFullOfConnections {
                    if closeIdle(in: pool) { continue }
                    pool.pointee.opens(.connections)
                } else {
                    pool.pointee.opens(.backends)
                }
                return .noRoom
            }
            let backend = pool.pointee.backends[client.pointee.backendIndex]
            guard !client.pointee.isStream else {
                // Tunnels are connections, not requests; they count as load all the same.
                backend.pointee.requestBegins()
                return .granted
            }
            switch backend.pointee.takePlace(poolMax: pool.pointee.requestsMax) {
            case .taken: return .granted
            case .poolIsFull:
                endTrial(client, .abandoned)
                pool.pointee.opens(.requests)
                return .noRoom
            case .backendIsFull:
                // Somebody was faster. Who looked meanwhile may have seen a full pool that is not.
                endTrial(client, .abandoned)
                noteRoom(in: backend.pointee.pool)
            }
        }
        return .noRoom
    }

    // MARK: Connections give way

    /// Closes an idle connection of this worker to any backend of the pool; false without one.
    private mutating func closeIdle(in pool: UnsafeMutablePointer<WorkerPool>) -> Bool {
        for index in 0..<pool.pointee.backendCount {
            guard let oldest = pool.pointee.backends[index].pointee.idle.oldest else { continue }
            close(oldest)
            return true
        }
        return false
    }

    /// Makes room for a connection to a backend at its limit by one that idles, and takes it.
    mutating func makeConnectionRoom(at backend: WorkerBackend.Pointer) -> Bool {
        guard let oldest = backend.pointee.idle.oldest else { return false }
        close(oldest)
        return backend.pointee.takeConnection()
    }

    /// Somebody waits for connections that idle here: one of each such pool goes.
    mutating func yieldConnections() {
        for pool in pools where pool.pointee.limitsConnections {
            let isAsked = pool.pointee.shared._withUnsafeGuaranteedRef {
                $0.line.takeRequest(seat: seat)
            }
            if isAsked { _ = closeIdle(in: pool) }
        }
    }
}
