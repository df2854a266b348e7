// SPDX-License-Identifier: Apache-2.0
//
// What the control thread decides about backends and asks about them. Everything here is for that
// thread alone; workers obey from their next choice on, without a lock and without a message.

public import BalancerCore
public import EventLoop
public import LinuxIO
internal import Synchronization

/// What a backend has in flight, on all workers together.
public struct BackendInFlight: Hashable, Sendable {
    /// Requests, connecting ones and copies included.
    public var requests = 0
    /// Tunnels: WebSockets and connections of TCP listeners.
    public var tunnels = 0
    /// Connections, idle ones included.
    public var connections = 0

    /// Makes numbers.
    public init(requests: Int = 0, tunnels: Int = 0, connections: Int = 0) {
        self.requests = requests
        self.tunnels = tunnels
        self.connections = connections
    }
}

/// What a backend was sent and what came of it since the start; numbers only grow.
public struct BackendTraffic: Hashable, Sendable {
    /// Attempts that ended with an answer or a failure.
    public var requests: UInt64 { successes + serverErrors + localFailures }
    /// Answers that are no 5xx.
    public var successes: UInt64 = 0
    /// Answers 5xx.
    public var serverErrors: UInt64 = 0
    /// Answers 502, 503 and 504, which `serverErrors` has too.
    public var gatewayErrors: UInt64 = 0
    /// Attempts without an answer, or with a broken one.
    public var localFailures: UInt64 = 0

    /// Makes numbers of nothing.
    public init() {}
}

extension DataPlane {
    /// Puts a decision about a backend in force; false when there is no such backend.
    @discardableResult
    public func setStanding(
        pool: String, backend: String, _ standing: BackendStanding
    ) -> Bool {
        setStandings(pool: pool, [(backend, standing)]) == 1
    }

    /// Puts decisions about backends of a pool in force together.
    ///
    /// - Returns: how many of the backends exist.
    @discardableResult
    public func setStandings(
        pool: String, _ decisions: [(backend: String, standing: BackendStanding)]
    ) -> Int {
        let snapshot = currentSnapshot
        var foundCount = 0
        var isNew = false
        var shared: SharedPool?
        for decision in decisions {
            guard let backend = snapshot.backend(decision.backend, in: pool) else { continue }
            foundCount += 1
            shared = backend.pool
            if backend.setStanding(decision.standing) { isNew = true }
        }
        if isNew, let shared {
            shared.announceStandings()
            announceRoom(in: shared)
        }
        return foundCount
    }

    /// What a backend may be given now.
    public func standing(pool: String, backend: String) -> BackendStanding? {
        currentSnapshot.backend(backend, in: pool)?.standing
    }

    /// Tells the workers whether a backend may be given requests; an unknown one is ignored.
    ///
    /// The plain form of `setStanding`: weight and ramp stay as they are.
    public func setBackendAvailability(pool: String, backend: String, isUp: Bool) {
        guard var standing = standing(pool: pool, backend: backend) else { return }
        standing.admission = isUp ? .serving : .unhealthy
        setStanding(pool: pool, backend: backend, standing)
    }

    /// Orders all workers to close their idle connections to backends.
    ///
    /// - Returns: false when a worker's mailbox was full, so that the order has to be repeated.
    @discardableResult
    public func closeIdle(pool: String, backends: [String]) -> Bool {
        post(.closeIdle(find(backends, in: pool)))
    }

    /// Orders all workers to close connections to backends that have work.
    ///
    /// Requests without an answer go elsewhere when they may be sent again, and are answered 502
    /// otherwise; answers that have begun are cut short; tunnels are reset when asked.
    ///
    /// - Returns: false when a worker's mailbox was full, so that the order has to be repeated.
    @discardableResult
    public func forceClose(pool: String, backends: [String], tunnelsToo: Bool) -> Bool {
        post(.cut(find(backends, in: pool), tunnelsToo: tunnelsToo))
    }

    private func find(_ backends: [String], in pool: String) -> [SharedBackend] {
        let snapshot = currentSnapshot
        return backends.compactMap { snapshot.backend($0, in: pool) }
    }

    /// What a backend has in flight; nothing when there is no such backend.
    public func inFlight(pool: String, backend: String) -> BackendInFlight {
        guard let backend = currentSnapshot.backend(backend, in: pool) else {
            return BackendInFlight()
        }
        let tunnels = backend.tunnelsInFlight.load(ordering: .relaxed)
        return BackendInFlight(
            requests: max(0, backend.requestsInFlight.load(ordering: .relaxed) - tunnels),
            tunnels: tunnels, connections: backend.connections.load(ordering: .relaxed))
    }

    /// What the backends of a pool were sent, in the order of the configuration; backends that have
    /// no address yet are left out.
    public func traffic(pool: String) -> [(backend: String, traffic: BackendTraffic)] {
        let snapshot = currentSnapshot
        guard let place = snapshot.directory.pool(pool) else { return [] }
        return snapshot.pools[place].backends.map { ($0.identity.name, $0.traffic) }
    }

    // MARK: Events

    /// Hands what workers find out about backends to `body`, on the loop's thread, for as long as
    /// the loop lives.
    public func watchTraffic(
        on loop: EventLoop, _ body: @escaping (TrafficEvent) -> Void
    ) throws(Errno) {
        try loop.attach(reports) { [weak self] report in
            guard let event = self?.event(report) else { return }
            body(event)
        }
        sample(on: loop)
    }

    /// Remembers counters now and again, so that there is something to compare the next ones with.
    private func sample(on loop: EventLoop) {
        samples.take(currentSnapshot.pools, now: loop.now)
        loop.schedule(after: TrafficSamples.interval) { [weak self, weak loop] in
            guard let loop else { return }
            self?.sample(on: loop)
        }
    }

    /// Makes an event of a report; `nil` when the backend it is about is no longer the one of that
    /// name.
    private func event(_ report: TrafficReport) -> TrafficEvent? {
        let identity = report.backend.identity
        if case .failedInARow = report.finding {
            report.backend.isReported.store(false, ordering: .releasing)
        }
        let current = currentSnapshot.backend(identity.name, in: identity.pool)
        guard current === report.backend else { return nil }
        return TrafficEvent(
            pool: identity.pool, backend: identity.name, finding: report.finding)
    }
}

extension DataPlaneSnapshot {
    /// A backend by name.
    func backend(_ name: String, in pool: String) -> SharedBackend? {
        guard let place = directory.backend(name, in: pool) else { return nil }
        return pools[place.pool].backends[place.index]
    }
}

extension SharedBackend {
    /// What it was sent, by all workers.
    var traffic: BackendTraffic {
        var sum = BackendTraffic()
        for row in tallies {
            let classes = row.statuses.classes
            sum.successes &+= classes.informational &+ classes.success &+ classes.redirection
            sum.successes &+= classes.clientError
            sum.serverErrors &+= classes.serverError
            sum.gatewayErrors &+= row.gatewayErrors.value
            sum.localFailures &+= row.localFailures.sum
        }
        return sum
    }
}
