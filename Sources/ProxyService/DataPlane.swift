// SPDX-License-Identifier: Apache-2.0
//
// The data plane as the rest of the process sees it: started, reloaded, watched, drained and
// stopped from the control thread. It owns the workers' threads; it touches no connection.

public import ConfigurationCore
internal import EventLoop
internal import LinuxIO
internal import Synchronization
public import Telemetry
public import WireCore

/// What a reload changed, in words for the log.
public struct ReloadReport: Equatable, Sendable {
    /// Listeners that accept connections now and did not before.
    public let addedListeners: [String]
    /// Listeners that accept no more connections; those they accepted go on.
    public let removedListeners: [String]
    /// Backends that get requests now and did not before, as `pool/backend`.
    public let addedBackends: [String]
    /// Backends that get no more requests; those in flight end normally.
    public let removedBackends: [String]
    /// Settings that take effect at the next start only.
    public let needsRestart: [String]
}

/// The threads that serve clients.
public final class DataPlane: Sendable {
    /// Descriptors kept for everything that is not a connection.
    public static let reservedDescriptorCount = 128
    /// Connections of one worker, whatever the descriptor limit.
    public static let connectionsPerWorkerMax = 1 << 18
    /// How long a start waits for the first turn of every worker.
    private static let startSpan = TimeSpan.seconds(5)

    private struct State {
        var snapshot: DataPlaneSnapshot
        var endpoints: [(name: String, endpoint: Endpoint)] = []
        var threads: [KernelThread.Handle] = []
        var isStarted = false
        var accessLogSettings: AccessLogConfiguration?
    }

    let mailboxes: [Mailbox<WorkerCommand>]
    private let connectionMax: Int
    private let listenerNumbers: Range<CInt>
    private let logger: Logger
    private let journal: ConnectionJournal?
    /// Where workers tell which cookies they remember; `nil` where there is no other node.
    let stickyJournal: StickyJournal?
    /// Where the node shows workers that it runs and has its addresses.
    public let life = LifeClock()
    private let nodeName: String
    private let stickyKey: [UInt8]
    let shadowChannelLost: @Sendable (_ worker: Int) -> Void
    let accessLog: AccessLog
    let reports: Mailbox<TrafficReport>
    let samples = TrafficSamples()
    let stateTallies = StateTallies()
    private let state: Mutex<State>
    let workerTallies: [WorkerTallies]

    /// Prepares to serve a configuration; nothing is bound or started yet.
    ///
    /// - Parameters:
    ///   - configuration: what to serve.
    ///   - nodeName: this node's name, for the log.
    ///   - logger: where workers report faults of peers, at a limited rate.
    ///   - descriptorLimit: how many descriptors the process may have open.
    ///   - listenerNumbers: descriptor numbers for listening sockets, see `DescriptorPlan`.
    ///   - journal: where workers report the connections of watched addresses.
    ///   - pairSecret: what both nodes know and nobody else, for cookies that name backends;
    ///     without it they are good until this process ends.
    ///   - shadowChannelLost: told, on a worker's thread, that the worker's shadow channel ended.
    /// - Throws: what keeps the configuration from being served.
    public init(
        configuration: Configuration, nodeName: String, logger: Logger, descriptorLimit: Int,
        listenerNumbers: Range<CInt> = 0..<0, journal: ConnectionJournal? = nil,
        pairSecret: [UInt8]? = nil,
        shadowChannelLost: @escaping @Sendable (_ worker: Int) -> Void = { _ in }
    ) throws(DataPlaneError) {
        stickyKey = StickyToken.key(pairSecret: pairSecret)
        self.shadowChannelLost = shadowChannelLost
        let workerCount =
            switch configuration.workers {
            case .automatic: KernelThread.usableCoreCount()
            case .exactly(let count): max(1, count)
            }
        let overhead =
            Self.reservedDescriptorCount + workerCount * (4 + configuration.listeners.count)
        connectionMax = min(
            (descriptorLimit - overhead) / workerCount, Self.connectionsPerWorkerMax)
        guard connectionMax >= 16 else {
            throw DataPlaneError(problems: [
                "the limit of open files, \(descriptorLimit), leaves no room for connections"
            ])
        }
        self.logger = logger
        self.journal = journal
        do throws(Errno) {
            stickyJournal = journal == nil ? nil : try StickyJournal()
        } catch {
            throw DataPlaneError(problems: ["cannot make a mailbox: \(error)"])
        }
        self.listenerNumbers = listenerNumbers
        workerTallies = (0..<workerCount).map { _ in WorkerTallies() }
        var mailboxes: [Mailbox<WorkerCommand>] = []
        for _ in 0..<workerCount {
            do throws(Errno) {
                mailboxes.append(try Mailbox<WorkerCommand>())
            } catch {
                throw DataPlaneError(problems: ["cannot make a worker's mailbox: \(error)"])
            }
        }
        self.mailboxes = mailboxes
        do throws(Errno) {
            reports = try Mailbox<TrafficReport>()
        } catch {
            throw DataPlaneError(problems: ["cannot make a mailbox: \(error)"])
        }
        let snapshot = try DataPlaneSnapshot.make(
            configuration, nodeName: nodeName, previous: nil, workerCount: workerCount,
            stickyKey: stickyKey)
        self.nodeName = nodeName
        do throws(Errno) {
            accessLog = try AccessLog(workerCount: workerCount, logger: logger)
        } catch {
            throw DataPlaneError(problems: ["cannot prepare the access log: \(error)"])
        }
        state = Mutex(State(snapshot: snapshot, accessLogSettings: configuration.accessLog))
        logger.info(
            "data plane prepared",
            [
                "node": nodeName, "workers": "\(workerCount)",
                "connections_per_worker": "\(connectionMax)",
            ])
    }

    /// Binds every listener, then starts the workers; returns when all of them serve.
    ///
    /// - Throws: every listener that cannot be bound, before any thread runs.
    public func start() throws(DataPlaneError) {
        let snapshot = currentSnapshot
        try adoptAccessLog(accessLogSettings)
        let binding = try ListenerBinding(
            snapshot.listeners.map(\.shared.identity), workerCount: workerCount,
            numbers: listenerNumbers)
        var threads: [KernelThread.Handle] = []
        for index in mailboxes.indices {
            mailboxes[index].post(.adopt(snapshot, newSockets: binding.sockets[index]))
            do throws(Errno) {
                threads.append(try startThread(index))
            } catch {
                for mailbox in mailboxes { mailbox.post(.stop) }
                for thread in threads { thread.join() }
                throw DataPlaneError(problems: ["cannot start worker \(index): \(error)"])
            }
        }
        state.withLock { state in
            state.threads = threads
            state.endpoints = binding.endpoints
            state.isStarted = true
        }
        try waitForWorkers()
    }

    private func startThread(_ index: Int) throws(Errno) -> KernelThread.Handle {
        let setup = WorkerSetup(
            index: index, connectionMax: connectionMax, workerCount: workerCount,
            mailbox: mailboxes[index], peers: mailboxes,
            tallies: workerTallies[index], logger: logger, seed: RandomBytes.seed(),
            journal: journal, accessLog: accessLog, nodeName: nodeName, reports: reports,
            shadowChannelLost: shadowChannelLost, stickyJournal: stickyJournal, life: life)
        return try KernelThread.start(name: "worker-\(index)") {
            do throws(Errno) {
                var worker = Worker(setup, epoll: try Worker.makeEpoll(setup))
                worker.run()
            } catch {
                setup.logger.error("worker cannot start", ["reason": "\(error)"])
                setup.tallies.hasFailed.store(true, ordering: .releasing)
            }
        }
    }

    private func waitForWorkers() throws(DataPlaneError) {
        let deadline = Clock.now() + Self.startSpan
        for (index, row) in workerTallies.enumerated() {
            while row.reloads.value == 0 {
                guard !row.hasFailed.load(ordering: .acquiring), Clock.now() < deadline else {
                    stop()
                    throw DataPlaneError(problems: ["worker \(index) does not start"])
                }
                KernelThread.pause(milliseconds: 1)
            }
        }
    }

    /// Serves another configuration from the next requests on; no connection is touched.
    ///
    /// - Throws: what keeps it from being served; the one before stays in force then.
    public func apply(_ configuration: Configuration) throws(DataPlaneError) -> ReloadReport {
        let previous = currentSnapshot
        let snapshot = try DataPlaneSnapshot.make(
            configuration, nodeName: nodeName, previous: previous, workerCount: workerCount,
            stickyKey: stickyKey)
        let known = Set(previous.listeners.map(\.shared.identity))
        let wanted = snapshot.listeners.map(\.shared.identity)
        let added = wanted.filter { !known.contains($0) }
        let removed = known.subtracting(wanted)
        let binding = try ListenerBinding(added, workerCount: workerCount)
        // One that stays the same stays open: a file that cannot be opened now must not keep
        // backends from changing.
        if configuration.accessLog != accessLogSettings {
            try adoptAccessLog(configuration.accessLog)
        }
        snapshot.settleStandings()
        let isStarted = state.withLock { state in
            state.accessLogSettings = configuration.accessLog
            state.snapshot = snapshot
            state.endpoints.removeAll { entry in removed.contains { $0.name == entry.name } }
            state.endpoints += binding.endpoints
            return state.isStarted
        }
        if isStarted {
            for (index, mailbox) in mailboxes.enumerated() {
                mailbox.post(.adopt(snapshot, newSockets: binding.sockets[index]))
            }
        }
        return report(
            from: previous, to: snapshot, added: added, removed: removed,
            workers: configuration.workers)
    }

    private func report(
        from previous: DataPlaneSnapshot, to next: DataPlaneSnapshot,
        added: [ListenerIdentity], removed: Set<ListenerIdentity>, workers: WorkerCount
    ) -> ReloadReport {
        func names(_ snapshot: DataPlaneSnapshot) -> Set<BackendIdentity> {
            Set(snapshot.pools.flatMap(\.backends).map(\.identity))
        }
        func text(_ identities: Set<BackendIdentity>) -> [String] {
            identities.map { "\($0.pool)/\($0.name)" }.sorted()
        }
        var needsRestart: [String] = []
        if case .exactly(let count) = workers, count != workerCount { needsRestart = ["workers"] }
        return ReloadReport(
            addedListeners: added.map(\.name), removedListeners: removed.map(\.name).sorted(),
            addedBackends: text(names(next).subtracting(names(previous))),
            removedBackends: text(names(previous).subtracting(names(next))),
            needsRestart: needsRestart)
    }

    /// Asks every worker for the same; false when a mailbox was full.
    @discardableResult
    func post(_ command: WorkerCommand) -> Bool {
        var isTaken = true
        for mailbox in mailboxes where !mailbox.post(command) { isTaken = false }
        return isTaken
    }

    /// Goes on serving, but parts from every client between requests.
    ///
    /// For the moments before an address moves to the peer: clients are told to come back on a
    /// new connection, which the peer will answer.
    public func sayFarewell() {
        post(.sayFarewell)
    }

    /// Makes each client's next answer the last one on its connection, and closes connections that
    /// idle only after a grace, so that no request meets a closing connection.
    ///
    /// For addresses that have moved to the peer already while their connections may still end
    /// here. Listeners go on; ``endParting()`` takes it back.
    ///
    /// - Parameter moving: connections that the other node knows stay as they are, until
    ///   ``moveClients()`` gives them to it; that has to follow within a second.
    public func beginParting(moving: Bool = false) {
        post(.beginParting(moving: moving))
    }

    /// Gives connections that idle to the other node, which must hold their addresses by now.
    public func moveClients() {
        post(.moveClients)
    }

    /// Lets clients stay connected again.
    public func endParting() {
        post(.endParting)
    }

    /// Accepts nothing new, lets requests in flight end, and cuts the rest at the deadline.
    public func beginDrain(deadline: Instant) {
        post(.drain(deadline: deadline))
    }

    /// True when every worker was told to leave and has no connection left.
    public var isDrained: Bool {
        workerTallies.allSatisfy {
            $0.isDraining.load(ordering: .acquiring)
                && $0.openConnections.load(ordering: .relaxed) == 0
        }
    }

    /// Client connections open now.
    public var openConnectionCount: Int {
        workerTallies.reduce(0) { $0 + $1.openConnections.load(ordering: .relaxed) }
    }

    /// Closes everything at once and ends the threads.
    public func stop() {
        let threads = state.withLock { state in
            defer { state.threads = [] }
            state.isStarted = false
            return state.threads
        }
        for mailbox in mailboxes { mailbox.post(.stop) }
        for thread in threads { thread.join() }
        accessLog.stop()
    }

    /// How many threads serve.
    public var workerCount: Int { workerTallies.count }

    /// When a worker began its last turn; it begins one at least every 100 ms.
    public func lastTurn(worker: Int) -> Instant {
        Instant(
            nanoseconds: workerTallies[worker].lastTurnNanoseconds.load(ordering: .relaxed))
    }

    /// True when a worker has not begun a turn for longer than `limit`; takes no lock.
    public func isStalled(now: Instant, limit: TimeSpan = .seconds(1)) -> Bool {
        workerTallies.indices.contains { now - lastTurn(worker: $0) > limit }
    }

    /// Where a listener is bound, once started; tells which port 0 became.
    public func boundEndpoint(listener: String) -> Endpoint? {
        state.withLock { state in state.endpoints.first { $0.name == listener }?.endpoint }
    }

    var accessLogSettings: AccessLogConfiguration? {
        state.withLock { $0.accessLogSettings }
    }

    var currentSnapshot: DataPlaneSnapshot {
        state.withLock { $0.snapshot }
    }
}
