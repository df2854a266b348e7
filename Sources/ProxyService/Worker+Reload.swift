// SPDX-License-Identifier: Apache-2.0
//
// Changing configurations under traffic, and leaving: what is in force is replaced at once, what
// is in flight ends as it began.

internal import BalancerCore
internal import ConfigurationCore
internal import LinuxIO
internal import Synchronization
internal import Telemetry
internal import WireCore

extension Worker {
    /// Serves `snapshot` from the next request on.
    mutating func adopt(_ snapshot: DataPlaneSnapshot, newSockets: [ListenerSocket]) {
        let began = Clock.now()
        timeouts = snapshot.timeouts
        limits = snapshot.limits
        buffers.setLimit(byteCount: limits.bufferByteCount / max(1, setup.workerCount))
        accessDesk.adopt(setup.accessLog.format)
        adoptLimits(snapshot.limits)
        let oldBackends = backends
        let oldPools = adoptPools(snapshot)
        adoptListeners(snapshot, newSockets: newSockets)
        adoptShadowLevels(snapshot)
        for pool in oldPools {
            pool.pointee.isRetired = true
            moveLine(from: pool)
            if pool.pointee.useCount == 0 { discard(pool) }
        }
        for backend in oldBackends where !backend.pointee.isListed { retire(backend) }
        let nanoseconds = (Clock.now() - began).nanoseconds
        count {
            let longest = $0.longestAdoptionNanoseconds.load(ordering: .relaxed)
            $0.longestAdoptionNanoseconds.store(max(longest, nanoseconds), ordering: .relaxed)
            $0.reloads.add()
        }
    }

    /// Replaces pools and backends; returns the pools that were in force.
    ///
    /// A pool may have thousands of backends: each is looked at a fixed number of times.
    private mutating func adoptPools(
        _ snapshot: DataPlaneSnapshot
    ) -> [UnsafeMutablePointer<WorkerPool>] {
        let oldPools = pools
        var oldByName: [String: UnsafeMutablePointer<WorkerPool>] = [:]
        for pool in oldPools { oldByName[pool.pointee.name] = pool }
        let known = records
        for backend in backends { backend.pointee.isListed = false }
        backends = []
        pools = []
        records = [:]
        records.reserveCapacity(snapshot.pools.reduce(0) { $0 + $1.backends.count })
        for plan in snapshot.pools {
            var members: [WorkerBackend.Pointer] = []
            members.reserveCapacity(plan.backends.count)
            var places: [Int?] = []
            places.reserveCapacity(plan.backends.count)
            for shared in plan.backends {
                let identifier = ObjectIdentifier(shared)
                let old = known[identifier]
                // Backends belong to one pool for good, so the place is one in the old pool.
                places.append(old?.pointee.position)
                let backend = old ?? makeBackend(shared)
                backend.pointee.isListed = true
                records[identifier] = backend
                backends.append(backend)
                members.append(backend)
            }
            let old = oldByName[plan.name]
            let balancer = balancer(for: plan, places: places, old: old)
            let pool = UnsafeMutablePointer<WorkerPool>.allocate(capacity: 1)
            pool.initialize(
                to: WorkerPool(plan, balancer: balancer, backends: members, worker: setup))
            // What was spent stays spent, unless the budget is another one.
            if let old { pool.pointee.keepBudget(of: old) }
            pool.pointee.adoptLimit(of: old, setup, now: now)
            pools.append(pool)
        }
        return oldPools
    }

    private func makeBackend(_ shared: SharedBackend) -> WorkerBackend.Pointer {
        let backend = WorkerBackend.Pointer.allocate(capacity: 1)
        backend.initialize(to: WorkerBackend(shared, workerIndex: setup.index))
        return backend
    }

    /// An unchanged backend keeps what was learned about it.
    private func balancer(
        for plan: PoolPlan, places: [Int?], old: UnsafeMutablePointer<WorkerPool>?
    ) -> PoolBalancer {
        guard let old else {
            let seed = setup.seed &+ UInt64(setup.index) &* 0x9E37_79B9_7F4A_7C15
            return PoolBalancer(plan.shape, seed: seed)
        }
        var balancer = old.pointee.balancer
        balancer.reconfigure(plan.shape, previousIndexes: places)
        return balancer
    }

    private mutating func adoptListeners(
        _ snapshot: DataPlaneSnapshot, newSockets: [ListenerSocket]
    ) {
        for slot in listeners.indices {
            guard let listener = listeners[slot] else { continue }
            let isKept = snapshot.listeners.contains {
                $0.shared.identity == listener.pointee.identity
            }
            if !isKept { silence(slot) }
        }
        for plan in snapshot.listeners {
            let routes = RoutingTable.make(plan, pools: pools, workerIndex: setup.index)
            let known = listeners.first { $0?.pointee.identity == plan.shared.identity }
            if let known, let listener = known {
                let previous = listener.pointee.routes
                listener.pointee.routes = routes
                listener.pointee.setLimits(plan.limits)
                listener.pointee.trust = ListenerTrust(plan.configuration.service)
                endStreamUse(of: listener)
                equip(listener, plan)
                endUse(of: previous)
            } else if let socket = newSockets.first(where: {
                $0.identity == plan.shared.identity
            }) {
                listen(plan, socket, routes)
            } else {
                endUse(of: routes)
            }
        }
    }

    private mutating func listen(
        _ plan: ListenerPlan, _ socket: ListenerSocket, _ routes: RoutingTable.Pointer
    ) {
        let shared = plan.shared
        let slot = listeners.firstIndex { $0 == nil } ?? listeners.count
        if slot == listeners.count { listeners.append(nil) }
        let listener = WorkerListener.Pointer.allocate(capacity: 1)
        listener.initialize(
            to: WorkerListener(
                shared, slot: slot, socket: socket, routes: routes, workerIndex: setup.index))
        listener.pointee.setLimits(plan.limits)
        listener.pointee.trust = ListenerTrust(plan.configuration.service)
        listeners[slot] = listener
        equip(listener, plan)
        do {
            try epoll.add(
                socket.descriptor, [.readable, .edgeTriggered],
                token: EventToken(.listener, slot: slot, generation: 0).rawValue)
        } catch {
            setup.logger.error(
                "cannot watch a listener",
                ["listener": shared.identity.name, "reason": "\(error)"])
        }
    }

    /// Accepts what waits, then closes the listening socket; its clients stay.
    private mutating func silence(_ slot: Int) {
        guard let listener = listeners[slot] else { return }
        // Who has connected is served: closing the socket would reset those that still wait. An
        // event that tells of them may not have been looked at yet.
        listener.pointee.isReadable = true
        for _ in 0..<Self.acceptRoundsMax {
            acceptClients(listener)
            guard listener.pointee.isReadable, hasRoomForClient, hasListenerRoom(listener),
                now >= acceptResumes
            else { break }
        }
        listeners[slot] = nil
        if let socket = listener.pointee.socket { try? epoll.remove(socket.descriptor) }
        listener.pointee.socket = nil
        if listener.pointee.clientCount == 0 { discard(listener) }
    }

    /// A backend that no pool lists any more: its idle connections go now, the rest when done.
    private mutating func retire(_ backend: WorkerBackend.Pointer) {
        backend.pointee.isRetired = true
        closeIdle(backend)
        if backend.pointee.isUnused { discard(backend) }
    }

    // MARK: Freeing what nothing refers to

    mutating func discard(_ pool: UnsafeMutablePointer<WorkerPool>) {
        for index in 0..<pool.pointee.backendCount {
            let backend = pool.pointee.backends[index]
            backend.pointee.poolCount -= 1
            if backend.pointee.isUnused { discard(backend) }
        }
        pool.deinitialize(count: 1)
        pool.deallocate()
    }

    mutating func discard(_ backend: WorkerBackend.Pointer) {
        backend.deinitialize(count: 1)
        backend.deallocate()
    }

    /// A route or a request no longer refers to a pool.
    @inline(__always)
    mutating func endUse(of pool: UnsafeMutablePointer<WorkerPool>) {
        pool.pointee.useCount &-= 1
        if pool.pointee.isRetired, pool.pointee.useCount == 0 { discard(pool) }
    }

    /// A listener or a request no longer refers to a table.
    @inline(__always)
    mutating func endUse(of table: RoutingTable.Pointer) {
        table.pointee.useCount &-= 1
        if table.pointee.useCount == 0 { discard(table) }
    }

    private mutating func discard(_ table: RoutingTable.Pointer) {
        var used: [UnsafeMutablePointer<WorkerPool>] = []
        table.pointee.forEachUse { used.append($0) }
        table.deinitialize(count: 1)
        table.deallocate()
        for pool in used { endUse(of: pool) }
    }

    mutating func discard(_ listener: WorkerListener.Pointer) {
        endUse(of: listener.pointee.routes)
        endStreamUse(of: listener)
        listener.deinitialize(count: 1)
        listener.deallocate()
    }

    // MARK: Leaving

    /// Accepts nothing new and closes what is idle; requests in flight end normally.
    mutating func beginDrain(deadline: Instant) {
        drainDeadline = deadline
        guard !isDraining else { return }
        for slot in listeners.indices { silence(slot) }
        isDraining = true
        closeIdleClients()
        for backend in backends {
            while let idle = backend.pointee.idle.newest { close(idle) }
        }
        setup.tallies.isDraining.store(true, ordering: .releasing)
    }

    /// Goes on serving, but each client connection ends with its next response or while idle.
    ///
    /// When the address moves afterwards, few connections are left to break.
    mutating func sayFarewell() {
        guard !isSayingFarewell else { return }
        isSayingFarewell = true
        closeIdleClients()
    }

    private mutating func closeIdleClients() {
        for slot in 0..<clients.slotEnd {
            guard let client = clients.record(slot: slot),
                client.pointee.phase == .readingHead, client.pointee.input.isEmpty
            else { continue }
            if client.pointee.headBegan {
                // Fresh from the queue: its request is likely on its way.
                arm(client, after: min(timeouts.requestHead, Self.freshGrace))
            } else if SocketTransfer.isQuiet(client.pointee.socket) {
                closeGracefully(client, mayReceiveMore: true)
            }
        }
    }

    /// Cuts off what is left when the time is over.
    mutating func checkDrain() {
        guard now >= drainDeadline, clients.count > 0 else { return }
        for slot in 0..<clients.slotEnd {
            guard let client = clients.record(slot: slot) else { continue }
            count { $0.limits.drainCuts.add() }
            noteCause(client, .drained)
            abandon(client, byReset: client.pointee.phase != .lingering)
        }
    }

    /// Ends everything that belongs to this thread.
    mutating func closeEverything() {
        for slot in 0..<clients.slotEnd {
            guard let client = clients.record(slot: slot) else { continue }
            noteCause(client, .drained)
            abandon(client, byReset: client.pointee.phase == .tunnelling)
        }
        for slot in 0..<upstreams.slotEnd {
            if let upstream = upstreams.record(slot: slot) { close(upstream) }
        }
        for slot in listeners.indices {
            guard let listener = listeners[slot] else { continue }
            listeners[slot] = nil
            discard(listener)
        }
        // Neither clients nor listeners are left, so nothing uses the pools any more.
        for pool in pools { discard(pool) }
        pools = []
        for backend in backends { discard(backend) }
        backends = []
        records = [:]
    }
}
