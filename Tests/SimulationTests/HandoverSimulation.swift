// SPDX-License-Identifier: Apache-2.0
//
// Two nodes with the real machines of a planned switchover, a small election and a kernel that
// remembers what it was told, in virtual time: a link that breaks and heals, nodes that die and
// come back, kernels that refuse, operators that ask twice. All from one seed.

import ReplicationCore
import WireCore

/// What happened that must not.
struct HandoverViolation: Error, CustomStringConvertible {
    let description: String
}

/// What a node's kernel has of an address.
enum SimulatedHolding {
    case none, prepared, lingering, loud
}

/// One node.
struct HandoverNode {
    var machine = HandoverStateMachine()
    var isAlive = true
    var isActive = false
    var holding = SimulatedHolding.none
    var tables: HandoverTableRole?
    var claimsAt = Instant.distantFuture
    var drainEndsAt: Instant?
    var isLinkUp = true
    var refusesTables = false
    var refusesAddresses = false
    var reports: [HandoverReport] = []
}

/// Whose tables a node has.
enum HandoverTableRole {
    case old, new
}

/// Everything that may happen to the pair from outside.
enum HandoverFault {
    case ask(Int)
    case crash(Int)
    case restart(Int)
    case cutLink
    case healLink
}

/// One run.
struct HandoverSimulation {
    static let tick = TimeSpan.milliseconds(1)
    static let advertInterval = TimeSpan.milliseconds(10)
    static let downInterval = TimeSpan.milliseconds(36)
    static let skew = TimeSpan.milliseconds(6)
    static let linkSilence = TimeSpan.milliseconds(300)
    static let drain = TimeSpan.milliseconds(800)
    /// Longer than anything that VRRP does by itself.
    static let settledAfter = TimeSpan.milliseconds(500)
    /// An advert of the other one settles it.
    static let twoHoldersMax = TimeSpan.milliseconds(25)
    /// The down interval, and one more when the new Active dies at once.
    static let nobodyMax = TimeSpan.milliseconds(90)

    private enum Delivery {
        case message(HandoverMessage)
        case released
        case advert(priorityZero: Bool)
        case deathCertificate
        case linkDown
        case linkUp
    }

    var nodes = [HandoverNode(), HandoverNode()]
    var now = Instant(nanoseconds: 1_000_000_000)
    private var generator: SeededGenerator
    private var deliveries: [(at: Instant, to: Int, what: Delivery)] = []
    private var faults: [(at: Instant, what: HandoverFault)] = []
    private var isLinkCut = false
    private var cutAt: Instant?
    private var token: UInt64 = 0
    private var twoSince: Instant?
    private var nobodySince: Instant?
    var twoHoldersLongest = TimeSpan.zero
    var nobodyLongest = TimeSpan.zero

    /// A run whose story follows from `seed`; without faults there is only one question.
    init(seed: UInt64, faultCountMax: Int) {
        generator = SeededGenerator(seed: seed)
        nodes[0].isActive = true
        nodes[0].holding = .loud
        nodes[1].claimsAt = now + Self.downInterval
        let askedAt = now + .milliseconds(50)
        faults.append((askedAt, .ask(0)))
        guard faultCountMax > 0 else { return }
        for index in nodes.indices {
            nodes[index].refusesTables = chance(10)
            nodes[index].refusesAddresses = chance(20)
        }
        for _ in 0..<Int.random(in: 1...faultCountMax, using: &generator) {
            // Most of what can go wrong goes wrong within a few milliseconds.
            let isEarly = chance(2)
            let at = askedAt + generator.span(upTo: .milliseconds(isEarly ? 20 : 1_500))
            addFault(at: at)
        }
    }

    private mutating func chance(_ one: Int) -> Bool {
        Int.random(in: 0..<one, using: &generator) == 0
    }

    private mutating func addFault(at: Instant) {
        let node = Int.random(in: 0...1, using: &generator)
        let later = at + .milliseconds(100) + generator.span(upTo: .milliseconds(3_000))
        switch Int.random(in: 0..<4, using: &generator) {
        case 0:
            faults.append((at, .crash(node)))
            faults.append((later, .restart(node)))
        case 1:
            faults.append((at, .cutLink))
            faults.append((later, .healLink))
        default: faults.append((at, .ask(node)))
        }
    }

    /// Runs to the end of every time-out and looks at every millisecond.
    mutating func run() throws(HandoverViolation) {
        let last = faults.map(\.at).max() ?? now
        let end =
            last + Self.drain + HandoverStateMachine.drainMargin + HandoverStateMachine.drainMargin
        while now < end {
            now = now + Self.tick
            strike()
            deliver()
            for index in nodes.indices where nodes[index].isAlive { beat(index) }
            try check()
            if now > last + Self.settledAfter, isSettled { break }
        }
        for (index, node) in nodes.enumerated() {
            guard node.isAlive else { throw violation("node \(index) did not come back") }
            guard node.machine.phase == .idle, node.tables == nil else {
                throw violation(
                    "node \(index) keeps \(node.machine.phase), tables \(node.tables as Any)")
            }
            guard node.holding == (node.isActive ? .loud : .none) else {
                throw violation("node \(index) keeps the address \(node.holding)")
            }
        }
    }

    /// Nothing is under way: what is so stays so.
    private var isSettled: Bool {
        deliveries.isEmpty && nodes.allSatisfy { $0.machine.phase == .idle && $0.tables == nil }
            && nodes.filter { $0.isActive }.count == 1
    }

    // MARK: The world

    private mutating func strike() {
        let due = faults.filter { $0.at <= now }
        faults.removeAll { $0.at <= now }
        for (_, fault) in due {
            switch fault {
            case .ask(let index): ask(index)
            case .crash(let index): crash(index)
            case .restart(let index): restart(index)
            case .cutLink:
                isLinkCut = true
                cutAt = now
            case .healLink:
                isLinkCut = false
                cutAt = nil
                for index in nodes.indices where nodes[index].isAlive {
                    send(.linkUp, to: index, after: Self.tick)
                }
            }
        }
        guard let cutAt, now >= cutAt + Self.linkSilence else { return }
        self.cutAt = nil
        for index in nodes.indices { send(.linkDown, to: index, after: .zero) }
    }

    private mutating func ask(_ index: Int) {
        let node = nodes[index]
        guard node.isAlive, node.isActive, node.isLinkUp, node.machine.refusal == nil,
            nodes[1 - index].isAlive
        else { return }
        token += 1
        perform(
            nodes[index].machine.begin(
                token: token, seats: [], drain: Self.drain, canForward: true,
                peerUnderstands: true, now: now), index)
    }

    private mutating func crash(_ index: Int) {
        guard nodes[index].isAlive else { return }
        // Everything of it goes with the process: address, tables, what it was about to send.
        nodes[index] = HandoverNode()
        nodes[index].isAlive = false
        deliveries.removeAll { $0.to == index }
        guard !isLinkCut else { return }
        send(.deathCertificate, to: 1 - index, after: .milliseconds(2))
    }

    private mutating func restart(_ index: Int) {
        guard !nodes[index].isAlive else { return }
        nodes[index] = HandoverNode()
        nodes[index].claimsAt = now + Self.downInterval
        nodes[index].isLinkUp = !isLinkCut
        if !isLinkCut { send(.linkUp, to: 1 - index, after: Self.tick) }
    }

    private mutating func send(_ what: Delivery, to index: Int, after delay: TimeSpan) {
        deliveries.append((now + delay, index, what))
    }

    private mutating func deliver() {
        // In order: the link is a stream.
        let due = deliveries.filter { $0.at <= now }
        deliveries.removeAll { $0.at <= now }
        for (_, index, what) in due where nodes[index].isAlive { take(what, index) }
    }

    private mutating func take(_ what: Delivery, _ index: Int) {
        switch what {
        case .message(let message): take(message, index)
        case .released: claim(index)
        case .advert(let isPriorityZero): heard(index, isPriorityZero)
        case .deathCertificate:
            claim(index)
            perform(nodes[index].machine.peerEnded(now: now), index)
        case .linkDown:
            nodes[index].isLinkUp = false
            perform(nodes[index].machine.linkWentDown(now: now), index)
        case .linkUp:
            nodes[index].isLinkUp = true
            nodes[index].machine.linkCameUp(now: now)
        }
    }

    private mutating func take(_ message: HandoverMessage, _ index: Int) {
        guard case .prepare(_, let drain, let canForward) = message.content else {
            perform(nodes[index].machine.messageReceived(message, now: now), index)
            return
        }
        let standing = HandoverStateMachine.Standing(
            refusal: nodes[index].isActive ? .alreadyActive : nil, seats: [], canForward: true)
        perform(
            nodes[index].machine.prepareReceived(
                token: message.token, seats: [], drain: drain, canForward: canForward,
                standing: standing, now: now), index)
    }

    private mutating func heard(_ index: Int, _ isPriorityZero: Bool) {
        if nodes[index].isActive {
            // The node with the smaller number wins a tie.
            guard !isPriorityZero, index == 1 else { return }
            nodes[index].isActive = false
            nodes[index].holding = .none
            nodes[index].claimsAt = now + Self.downInterval
            perform(nodes[index].machine.ceasedActive(now: now), index)
        } else {
            nodes[index].claimsAt = now + (isPriorityZero ? Self.skew : Self.downInterval)
        }
    }

    private mutating func claim(_ index: Int) {
        guard !nodes[index].isActive else { return }
        nodes[index].isActive = true
        nodes[index].holding = .loud
        nodes[index].claimsAt = .distantFuture
        perform(nodes[index].machine.becameActive(now: now), index)
        send(.advert(priorityZero: false), to: 1 - index, after: Self.tick)
    }

    private mutating func beat(_ index: Int) {
        if nodes[index].isActive, now.nanoseconds % Self.advertInterval.nanoseconds == 0 {
            send(.advert(priorityZero: false), to: 1 - index, after: Self.tick)
        }
        if now >= nodes[index].claimsAt { claim(index) }
        if let ends = nodes[index].drainEndsAt, now >= ends {
            nodes[index].drainEndsAt = nil
            perform(
                nodes[index].machine.drained(
                    HandoverConnections(ended: 1, cut: 0), now: now), index)
        }
        perform(nodes[index].machine.deadlinePassed(now: now), index)
    }

    // MARK: The driver

    private mutating func perform(_ actions: [HandoverAction], _ index: Int) {
        for action in actions { perform(action, index) }
    }

    private mutating func perform(_ action: HandoverAction, _ index: Int) {
        switch action {
        case .send(let message):
            if !isLinkCut { send(.message(message), to: 1 - index, after: delay()) }
        case .installOldTables: install(.old, index)
        case .installNewTables: install(.new, index)
        case .removeTables: nodes[index].tables = nil
        case .prepareAddresses:
            if nodes[index].refusesAddresses {
                perform(nodes[index].machine.addressesRefused(now: now), index)
            } else {
                if nodes[index].holding == .none { nodes[index].holding = .prepared }
                perform(nodes[index].machine.addressesPrepared(now: now), index)
            }
        case .cancelPrepared:
            if nodes[index].holding == .prepared { nodes[index].holding = .none }
        case .yield(let isLingering): yield(index, isLingering)
        case .drain(let deadline):
            let ends = now + generator.span(upTo: .milliseconds(1_000))
            nodes[index].drainEndsAt = min(ends, deadline)
        case .cutDrain: nodes[index].drainEndsAt = now
        case .stopDrain: nodes[index].drainEndsAt = nil
        case .endLingering:
            if nodes[index].holding == .lingering { nodes[index].holding = .none }
        case .takeOver: claim(index)
        case .report(let report): nodes[index].reports.append(report)
        case .partFromClients: break
        }
    }

    private mutating func delay() -> TimeSpan {
        .milliseconds(1)
    }

    private mutating func install(_ role: HandoverTableRole, _ index: Int) {
        if nodes[index].refusesTables {
            perform(nodes[index].machine.tablesRefused(now: now), index)
        } else {
            nodes[index].tables = role
            perform(nodes[index].machine.tablesInstalled(now: now), index)
        }
    }

    private mutating func yield(_ index: Int, _ isLingering: Bool) {
        nodes[index].isActive = false
        nodes[index].holding = isLingering ? .lingering : .none
        nodes[index].claimsAt = now + Self.downInterval
        send(.advert(priorityZero: true), to: 1 - index, after: Self.tick)
        if !isLinkCut { send(.released, to: 1 - index, after: Self.tick) }
    }

    // MARK: What must hold

    private mutating func check() throws(HandoverViolation) {
        let holders = nodes.filter { $0.isAlive && $0.holding == .loud }.count
        let isAnyAlive = nodes.contains { $0.isAlive }
        twoSince = holders > 1 ? twoSince ?? now : nil
        nobodySince = holders == 0 && isAnyAlive ? nobodySince ?? now : nil
        if let twoSince { twoHoldersLongest = max(twoHoldersLongest, now - twoSince + Self.tick) }
        if let nobodySince { nobodyLongest = max(nobodyLongest, now - nobodySince + Self.tick) }
        guard twoHoldersLongest <= Self.twoHoldersMax else {
            throw violation("two nodes hold the address aloud for \(twoHoldersLongest)")
        }
        guard nobodyLongest <= Self.nobodyMax else {
            throw violation("nobody serves for \(nobodyLongest)")
        }
        for (index, node) in nodes.enumerated() where node.isAlive {
            let isQuiet = node.holding == .prepared || node.holding == .lingering
            guard !isQuiet || node.tables != nil else {
                throw violation("node \(index) holds the address quietly without tables")
            }
        }
    }

    private func violation(_ text: String) -> HandoverViolation {
        HandoverViolation(description: "at \(now): \(text)")
    }
}
