// SPDX-License-Identifier: Apache-2.0
//
// The trackers of the pair thread, and what all trackers add up to. Asks interfaces, witness and
// workers itself, takes the results of the control thread, and hands on verdicts; the hysteresis is
// VRRPCore's.

public import ConfigurationCore
public import EventLoop
internal import LinuxIO
internal import NetlinkIO
public import Telemetry
public import VRRPCore
public import WireCore

/// Watches whether this node should serve; belongs to the pair thread.
public final class PairTracking {
    /// How often the workers are looked at.
    public static let workerLookInterval = TimeSpan.milliseconds(100)
    /// The shortest stall that can be told from an idle worker, which turns every 100 ms.
    public static let workerStallMin = TimeSpan.milliseconds(300)

    /// Called after each change of the verdict, on the loop's thread.
    public var onVerdict: ((TrackingVerdict) -> Void)?
    /// Numbers and states for other threads.
    public let report: TrackingMetrics

    private let track: TrackingConfiguration
    private let loop: EventLoop
    private let logger: Logger
    private let isDataPlaneStalled: (TimeSpan) -> Bool
    private var machine: TrackingStateMachine
    private var watch: InterfaceWatch?
    private var gateway: GatewayTracker?
    private var workerTimer: TimerID?
    private var deadlineTimer: (deadline: Instant, timer: TimerID)?
    private let openProbe: ProbeOpening

    /// Opens a probe of an address on an interface, asking from an own address if there is one.
    typealias ProbeOpening =
        (NetworkLink, _ target: IPAddress, _ own: IPAddress?) throws(Errno) -> any WitnessProbe

    /// Makes a watch that has seen nothing yet.
    ///
    /// - Parameters:
    ///   - track: what is watched.
    ///   - loop: the loop of the calling thread.
    ///   - logger: speaks as `track`.
    ///   - isDataPlaneStalled: whether a worker made no progress for so long.
    public convenience init(
        track: TrackingConfiguration, loop: EventLoop, logger: Logger,
        isDataPlaneStalled: @escaping (TimeSpan) -> Bool
    ) {
        self.init(
            track: track, loop: loop, logger: logger, isDataPlaneStalled: isDataPlaneStalled
        ) { link, target, ownAddress throws(Errno) in
            try NeighborProbe(target: target, link: link, ownAddress: ownAddress, loop: loop)
        }
    }

    init(
        track: TrackingConfiguration, loop: EventLoop, logger: Logger,
        isDataPlaneStalled: @escaping (TimeSpan) -> Bool, openProbe: @escaping ProbeOpening
    ) {
        self.track = track
        self.loop = loop
        self.logger = logger
        self.isDataPlaneStalled = isDataPlaneStalled
        self.openProbe = openProbe
        machine = TrackingStateMachine(trackers: track.trackers)
        report = TrackingMetrics()
        publish()
    }

    /// What the trackers say now.
    public var verdict: TrackingVerdict { machine.verdict }

    /// Every tracker, in configured order.
    public var statuses: [TrackerStatus] {
        machine.states.map { settings, state, detail in
            TrackerStatus(
                identity: settings.identity, effect: settings.effect, state: state,
                detail: state == .failing ? detail : "")
        }
    }

    /// Begins to watch; the first verdict comes before this returns when it is not an empty one.
    ///
    /// - Throws: when the kernel refuses to tell of interfaces that are to be watched.
    public func start() throws(VirtualRouterSetUpError) {
        if machine.verdict != TrackingVerdict() { onVerdict?(machine.verdict) }
        makeGateway()
        try startWatch()
        gateway?.start()
        lookAtWorkers()
    }

    /// Ends everything without another verdict.
    public func stop() {
        watch?.stop()
        watch = nil
        gateway?.stop()
        gateway = nil
        for timer in [workerTimer, deadlineTimer?.timer].compactMap(\.self) { loop.cancel(timer) }
        workerTimer = nil
        deadlineTimer = nil
    }

    /// Takes a result, also of a tracker that another thread drives.
    public func take(_ result: TrackedResult) {
        report.count(result)
        step {
            $0.resultReceived(
                result.identity, isGood: result.isGood, detail: result.detail, now: $1, into: &$2)
        }
    }

    // MARK: The drivers

    private func startWatch() throws(VirtualRouterSetUpError) {
        var names = track.interfaces.map(\.name)
        if let gateway = track.gateway { names.append(gateway.interface) }
        guard !names.isEmpty else { return }
        let watch: InterfaceWatch
        do throws(NetlinkError) {
            watch = try InterfaceWatch(names: names, loop: loop) { [weak self] name, link in
                self?.interfaceReported(name, link)
            }
        } catch {
            throw .netlink(error)
        }
        self.watch = watch
        do throws(Errno) {
            try watch.start()
        } catch {
            throw .socket("netlink socket", error)
        }
    }

    private func interfaceReported(_ name: String, _ link: NetworkLink?) {
        if name == track.gateway?.interface { gateway?.update(link: link) }
        guard track.interfaces.contains(where: { $0.name == name }) else { return }
        let detail: String
        switch link {
        case nil: detail = "there is no such interface"
        case .some(let link) where !link.isUp: detail = "switched off"
        case .some(let link): detail = link.hasCarrier ? "" : "no carrier"
        }
        take(
            TrackedResult(
                TrackerIdentity(.interface, name), isGood: detail.isEmpty, detail: detail))
    }

    private func makeGateway() {
        guard let tracked = track.gateway else { return }
        gateway = GatewayTracker(
            gateway: tracked, loop: loop,
            open: { [weak self, openProbe] link throws(Errno) in
                let own = self?.watch?.ownAddress(towards: tracked.address, on: link)
                return try openProbe(link, tracked.address, own)
            },
            report: { [weak self] in self?.take($0) })
    }

    private func lookAtWorkers() {
        let limit = max(track.workerStall, Self.workerStallMin)
        let isStalled = isDataPlaneStalled(limit)
        take(
            TrackedResult(
                .workers, isGood: !isStalled,
                detail: isStalled ? "a worker made no progress for \(limit)" : ""))
        workerTimer = loop.schedule(after: Self.workerLookInterval) { [weak self] in
            self?.lookAtWorkers()
        }
    }

    // MARK: Performing

    private func step(
        _ event: (inout TrackingStateMachine, Instant, inout [TrackingAction]) -> Void
    ) {
        var actions: [TrackingAction] = []
        event(&machine, Clock.now(), &actions)
        arm()
        guard !actions.isEmpty else { return }
        publish()
        for action in actions { perform(action) }
    }

    private func perform(_ action: TrackingAction) {
        switch action {
        case .verdictChanged(let verdict):
            onVerdict?(verdict)
        case .report(let tracker):
            logger.log(
                tracker.state == .failing ? .warning : .info, tracker.description,
                ["held_back": String(tracker.suppressedCount)])
        }
    }

    private func publish() {
        report.publish(statuses, machine.verdict)
    }

    private func arm() {
        let deadline = machine.nextDeadline
        guard deadline != deadlineTimer?.deadline else { return }
        if let deadlineTimer { loop.cancel(deadlineTimer.timer) }
        deadlineTimer = deadline.map { deadline in
            let timer = loop.schedule(at: deadline) { [weak self] in
                self?.deadlineTimer = nil
                self?.step { $0.timePassed(now: $1, into: &$2) }
            }
            return (deadline, timer)
        }
    }
}
