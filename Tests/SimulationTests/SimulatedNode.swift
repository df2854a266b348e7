// SPDX-License-Identifier: Apache-2.0
//
// One node of a simulated cluster: its clock, its kernel (addresses, leases, socket queues), and
// whether there is a process on it. What the process does is in SimulatedProcess.swift.

import VRRPCore
import WireCore

/// What a node wants from the world.
protocol SimulatedWorld: AnyObject {
    func send(_ advertisement: Advertisement, from node: Int)
    func announce(_ family: AddressFamily, from node: Int)
    func recordTransition(
        _ transition: VirtualRouterTransition, of node: Int, _ family: AddressFamily)
    func randomSpan(upTo span: TimeSpan) -> TimeSpan
    /// Dials the peer's listener for the pair link; the answer is a `.dialled` or `.dialFailed`.
    func dial(from node: Int)
    /// Dials it to see whether its process lives; the answer is a `.probed`.
    func probe(from node: Int)
    /// Sends on a connection that `node` dialled; whether it still exists.
    func send(_ message: LinkMessage, on connection: UInt64, from node: Int)
}

/// Kernel and clock of a node.
final class SimulatedNode {
    /// The virtual addresses of one family in the kernel.
    private struct Addresses {
        var leaseEnd: Instant?
        var claimCount = 0
        /// Held, but neither announced nor answered for.
        var isQuiet = false
    }

    let index: Int
    private let lease: TimeSpan
    private let driftPartsPerMillion: Int
    private unowned let world: any SimulatedWorld

    var isPoweredOn = true
    private(set) var process: SimulatedProcess?
    private(set) var isPaused = false
    private(set) var incarnation = 0
    private(set) var socketQueue: [ReceivedAdvertisement] = []
    private var addresses: [Addresses]
    private let makeProcess: (SimulatedNode) -> SimulatedProcess

    /// Datagrams that the socket holds for a process that does not read.
    private static let socketQueueMax = 200

    init(
        index: Int, plan: SimulationPlan, world: any SimulatedWorld,
        makeProcess: @escaping (SimulatedNode) -> SimulatedProcess
    ) {
        self.index = index
        self.world = world
        self.makeProcess = makeProcess
        lease = plan.lease
        driftPartsPerMillion = plan.driftPartsPerMillion[index]
        addresses = plan.families.map { _ in Addresses() }
    }

    /// Nothing is wrong with it that the node itself could not help.
    var isRunning: Bool { isPoweredOn && process != nil && !isPaused }

    /// The state of a router, as far as there is one.
    func state(of router: Int) -> VirtualRouterState { process?.state(of: router) ?? .initialize }

    // MARK: - Processes

    func startProcess(at now: Instant) {
        guard isPoweredOn, process == nil else { return }
        incarnation += 1
        isPaused = false
        socketQueue = []
        let process = makeProcess(self)
        self.process = process
        process.start(at: now)
    }

    /// The process is gone; the addresses stay until the kernel has torn the device down.
    func killProcess() {
        process = nil
        isPaused = false
        socketQueue = []
    }

    func powerOff() {
        killProcess()
        isPoweredOn = false
        for router in addresses.indices { addresses[router].leaseEnd = nil }
    }

    func setPaused(_ paused: Bool) { isPaused = paused && process != nil }

    func receive(_ received: ReceivedAdvertisement) {
        guard isPoweredOn, process != nil, socketQueue.count < Self.socketQueueMax else { return }
        socketQueue.append(received)
    }

    func takeAdvertisement() -> ReceivedAdvertisement? {
        socketQueue.isEmpty ? nil : socketQueue.removeFirst()
    }

    // MARK: - Addresses

    /// Whether the node's kernel has the addresses of a router.
    func holdsAddresses(of router: Int, at now: Instant) -> Bool {
        guard isPoweredOn, let leaseEnd = addresses[router].leaseEnd else { return false }
        return now < leaseEnd
    }

    /// Whether the node answers for them: IPv4 its kernel does, IPv6 its process.
    func answers(for router: Int, family: AddressFamily, at now: Instant) -> Bool {
        guard !addresses[router].isQuiet, holdsAddresses(of: router, at: now) else { return false }
        return family == .ipv4 || isRunning
    }

    func leaseEnd(of router: Int) -> Instant? { addresses[router].leaseEnd }

    func claimCount(of router: Int) -> Int { addresses[router].claimCount }

    /// Whether they were gone.
    @discardableResult
    func renewLease(of router: Int, at now: Instant) -> Bool {
        let isLost = !holdsAddresses(of: router, at: now)
        // valid_lft 2 s was seen to end after 1.84 to 2.07 s.
        let jitter = world.randomSpan(upTo: lease.divided(by: 10))
        addresses[router].leaseEnd = now + lease.multiplied(by: 92).divided(by: 100) + jitter
        return isLost
    }

    func claimAddresses(of router: Int, at now: Instant) {
        addresses[router].claimCount += 1
        addresses[router].isQuiet = false
        renewLease(of: router, at: now)
    }

    func releaseAddresses(of router: Int) { addresses[router].leaseEnd = nil }

    func silenceAddresses(of router: Int) { addresses[router].isQuiet = true }

    /// The kernel removed the device of a dead process, unless a new one claimed meanwhile.
    func tearDown(_ router: Int, claim: Int) {
        if claim == addresses[router].claimCount { addresses[router].leaseEnd = nil }
    }

    // MARK: - Its clock

    private static let clockEpoch: UInt64 = 5_000_000_000_000

    func local(_ now: Instant) -> Instant {
        let elapsed = Int64(now.nanoseconds)
        let drift = elapsed / 1_000_000 * Int64(driftPartsPerMillion)
        return Instant(nanoseconds: Self.clockEpoch + UInt64(elapsed + drift))
    }

    /// A little late rather than early.
    func global(_ local: Instant) -> Instant {
        let elapsed = Int64(local.nanoseconds - Self.clockEpoch)
        let drift =
            elapsed / (1_000_000 + Int64(driftPartsPerMillion)) * Int64(driftPartsPerMillion)
        return Instant(nanoseconds: UInt64(elapsed - drift) + 1_000)
    }
}
