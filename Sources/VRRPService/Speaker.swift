// SPDX-License-Identifier: Apache-2.0
//
// The driver of one virtual router: feeds its state machine and performs what comes back. Holds no
// protocol rule; those are VRRPCore's. Belongs to the thread of its loop.

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
    /// How long a refused address keeps the node out of service; twice as long each time in a row.
    public static let faultRetryDelay = TimeSpan.seconds(1)
    /// The longest such time: a preempting node would move the addresses to and fro.
    public static let faultRetryDelayMax = TimeSpan.seconds(64)

    /// The speaker's way to the world.
    public struct Ports {
        /// Adverts.
        public var channel: any AdvertisementChannel
        /// Virtual addresses.
        public var addresses: any VirtualAddressControl
        /// Announcements and answers.
        public var announcer: any AddressAnnouncing
        /// Asks who else has the addresses; `nil` asks nobody.
        public var prober: (any AddressProbing)?

        /// Names the ports.
        public init(
            channel: any AdvertisementChannel, addresses: any VirtualAddressControl,
            announcer: any AddressAnnouncing, prober: (any AddressProbing)? = nil
        ) {
            self.channel = channel
            self.addresses = addresses
            self.announcer = announcer
            self.prober = prober
        }
    }

    /// Numbers and status for other threads.
    public let report: SpeakerReport
    /// The virtual router's name.
    public let instance: VirtualRouterInstance
    /// Called after the effects of each state change, on the loop's thread.
    public var onStateChange: ((SpeakerStateChange) -> Void)?
    /// Called before addresses that were here quietly are announced: whoever silenced them outside
    /// of this process ends that.
    public var onWillBeLoud: (() -> Void)?
    /// Called when the other node is to be asked whether it has replaced this one: with the next
    /// heartbeat, which is to go at once.
    public var onQuestion: (() -> Void)?

    let surroundings: SpeakerSurroundings
    let loop: EventLoop
    let logger: Logger
    let clock: SpeakerClock
    let keeper: AddressKeeper
    var ports: Ports
    var machine: VirtualRouterStateMachine
    var decoder: AdvertisementDecoder
    var signer: AdvertisementSigner?
    var status: SpeakerStatus
    var faults: Set<LocalFault> = []
    /// What moves together with this speaker; `nil` when it stands alone.
    weak var team: SpeakerTeam?
    /// The position among the team's members.
    var teamIndex = 0
    var takeover: Takeover?
    /// Another member of the group cannot serve, so this one does not.
    var isGroupFaulty = false
    var announcedDeath: (reason: FailoverRecord.Reason, detectedAt: Instant)?
    var dropLimiters = DropLimiters()
    /// Whoever forges adverts can cause transitions: ten lines at once, then one a second.
    var transitionLog = LogRateLimiter(burstCount: 10, interval: .seconds(1))
    var probeTimers: [TimerID] = []
    /// The other node's own address, where it is not configured and adverts told.
    var learnedPeerAddress: IPAddress?
    /// Whether the addresses are here quietly, before or after this node was Active.
    var isQuiet = false
    private(set) var isStepping = false
    private var deadlineTimer: (deadline: Instant, timer: TimerID)?
    private var retryTimer: TimerID?
    /// When the other node was last to be asked whether it has replaced this one.
    var askedAt: Instant?
    /// Tells this life of the process from others on the link.
    let claimSalt: UInt32
    /// Refused addresses in a row.
    var refusalCount = 0

    /// Makes a speaker in Initialize; nothing happens before `start`.
    public convenience init(
        settings: VirtualRouterSettings, surroundings: SpeakerSurroundings, ports: Ports,
        loop: EventLoop, logger: Logger
    ) {
        self.init(
            settings: settings, surroundings: surroundings, ports: ports, loop: loop,
            logger: logger, clock: SpeakerClock())
    }

    init(
        settings: VirtualRouterSettings, surroundings: SpeakerSurroundings, ports: Ports,
        loop: EventLoop, logger: Logger, clock: SpeakerClock
    ) {
        self.clock = clock
        self.surroundings = surroundings
        self.loop = loop
        self.logger = logger
        self.ports = ports
        instance = surroundings.instance
        claimSalt = UInt32(truncatingIfNeeded: RandomBytes.seed())
        machine = VirtualRouterStateMachine(settings: settings)
        decoder = AdvertisementDecoder(surroundings.policy(settings))
        signer = surroundings.authentication?.makeSigner()
        status = SpeakerStatus(
            settings: settings, surroundings: surroundings, counters: machine.counters)
        report = SpeakerReport(status)
        keeper = AddressKeeper(
            settings.addresses, lease: settings.addressLease, control: ports.addresses,
            counters: report.lease, label: surroundings.label, loop: loop, logger: logger)
        keeper.owner = self
        listen()
    }

    /// What the machine was told once and for all.
    var settings: VirtualRouterSettings { machine.settings }

    /// The present status; on the loop's thread only, others read `report`.
    public var currentStatus: SpeakerStatus { status }

    /// The state; on the loop's thread only.
    public var state: VirtualRouterState { machine.state }

    // MARK: Wake-ups

    /// What every wake-up does: hear, look at the clock, then let the event happen.
    func step(
        afterHearing word: (
            inout VirtualRouterStateMachine, Instant, inout [VirtualRouterAction]
        ) -> Void = { _, _, _ in },
        _ event: (inout VirtualRouterStateMachine, Instant, inout [VirtualRouterAction]) -> Void = {
            _, _, _ in
        }
    ) {
        isStepping = true
        hear()
        run(word)
        run { $0.timerFired(now: $1, into: &$2) }
        run(event)
        isStepping = false
        arm()
        publish()
    }

    /// Lets one event happen and performs what it causes, the group's part included.
    func run(
        _ event: (inout VirtualRouterStateMachine, Instant, inout [VirtualRouterAction]) -> Void
    ) {
        var actions: [VirtualRouterAction] = []
        let now = Clock.now()
        event(&machine, clock.machineTime(now), &actions)
        guard !actions.isEmpty else { return }
        team?.note(actions, of: teamIndex)
        perform(actions, decidedAt: now)
        team?.run()
    }

    /// Lets an event of the group happen, in the middle of a wake-up of this speaker or not.
    func obey(
        _ event: (inout VirtualRouterStateMachine, Instant, inout [VirtualRouterAction]) -> Void
    ) {
        guard isStepping else {
            step(event)
            return
        }
        run(event)
    }

    func publish() {
        readMachine()
        report.publish(status)
    }

    private func listen() {
        ports.channel.onReadable = { [weak self] in self?.step() }
        ports.prober?.onConflict = { [weak self] address, mac in
            self?.step { $0.addressConflictSeen(mac, address: address, now: $1, into: &$2) }
        }
    }

    private func hear() {
        let isVerdictDue =
            machine.state == .backup
            && (machine.nextDeadline ?? .distantFuture) <= clock.machineTime(Clock.now())
        let limit = isVerdictDue ? Self.packetsBeforeVerdictMax : Self.packetsPerWakeUpMax
        for _ in 0..<limit {
            guard let packet = ports.channel.receive() else { return }
            take(packet)
        }
    }

    private func arm() {
        let deadline = machine.nextDeadline.map(clock.monotonicTime)
        guard deadline != deadlineTimer?.deadline else { return }
        if let deadlineTimer { loop.cancel(deadlineTimer.timer) }
        deadlineTimer = deadline.map { deadline in
            let timer = loop.schedule(at: deadline) { [weak self] in
                guard let self else { return }
                deadlineTimer = nil
                report.lateness.observe(Clock.now() - deadline, in: machine.state)
                step()
            }
            return (deadline, timer)
        }
    }

    // MARK: Ports

    /// Goes on with other ports: the interface was made anew or the own address changed.
    ///
    /// - Parameters:
    ///   - ports: the new ports; the addresses stay where they are.
    ///   - ownAddress: where adverts come from.
    ///   - linkLocal: the interface's link-local address, which IPv6 adverts carry.
    func replacePorts(_ ports: Ports, ownAddress: IPAddress?, linkLocal: IPAddress?) {
        closePorts()
        self.ports = ports
        if let ownAddress { machine.primaryAddressChanged(to: ownAddress) }
        status.ownAddress = ownAddress
        status.linkLocal = linkLocal
        decoder.policy = surroundings.policy(settings)
        listen()
        guard keeper.isHolding else { return }
        ports.announcer.isQuiet = isQuiet
        ports.announcer.hold(settings.addresses)
        guard machine.state == .active else { return }
        ports.prober?.watch(settings.addresses)
        announce()
    }

    /// Closes the sockets; until there are others nothing is heard.
    func closePorts() {
        cancelProbes()
        ports.announcer.close()
        ports.prober?.close()
        ports.channel.close()
    }

    /// Closes the socket and forgets every timer, without a farewell: `shutDown` comes first.
    public func close() {
        for timer in [deadlineTimer?.timer, retryTimer] {
            if let timer { loop.cancel(timer) }
        }
        deadlineTimer = nil
        retryTimer = nil
        keeper.forget()
        closePorts()
    }

    /// Stays out of service for a while and tries the addresses again.
    func refuse() {
        if let retryTimer { loop.cancel(retryTimer) }
        let delay = min(
            Self.faultRetryDelay.multiplied(by: 1 << UInt64(min(refusalCount, 6))),
            Self.faultRetryDelayMax)
        refusalCount += 1
        retryTimer = loop.schedule(at: Clock.now() + delay) { [weak self] in
            self?.retryTimer = nil
            self?.setFault(.addressRefused, isPresent: false)
        }
        setFault(.addressRefused, isPresent: true)
    }
}
