// SPDX-License-Identifier: Apache-2.0
//
// The world of a simulated cluster: virtual time, adverts between nodes, announcements to clients
// whose neighbour caches say where packets for a virtual address go. Faults are in
// ClusterSimulation+Faults.swift, the pair link in ClusterSimulation+Link.swift.

import ReplicationCore
import VRRPCore
import WireCore

/// Runs a plan and watches the invariants.
final class ClusterSimulation: SimulatedWorld {
    enum Event {
        case start(node: Int)
        case wake(node: Int, number: UInt64)
        case deliver(to: Int, Packet)
        case announcement(from: Int, family: AddressFamily, client: Int)
        case resolution
        case tearDown(node: Int, router: Int, claim: Int)
        case dialled(node: Int, incarnation: Int)
        case probed(node: Int, incarnation: Int)
        case linkArrival(node: Int, incarnation: Int, LinkArrival)
        case segment(connection: UInt64)
        case beginFault(Int)
        case endFault(Int, incarnation: Int)
        case expectTakeover(from: Int, killedAt: Instant, faultCount: Int)
        case look
    }

    /// An advert under way: as a value, or as the bytes of its IPv4 packet.
    enum Packet {
        case value(ReceivedAdvertisement)
        case bytes([UInt8])
    }

    /// A change of state.
    struct RecordedTransition {
        var time: Instant
        var node: Int
        var family: AddressFamily
        var transition: VirtualRouterTransition
    }

    let plan: SimulationPlan
    var random: SeededGenerator
    var queue = EventQueue<Event>()
    private(set) var now = Instant(nanoseconds: 0)
    private(set) var nodes: [SimulatedNode] = []
    private var wakeNumbers: [UInt64]
    private var wakeTimes: [Instant?]

    var network = SimulatedNetwork()
    var activeFaults: Set<Int> = []
    var beginCount = 0
    var connections: [UInt64: SimulatedConnection] = [:]
    var connectionCount: UInt64 = 0
    /// The connection that a node dialled last and that its kernel still has.
    var outbound: [UInt64?]
    var checker: InvariantChecker
    private(set) var transitions: [RecordedTransition] = []
    private(set) var rejectedCount = 0
    /// Who answered for the IPv4 addresses from when on; one entry per change.
    private(set) var holderHistory: [(time: Instant, holders: [Int])] = []
    private var lastHolders = NodeSet(bits: 0)
    /// Every advert sent.
    private(set) var sentHistory: [(time: Instant, node: Int, priority: UInt8)] = []
    /// Where each client's packets go, by family.
    private(set) var caches: [AddressFamily: [Int?]] = [:]
    private let isTracing: Bool

    init(_ plan: SimulationPlan, isTracing: Bool = false) throws {
        self.plan = plan
        self.isTracing = isTracing
        random = SeededGenerator(seed: plan.seed ^ 0x5EED)
        wakeNumbers = [UInt64](repeating: 0, count: plan.nodeCount)
        wakeTimes = [Instant?](repeating: nil, count: plan.nodeCount)
        outbound = [UInt64?](repeating: nil, count: plan.nodeCount)
        checker = InvariantChecker(plan: plan)
        for family in plan.families {
            caches[family] = [Int?](repeating: nil, count: SimulationPlan.clientCount)
        }
        for index in 0..<plan.nodeCount {
            let settings = try plan.families.map { try Self.settings(plan, index, $0) }
            nodes.append(
                SimulatedNode(index: index, plan: plan, world: self) { [unowned self] node in
                    SimulatedProcess(plan: plan, node: node, settings: settings, world: self)
                })
            queue.schedule(.start(node: index), at: plan.startTimes[index])
        }
        for time in plan.resolutionTimes { queue.schedule(.resolution, at: time) }
        for (number, fault) in plan.faults.enumerated() {
            queue.schedule(.beginFault(number), at: fault.start)
        }
    }

    private static func settings(
        _ plan: SimulationPlan, _ index: Int, _ family: AddressFamily
    ) throws -> VirtualRouterSettings {
        let others = plan.priorities.indices.filter { $0 != index }
        let address: IPAddress =
            family == .ipv4
            ? IPAddress(10, 77, 0, 100) : .v6(IPv6Address(high: 0xFD77 << 48, low: 0x100))
        return try VirtualRouterSettings(
            virtualRouterID: 51, priority: plan.priorities[index],
            primaryAddress: plan.address(of: index, family), addresses: [address],
            advertisementInterval: plan.interval, preempts: plan.preempts,
            preemptDelay: plan.preemptDelay,
            peerPriorityMax: others.map { plan.priorities[$0] }.max() ?? 254,
            addressLease: plan.lease, announcementInterval: plan.announcementInterval,
            silenceRule: plan.silenceRule, isGrouped: plan.families.count > 1,
            decidesForGroup: family == plan.families.first)
    }

    /// Runs to the end of the plan; the violations found.
    func run() -> [String] {
        while let next = queue.popNext(), next.time <= plan.end {
            now = next.time
            handle(next.event)
            if Self.changesHolders(next.event) { observe() }
            if checker.violations.count >= InvariantChecker.violationsMax { break }
        }
        now = plan.end
        observe()
        if checker.violations.isEmpty { checker.checkEnd(self) }
        return checker.violations
    }

    /// Whether an event can change who answers; others only wake somebody or are under way.
    private static func changesHolders(_ event: Event) -> Bool {
        switch event {
        case .start, .wake, .tearDown, .beginFault, .endFault, .expectTakeover, .look: true
        case .deliver, .announcement, .resolution, .dialled, .probed, .linkArrival, .segment: false
        }
    }

    /// The nodes that clients get an answer from.
    func holders(_ router: Int = 0) -> [Int] {
        let mask = holdersMask(router)
        return nodes.indices.filter(mask.contains)
    }

    /// The same as a set.
    func holdersMask(_ router: Int) -> NodeSet {
        var mask = NodeSet(bits: 0)
        for node in nodes
        where node.answers(for: router, family: plan.families[router], at: now) {
            mask.bits |= 1 << UInt8(node.index)
        }
        return mask
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
        case .announcement(let node, let family, let client):
            caches[family]?[client] = node
        case .resolution:
            resolve()
        case .tearDown(let node, let router, let claim):
            nodes[node].tearDown(router, claim: claim)
        case .dialled, .probed, .linkArrival, .segment:
            handleLink(event)
        case .beginFault(let number):
            begin(number)
        case .endFault(let number, let incarnation):
            end(number, incarnation: incarnation)
        case .expectTakeover(let victim, let killedAt, let faultCount):
            guard faultCount == beginCount else { return }
            checker.checkTakeover(from: victim, killedAt: killedAt, now: now, holders: holders())
        case .look:
            break
        }
    }

    private func observe() {
        let mask = holdersMask(0)
        if mask != lastHolders {
            lastHolders = mask
            holderHistory.append((now, holders()))
        }
        checker.observe(self)
    }

    /// A client asks for the address anew: any holder may be the first to answer.
    private func resolve() {
        for (router, family) in plan.families.enumerated() {
            let reachable = holders(router).filter { !network.isUnplugged($0) }
            guard let answer = reachable.randomElement(using: &random) else { continue }
            let client = Int.random(in: 0..<SimulationPlan.clientCount, using: &random)
            caches[family]?[client] = answer
        }
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
    func wake(_ node: Int) {
        guard nodes[node].isRunning, let process = nodes[node].process else { return }
        if !process.turn(at: now) { endProcess(of: node) }
    }

    func wakeSoon(_ node: Int) {
        guard nodes[node].isRunning else { return }
        scheduleWake(of: node, at: now)
    }

    func scheduleWake(of node: Int) {
        guard nodes[node].isRunning, let time = nodes[node].process?.nextWake() else { return }
        scheduleWake(of: node, at: max(time, now))
    }

    private func scheduleWake(of node: Int, at time: Instant) {
        let latency = plan.latencyMax + network.lateness(of: node)
        let late = time + .microseconds(1) + random.span(upTo: latency)
        if let planned = wakeTimes[node], planned <= late { return }
        wakeTimes[node] = late
        wakeNumbers[node] += 1
        queue.schedule(.wake(node: node, number: wakeNumbers[node]), at: late)
    }

    // MARK: - The network

    func randomDelay() -> TimeSpan {
        let delay = plan.delayMin + random.span(upTo: plan.delayMax - plan.delayMin)
        let extra = network.extraDelay
        return extra == .zero ? delay : delay + random.span(upTo: extra)
    }

    func chance(_ percent: Int) -> Bool {
        percent > 0 && Int.random(in: 0..<100, using: &random) < percent
    }

    func send(_ advertisement: Advertisement, from node: Int) {
        sentHistory.append((now, node, advertisement.priority))
        let family = advertisement.addresses[0].family
        let source = plan.address(of: node, family)
        let corruptPercent = network.corruptPercent
        let packet: Packet
        if family == .ipv4, plan.usesCodec || corruptPercent > 0 {
            packet = .bytes(IPv4Packet.around(advertisement, source: source))
        } else {
            packet = .value(
                ReceivedAdvertisement(
                    advertisement: advertisement, source: source,
                    destination: Advertisement.multicastGroup, checksumForm: .rfc9568))
        }
        let lossPercent = network.lossPercent
        for peer in nodes.indices where peer != node {
            if network.isBlocked(from: node, to: peer, .adverts(family)) { continue }
            if chance(lossPercent) { continue }
            for _ in 0..<(chance(plan.duplicatePercent) ? 2 : 1) {
                let spoilt = chance(corruptPercent) ? spoil(packet) : packet
                guard let spoilt else { continue }
                queue.schedule(.deliver(to: peer, spoilt), at: now + randomDelay())
            }
        }
    }

    /// A packet with a wrong byte; nothing when no codec would find it.
    private func spoil(_ packet: Packet) -> Packet? {
        guard case .bytes(var bytes) = packet else { return nil }
        let index = Int.random(in: IPv4Packet.headerByteCount..<bytes.count, using: &random)
        bytes[index] ^= UInt8.random(in: 1...255, using: &random)
        return .bytes(bytes)
    }

    func announce(_ family: AddressFamily, from node: Int) {
        if network.isUnplugged(node) { return }
        trace("node \(node) announces \(family)")
        let lossPercent = network.lossPercent
        for client in 0..<SimulationPlan.clientCount where !chance(lossPercent) {
            queue.schedule(
                .announcement(from: node, family: family, client: client), at: now + randomDelay())
        }
    }

    func recordTransition(
        _ transition: VirtualRouterTransition, of node: Int, _ family: AddressFamily
    ) {
        trace("node \(node) \(family): \(transition.from) -> \(transition.to), \(transition.cause)")
        checker.checkTransition(transition, of: node, family, in: self)
        transitions.append(
            RecordedTransition(time: now, node: node, family: family, transition: transition))
    }

    func randomSpan(upTo span: TimeSpan) -> TimeSpan {
        random.span(upTo: span)
    }

    func trace(_ text: @autoclosure () -> String) {
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
