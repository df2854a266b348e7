// SPDX-License-Identifier: Apache-2.0
//
// The driver of one virtual router: feeds its state machine and performs what comes back. Holds no
// protocol rule; those are VRRPCore's. Belongs to the thread of its loop.

public import ConfigurationCore
public import EventLoop
internal import LinuxIO
public import Telemetry
public import VRRPCore
public import WireCore

/// Speaks VRRP for one virtual router, holds its addresses and announces them.
public final class Speaker {
    /// Packets taken per wake-up, so that a flood cannot starve timers.
    public static let packetsPerWakeUpMax = 64
    /// Packets taken before silence is believed: more than a socket's default buffer can hold, so
    /// that an advert that waits behind a flood is heard before the verdict.
    public static let packetsBeforeVerdictMax = 1_024
    /// How long a refused address keeps the node out of service.
    public static let faultRetryDelay = TimeSpan.seconds(1)
    /// How soon a failed renewal is repeated.
    public static let renewalRetryDelay = TimeSpan.milliseconds(50)
    /// At most one repair of removed addresses in this time.
    public static let healInterval = TimeSpan.milliseconds(10)
    /// A lease is renewed at least this often.
    public static let renewalIntervalMax = TimeSpan.milliseconds(500)

    /// The speaker's way to the world.
    public struct Ports {
        /// Adverts.
        public var channel: any AdvertisementChannel
        /// Virtual addresses.
        public var addresses: any VirtualAddressControl
        /// Announcements.
        public var announcer: any AddressAnnouncing

        /// Names the ports.
        public init(
            channel: any AdvertisementChannel, addresses: any VirtualAddressControl,
            announcer: any AddressAnnouncing
        ) {
            self.channel = channel
            self.addresses = addresses
            self.announcer = announcer
        }
    }

    /// What the speaker must know beside the router's settings.
    public struct Surroundings: Hashable, Sendable {
        /// How adverts travel.
        public var transport: AdvertisementTransport
        /// The other node's own address.
        public var peerAddress: IPAddress
        /// Every VRID configured on the interface, the own one included.
        public var virtualRouterIDs: [UInt8]

        /// Describes the surroundings.
        public init(
            transport: AdvertisementTransport, peerAddress: IPAddress, virtualRouterIDs: [UInt8]
        ) {
            self.transport = transport
            self.peerAddress = peerAddress
            self.virtualRouterIDs = virtualRouterIDs
        }
    }

    /// Numbers and status for other threads.
    public let report: SpeakerReport
    /// Called after the effects of each state change, on the loop's thread.
    public var onStateChange: ((SpeakerStateChange) -> Void)?

    let settings: VirtualRouterSettings
    let surroundings: Surroundings
    let loop: EventLoop
    let logger: Logger
    let clock: SpeakerClock
    var ports: Ports
    var machine: VirtualRouterStateMachine
    var status: SpeakerStatus
    var faults: Set<LocalFault> = []
    var takeover: Takeover?
    var announcedDeath: (reason: FailoverRecord.Reason, detectedAt: Instant)?
    var renewedAt: Instant?
    var healedAt = Instant(nanoseconds: 0)
    var dropLimiters = DropLimiters()
    var healLimiter = LogRateLimiter()
    private var deadlineTimer: (deadline: Instant, timer: TimerID)?
    private var renewalTimer: TimerID?
    private var healTimer: TimerID?
    private var retryTimer: TimerID?

    /// Makes a speaker in Initialize; nothing happens before `start`.
    public convenience init(
        settings: VirtualRouterSettings, surroundings: Surroundings, ports: Ports,
        loop: EventLoop, logger: Logger
    ) {
        self.init(
            settings: settings, surroundings: surroundings, ports: ports, loop: loop,
            logger: logger, clock: SpeakerClock())
    }

    init(
        settings: VirtualRouterSettings, surroundings: Surroundings, ports: Ports,
        loop: EventLoop, logger: Logger, clock: SpeakerClock
    ) {
        self.clock = clock
        self.settings = settings
        self.surroundings = surroundings
        self.loop = loop
        self.logger = logger
        self.ports = ports
        machine = VirtualRouterStateMachine(settings: settings)
        status = SpeakerStatus(
            virtualRouterID: settings.virtualRouterID, since: .now(),
            priority: settings.priority, interval: settings.advertisementInterval,
            addresses: settings.addresses, counters: machine.counters)
        report = SpeakerReport(status)
        listen(on: ports.channel)
    }

    /// The present status; on the loop's thread only, others read `report`.
    public var currentStatus: SpeakerStatus { status }

    /// The state; on the loop's thread only.
    public var state: VirtualRouterState { machine.state }

    // MARK: Events from the owner

    /// Starts speaking.
    public func start() {
        step { $0.startupRequested(now: $1, into: &$2) }
    }

    /// Leaves: an Active releases the addresses and sends priority 0.
    public func shutDown() {
        step { $0.shutdownRequested(now: $1, into: &$2) }
    }

    /// Gives the addresses to the other node; ignored unless Active.
    public func switchOver() {
        step { $0.switchoverRequested(now: $1, into: &$2) }
    }

    /// The pair link proved that the other node's process is gone.
    public func peerProcessDied(detectedAt: Instant) {
        announcedDeath = (.peerProcessDead, detectedAt)
        let peer = surroundings.peerAddress
        step { $0.peerDeathProven(address: peer, now: $1, into: &$2) }
        announcedDeath = nil
    }

    /// The other node said on the pair link that it has released the addresses.
    ///
    /// - Parameters:
    ///   - reason: `peerLeft` or `switchover`.
    ///   - detectedAt: when the message came.
    public func peerReleasedAddresses(because reason: FailoverRecord.Reason, detectedAt: Instant) {
        announcedDeath = (reason, detectedAt)
        let peer = surroundings.peerAddress
        step { $0.peerHandedOver(address: peer, now: $1, into: &$2) }
        announcedDeath = nil
    }

    /// Says whether a fault keeps this node from serving; the router runs while there is none.
    public func setFault(_ fault: LocalFault, isPresent: Bool) {
        let wasFaulty = !faults.isEmpty
        if isPresent {
            guard faults.insert(fault).inserted else { return }
            status.faults = LocalFault.allCases.filter(faults.contains)
            if wasFaulty { publish() } else { step { $0.localFaultDetected(now: $1, into: &$2) } }
        } else {
            guard faults.remove(fault) != nil else { return }
            status.faults = LocalFault.allCases.filter(faults.contains)
            if faults.isEmpty {
                step { $0.localFaultCleared(now: $1, into: &$2) }
            } else {
                publish()
            }
        }
    }

    /// Somebody may have removed the addresses: puts back what is missing and announces it.
    public func checkAddresses() {
        step()
        guard machine.state == .active, healTimer == nil else { return }
        let allowedAt = healedAt + Self.healInterval
        guard Clock.now() < allowedAt else {
            heal()
            return
        }
        healTimer = loop.schedule(at: allowedAt) { [weak self] in
            self?.healTimer = nil
            self?.checkAddresses()
        }
    }

    /// Closes the socket and forgets every timer, without a farewell: `shutDown` comes first.
    public func close() {
        for timer in [deadlineTimer?.timer, renewalTimer, healTimer, retryTimer] {
            if let timer { loop.cancel(timer) }
        }
        ports.announcer.close()
        ports.channel.close()
    }

    /// Goes on with other ports, for example after the interface was made anew.
    public func replacePorts(channel: any AdvertisementChannel, announcer: any AddressAnnouncing) {
        ports.channel.close()
        ports.announcer.close()
        ports.channel = channel
        ports.announcer = announcer
        listen(on: channel)
    }

    // MARK: Wake-ups

    /// What every wake-up does: hear, look at the clock, then let the event happen.
    func step(
        _ event: (inout VirtualRouterStateMachine, Instant, inout [VirtualRouterAction]) -> Void = {
            _, _, _ in
        }
    ) {
        hear()
        run { $0.timerFired(now: $1, into: &$2) }
        run(event)
        arm()
        publish()
    }

    func run(
        _ event: (inout VirtualRouterStateMachine, Instant, inout [VirtualRouterAction]) -> Void
    ) {
        var actions: [VirtualRouterAction] = []
        let now = Clock.now()
        event(&machine, clock.machineTime(now), &actions)
        perform(actions, decidedAt: now)
    }

    func publish() {
        status.counters = machine.counters
        report.publish(status)
    }

    private func listen(on channel: any AdvertisementChannel) {
        channel.onReadable = { [weak self] in self?.step() }
    }

    private func hear() {
        let isVerdictDue =
            machine.state == .backup
            && (machine.nextDeadline ?? .distantFuture) <= clock.machineTime(Clock.now())
        let limit = isVerdictDue ? Self.packetsBeforeVerdictMax : Self.packetsPerWakeUpMax
        for _ in 0..<limit {
            guard let packet = ports.channel.receive() else { return }
            take(packet.bytes)
        }
    }

    private func arm() {
        let deadline = machine.nextDeadline.map(clock.monotonicTime)
        guard deadline != deadlineTimer?.deadline else { return }
        if let deadlineTimer { loop.cancel(deadlineTimer.timer) }
        deadlineTimer = deadline.map { deadline in
            let timer = loop.schedule(at: deadline) { [weak self] in
                self?.deadlineTimer = nil
                self?.step()
            }
            return (deadline, timer)
        }
    }

    // MARK: Timers of the actions

    /// How often the lease is renewed: a core may stall for the rest of it.
    var renewalInterval: TimeSpan {
        min(Self.renewalIntervalMax, settings.addressLease.divided(by: 4))
    }

    func scheduleRenewal(after delay: TimeSpan) {
        cancelRenewal()
        renewalTimer = loop.schedule(at: Clock.now() + delay) { [weak self] in
            self?.renewalTimer = nil
            self?.renew()
        }
    }

    func cancelRenewal() {
        if let renewalTimer { loop.cancel(renewalTimer) }
        renewalTimer = nil
    }

    func cancelHeal() {
        if let healTimer { loop.cancel(healTimer) }
        healTimer = nil
    }

    func retryRefusedAddresses() {
        if let retryTimer { loop.cancel(retryTimer) }
        retryTimer = loop.schedule(at: Clock.now() + Self.faultRetryDelay) { [weak self] in
            self?.retryTimer = nil
            self?.setFault(.addressRefused, isPresent: false)
        }
    }
}
