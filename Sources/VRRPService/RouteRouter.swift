// SPDX-License-Identifier: Apache-2.0
//
// A virtual router with `announce: route`: no election, no adverts. While the node can serve, the
// addresses are on a device whose routes a routing daemon exports; before they leave it they move
// to the ordinary device, so that what is under way finds an address until the routers learn.

public import EventLoop
internal import LinuxIO
public import Telemetry
internal import VRRPCore
public import WireCore

/// Announces the addresses of one entry and family by a route.
public final class RouteRouter {
    /// How long the addresses stay on the ordinary device after a fault withdrew the route: BIRD
    /// and the routers need a moment, and a reset in it would be for nothing.
    public static let faultLingerSpan = TimeSpan.seconds(1)
    /// How long a refused address keeps the route away.
    public static let faultRetryDelay = TimeSpan.seconds(1)

    /// Where addresses can be.
    public struct Ports {
        /// The device whose routes are exported.
        public var exported: any VirtualAddressControl
        /// The device whose routes nobody exports.
        public var ordinary: any VirtualAddressControl

        /// Names the ports.
        public init(
            exported: any VirtualAddressControl, ordinary: any VirtualAddressControl
        ) {
            self.exported = exported
            self.ordinary = ordinary
        }
    }

    /// Numbers and status for other threads.
    public let report: SpeakerReport
    /// The router's name.
    public let instance: VirtualRouterInstance
    /// Called after each change, on the loop's thread.
    public var onStateChange: ((SpeakerStateChange) -> Void)?

    private let loop: EventLoop
    private let logger: Logger
    private let exported: AddressKeeper
    private let ordinary: AddressKeeper
    private var status: SpeakerStatus
    private var faults: Set<LocalFault> = []
    private var isStarted = false
    private var lingerTimer: TimerID?
    private var retryTimer: TimerID?

    /// Makes a router that announces nothing before `start`.
    public init(
        instance: VirtualRouterInstance, addresses: [IPAddress], lease: TimeSpan, ports: Ports,
        loop: EventLoop, logger: Logger
    ) {
        self.instance = instance
        self.loop = loop
        self.logger = logger
        let status = SpeakerStatus(route: instance, addresses: addresses)
        let report = SpeakerReport(status)
        self.status = status
        self.report = report
        exported = AddressKeeper(
            addresses, lease: lease, control: ports.exported, counters: report.lease,
            label: "\(instance) route", loop: loop, logger: logger)
        ordinary = AddressKeeper(
            addresses, lease: lease, control: ports.ordinary, counters: report.lease,
            label: "\(instance) draining", loop: loop, logger: logger)
        exported.owner = self
        ordinary.owner = self
    }

    /// The present status; on the loop's thread only, others read `report`.
    public var currentStatus: SpeakerStatus { status }

    /// Whether the route is there; on the loop's thread only.
    public var isAnnounced: Bool { exported.isHolding }

    /// Announces the addresses as soon as no fault is present.
    public func start() {
        isStarted = true
        announceIfAble(because: .startup)
    }

    /// Withdraws the route; the addresses stay, unexported, until `leave`.
    public func withdraw() {
        isStarted = false
        withdraw(because: .shutdown)
        cancelLinger()
    }

    /// Removes the addresses from this node, withdrawing the route first.
    public func leave() {
        withdraw()
        ordinary.release()
        noteHeld()
    }

    /// Says whether a fault keeps this node from serving.
    public func setFault(_ fault: LocalFault, isPresent: Bool) {
        if isPresent {
            guard faults.insert(fault).inserted else { return }
        } else {
            guard faults.remove(fault) != nil else { return }
        }
        status.faults = LocalFault.allCases.filter(faults.contains)
        if faults.isEmpty {
            announceIfAble(because: .startup)
        } else if exported.isHolding {
            withdraw(because: .localFault)
            linger()
        }
        report.publish(status)
    }

    /// Somebody may have removed the addresses: puts back what is missing.
    public func checkAddresses() {
        exported.check()
        ordinary.check()
    }

    /// Forgets every timer; the addresses go with their devices.
    public func close() {
        exported.forget()
        ordinary.forget()
        cancelLinger()
        if let retryTimer { loop.cancel(retryTimer) }
        retryTimer = nil
    }

    // MARK: Details

    private func announceIfAble(because cause: VirtualRouterTransition.Cause) {
        guard isStarted, faults.isEmpty, !exported.isHolding else { return }
        do throws(VirtualAddressError) {
            try exported.take()
        } catch {
            logger.error("[\(instance)] cannot announce the route: \(error)")
            // Those that were added before the refused one.
            exported.release()
            refused()
            return
        }
        cancelLinger()
        if ordinary.isHolding { ordinary.release() }
        change(to: .active, because: cause)
    }

    private func withdraw(because cause: VirtualRouterTransition.Cause) {
        guard exported.isHolding else { return }
        do throws(VirtualAddressError) {
            try ordinary.take()
        } catch {
            // Connections lose their address with the route: no worse than without draining.
            logger.warning("[\(instance)] the addresses cannot stay for draining: \(error)")
        }
        exported.release()
        change(to: .initialize, because: cause)
    }

    private func linger() {
        cancelLinger()
        lingerTimer = loop.schedule(at: Clock.now() + Self.faultLingerSpan) { [weak self] in
            guard let self else { return }
            lingerTimer = nil
            ordinary.release()
            noteHeld()
        }
    }

    private func cancelLinger() {
        if let lingerTimer { loop.cancel(lingerTimer) }
        lingerTimer = nil
    }

    private func change(
        to state: VirtualRouterState, because cause: VirtualRouterTransition.Cause
    ) {
        let transition = VirtualRouterTransition(from: status.state, to: state, cause: cause)
        report.transitions.add()
        status.state = state
        status.since = .now()
        status.cause = cause
        noteHeld()
        let reason = status.faults.first?.explanation ?? cause.rawValue
        logger.info(
            state == .active
                ? "[\(instance)] announced: the addresses are on the exported device"
                : "[\(instance)] withdrawn: \(reason)",
            ["cause": cause.rawValue])
        onStateChange?(
            SpeakerStateChange(
                instance: instance, transition: transition, addresses: status.addresses,
                isLingering: ordinary.isHolding, failover: nil))
    }

    private func noteHeld() {
        status.heldAddresses =
            exported.isHolding || ordinary.isHolding ? status.addresses : []
        status.isLingering = ordinary.isHolding
        report.publish(status)
    }

    /// Stays out of service for a while and tries again.
    private func refused() {
        setFault(.addressRefused, isPresent: true)
        if let retryTimer { loop.cancel(retryTimer) }
        retryTimer = loop.schedule(at: Clock.now() + Self.faultRetryDelay) { [weak self] in
            self?.retryTimer = nil
            self?.setFault(.addressRefused, isPresent: false)
        }
    }
}

extension RouteRouter: AddressKeeperOwner {
    func addressKeeperWillRenew() -> Bool { true }

    func addressKeeperPutBack() {}

    func addressKeeperLost() {
        guard exported.isHolding else {
            ordinary.release()
            noteHeld()
            return
        }
        refused()
    }
}
