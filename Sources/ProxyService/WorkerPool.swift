// SPDX-License-Identifier: Apache-2.0
//
// A pool and its backends as one worker sees them: raw records that outlive a reload for as long
// as a request or a connection refers to them.

internal import BalancerCore
internal import ConfigurationCore
internal import LinuxIO
internal import ReplicationCore
internal import Synchronization
internal import WireCore

/// One pool on one worker.
struct WorkerPool: ~Copyable {
    let name: String
    /// The name for the access log.
    let nameText: UnsafeRawBufferPointer
    /// Keeps `shared` alive, and the settings at hand.
    let plan: PoolPlan
    let shared: Unmanaged<SharedPool>
    /// Keys and cookies of requests, of `plan`; `nil` when it looks at neither.
    let affinity: Unmanaged<PoolAffinity>?
    var balancer: PoolBalancer
    let backends: UnsafeMutablePointer<UnsafeMutablePointer<WorkerBackend>>
    let backendCount: Int
    /// What its backends may fail in a row.
    let outlierSettings: OutlierSettings?
    /// What latency makes of `limits.requests`, when it may.
    var adaptiveLimit: AdaptiveLimit?
    /// The epoch whose standings the balancer has.
    ///
    /// A pool that is new has seen none: the epoch of a pool is never 0 before 4 billion changes.
    private var seenEpoch: UInt32 = 0
    /// Standings as read last; kept so that reading them again takes no memory.
    private var standings: [BackendStanding] = []
    /// How requests are treated.
    let rules: AttemptRules
    /// A limit of connections is configured, for the pool or a backend.
    let limitsConnections: Bool
    /// Where connections for WebSockets come from.
    let tunnelSource: IPAddress?
    let tallies: Unmanaged<PoolTallies>
    /// Retries that this worker may make.
    var retryBudget: RetryBudget
    /// Second attempts that this worker may make, and when they are worth it.
    var hedgeBudget: HedgeBudget
    var hedgeDelay: HedgeDelay
    var openBreakers: OpenBreakers = []
    /// Requests of this worker that wait for room.
    var line = WaitingLine()
    /// Routes that lead here, and requests that chose from here and are not over.
    var useCount = 0
    /// A reload has replaced it; it goes with its last use.
    var isRetired = false

    init(
        _ plan: PoolPlan, balancer: PoolBalancer, backends list: [WorkerBackend.Pointer],
        worker: WorkerSetup
    ) {
        name = plan.name
        nameText = AccessDesk.copy(plan.name)
        self.plan = plan
        shared = Unmanaged.passUnretained(plan.shared)
        outlierSettings = plan.outlierSettings
        affinity = plan.affinity.map { Unmanaged.passUnretained($0) }
        self.balancer = balancer
        let rules = AttemptRules(plan.configuration)
        self.rules = rules
        limitsConnections =
            rules.connectionsMax < .max || plan.limits.contains { $0.connections != nil }
        tunnelSource = plan.configuration.tunnelSource
        tallies = Unmanaged.passUnretained(plan.shared.tallies[worker.index])
        retryBudget = RetryBudget(
            percent: rules.budgetPercent, floorPerSecond: rules.budgetFloor,
            workerCount: worker.workerCount)
        hedgeBudget = HedgeBudget(percent: rules.hedging?.budgetPercent ?? 0, floorPerSecond: 0)
        hedgeDelay = HedgeDelay(allBut: rules.hedging?.budgetPercent ?? 1)
        backendCount = list.count
        backends = .allocate(capacity: max(1, list.count))
        for (index, backend) in list.enumerated() {
            (backends + index).initialize(to: backend)
            backend.pointee.poolCount += 1
            backend.pointee.position = index
            backend.pointee.setLimits(plan.limits[index])
            backend.pointee.poolConnectionsMax = rules.connectionsMax
        }
    }

    deinit {
        nameText.deallocate()
        backends.deallocate()
    }

    /// The backend for a request of this pool, or why there is none.
    @inline(__always)
    mutating func choose(
        now: Instant, excluding attempted: AttemptedBackends = AttemptedBackends(),
        key: UInt64? = nil
    ) -> BackendChoice {
        followStandings()
        return balancer.choose(now: now, loads: loads, excluding: attempted, key: key)
    }

    /// The view that a choice of the balancer reads.
    @inline(__always)
    var loads: PoolLoads {
        PoolLoads(backends: backends, shared: shared, wantsIdle: isFullOfConnections)
    }

    /// Brings the balancer up to date with what the control thread decided; before each choice.
    @inline(__always)
    mutating func followStandings() {
        let epoch = shared._withUnsafeGuaranteedRef { $0.epoch.load(ordering: .acquiring) }
        if epoch != seenEpoch { readStandings(epoch) }
    }

    private mutating func readStandings(_ epoch: UInt32) {
        seenEpoch = epoch
        standings.removeAll(keepingCapacity: true)
        for index in 0..<backendCount { standings.append(backends[index].pointee.followStanding()) }
        balancer.setStandings(standings)
    }

    /// True when a backend may wait for its trial.
    @inline(__always)
    var hasTrials: Bool { balancer.trialCount > 0 }

    /// Takes the trial of a backend that waits for one.
    ///
    /// Only for a request that may be sent again: the backend was ejected for a reason.
    ///
    /// - Returns: the backend and the ticket that names its trial.
    func claimTrial() -> (index: Int, ticket: UInt32)? {
        for position in 0..<balancer.trialCount {
            let index = balancer.trialIndex(at: position)
            let ticket = backends[index].pointee.shared._withUnsafeGuaranteedRef {
                $0.trial.claim()
            }
            if let ticket { return (index, ticket) }
        }
        return nil
    }
}

/// The shared facts about a pool's backends.
struct PoolLoads: BackendLoads {
    let backends: UnsafeMutablePointer<UnsafeMutablePointer<WorkerBackend>>
    let shared: Unmanaged<SharedPool>
    /// The pool has as many connections as it may: one that idles here is wanted.
    let wantsIdle: Bool

    @inline(__always)
    func requestsInFlight(at index: Int) -> Int {
        backends[index].pointee.shared._withUnsafeGuaranteedRef {
            $0.requestsInFlight.load(ordering: .relaxed)
        }
    }

    @inline(__always)
    func isAtLimit(at index: Int) -> Bool {
        if wantsIdle, backends[index].pointee.idle.count == 0 { return true }
        return backends[index].pointee.isLimited && backends[index].pointee.isAtLimit
    }

    @inline(__always)
    func requestsInFlightInPool() -> Int? {
        shared._withUnsafeGuaranteedRef { $0.requestsInFlight.load(ordering: .relaxed) }
    }
}

/// One backend on one worker, with its idle connections.
struct WorkerBackend: ~Copyable {
    typealias Pointer = UnsafeMutablePointer<WorkerBackend>

    let endpoint: Endpoint
    /// What each connection to it begins with.
    let proxyHeader: ProxyHeaderVersion?
    /// A connection that began with a client's header is that client's alone.
    ///
    /// It closes after the exchange: keeping it for the client's next request would save little,
    /// since the balancer chooses a backend for each.
    var mayShareConnections: Bool { proxyHeader == nil }
    /// The backend's address as text, for requests without a host.
    let hostText: UnsafeRawBufferPointer
    /// The name for the access log.
    let nameText: UnsafeRawBufferPointer
    /// Keeps `shared`, `pool`, `tallies` and the texts alive; the hot path goes through those,
    /// which count no references.
    private let owner: SharedBackend
    let pool: Unmanaged<SharedPool>
    let shared: Unmanaged<SharedBackend>
    let tallies: Unmanaged<BackendTallies>
    /// Idle connections, last used first.
    var idle = UpstreamPool()
    /// How long it lets a connection idle.
    var patience = IdleEstimate()
    /// Connections of any phase.
    var connectionCount = 0
    /// Pools that list it; retired pools count until their last request is over.
    var poolCount = 0
    /// No pool in force lists it.
    var isRetired = false
    /// Its place in the pool in force.
    var position = 0
    /// A reload in progress has found it in the new configuration.
    var isListed = false
    /// An order in progress cuts its connections.
    var isBeingCut = false
    /// Requests and connections it may have; configured, and as far as its ramp goes by now.
    private var limits = BackendLimits()
    private var rampPercent = BackendStanding.rampPercentMax
    /// It has a limit.
    private(set) var isLimited = false
    private(set) var requestsMax = Int.max
    private(set) var connectionsMax = Int.max
    /// What the backends of its pool may have together.
    var poolConnectionsMax = Int.max

    init(_ backend: SharedBackend, workerIndex: Int) {
        owner = backend
        shared = Unmanaged.passUnretained(backend)
        tallies = Unmanaged.passUnretained(backend.tallies[workerIndex])
        endpoint = backend.identity.address
        proxyHeader = backend.identity.proxyHeader
        pool = Unmanaged.passUnretained(backend.pool)
        hostText = backend.hostText
        nameText = backend.nameText
    }

    /// True when nothing refers to it any more.
    var isUnused: Bool { isRetired && connectionCount == 0 && poolCount == 0 }

    @inline(__always)
    func count(_ body: (BackendTallies) -> Void) {
        tallies._withUnsafeGuaranteedRef(body)
    }

    /// The object it stands for; counts a reference.
    var object: SharedBackend { owner }

    /// True when connections to it are worth keeping.
    @inline(__always)
    var mayKeepIdle: Bool { shared._withUnsafeGuaranteedRef { $0.mayKeepIdle } }

    /// It answered something that is no failure.
    @inline(__always)
    func endStreak() {
        shared._withUnsafeGuaranteedRef { $0.streak.end() }
    }

    /// Counts a time to the head of a response.
    @inline(__always)
    func noteLatency(_ latency: TimeSpan) {
        tallies._withUnsafeGuaranteedRef { $0.latencies.add(latency) }
    }

    // MARK: Limits

    /// Puts configured limits in force.
    mutating func setLimits(_ limits: BackendLimits) {
        self.limits = limits
        isLimited = limits != BackendLimits()
        applyRamp()
    }

    /// Reads what the control thread decided.
    mutating func followStanding() -> BackendStanding {
        let standing = shared._withUnsafeGuaranteedRef { $0.standing }
        if standing.rampPercent != rampPercent {
            rampPercent = standing.rampPercent
            applyRamp()
        }
        return standing
    }

    private mutating func applyRamp() {
        requestsMax = limits.requests.map { scaled($0) } ?? .max
        connectionsMax = limits.connections.map { scaled($0) } ?? .max
    }

    private func scaled(_ limit: Int) -> Int {
        max(1, limit * Int(min(rampPercent, BackendStanding.rampPercentMax)) / 100)
    }

    /// True when it may get no further request.
    var isAtLimit: Bool {
        shared._withUnsafeGuaranteedRef { backend in
            let inFlight = backend.requestsInFlight.load(ordering: .relaxed)
            if requestsMax < .max,
                inFlight - backend.tunnelsInFlight.load(ordering: .relaxed) >= requestsMax
            {
                return true
            }
            guard connectionsMax < .max else { return false }
            if inFlight >= connectionsMax { return true }
            // Who has an idle connection needs no other one.
            return idle.count == 0
                && backend.connections.load(ordering: .relaxed) >= connectionsMax
        }
    }

    // MARK: Counting for all workers

    /// Counts a request to it, from its choice to its end.
    @inline(__always)
    func requestBegins() {
        shared._withUnsafeGuaranteedRef { backend in
            _ = backend.requestsInFlight.wrappingAdd(1, ordering: .relaxed)
        }
        pool._withUnsafeGuaranteedRef { pool in
            _ = pool.requestsInFlight.wrappingAdd(1, ordering: .relaxed)
        }
    }

    @inline(__always)
    func requestEnds() {
        shared._withUnsafeGuaranteedRef { backend in
            _ = backend.requestsInFlight.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        }
        pool._withUnsafeGuaranteedRef { pool in
            _ = pool.requestsInFlight.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        }
    }

    /// A request became a tunnel: it stays with the backend, and no longer counts for the pool.
    func tunnelBegins() {
        shared._withUnsafeGuaranteedRef { backend in
            _ = backend.tunnelsInFlight.wrappingAdd(1, ordering: .relaxed)
        }
        pool._withUnsafeGuaranteedRef { pool in
            _ = pool.requestsInFlight.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        }
    }

    func tunnelEnds() {
        shared._withUnsafeGuaranteedRef { backend in
            // In this order the limit of requests is never wider than it should be.
            _ = backend.tunnelsInFlight.wrappingSubtract(1, ordering: .sequentiallyConsistent)
            _ = backend.requestsInFlight.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        }
    }

    /// Counts a connection to it; one that goes to another worker goes on being counted.
    func connectionBegins() {
        shared._withUnsafeGuaranteedRef { backend in
            _ = backend.connections.wrappingAdd(1, ordering: .relaxed)
        }
        pool._withUnsafeGuaranteedRef { pool in
            _ = pool.connections.wrappingAdd(1, ordering: .relaxed)
        }
    }

    func connectionEnds() {
        shared._withUnsafeGuaranteedRef { backend in
            _ = backend.connections.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        }
        pool._withUnsafeGuaranteedRef { pool in
            _ = pool.connections.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        }
    }
}

/// One listener on one worker.
struct WorkerListener: ~Copyable {
    typealias Pointer = UnsafeMutablePointer<WorkerListener>

    let identity: ListenerIdentity
    /// The name for the access log.
    let nameText: UnsafeRawBufferPointer
    let slot: Int
    /// `nil` once it no longer accepts.
    var socket: ListenerSocket?
    /// The routes in force; counts as a use of the table.
    var routes: RoutingTable.Pointer
    /// Peers that begin with a PROXY header.
    var proxySources: [IPNetwork] = []
    /// Where its clients' bytes go when it is a TCP listener; counts as a use of the pool.
    var streamPool: UnsafeMutablePointer<WorkerPool>?
    /// Whom it believes when it is told about clients.
    var trust = ListenerTrust()
    /// What the other node is told about its connections.
    var shadowLevel = ShadowLevel.reset
    /// Connections may wait in the kernel's queue.
    var isReadable = false
    /// Its limit keeps connections waiting there.
    var isFull = false
    /// Connections accepted here that are still open.
    var clientCount = 0
    /// Clients it may have on the node; `Int.max` for any number.
    private(set) var connectionsMax = Int.max
    /// Clients it may have from one address; `Int.max` for any number.
    private(set) var connectionsPerClientMax = Int.max
    private let owner: SharedListener
    private let tallies: Unmanaged<ListenerTallies>

    /// What its limits count on all workers.
    var admission: ListenerAdmission { owner.admission }

    init(
        _ listener: SharedListener, slot: Int, socket: ListenerSocket,
        routes: RoutingTable.Pointer, workerIndex: Int
    ) {
        identity = listener.identity
        nameText = AccessDesk.copy(listener.identity.name)
        self.slot = slot
        self.socket = socket
        self.routes = routes
        owner = listener
        tallies = Unmanaged.passUnretained(listener.tallies[workerIndex])
    }

    deinit {
        nameText.deallocate()
    }

    /// Puts limits in force; clients that are in stay.
    mutating func setLimits(_ limits: ListenerLimits) {
        connectionsMax = limits.connections ?? Int.max
        connectionsPerClientMax = limits.connectionsPerClient ?? Int.max
    }

    @inline(__always)
    func count(_ body: (ListenerTallies) -> Void) {
        tallies._withUnsafeGuaranteedRef(body)
    }
}

/// A bound and listening socket on its way to the worker that will own it.
final class ListenerSocket: Sendable {
    let identity: ListenerIdentity
    let descriptor: FileDescriptor

    init(identity: ListenerIdentity, descriptor: consuming FileDescriptor) {
        self.identity = identity
        self.descriptor = descriptor
    }
}
