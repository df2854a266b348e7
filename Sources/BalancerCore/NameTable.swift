// SPDX-License-Identifier: Apache-2.0
//
// All names that stand for backends: whom to ask for now, what they stand for, what became of it.
// It asks nobody; NameService carries questions and answers. What SRV records become is in
// NameTable+Services.

public import WireCore

/// The names of one configuration and their answers, in virtual time.
///
/// The hosts that SRV records name are asked for like any other, each by its own time to live, and
/// belong to the table as long as a service needs them.
public struct NameTable: Sendable {
    struct Host: Hashable, Sendable {
        var machine: ResolutionStateMachine<[IPAddress]>
        /// What the name stands for; `nil` for one that only services need.
        var published: Published?
    }

    struct Service: Hashable, Sendable {
        var machine: ResolutionStateMachine<[ServiceRecord]>
        var published = Published()
    }

    struct Published: Hashable, Sendable {
        var targets: [UpstreamTarget] = []
        var changedAt: Instant?
        var changeCount: UInt64 = 0
        var isLimited = false
    }

    /// The settings in force.
    public private(set) var plan: NameResolutionPlan
    var hosts: [String: Host] = [:]
    var services: [String: Service] = [:]
    private var refused: Set<UpstreamName> = []
    private var generator: SeededGenerator

    /// Makes an empty table.
    public init(plan: NameResolutionPlan, seed: UInt64) {
        self.plan = plan
        generator = SeededGenerator(seed: seed)
    }

    /// Takes over other settings; they hold from the next answer on, which comes soon enough.
    public mutating func replacePlan(_ plan: NameResolutionPlan, now: Instant) {
        guard plan != self.plan else { return }
        self.plan = plan
        let latest = now + plan.ttlMax
        for text in hosts.keys { hosts[text]?.machine.ask(notLaterThan: latest) }
        for text in services.keys { services[text]?.machine.ask(notLaterThan: latest) }
    }

    /// Says which names are wanted; what is known of names that stay is kept.
    public mutating func want(_ names: Set<UpstreamName>, now: Instant) -> [NameEvent] {
        let ordered = names.sorted()
        let admitted = ordered.prefix(max(0, plan.namesMax))
        var events: [NameEvent] = []
        for name in ordered.dropFirst(admitted.count) where !refused.contains(name) {
            events.append(NameEvent(name, .refused))
        }
        refused = Set(ordered.dropFirst(admitted.count))
        var wantedHosts: Set<String> = []
        var wantedServices: Set<String> = []
        for name in admitted {
            switch name {
            case .host(let text):
                wantedHosts.insert(text)
                if hosts[text] == nil {
                    hosts[text] = Host(machine: ResolutionStateMachine(now: now))
                }
                if hosts[text]?.published == nil { hosts[text]?.published = Published() }
            case .service(let text):
                wantedServices.insert(text)
                if services[text] == nil {
                    services[text] = Service(machine: ResolutionStateMachine(now: now))
                }
            }
        }
        services = services.filter { wantedServices.contains($0.key) }
        for text in hosts.keys where !wantedHosts.contains(text) { hosts[text]?.published = nil }
        keepNeededHosts(now: now)
        // A host that services knew already is known to whoever wants it from now on.
        for text in wantedHosts.sorted() { publishHost(text, now: now, into: &events) }
        return events
    }

    /// When something is due; `nil` while nothing is, or while no more may be asked at once.
    public var nextDeadline: Instant? {
        guard askingCount < plan.lookupsAtOnceMax else { return nil }
        let first = hosts.values.lazy.compactMap(\.machine.dueAt).min()
        let second = services.values.lazy.compactMap(\.machine.dueAt).min()
        guard let first, let second else { return first ?? second }
        return min(first, second)
    }

    /// Names that are being asked for.
    public var askingCount: Int {
        hosts.values.lazy.filter(\.machine.isAsking).count
            + services.values.lazy.filter(\.machine.isAsking).count
    }

    /// The names to ask for now, the most overdue first; each must be reported as ended later.
    public mutating func takeDue(now: Instant) -> [UpstreamName] {
        let room = plan.lookupsAtOnceMax - askingCount
        guard room > 0 else { return [] }
        var due: [(at: Instant, name: UpstreamName)] = []
        for (text, host) in hosts {
            guard let at = host.machine.dueAt, at <= now else { continue }
            due.append((at, .host(text)))
        }
        for (text, service) in services {
            guard let at = service.machine.dueAt, at <= now else { continue }
            due.append((at, .service(text)))
        }
        due.sort { ($0.at, $0.name) < ($1.at, $1.name) }
        let taken = due.prefix(room).map(\.name)
        for name in taken {
            switch name {
            case .host(let text): hosts[text]?.machine.asked()
            case .service(let text): services[text]?.machine.asked()
            }
        }
        return taken
    }

    /// Asks for everything that nobody is asked for yet as soon as there is room.
    public mutating func askNow(_ now: Instant) {
        for text in hosts.keys { hosts[text]?.machine.ask(notLaterThan: now) }
        for text in services.keys { services[text]?.machine.ask(notLaterThan: now) }
    }

    /// Asks for everything anew, as others are asked from now on; open questions are given up and
    /// must not be reported any more.
    public mutating func askAnew(now: Instant) {
        for text in hosts.keys { hosts[text]?.machine.askAnew(now: now) }
        for text in services.keys { services[text]?.machine.askAnew(now: now) }
    }

    /// The question for a host ended; ignored when nobody waits for it any more.
    public mutating func hostLookupEnded(
        _ text: String, _ lookup: HostLookup, now: Instant
    ) -> [NameEvent] {
        guard var host = hosts[text], host.machine.isAsking else { return [] }
        let name = UpstreamName.host(text)
        let before = (value: host.machine.value, hasBeenAsked: host.machine.hasBeenAsked)
        var events: [NameEvent] = []
        let effect: ResolutionStateMachine<[IPAddress]>.Effect
        switch HostReading(lookup, known: host.machine.value ?? [], limit: plan.targetsMax) {
        case .addresses(let addresses, let ttl, let leftOutCount, let trouble):
            effect = host.machine.answered(
                addresses, ttl: ttl, incomplete: trouble, plan: plan, now: now, using: &generator)
            noteLimit(name, leftOutCount, &host.published, into: &events)
        case .trouble(let trouble):
            effect = host.machine.troubled(trouble, plan: plan, now: now, using: &generator)
        }
        hosts[text] = host
        if host.published != nil {
            report(name, effect, host.machine.trouble, into: &events)
            publishHost(text, now: now, into: &events)
        }
        if before.value != host.machine.value || !before.hasBeenAsked {
            for service in servicesNaming(text) {
                publishService(service, now: now, into: &events)
            }
        }
        return events
    }

    /// The question for a service ended; ignored when nobody waits for it any more.
    public mutating func serviceLookupEnded(
        _ text: String, _ outcome: NameLookupOutcome<ServiceRecord>, now: Instant
    ) -> [NameEvent] {
        guard var service = services[text], service.machine.isAsking else { return [] }
        var events: [NameEvent] = []
        let name = UpstreamName.service(text)
        let effect: ResolutionStateMachine<[ServiceRecord]>.Effect
        switch outcome {
        case .records(let records, let ttl):
            let all = Set(records).sorted()
            let kept = Array(all.prefix(max(1, plan.targetsMax)))
            effect = service.machine.answered(
                kept, ttl: ttl, plan: plan, now: now, using: &generator)
            var published: Published? = service.published
            noteLimit(name, all.count - kept.count, &published, into: &events)
            service.published = published ?? service.published
        case .noRecords:
            effect = service.machine.troubled(.noRecords, plan: plan, now: now, using: &generator)
        case .noSuchName:
            effect = service.machine.troubled(.noSuchName, plan: plan, now: now, using: &generator)
        case .failed(let failure):
            effect = service.machine.troubled(
                .failed(failure), plan: plan, now: now, using: &generator)
        }
        services[text] = service
        report(name, effect, service.machine.trouble, into: &events)
        keepNeededHosts(now: now)
        publishService(text, now: now, into: &events)
        return events
    }

    /// What all wanted names stand for.
    public var answers: ResolvedNames {
        var answers = ResolvedNames()
        for (text, host) in hosts {
            if let published = host.published { answers[.host(text)] = published.targets }
        }
        for (text, service) in services { answers[.service(text)] = service.published.targets }
        return answers
    }

    /// How one wanted name is; `nil` when it is not wanted.
    public func status(of name: UpstreamName) -> NameStatus? {
        switch name {
        case .host(let text):
            guard let host = hosts[text], let published = host.published else { return nil }
            return status(name, host.machine, published)
        case .service(let text):
            guard let service = services[text] else { return nil }
            return status(name, service.machine, service.published)
        }
    }

    /// How every wanted name is, in order.
    public func status() -> [NameStatus] {
        let names =
            hosts.compactMap { $0.value.published == nil ? nil : UpstreamName.host($0.key) }
            + services.keys.map { .service($0) }
        return names.sorted().compactMap { status(of: $0) }
    }

    private func status<Value>(
        _ name: UpstreamName, _ machine: ResolutionStateMachine<Value>, _ published: Published
    ) -> NameStatus {
        let state: NameStatus.State
        switch (machine.hasBeenAsked, machine.value, machine.trouble) {
        case (false, _, _): state = .unresolved
        case (true, nil, _): state = .missing
        case (true, _, nil): state = .fresh
        case (true, _, _): state = .stale
        }
        return NameStatus(
            name: name, state: state, targets: published.targets,
            answeredAt: machine.answeredAt, changedAt: published.changedAt, ttl: machine.ttl,
            dueAt: machine.dueAt, failures: machine.failures, trouble: machine.trouble,
            changeCount: published.changeCount)
    }

    private func report<Value>(
        _ name: UpstreamName, _ effect: ResolutionStateMachine<Value>.Effect,
        _ trouble: NameTrouble?, into events: inout [NameEvent]
    ) {
        switch effect {
        case .none:
            break
        case .answered(_, let failures):
            if failures > 0 { events.append(NameEvent(name, .recovered(failures: failures))) }
        case .troubled:
            guard let trouble else { return }
            let keptCount = status(of: name)?.targets.count ?? 0
            events.append(NameEvent(name, .troubled(trouble, keptCount: keptCount)))
        case .emptied:
            if let trouble { events.append(NameEvent(name, .emptied(trouble))) }
        }
    }

    private func noteLimit(
        _ name: UpstreamName, _ leftOutCount: Int, _ published: inout Published?,
        into events: inout [NameEvent]
    ) {
        guard let wasLimited = published?.isLimited else { return }
        published?.isLimited = leftOutCount > 0
        guard leftOutCount > 0, !wasLimited else { return }
        events.append(NameEvent(name, .limited(leftOutCount: leftOutCount)))
    }

    private mutating func publishHost(
        _ text: String, now: Instant, into events: inout [NameEvent]
    ) {
        guard let host = hosts[text], var published = host.published else { return }
        let targets = (host.machine.value ?? []).map { UpstreamTarget(address: $0) }
        publish(.host(text), targets, &published, now: now, into: &events)
        hosts[text]?.published = published
    }

    /// Takes over what a name stands for and says how it differs from before.
    func publish(
        _ name: UpstreamName, _ targets: [UpstreamTarget], _ published: inout Published,
        now: Instant, into events: inout [NameEvent]
    ) {
        let old = published.targets
        guard targets != old else { return }
        published.targets = targets
        guard published.changedAt != nil else {
            published.changedAt = now
            events.append(NameEvent(name, .firstAnswer(count: targets.count)))
            return
        }
        published.changedAt = now
        published.changeCount &+= 1
        let before = Set(old)
        let after = Set(targets)
        events.append(
            NameEvent(
                name,
                .changed(
                    added: targets.filter { !before.contains($0) },
                    removed: old.filter { !after.contains($0) }, count: targets.count)))
    }
}
