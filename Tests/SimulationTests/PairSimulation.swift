// SPDX-License-Identifier: Apache-2.0
//
// The world of a simulated pair: virtual time, the network between the nodes, the faults, and one
// client whose ARP entry says where packets for the virtual address go.

import VRRPCore
import WireCore

/// Runs a plan and watches the invariants.
final class PairSimulation: SimulatedWorld {
    private enum Event {
        case start(node: Int)
        case wake(node: Int, number: UInt64)
        case deliver(to: Int, Packet)
        case announcement(from: Int)
        case resolution
        case tearDown(node: Int, claim: Int)
        case linkBroke(at: Int, peer: Int)
        case beginFault(Int)
        case endFault(Int, incarnation: Int)
        case expectTakeover(from: Int, killedAt: Instant, faultCount: Int)
        case look
    }

    /// An advert under way: as a value, or as the bytes of its IPv4 packet.
    private enum Packet {
        case value(ReceivedAdvertisement)
        case bytes([UInt8])
    }

    private let plan: SimulationPlan
    private var random: SeededGenerator
    private var queue = EventQueue<Event>()
    private(set) var now = Instant(nanoseconds: 0)
    private(set) var nodes: [SimulatedNode] = []
    private var wakeNumbers: [UInt64]
    private var wakeTimes: [Instant?]

    private var activeFaults: Set<Int> = []
    private var beginCount = 0
    private(set) var checker: InvariantChecker
    private(set) var transitions: [(time: Instant, node: Int, VirtualRouterTransition)] = []
    private(set) var rejectedCount = 0
    /// Who held the address from when on; one entry per change.
    private(set) var holderHistory: [(time: Instant, holders: [Int])] = []
    /// Every advert sent.
    private(set) var sentHistory: [(time: Instant, node: Int, priority: UInt8)] = []
    /// Where the client's packets for the virtual address go.
    private(set) var clientEntry: Int?
    private let isTracing: Bool

    init(_ plan: SimulationPlan, isTracing: Bool = false) throws {
        self.plan = plan
        self.isTracing = isTracing
        random = SeededGenerator(seed: plan.seed ^ 0x5EED)
        wakeNumbers = [UInt64](repeating: 0, count: plan.nodeCount)
        wakeTimes = [Instant?](repeating: nil, count: plan.nodeCount)
        checker = InvariantChecker(plan: plan)
        for index in 0..<plan.nodeCount {
            let others = plan.priorities.indices.filter { $0 != index }
            let settings = try VirtualRouterSettings(
                virtualRouterID: 51, priority: plan.priorities[index],
                primaryAddress: SimulatedNode.address(of: index),
                addresses: [IPAddress(10, 77, 0, 100)], advertisementInterval: plan.interval,
                preempts: plan.preempts, preemptDelay: plan.preemptDelay,
                peerPriorityMax: others.map { plan.priorities[$0] }.max() ?? 254,
                addressLease: plan.lease, announcementInterval: plan.announcementInterval)
            nodes.append(
                SimulatedNode(index: index, plan: plan, settings: settings, world: self))
            queue.schedule(.start(node: index), at: plan.startTimes[index])
        }
        for time in plan.resolutionTimes { queue.schedule(.resolution, at: time) }
        for (number, fault) in plan.faults.enumerated() {
            queue.schedule(.beginFault(number), at: fault.start)
        }
    }

    /// Runs to the end of the plan; the violations found.
    func run() -> [String] {
        while let next = queue.popNext(), next.time <= plan.end {
            now = next.time
            handle(next.event)
            observe()
            if checker.violations.count >= InvariantChecker.violationsMax { break }
        }
        now = plan.end
        observe()
        checker.checkEnd(
            now: now, states: nodes.map(\.state), holders: holders(), clientEntry: clientEntry,
            lastTransitionAt: transitions.last?.time)
        return checker.violations
    }

    /// The nodes whose kernels answer for the address.
    func holders() -> [Int] {
        nodes.indices.filter { nodes[$0].holdsAddress(at: now) }
    }

    // MARK: - Events

    private func handle(_ event: Event) {
        switch event {
        case .start(let node):
            trace("node \(node) starts")
            nodes[node].startProcess(at: now)
            scheduleWake(of: node)
        case .wake(let node, let number):
            guard number == wakeNumbers[node] else { return }
            wakeTimes[node] = nil
            wake(node)
            scheduleWake(of: node)
        case .deliver(let node, let packet):
            deliver(packet, to: node)
        case .announcement(let node):
            clientEntry = node
        case .resolution:
            // Any holder may answer first, a frozen one too: its kernel is alive.
            let reachable = holders().filter { !isUnplugged($0) }
            clientEntry = reachable.randomElement(using: &random) ?? clientEntry
        case .tearDown(let node, let claim):
            nodes[node].tearDown(claim: claim)
        case .linkBroke(let node, let peer):
            nodes[node].enqueue(.linkBroke(node: peer))
            wakeSoon(node)
        case .beginFault(let number):
            begin(number)
        case .endFault(let number, let incarnation):
            end(number, incarnation: incarnation)
        case .expectTakeover(let victim, let killedAt, let faultCount):
            guard faultCount == beginCount else { return }
            checker.checkTakeover(
                from: victim, killedAt: killedAt, now: now, holders: holders())
        case .look:
            break
        }
    }

    private func observe() {
        let holders = holders()
        if holderHistory.last?.holders ?? [] != holders { holderHistory.append((now, holders)) }
        checker.observe(
            now: now, holders: holders,
            isAnyFaultActive: !activeFaults.isEmpty || !nodes.allSatisfy(\.isServing),
            isNetworkFaultActive: activeFaults.contains { plan.faults[$0].isOfTheNetwork },
            isAnyPaused: nodes.contains(where: \.isPaused))
    }

    private func deliver(_ packet: Packet, to node: Int) {
        switch packet {
        case .value(let received):
            nodes[node].receive(received)
        case .bytes(let bytes):
            do {
                nodes[node].receive(
                    try ReceivedAdvertisement.decode(bytes.span.bytes, virtualRouterIDs: [51]))
            } catch {
                rejectedCount += 1
                return
            }
        }
        wakeSoon(node)
    }

    /// One turn of a process, which may end with its exit.
    private func wake(_ node: Int) {
        let wasAlive = nodes[node].isProcessAlive
        nodes[node].wake(at: now)
        if wasAlive, !nodes[node].isProcessAlive { breakLinks(of: node) }
    }

    private func wakeSoon(_ node: Int) {
        scheduleWake(of: node, at: now)
    }

    private func scheduleWake(of node: Int) {
        guard let time = nodes[node].nextWake() else { return }
        scheduleWake(of: node, at: max(time, now))
    }

    private func scheduleWake(of node: Int, at time: Instant) {
        let late = time + .microseconds(1) + random.span(upTo: plan.latencyMax)
        if let planned = wakeTimes[node], planned <= late { return }
        wakeTimes[node] = late
        wakeNumbers[node] += 1
        queue.schedule(.wake(node: node, number: wakeNumbers[node]), at: late)
    }

    // MARK: - Faults

    private func begin(_ number: Int) {
        let fault = plan.faults[number]
        trace("fault \(number) begins: \(fault.kind) until \(fault.end.nanoseconds / 1_000) us")
        beginCount += 1
        activeFaults.insert(number)
        var incarnation = 0
        switch fault.kind {
        case .partition, .oneWay, .unplug, .loss, .slow, .corrupt:
            break
        case .pause(let node):
            incarnation = nodes[node].incarnation
            nodes[node].setPaused(true)
            if let end = nodes[node].leaseEndIfHeld { queue.schedule(.look, at: end) }
        case .kill(let node):
            kill(node)
        case .powerOff(let node):
            nodes[node].powerOff()
        case .localFault(let node):
            nodes[node].enqueue(.localFault(true))
            wakeSoon(node)
        case .shutdown(let node):
            nodes[node].enqueue(.shutdown)
            wake(node)
        case .switchover:
            for node in nodes.indices {
                nodes[node].enqueue(.switchover)
                wakeSoon(node)
            }
        case .linkReset(let node):
            breakLinks(of: node)
        }
        queue.schedule(.endFault(number, incarnation: incarnation), at: fault.end)
    }

    private func end(_ number: Int, incarnation: Int) {
        trace("fault \(number) ends")
        activeFaults.remove(number)
        switch plan.faults[number].kind {
        case .partition, .oneWay, .loss, .corrupt, .switchover, .linkReset:
            break
        case .slow(let extra):
            checker.networkDisturbedUntil = max(checker.networkDisturbedUntil, now + extra)
        case .unplug(let node):
            nodes[node].carrierReturned(at: now)
            scheduleWake(of: node)
        case .pause(let node):
            guard nodes[node].incarnation == incarnation else { return }
            nodes[node].setPaused(false)
            wakeSoon(node)
        case .powerOff(let node):
            nodes[node].isPoweredOn = true
            restart(node)
        case .kill(let node):
            restart(node)
        case .shutdown(let node):
            // A paused process has not read the signal yet; let it live.
            nodes[node].forgetShutdown()
            restart(node)
        case .localFault(let node):
            nodes[node].enqueue(.localFault(false))
            wakeSoon(node)
        }
    }

    private func kill(_ node: Int) {
        guard nodes[node].isProcessAlive else { return }
        let wasSoleHolder = holders() == [node]
        nodes[node].killProcess()
        queue.schedule(
            .tearDown(node: node, claim: nodes[node].claimCount),
            at: now + .milliseconds(5) + randomSpan(upTo: .milliseconds(3)))
        breakLinks(of: node)
        let isCalm = checker.hasBeenCalm(for: plan.interval.multiplied(by: 8), now: now)
        if wasSoleHolder, activeFaults.count == 1, isCalm {
            queue.schedule(
                .expectTakeover(from: node, killedAt: now, faultCount: beginCount),
                at: now + InvariantChecker.provenTakeoverMax(plan))
        }
    }

    /// The kernel closes the connections of a dead process: its peers read EOF.
    private func breakLinks(of node: Int) {
        for peer in nodes.indices where peer != node {
            let delay = TimeSpan.milliseconds(1) + randomSpan(upTo: .milliseconds(2))
            queue.schedule(.linkBroke(at: peer, peer: node), at: now + delay)
        }
    }

    private func restart(_ node: Int) {
        nodes[node].startProcess(at: now)
        scheduleWake(of: node)
    }

    // MARK: - The network

    private func isBlocked(from: Int, to: Int) -> Bool {
        if activeFaults.isEmpty { return false }
        return activeFaults.contains { number in
            switch plan.faults[number].kind {
            case .partition(let node), .unplug(let node): node == from || node == to
            case .oneWay(let source, let target): source == from && target == to
            default: false
            }
        }
    }

    private func isUnplugged(_ node: Int) -> Bool {
        activeFaults.contains { number in
            if case .unplug(node) = plan.faults[number].kind { true } else { false }
        }
    }

    private var lossPercent: Int {
        if activeFaults.isEmpty { return 0 }
        return activeFaults.reduce(0) { most, number in
            if case .loss(let percent) = plan.faults[number].kind {
                max(most, percent)
            } else {
                most
            }
        }
    }

    private var corruptPercent: Int {
        if activeFaults.isEmpty { return 0 }
        return activeFaults.reduce(0) { most, number in
            if case .corrupt(let percent) = plan.faults[number].kind {
                max(most, percent)
            } else {
                most
            }
        }
    }

    private func randomDelay() -> TimeSpan {
        var delay = plan.delayMin + random.span(upTo: plan.delayMax - plan.delayMin)
        if activeFaults.isEmpty { return delay }
        for number in activeFaults.sorted() {
            if case .slow(let extra) = plan.faults[number].kind {
                delay = delay + random.span(upTo: extra)
            }
        }
        return delay
    }

    private func chance(_ percent: Int) -> Bool {
        percent > 0 && Int.random(in: 0..<100, using: &random) < percent
    }

    func send(_ advertisement: Advertisement, from node: Int) {
        sentHistory.append((now, node, advertisement.priority))
        let source = SimulatedNode.address(of: node)
        let corruptPercent = corruptPercent
        let packet: Packet
        if plan.usesCodec || corruptPercent > 0 {
            packet = .bytes(IPv4Packet.around(advertisement, source: source))
        } else {
            packet = .value(
                ReceivedAdvertisement(
                    advertisement: advertisement, source: source,
                    destination: Advertisement.multicastGroup, checksumForm: .rfc9568))
        }
        for peer in nodes.indices where peer != node && !isBlocked(from: node, to: peer) {
            if chance(lossPercent) { continue }
            for _ in 0..<(chance(plan.duplicatePercent) ? 2 : 1) {
                let spoilt = chance(corruptPercent) ? spoil(packet) : packet
                queue.schedule(.deliver(to: peer, spoilt), at: now + randomDelay())
            }
        }
    }

    private func spoil(_ packet: Packet) -> Packet {
        guard case .bytes(var bytes) = packet else { return packet }
        let index = Int.random(in: IPv4Packet.headerByteCount..<bytes.count, using: &random)
        bytes[index] ^= UInt8.random(in: 1...255, using: &random)
        return .bytes(bytes)
    }

    func announce(from node: Int) {
        if isUnplugged(node) { return }
        trace("node \(node) announces")
        queue.schedule(.announcement(from: node), at: now + randomDelay())
    }

    func connect(from: Int, to: Int) -> LinkAnswer {
        if isBlocked(from: from, to: to) || isBlocked(from: to, to: from) { return .silence }
        guard nodes[to].isPoweredOn else { return .silence }
        // The kernel of a paused process still accepts.
        return nodes[to].isProcessAlive ? .accepted : .refused
    }

    func recordTransition(_ transition: VirtualRouterTransition, of node: Int) {
        trace("node \(node): \(transition.from) -> \(transition.to), \(transition.cause)")
        transitions.append((now, node, transition))
    }

    func randomSpan(upTo span: TimeSpan) -> TimeSpan {
        random.span(upTo: span)
    }

    private func trace(_ text: @autoclosure () -> String) {
        if isTracing { print("\(now.nanoseconds / 1_000) us: \(text())") }
    }
}

/// The IPv4 packet around an advert, as a raw socket delivers it.
enum IPv4Packet {
    static let headerByteCount = 20

    static func around(_ advertisement: Advertisement, source: IPAddress) -> [UInt8] {
        let destination = Advertisement.multicastGroup
        let message = advertisement.encoded(
            checksum: .rfc9568, source: source, destination: destination)
        var bytes: [UInt8] = [0x45, 0xC0]
        bytes.appendBigEndian(UInt16(headerByteCount + message.count))
        bytes.appendBigEndian(UInt32(0))
        bytes += [Advertisement.timeToLive, Advertisement.protocolNumber, 0, 0]
        bytes.appendBigEndian(source.ipv4?.rawValue ?? 0)
        bytes.appendBigEndian(destination.ipv4?.rawValue ?? 0)
        return bytes + message
    }
}
