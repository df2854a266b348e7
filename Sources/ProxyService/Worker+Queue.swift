// SPDX-License-Identifier: Apache-2.0
//
// Requests for which there is no room: they wait in the line of their worker, all workers' lines
// together no longer than `queue.length`, and no longer than `queue.timeout`. Their heads stay
// where they are, nothing of their clients is read meanwhile. When room is given back, the workers
// with lines are told in turn (SharedLine).

internal import BalancerCore
internal import ConfigurationCore
internal import EventLoop
internal import HTTPCore
internal import Synchronization
internal import Telemetry
internal import WireCore

extension Worker {
    /// This worker's place in the lines of pools.
    var seat: Int { SharedLine.seat(ofWorker: setup.index) }

    // MARK: Waiting

    /// Lets a request wait for room, or refuses it when too many wait.
    mutating func wait(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) {
        assert(client.pointee.upstream == nil && !client.pointee.progress.isInLine)
        noteWaiting(client)
        let hasPlace =
            !pool.pointee.isRetired
            && pool.pointee.shared._withUnsafeGuaranteedRef {
                $0.waiting.addOne(upTo: pool.pointee.rules.queueLength)
            }
        guard hasPlace else {
            pool.pointee.count { $0.shed.add() }
            pool.pointee.opens(.queue)
            refuseBusy(client, .exhausted)
            return
        }
        pool.pointee.count { $0.queued.add() }
        pool.pointee.openBreakers.remove(.queue)
        if client.pointee.progress.waitBegan.nanoseconds == 0 {
            client.pointee.progress.waitBegan = now
        }
        enterLine(client, pool)
    }

    private mutating func enterLine(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) {
        client.pointee.progress.isInLine = true
        client.pointee.phase = .waiting
        clients.append(client, to: &pool.pointee.line)
        timers.arm(
            clients.slot(of: client),
            at: client.pointee.progress.waitBegan + pool.pointee.rules.queueTimeout)
        // Room that was given back before this could be seen is looked for at the end of the turn.
        let seat = seat
        if pool.pointee.shared._withUnsafeGuaranteedRef({ $0.line.join(seat: seat) }) {
            linesAreDue = true
        }
        if pool.pointee.limitsConnections { askForConnections(pool) }
    }

    /// The request waits no longer, whatever the reason; nothing if it does not wait.
    @inline(__always)
    mutating func leaveLine(_ client: ClientConnection.Pointer) {
        if client.pointee.progress.isInLine { stepOut(client) }
    }

    private mutating func stepOut(_ client: ClientConnection.Pointer) {
        guard let pool = client.pointee.pool else { preconditionFailure("waiting for no pool") }
        client.pointee.progress.isInLine = false
        clients.remove(client, from: &pool.pointee.line)
        let seat = seat
        let isLast = pool.pointee.line.count == 0
        if isLast { pool.pointee.openBreakers.subtract(.places) }
        pool.pointee.shared._withUnsafeGuaranteedRef { shared in
            _ = shared.waiting.wrappingSubtract(1, ordering: .sequentiallyConsistent)
            if isLast { shared.line.leave(seat: seat) }
        }
        wake(client)
    }

    /// The client's request goes on after a pause.
    mutating func wake(_ client: ClientConnection.Pointer) {
        if client.pointee.isStream {
            client.pointee.phase = .opening
            timers.disarm(clients.slot(of: client))
        } else {
            client.pointee.phase = .exchanging
            arm(client, after: timeouts.bodyIdle)
        }
    }

    /// Something happened to a client that waits, in the line or for its next retry.
    mutating func watchWaiting(_ client: ClientConnection.Pointer) {
        // The end of its stream alone means nothing: it may have said all it has to say.
        guard client.pointee.readiness.contains(.broken) else { return }
        if client.pointee.progress.isInLine {
            client.pointee.pool?.pointee.count { $0.queueAborts.add() }
        }
        clientIsGone(client)
    }

    /// It has waited as long as it may.
    mutating func waitedTooLong(_ client: ClientConnection.Pointer) {
        client.pointee.pool?.pointee.count { $0.queueTimeouts.add() }
        refuseBusy(client, .serverTimedOut)
    }

    /// Tells a client at once that there is no room, and when to come back.
    mutating func refuseBusy(_ client: ClientConnection.Pointer, _ cause: AccessLogCause) {
        noteCause(client, cause)
        let seconds = client.pointee.pool?.pointee.rules.retryAfterSeconds ?? 1
        leaveLine(client)
        guard !client.pointee.isStream else {
            refuseStream(client, cause)
            return
        }
        // A body that is here, or not long in coming, is no reason to close the connection.
        let mayDiscard = parseAgain(client) && !request.expectsContinue
        var response = composed(.serviceUnavailable, client)
        response.retryAfterSeconds = seconds
        answer(client, response, mayDiscard: mayDiscard)
    }

    // MARK: Room

    /// Room was given back in a pool: those who wait for it are told.
    @inline(__always)
    mutating func noteRoom(in pool: Unmanaged<SharedPool>) {
        if pool._withUnsafeGuaranteedRef({ $0.line.isJoined }) { callAfterRelease(pool) }
    }

    private mutating func callAfterRelease(_ pool: Unmanaged<SharedPool>) {
        if let seat = pool._withUnsafeGuaranteedRef({ $0.line.callAfterRelease() }) { call(seat) }
    }

    private mutating func call(_ seat: Int) {
        var index = seat
        while index < setup.workerCount {
            if index == setup.index {
                linesAreDue = true
            } else {
                // A mailbox that is full is read soon, and lines are looked at whatever it holds.
                setup.peers[index].post(.lookForRoom)
            }
            index += SharedLine.seatCount
        }
    }

    /// Looks for room for those who wait here, as long as there is some.
    mutating func serveLines() {
        linesAreDue = false
        let seat = seat
        for pool in pools {
            let isCalled = pool.pointee.shared._withUnsafeGuaranteedRef {
                $0.line.isCalled(seat: seat)
            }
            if pool.pointee.line.count > 0 || isCalled { serveLine(pool) }
        }
    }

    private mutating func serveLine(_ pool: UnsafeMutablePointer<WorkerPool>) {
        let seat = seat
        pool.pointee.shared._withUnsafeGuaranteedRef { $0.line.look(seat: seat) }
        // Everybody gets one chance: one that fails at once may be back in the line.
        var chances = pool.pointee.line.count
        while chances > 0, let client = clients.first(of: pool.pointee.line) {
            chances &-= 1
            guard letIn(client, pool) else {
                if pool.pointee.limitsConnections { askForConnections(pool) }
                break
            }
        }
        guard pool.pointee.mayHaveRoom else { return }
        if let next = pool.pointee.shared._withUnsafeGuaranteedRef({ $0.line.callNext() }) {
            call(next)
        }
    }

    /// Gives the first one in the line its backend; false when there is no room.
    private mutating func letIn(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) -> Bool {
        let waited = now - client.pointee.progress.waitBegan
        let hasBegun =
            client.pointee.isStream
            ? beginStream(client, pool) : begin(client, pool, isHeadParsed: false)
        if hasBegun { pool.pointee.count { $0.queuedMicroseconds.add(waited.microseconds) } }
        return hasBegun
    }

    /// Asks the other workers for a connection that idles there.
    private mutating func askForConnections(_ pool: UnsafeMutablePointer<WorkerPool>) {
        for index in 0..<setup.workerCount where index != setup.index {
            let seat = SharedLine.seat(ofWorker: index)
            let isNews = pool.pointee.shared._withUnsafeGuaranteedRef { $0.line.ask(seat: seat) }
            if isNews { setup.peers[index].post(.yieldConnections) }
        }
    }

    // MARK: Reload

    /// Requests of a pool that was replaced wait for the one that replaced it; the old one stays.
    mutating func moveLine(from old: UnsafeMutablePointer<WorkerPool>) {
        // Looking for the pool that replaced it takes a walk through all of them.
        guard old.pointee.line.count > 0 else { return }
        let next = successor(of: old)
        // Its last user must not take it away; who calls this looks whether it is used.
        old.pointee.useCount &+= 1
        defer { old.pointee.useCount &-= 1 }
        while let client = clients.first(of: old.pointee.line) {
            guard let next else {
                refuseBusy(client, .exhausted)
                continue
            }
            clients.remove(client, from: &old.pointee.line)
            change(client, from: old, to: next)
            clients.append(client, to: &next.pointee.line)
            linesAreDue = true
        }
    }

    /// The pool that replaced a pool; the pool itself when there is none.
    mutating func followReload(
        _ client: ClientConnection.Pointer, from old: UnsafeMutablePointer<WorkerPool>
    ) -> UnsafeMutablePointer<WorkerPool> {
        guard let next = successor(of: old) else { return old }
        change(client, from: old, to: next)
        return next
    }

    private mutating func successor(
        of old: UnsafeMutablePointer<WorkerPool>
    ) -> UnsafeMutablePointer<WorkerPool>? {
        let identity = old.pointee.shared.toOpaque()
        return pools.first { $0.pointee.shared.toOpaque() == identity }
    }

    private mutating func change(
        _ client: ClientConnection.Pointer, from old: UnsafeMutablePointer<WorkerPool>,
        to next: UnsafeMutablePointer<WorkerPool>
    ) {
        // Indexes are those of the old pool.
        client.pointee.attempted = AttemptedBackends()
        client.pointee.progress.mayHedge = false
        carryAffinity(client, from: old, to: next)
        client.pointee.pool = next
        next.pointee.useCount &+= 1
        endUse(of: old)
    }
}
