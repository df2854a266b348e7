// SPDX-License-Identifier: Apache-2.0
//
// One node of a simulated pair: clock, kernel (address, lease, socket queue) and process. The
// process does what a driver of the state machine must do, in the order it must do it.

import VRRPCore
import WireCore

/// What a node's process wants from the world.
protocol SimulatedWorld: AnyObject {
    func send(_ advertisement: Advertisement, from node: Int)
    func announce(from node: Int)
    /// What a connection attempt to the pair-link port of `node` gives.
    func connect(from: Int, to: Int) -> LinkAnswer
    func recordTransition(_ transition: VirtualRouterTransition, of node: Int)
    func randomSpan(upTo span: TimeSpan) -> TimeSpan
}

/// What the network says to a connection attempt.
enum LinkAnswer {
    case accepted
    case refused
    case silence
}

/// One node.
final class SimulatedNode {
    /// Something that waits for the process.
    enum Command {
        case localFault(Bool)
        case switchover
        case shutdown
        /// The pair link to this node broke.
        case linkBroke(node: Int)
    }

    let index: Int
    let settings: VirtualRouterSettings
    private let lease: TimeSpan
    private let driftPartsPerMillion: Int
    private unowned let world: any SimulatedWorld

    // The kernel.
    var isPoweredOn = true
    private var leaseEnd: Instant?
    private(set) var claimCount = 0
    private var socketQueue: [ReceivedAdvertisement] = []

    // The process.
    private(set) var isProcessAlive = false
    private(set) var isPaused = false
    private(set) var incarnation = 0
    private var machine: VirtualRouterStateMachine
    private var commands: [Command] = []
    private var suspects: Set<Int> = []
    private var renewalTime: Instant?
    private var announcementTimes: [Instant] = []
    private var retryTime: Instant?

    /// Datagrams that the socket holds for a process that does not read.
    private static let socketQueueMax = 200
    /// The driver repeats an announcement after these delays.
    private static let announcementRepeats: [TimeSpan] = [
        .milliseconds(50), .milliseconds(200), .seconds(1),
    ]
    private static let linkRetryInterval = TimeSpan.milliseconds(50)

    init(
        index: Int, plan: SimulationPlan, settings: VirtualRouterSettings, world: any SimulatedWorld
    ) {
        self.index = index
        self.settings = settings
        self.world = world
        lease = plan.lease
        driftPartsPerMillion = plan.driftPartsPerMillion[index]
        machine = VirtualRouterStateMachine(settings: settings)
    }

    var state: VirtualRouterState { isProcessAlive ? machine.state : .initialize }
    var isServing: Bool { isPoweredOn && isProcessAlive && !isPaused }
    var leaseEndIfHeld: Instant? { leaseEnd }

    /// Whether the node's kernel answers for the address.
    func holdsAddress(at now: Instant) -> Bool {
        guard isPoweredOn, let leaseEnd else { return false }
        return now < leaseEnd
    }

    // MARK: - What happens to it

    func startProcess(at now: Instant) {
        guard isPoweredOn, !isProcessAlive else { return }
        isProcessAlive = true
        isPaused = false
        incarnation += 1
        machine = VirtualRouterStateMachine(settings: settings)
        commands = []
        socketQueue = []
        suspects = []
        retryTime = nil
        var actions: [VirtualRouterAction] = []
        machine.startupRequested(now: local(now), into: &actions)
        perform(actions, at: now)
    }

    /// The process is gone; the address stays until the kernel has torn the device down.
    func killProcess() {
        isProcessAlive = false
        isPaused = false
        renewalTime = nil
        announcementTimes = []
        socketQueue = []
    }

    func powerOff() {
        killProcess()
        isPoweredOn = false
        leaseEnd = nil
    }

    func setPaused(_ paused: Bool) { isPaused = paused && isProcessAlive }

    /// The kernel removed the device of a dead process, unless a new one claimed meanwhile.
    func tearDown(claim: Int) {
        if claim == claimCount { leaseEnd = nil }
    }

    func receive(_ received: ReceivedAdvertisement) {
        guard isPoweredOn, isProcessAlive, socketQueue.count < Self.socketQueueMax else { return }
        socketQueue.append(received)
    }

    func enqueue(_ command: Command) {
        if isProcessAlive { commands.append(command) }
    }

    /// The signal to stop is taken back.
    func forgetShutdown() {
        commands.removeAll { command in
            if case .shutdown = command { true } else { false }
        }
    }

    /// The carrier is back: an Active announces itself again.
    func carrierReturned(at now: Instant) {
        if isServing, machine.state == .active { startAnnouncing(at: now) }
    }

    // MARK: - The process

    /// One turn of the loop; the order is the contract of `VirtualRouterStateMachine`.
    func wake(at now: Instant) {
        guard isServing else { return }
        var actions: [VirtualRouterAction] = []
        while !socketQueue.isEmpty {
            machine.advertisementReceived(
                socketQueue.removeFirst(), now: local(now), into: &actions)
        }
        runCommands(at: now, into: &actions)
        guard isProcessAlive else { return }
        checkSuspects(at: now, into: &actions)
        machine.timerFired(now: local(now), into: &actions)
        perform(actions, at: now)
        if let renewalTime, now >= renewalTime, renew(at: now) {
            // The lease ran out during a pause that was too short to be replaced.
            startAnnouncing(at: now)
        }
        let dueCount = announcementTimes.count { $0 <= now }
        if dueCount > 0 {
            announcementTimes.removeAll { $0 <= now }
            world.announce(from: index)
        }
    }

    /// When the process wants to run next.
    func nextWake() -> Instant? {
        guard isServing else { return nil }
        var next = machine.nextDeadline.map(global)
        for time in [renewalTime, retryTime, announcementTimes.min()] {
            if let time { next = min(next ?? time, time) }
        }
        return next
    }

    private func runCommands(at now: Instant, into actions: inout [VirtualRouterAction]) {
        let pending = commands
        commands = []
        for command in pending {
            switch command {
            case .localFault(true):
                machine.localFaultDetected(now: local(now), into: &actions)
            case .localFault(false):
                machine.localFaultCleared(now: local(now), into: &actions)
            case .switchover:
                machine.switchoverRequested(now: local(now), into: &actions)
            case .linkBroke(let node):
                suspects.insert(node)
            case .shutdown:
                machine.shutdownRequested(now: local(now), into: &actions)
                perform(actions, at: now)
                killProcess()
                return
            }
        }
    }

    /// EOF and then "connection refused" proves a death; an answer or silence proves nothing.
    private func checkSuspects(at now: Instant, into actions: inout [VirtualRouterAction]) {
        retryTime = nil
        for suspect in suspects.sorted() {
            switch world.connect(from: index, to: suspect) {
            case .accepted:
                suspects.remove(suspect)
            case .refused:
                suspects.remove(suspect)
                machine.peerDeathProven(
                    address: Self.address(of: suspect), now: local(now), into: &actions)
            case .silence:
                retryTime = now + Self.linkRetryInterval
            }
        }
    }

    private func perform(_ actions: [VirtualRouterAction], at now: Instant) {
        for action in actions {
            switch action {
            case .claimAddresses:
                claimCount += 1
                renew(at: now)
            case .releaseAddresses:
                leaseEnd = nil
                renewalTime = nil
                announcementTimes = []
            case .sendAdvertisement(let priority):
                world.send(settings.advertisement(priority: priority), from: index)
            case .announceAddresses:
                startAnnouncing(at: now)
            case .recordTransition(let transition):
                world.recordTransition(transition, of: index)
            case .report, .reportSplit, .readyToClaim, .noLongerReady:
                break
            }
        }
    }

    /// Whether the address was gone.
    @discardableResult
    private func renew(at now: Instant) -> Bool {
        let isLost = !holdsAddress(at: now)
        // valid_lft 2 s was seen to end after 1.84 to 2.07 s.
        let jitter = world.randomSpan(upTo: lease.divided(by: 10))
        leaseEnd = now + lease.multiplied(by: 92).divided(by: 100) + jitter
        renewalTime = now + lease.divided(by: 4)
        return isLost
    }

    private func startAnnouncing(at now: Instant) {
        world.announce(from: index)
        announcementTimes = Self.announcementRepeats.map { now + $0 }
    }

    // MARK: - Its clock

    static func address(of node: Int) -> IPAddress {
        IPAddress(10, 77, 0, UInt8(11 + node))
    }

    private static let clockEpoch: UInt64 = 5_000_000_000_000

    private func local(_ now: Instant) -> Instant {
        let elapsed = Int64(now.nanoseconds)
        let drift = elapsed / 1_000_000 * Int64(driftPartsPerMillion)
        return Instant(nanoseconds: Self.clockEpoch + UInt64(elapsed + drift))
    }

    /// A little late rather than early.
    private func global(_ local: Instant) -> Instant {
        let elapsed = Int64(local.nanoseconds - Self.clockEpoch)
        let drift =
            elapsed / (1_000_000 + Int64(driftPartsPerMillion)) * Int64(driftPartsPerMillion)
        return Instant(nanoseconds: UInt64(elapsed - drift) + 1_000)
    }
}
