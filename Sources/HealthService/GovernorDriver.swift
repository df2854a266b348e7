// SPDX-License-Identifier: Apache-2.0
//
// The governor of one pool on the loop: keeps its timers, performs its actions through the ports,
// logs and counts what it reports.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import Telemetry
import WireCore

/// What a check or the traffic found, on its way to the governor.
private struct BackendNews {
    enum News {
        case verdict(CheckKind, ProbeFailure?)
        case forgotten(CheckKind)
        case traffic(TrafficFinding)
    }

    let backend: String
    let news: News
}

/// Drives one pool's governor.
final class GovernorDriver {
    /// How often the work left at draining backends is asked for.
    static let drainLookInterval = TimeSpan.milliseconds(100)
    /// Draining backends asked about at a time; more take turns.
    static let drainLookCountMax = 64

    /// Time between two looks at what checks and traffic of a pool found, for each of its
    /// backends; it bounds the share of the thread that this takes.
    static let newsSpacingPerBackend = TimeSpan.microseconds(10)
    /// News that wait at most; with more they are handed over at once.
    static let newsCountMax = 4_096
    /// Log lines of a pool that may come at once; further ones come at `lineInterval`.
    static let linesAtOnceMax = 100
    /// Time between log lines of a pool in the long run.
    static let lineInterval = TimeSpan.milliseconds(100)

    let pool: String
    let counters: PoolCounters
    private(set) var governor: PoolGovernor
    private var names: [String]
    private var addresses: [Endpoint?]
    private var indexes: [String: Int]
    let loop: EventLoop
    var ports: PoolPorts
    private let logger: Logger
    private var lines = LogRateLimiter(
        burstCount: GovernorDriver.linesAtOnceMax, interval: GovernorDriver.lineInterval)
    private var timer: (deadline: Instant, id: TimerID)?
    private var sweepTimer: TimerID?
    private var drainTimer: TimerID?
    private var drainTurn = 0
    private var isStopped = false
    private var unreported: [BackendNews] = []
    private var newsTimer: TimerID?
    private var reportedAt = Instant(nanoseconds: 0)
    /// Ejections of the peer that would have left too few, by backend.
    var refused: [String: RefusedEjection] = [:]
    var refusedTimer: TimerID?

    init(
        _ pool: PoolConfiguration, loop: EventLoop, ports: PoolPorts, logger: Logger, seed: UInt64
    ) {
        self.pool = pool.name
        self.loop = loop
        self.ports = ports
        self.logger = logger
        counters = PoolCounters(pool: pool.name)
        let backends = GovernedBackend.members(of: pool)
        governor = PoolGovernor(
            backends: backends, settings: GovernorSettings(pool), seed: seed, now: Clock.now())
        names = backends.map(\.name)
        addresses = backends.map(\.address)
        indexes = Self.indexes(of: names)
        noteStandings()
        scheduleSweep()
    }

    /// Takes over a reloaded pool; every standing is told again.
    func apply(_ pool: PoolConfiguration) {
        // They are about the backends that had the names until now.
        reportNews()
        let backends = GovernedBackend.members(of: pool)
        names = backends.map(\.name)
        addresses = backends.map(\.address)
        indexes = Self.indexes(of: names)
        counters.keep(names)
        perform(
            governor.reconfigure(
                backends: backends, settings: GovernorSettings(pool), now: Clock.now()))
        noteStandings()
        scheduleSweep()
        lookAtDrains()
    }

    func stop() {
        isStopped = true
        for timer in [timer?.id, sweepTimer, drainTimer, newsTimer, refusedTimer] {
            if let timer { loop.cancel(timer) }
        }
        timer = nil
    }

    /// The index of a backend, in constant time.
    func index(of backend: String) -> Int? { indexes[backend] }

    var status: GovernorStatus { governor.status(now: Clock.now()) }

    func status(of backend: String) -> GovernedStatus? {
        index(of: backend).flatMap { governor.status(of: $0, now: Clock.now()) }
    }

    // MARK: What happened

    /// True when the governor knows all that checks and traffic found.
    var isSettled: Bool { unreported.isEmpty }

    func checkChanged(_ backend: String, _ kind: CheckKind, _ failure: ProbeFailure?) {
        note(BackendNews(backend: backend, news: .verdict(kind, failure)))
    }

    /// A pass that changes no verdict matters while the traffic keeps the backend out.
    func checkPassedAgain(_ backend: String, _ kind: CheckKind) {
        guard kind == .liveness, let index = indexes[backend], governor.isEjected(index) else {
            return
        }
        checkChanged(backend, kind, nil)
    }

    func checkForgotten(_ backend: String, _ kind: CheckKind) {
        note(BackendNews(backend: backend, news: .forgotten(kind)))
    }

    /// Keeps news for the next turn, those of a large pool a little longer: all that come together
    /// are weighed together, which costs once what there are backends.
    private func note(_ news: BackendNews) {
        guard !isStopped else { return }
        unreported.append(news)
        if unreported.count >= Self.newsCountMax { return reportNews() }
        guard newsTimer == nil else { return }
        let spacing = Self.newsSpacingPerBackend.multiplied(by: UInt64(names.count))
        newsTimer = loop.schedule(at: max(loop.now, reportedAt + spacing)) { [weak self] in
            self?.reportNews()
        }
    }

    /// Hands over what checks and traffic found so far.
    func reportNews() {
        if let newsTimer { loop.cancel(newsTimer) }
        newsTimer = nil
        guard !isStopped, !unreported.isEmpty else { return }
        reportedAt = loop.now
        let all = unreported
        unreported = []
        let now = Clock.now()
        perform(
            governor.together(now: now) { governor in
                for one in all {
                    guard let index = indexes[one.backend] else { continue }
                    Self.tell(one.news, of: index, to: &governor, now: now)
                }
            })
        lookAtDrains()
    }

    private static func tell(
        _ news: BackendNews.News, of index: Int, to governor: inout PoolGovernor, now: Instant
    ) {
        switch news {
        case .verdict(let kind, let failure):
            _ = governor.checkVerdict(index, kind, failure: failure, now: now)
        case .forgotten(let kind):
            _ = governor.checkForgotten(index, kind, now: now)
        case .traffic(.failedInARow(let cause)):
            _ = governor.trafficFailed(index, cause, now: now)
        case .traffic(.trialBegan):
            _ = governor.trialBegan(index, now: now)
        case .traffic(.trialEnded(let outcome)):
            _ = governor.trialEnded(index, outcome, now: now)
        }
    }

    func traffic(_ backend: String, _ finding: TrafficFinding) {
        guard indexes[backend] != nil else { return }
        note(BackendNews(backend: backend, news: .traffic(finding)))
    }

    func setAdminState(_ backend: String, _ state: AdminState) -> Bool {
        var isChanged = false
        let isKnown = update(backend) { governor, index, now in
            let actions = governor.setAdminState(index, state, now: now)
            isChanged = !actions.isEmpty
            return actions
        }
        // Looking for drains takes a look at every backend.
        if isChanged { lookAtDrains() }
        return isKnown
    }

    func setWeight(_ backend: String, _ weight: Int?) -> Bool {
        update(backend) { $0.setWeight($1, weight, now: $2) }
    }

    func setForcedHealth(_ backend: String, _ health: ForcedHealth?) -> Bool {
        update(backend) { $0.setForcedHealth($1, health, now: $2) }
    }

    func holdHealth(_ backend: String, _ health: ForcedHealth?) -> Bool {
        update(backend) { governor, index, now in
            let forced = governor.status(of: index, now: now)?.forced
            // Being up ends by itself.
            if health == nil, forced == .up { return [] }
            return governor.setForcedHealth(index, health, now: now)
        }
    }

    @discardableResult
    private func update(
        _ backend: String,
        _ body: (inout PoolGovernor, _ index: Int, _ now: Instant) -> [GovernorAction]
    ) -> Bool {
        guard let index = indexes[backend], !isStopped else { return false }
        perform(body(&governor, index, Clock.now()))
        return true
    }

    // MARK: What is to be done

    /// The one place where decisions become deeds.
    private func perform(_ actions: [GovernorAction]) {
        var standings: [Int: BackendStanding] = [:]
        var idle: [Int] = []
        var cut: [String] = []
        var cutWithTunnels: [String] = []
        for action in actions {
            switch action {
            case .standing(let backend, let standing):
                standings[backend] = standing
            case .closeIdle(let backend):
                idle.append(backend)
            case .forceClose(let backend, tunnelsToo: false):
                cut.append(names[backend])
            case .forceClose(let backend, tunnelsToo: true):
                cutWithTunnels.append(names[backend])
            case .report(let event):
                report(event)
            }
        }
        // No backend gets new work when its connections are closed.
        tell(standings)
        // Who was found to fall with all the others, and serves on, needs them.
        let closing = idle.filter { standings[$0]?.admission != .serving }.map { names[$0] }
        if !closing.isEmpty { ports.closeIdle(pool, closing) }
        if !cut.isEmpty { ports.forceClose(pool, cut, false) }
        if !cutWithTunnels.isEmpty { ports.forceClose(pool, cutWithTunnels, true) }
        armTimer()
        tellPeer()
    }

    // MARK: The other node

    func name(at index: Int) -> String { names[index] }

    func address(at index: Int) -> Endpoint? { addresses[index] }

    func takeReports() -> [(backend: Int, report: BackendReport)] {
        governor.takeReports(now: Clock.now())
    }

    func failsAtPeer(_ backend: String, _ kind: CheckKind) -> Bool {
        indexes[backend].map { governor.failsAtPeer($0, kind) } ?? false
    }

    /// Performs what the peer's word leads to.
    func perform(now: Instant, _ body: (inout PoolGovernor, Instant) -> [GovernorAction]) {
        guard !isStopped else { return }
        perform(body(&governor, now))
    }

    private func tell(_ standings: [Int: BackendStanding]) {
        guard !standings.isEmpty else { return }
        let changes = standings.keys.sorted().map { backend in
            StandingChange(
                backend: names[backend], standing: standings[backend] ?? BackendStanding())
        }
        for change in changes { counters.note(change.standing, of: change.backend) }
        ports.setStandings(pool, changes)
    }

    private func report(_ event: GovernorEvent) {
        counters.count(event)
        guard let heldBack = lines.admit(now: Clock.now()) else { return }
        let subject = event.backend.map { "[pool \(pool)] backend \($0)" } ?? "[pool \(pool)]"
        let level: LogLevel = event.isWarning ? .warning : .info
        let line = "\(subject) \(event)"
        let address = event.backend.flatMap { indexes[$0] }.flatMap { addresses[$0] }
        switch (address, heldBack) {
        case (let address?, 0): logger.log(level, line, ["address": "\(address)"])
        case (nil, 0): logger.log(level, line)
        case (_, let count): logger.log(level, line, ["lines_held_back": String(count)])
        }
    }

    // MARK: Time

    private func armTimer() {
        let deadline = governor.nextDeadline
        guard timer?.deadline != deadline, !isStopped else { return }
        if let timer { loop.cancel(timer.id) }
        timer = nil
        guard deadline != .distantFuture else { return }
        let id = loop.schedule(at: deadline) { [weak self] in self?.timerFired() }
        timer = (deadline, id)
    }

    private func timerFired() {
        timer = nil
        perform(governor.timerFired(now: Clock.now()))
        lookAtDrains()
    }

    /// Hands the workers' counts over each time rates are judged, and trials that nobody takes.
    private func scheduleSweep() {
        if let sweepTimer { loop.cancel(sweepTimer) }
        sweepTimer = nil
        guard governor.settings.outlier != nil, !isStopped else { return }
        sweepTimer = loop.schedule(at: governor.nextJudgement) { [weak self] in self?.sweep() }
    }

    private func sweep() {
        var tallies = [BackendTally](repeating: BackendTally(), count: names.count)
        for named in ports.tallies(pool) {
            if let index = indexes[named.backend] { tallies[index] = named.tally }
        }
        perform(governor.sweep(tallies, now: Clock.now()))
        scheduleSweep()
    }

    /// Asks for the work that is left where a drain is under way, again and again until it is over.
    private func lookAtDrains() {
        guard drainTimer == nil, !isStopped else { return }
        let draining = governor.draining
        guard !draining.isEmpty else { return }
        let count = min(draining.count, Self.drainLookCountMax)
        for offset in 0..<count {
            let backend = draining[(drainTurn &+ offset) % draining.count]
            let work = ports.work(pool, names[backend])
            perform(
                governor.inFlight(
                    backend, exchanges: work.exchanges, tunnels: work.tunnels, now: Clock.now()))
        }
        drainTurn = (drainTurn &+ count) % draining.count
        drainTimer = loop.schedule(after: Self.drainLookInterval) { [weak self] in
            self?.drainTimer = nil
            self?.lookAtDrains()
        }
    }

    private func noteStandings() {
        counters.keep(names)
        for (index, name) in names.enumerated() {
            counters.note(governor.standing(at: index), of: name)
        }
    }

    private static func indexes(of names: [String]) -> [String: Int] {
        var indexes: [String: Int] = [:]
        indexes.reserveCapacity(names.count)
        for (index, name) in names.enumerated() { indexes[name] = index }
        return indexes
    }
}

extension GovernedBackend {
    /// The backends of a pool that have an address by now; nobody can be sent to the others.
    static func members(of pool: PoolConfiguration) -> [GovernedBackend] {
        pool.backends.compactMap { backend in
            guard let address = backend.address else { return nil }
            return GovernedBackend(
                name: backend.name, weight: backend.weight, address: address,
                // Whether a level panics does not depend on zones.
                placement: BackendPlacement(priority: backend.priority))
        }
    }
}
