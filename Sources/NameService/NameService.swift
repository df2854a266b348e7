// SPDX-License-Identifier: Apache-2.0
//
// Keeps the names of backends resolved, on the loop of the control thread: carries questions from
// the name table to the resolver and answers back. What they mean for pools is decided elsewhere.

public import BalancerCore
public import ConfigurationCore
internal import DNSIO
public import EventLoop
internal import LinuxIO
public import Telemetry
public import WireCore

/// Resolves the names of a configuration again and again; lives on one loop.
///
/// Nothing here waits: a name that was not answered yet stands for no backend. `onChange` is
/// called on the loop, from a turn of its own, with what all names stand for, when any of that
/// changed.
public final class NameService {
    /// Changes are gathered for so long before they are told, so that many answers at once, as
    /// after a start, are one change.
    public static let gatherTime = TimeSpan.milliseconds(20)

    /// What the questions count.
    public let metrics = NameMetrics()
    private let loop: EventLoop
    private let onChange: (ResolvedNames) -> Void
    private let hostsPath: String
    private let serversPath: String
    private var narrator: NameNarrator
    private var table: NameTable
    private var configuration = ResolverConfiguration()
    private var resolver: Resolver?
    /// Answers of a resolver that was replaced are not ours any more.
    private var generation: UInt64 = 0
    private var timer: TimerID?
    private var told = ResolvedNames()
    private var isTellScheduled = false
    private var isNoteScheduled = false

    /// Prepares the service; `resolve` begins to ask.
    ///
    /// - Parameters:
    ///   - loop: where everything happens.
    ///   - logger: hears what happens to names.
    ///   - seed: for the jitter of the schedule; differs from node to node.
    ///   - hostsPath: the file that names hosts (hosts(5)).
    ///   - serversPath: the file that names servers (resolv.conf(5)).
    ///   - onChange: hears what all names stand for, whenever that changed.
    public init(
        on loop: EventLoop, logger: Logger, seed: UInt64, hostsPath: String = "/etc/hosts",
        serversPath: String = "/etc/resolv.conf", onChange: @escaping (ResolvedNames) -> Void
    ) {
        self.loop = loop
        self.hostsPath = hostsPath
        self.serversPath = serversPath
        self.onChange = onChange
        narrator = NameNarrator(logger)
        table = NameTable(plan: NameResolutionPlan(), seed: seed)
    }

    /// Keeps these names resolved from now on; what is known of those that stay is kept.
    public func resolve(_ names: Set<UpstreamName>, _ configuration: ResolverConfiguration) {
        let old = self.configuration
        self.configuration = configuration
        table.replacePlan(
            NameResolutionPlan(
                ttlMin: configuration.ttlMin, ttlMax: configuration.ttlMax,
                hold: configuration.hold), now: Clock.now())
        if old.servers != configuration.servers || old.timeout != configuration.timeout
            || old.tries != configuration.tries
        {
            dropResolver()
        }
        if names.isEmpty { dropResolver() }
        take(table.want(names, now: Clock.now()))
        // A name that is gone makes no event.
        tellSoon()
        pump()
    }

    /// Ends all questions; nothing is told any more.
    public func stop() {
        resolve([], configuration)
        if let timer { loop.cancel(timer) }
        timer = nil
        told = table.answers
    }

    /// Asks for every name now, as after name servers were mended.
    public func refresh() {
        table.askNow(Clock.now())
        pump()
    }

    /// What all names stand for now.
    public var answers: ResolvedNames { table.answers }

    /// How every wanted name is, in order.
    public func snapshot() -> [NameStatus] { table.status() }

    private func dropResolver() {
        guard let resolver else { return }
        resolver.stop()
        self.resolver = nil
        generation &+= 1
        table.askAnew(now: Clock.now())
    }

    /// Asks for what is due and comes back when more is.
    private func pump() {
        if let timer { loop.cancel(timer) }
        timer = nil
        for name in table.takeDue(now: Clock.now()) { ask(name) }
        noteMetricsSoon()
        guard let deadline = table.nextDeadline else { return }
        timer = loop.schedule(at: deadline) { [weak self] in
            self?.timer = nil
            self?.pump()
        }
    }

    private func ask(_ name: UpstreamName) {
        let generation = generation
        let resolver = liveResolver()
        switch name {
        case .host(let text):
            let done = { [weak self] (lookup: HostLookup) in
                guard let self, self.generation == generation else { return }
                metrics.ended("a", lookup.v4.token)
                metrics.ended("aaaa", lookup.v6.token)
                take(table.hostLookupEnded(text, lookup, now: Clock.now()))
                pumpSoon()
            }
            guard let resolver else {
                let lookup = HostLookup(v4: .failed(.notAsked), v6: .failed(.notAsked))
                loop.schedule(at: loop.now) { done(lookup) }
                return
            }
            resolver.lookUpHost(text, done)
        case .service(let text):
            let done = { [weak self] (outcome: NameLookupOutcome<ServiceRecord>) in
                guard let self, self.generation == generation else { return }
                metrics.ended("srv", outcome.token)
                take(table.serviceLookupEnded(text, outcome, now: Clock.now()))
                pumpSoon()
            }
            guard let resolver else {
                loop.schedule(at: loop.now) { done(.failed(.notAsked)) }
                return
            }
            resolver.lookUpService(text, done)
        }
    }

    /// The resolver, made when it is first needed; `nil` while it cannot be had.
    private func liveResolver() -> Resolver? {
        if let resolver { return resolver }
        var settings = ResolverSettings(
            servers: configuration.servers, tryTimeout: configuration.timeout,
            tries: configuration.tries)
        settings.hostsPath = hostsPath
        settings.serversPath = serversPath
        do {
            resolver = try Resolver(settings, on: loop)
        } catch {
            narrator.resolverFailed(error.description, now: Clock.now())
        }
        return resolver
    }

    /// Many answers of one turn are followed by one look at what is due.
    private func pumpSoon() {
        if let timer { loop.cancel(timer) }
        timer = loop.schedule(at: loop.now) { [weak self] in
            self?.timer = nil
            self?.pump()
        }
    }

    private func take(_ events: [NameEvent]) {
        let now = Clock.now()
        for event in events {
            narrator.say(event, now: now)
            if event.changesAnswers { tellSoon() }
        }
    }

    private func tellSoon() {
        guard !isTellScheduled else { return }
        isTellScheduled = true
        loop.schedule(after: Self.gatherTime) { [weak self] in self?.tell() }
    }

    private func tell() {
        isTellScheduled = false
        let answers = table.answers
        guard answers != told else { return }
        told = answers
        onChange(answers)
    }

    private func noteMetricsSoon() {
        guard !isNoteScheduled else { return }
        isNoteScheduled = true
        loop.schedule(after: Self.gatherTime) { [weak self] in self?.noteMetrics() }
    }

    private func noteMetrics() {
        isNoteScheduled = false
        let rows = table.status().map { status in
            NameMetrics.Row(
                name: status.name.description, targetCount: status.targets.count,
                answeredAt: status.answeredAt, isStale: status.state != .fresh,
                changeCount: status.changeCount)
        }
        metrics.replace(rows: rows, openCount: table.askingCount)
    }
}

extension NameLookupOutcome {
    /// The word for metrics.
    fileprivate var token: StaticString {
        switch self {
        case .records: "records"
        case .noRecords: NameTrouble.noRecords.token
        case .noSuchName: NameTrouble.noSuchName.token
        case .failed(let failure): failure.token
        }
    }
}
