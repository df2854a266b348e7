// SPDX-License-Identifier: Apache-2.0
//
// A pool and its backends as one worker sees them: raw records that outlive a reload for as long
// as a request or a connection refers to them.

internal import BalancerCore
internal import ConfigurationCore
internal import LinuxIO
internal import Synchronization
internal import WireCore

/// One pool on one worker.
struct WorkerPool: ~Copyable {
    let name: String
    /// The name for the access log.
    let nameText: UnsafeRawBufferPointer
    var balancer: PoolBalancer
    let backends: UnsafeMutablePointer<UnsafeMutablePointer<WorkerBackend>>
    let backendCount: Int
    /// Routes that lead here, and requests that chose from here and are not over.
    var useCount = 0
    /// A reload has replaced it; it goes with its last use.
    var isRetired = false

    init(_ plan: PoolPlan, balancer: PoolBalancer, backends list: [WorkerBackend.Pointer]) {
        name = plan.name
        nameText = AccessDesk.copy(plan.name)
        self.balancer = balancer
        backendCount = list.count
        backends = .allocate(capacity: max(1, list.count))
        for (index, backend) in list.enumerated() {
            (backends + index).initialize(to: backend)
            backend.pointee.poolCount += 1
        }
    }

    deinit {
        nameText.deallocate()
        backends.deallocate()
    }

    /// The backend for a request of this pool, or why there is none.
    mutating func choose(
        now: Instant, excluding attempted: AttemptedBackends = AttemptedBackends(),
        key: UInt64? = nil
    ) -> BackendChoice {
        refreshStandings()
        return balancer.choose(now: now, loads: loads, excluding: attempted, key: key)
    }

    /// Tells the balancer when health verdicts changed since it was told last.
    private mutating func refreshStandings() {
        for index in 0..<backendCount where isUp(index) != isServing(index) {
            let standings = (0..<backendCount).map { index in
                var standing = balancer.standing(at: index)
                standing.admission = isUp(index) ? .serving : .unhealthy
                return standing
            }
            balancer.setStandings(standings)
            return
        }
    }

    private func isServing(_ index: Int) -> Bool {
        balancer.standing(at: index).admission == .serving
    }

    private func isUp(_ index: Int) -> Bool {
        backends[index].pointee.shared._withUnsafeGuaranteedRef {
            $0.isUp.load(ordering: .relaxed)
        }
    }

    /// The view that a choice of the balancer reads.
    var loads: PoolLoads { PoolLoads(backends: backends) }
}

/// The shared facts about a pool's backends.
struct PoolLoads: BackendLoads {
    let backends: UnsafeMutablePointer<UnsafeMutablePointer<WorkerBackend>>

    @inline(__always)
    func requestsInFlight(at index: Int) -> Int {
        backends[index].pointee.shared._withUnsafeGuaranteedRef {
            $0.requestsInFlight.load(ordering: .relaxed)
        }
    }

    @inline(__always)
    func isAtLimit(at index: Int) -> Bool { false }
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
    /// Keeps `shared` and `tallies` alive; the hot path goes through those, which count no
    /// references.
    private let owner: SharedBackend
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

    init(_ backend: SharedBackend, workerIndex: Int) {
        owner = backend
        shared = Unmanaged.passUnretained(backend)
        tallies = Unmanaged.passUnretained(backend.tallies[workerIndex])
        endpoint = backend.identity.address
        proxyHeader = backend.identity.proxyHeader
        let text = Array(backend.identity.address.description.utf8)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count, alignment: 1)
        memory.copyBytes(from: text)
        hostText = UnsafeRawBufferPointer(memory)
        nameText = AccessDesk.copy(backend.identity.name)
    }

    deinit {
        hostText.deallocate()
        nameText.deallocate()
    }

    /// True when nothing refers to it any more.
    var isUnused: Bool { isRetired && connectionCount == 0 && poolCount == 0 }

    func isSame(as backend: SharedBackend) -> Bool { owner === backend }

    @inline(__always)
    func count(_ body: (BackendTallies) -> Void) {
        tallies._withUnsafeGuaranteedRef(body)
    }

    /// Counts a request to it for all workers, from its choice to its end.
    @inline(__always)
    func requestBegins() {
        shared._withUnsafeGuaranteedRef { backend in
            _ = backend.requestsInFlight.wrappingAdd(1, ordering: .relaxed)
        }
    }

    @inline(__always)
    func requestEnds() {
        shared._withUnsafeGuaranteedRef { backend in
            _ = backend.requestsInFlight.wrappingSubtract(1, ordering: .relaxed)
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
