// SPDX-License-Identifier: Apache-2.0
//
// All virtual routers of this node and what they share: the devices, the interfaces, the kernel's
// notifications. Makes the parts, passes events on; decides nothing.

public import ConfigurationCore
public import EventLoop
public import LinuxIO
internal import NetlinkIO
public import Telemetry
public import VRRPCore
public import WireCore

/// Runs every virtual router of this node on one loop.
public final class VirtualRouterGroup {
    /// When to look again at an interface whose sockets could not be opened.
    static let reviewRetryDelay = TimeSpan.seconds(1)
    /// How long a node that ran late reads what waits on the link before it acts on orders there.
    static let oldWordsSpan = TimeSpan.milliseconds(5)
    /// Names of the device whose routes are exported begin with this.
    public static let routeDevicePrefix = "tandem-rt"

    /// One speaker per virtual router with an election, in configured order, IPv4 before IPv6.
    public private(set) var speakers: [Speaker] = []
    /// One router per entry and family without an election.
    public private(set) var routeRouters: [RouteRouter] = []
    /// The device of everybody, and its addresses.
    public let holder: VirtualAddressHolder
    /// The device whose routes are exported; `nil` when nobody needs it.
    public let routeHolder: VirtualAddressHolder?
    /// Called after each change of a virtual router, on the loop's thread.
    public var onStateChange: ((SpeakerStateChange) -> Void)?
    /// Called before addresses that were here quietly are announced.
    public var onWillBeLoud: ((VirtualRouterInstance, [IPAddress]) -> Void)?
    /// Called when a heartbeat is to go at once: this node does not know whether it was replaced.
    public var onQuestion: (() -> Void)?
    /// Called when this node serves with a lowered priority and the other node would serve better:
    /// with the virtual routers to hand over.
    public var onHandoverWanted: (([VirtualRouterInstance]) -> Void)?

    /// What signed adverts name as the life of this process; `nil` when none is signed.
    public private(set) var bootNonce: UInt64?
    /// Speakers that move together; every speaker is in one team, alone if need be.
    private(set) var teams: [[Speaker]] = []
    /// One adviser per team.
    var advice: [HandoverAdvice] = []

    let netlink: NetlinkSocket
    let monitor: NetlinkMonitor
    var interfaces: [RouterInterface] = []
    var strays: StrayAddressWatch
    let loop: EventLoop
    let logger: Logger
    private let pair: PairConfiguration
    private let node: NodeConfiguration
    private var syncGroups: [SpeakerTeam] = []
    private var monitorSource: EventSource?
    private var isReviewWaiting = false
    var isQuestionWaiting = false
    /// Until when what the link says may have waited in its socket while this node did not run.
    var oldWordsEnd = Instant(nanoseconds: 0)

    /// Opens everything that a takeover will need; no packet leaves before `start`.
    ///
    /// - Parameters:
    ///   - pair: the pair.
    ///   - node: this node.
    ///   - peer: the other node; `nil` when there is none, or more than one.
    ///   - plan: where the TUN's descriptor goes; `nil` for any number.
    ///   - key: proves adverts; needed where a virtual router signs them.
    ///   - loop: the loop of the calling thread.
    ///   - logger: speaks as `vrrp`.
    /// - Throws: when an interface is missing or a capability is.
    public init(
        pair: PairConfiguration, node: NodeConfiguration, peer: NodeConfiguration?,
        plan: DescriptorPlan?, key: AdvertisementKey? = nil, loop: EventLoop, logger: Logger
    ) throws(VirtualRouterSetUpError) {
        self.pair = pair
        self.node = node
        self.loop = loop
        self.logger = logger
        strays = StrayAddressWatch(logger: logger)
        do throws(NetlinkError) {
            netlink = try NetlinkSocket()
            monitor = try NetlinkMonitor()
        } catch {
            throw .netlink(error)
        }
        let routed = pair.virtualRouters.filter { $0.announce == .route }
        do throws(VirtualAddressError) {
            holder = try VirtualAddressHolder(loop: loop, descriptorNumber: plan?.tunnel)
            routeHolder =
                routed.isEmpty
                ? nil : try VirtualAddressHolder(loop: loop, devicePrefix: Self.routeDevicePrefix)
            for router in pair.virtualRouters {
                try holder.prepare(router.addresses, lease: router.lease)
            }
            for router in routed {
                try routeHolder?.prepare(router.addresses, lease: router.lease)
            }
        } catch {
            throw .addresses(error)
        }
        try makeSpeakers(peer, key)
        try makeRouteRouters(routed)
        do throws(Errno) {
            monitorSource = try loop.add(monitor.descriptor, .readable, handler: self)
        } catch {
            throw .socket("netlink socket", error)
        }
        for device in [holder, routeHolder] {
            device?.onDeviceLost = { [weak self] in self?.deviceLost() }
        }
    }

    /// Takes the group off its loop; the virtual addresses go with their devices, no farewell.
    public func close() {
        if let monitorSource { loop.remove(monitorSource, of: monitor.descriptor) }
        monitorSource = nil
        for speaker in speakers { speaker.close() }
        for router in routeRouters { router.close() }
        holder.close()
        routeHolder?.close()
    }

    /// Starts all virtual routers.
    public func start() {
        reviewInterfaces()
        reviewAddresses()
        for speaker in speakers { speaker.start() }
        for router in routeRouters { router.start() }
    }

    /// Leaves: whoever is Active releases the addresses and sends priority 0, routes are withdrawn.
    public func shutDown() {
        for speaker in speakers { speaker.shutDown() }
        for router in routeRouters { router.leave() }
    }

    /// Withdraws the routes; their addresses stay until `shutDown`, so that connections can end.
    public func withdrawRoutes() {
        for router in routeRouters { router.withdraw() }
    }

    // MARK: Making

    private func makeSpeakers(
        _ peer: NodeConfiguration?, _ key: AdvertisementKey?
    ) throws(VirtualRouterSetUpError) {
        guard pair.virtualRouters.contains(where: { $0.announce == .lan }) else { return }
        guard let peer else { throw .noPeer }
        let authentication = key.map {
            AdvertisementAuthenticator(key: $0, bootNonce: Clock.wallNanoseconds())
        }
        if pair.virtualRouters.contains(where: { $0.authentication == .hmac }) {
            bootNonce = authentication?.bootNonce
        }
        let plans = InstancePlan.plans(pair: pair, node: node, peer: peer)
        var names: [String] = []
        for plan in plans where !names.contains(plan.team) { names.append(plan.team) }
        teams = names.map { _ in [] }
        for plan in plans {
            let isSigned = plan.router.authentication == .hmac
            if isSigned, key == nil { throw .noKey(virtualRouterID: plan.router.id) }
            let speaker = try interface(named: plan.instance.interface).addSpeaker(
                plan, isGrouped: plans.filter { $0.team == plan.team }.count > 1,
                // The first of its team in the order of the configuration, which both nodes share.
                decidesForGroup: plans.first { $0.team == plan.team }?.instance == plan.instance,
                authentication: isSigned ? authentication : nil, netlink: netlink)
            speaker.onStateChange = { [weak self] in self?.stateChanged($0) }
            speaker.onWillBeLoud = { [weak self] in
                self?.onWillBeLoud?(plan.instance, plan.addresses)
            }
            speaker.onQuestion = { [weak self] in self?.askSoon() }
            speakers.append(speaker)
            if let position = names.firstIndex(of: plan.team) { teams[position].append(speaker) }
        }
        advice = teams.map { _ in
            HandoverAdvice(heartbeatInterval: pair.link.heartbeatInterval)
        }
        syncGroups = teams.filter { $0.count > 1 }.map(SpeakerTeam.init)
    }

    private func makeRouteRouters(
        _ routed: [VirtualRouterConfiguration]
    ) throws(VirtualRouterSetUpError) {
        guard let routeHolder else { return }
        for router in routed {
            let interface = try interface(named: router.interface)
            for (instance, addresses) in InstancePlan.instances(of: router) {
                let made = RouteRouter(
                    instance: instance, addresses: addresses, lease: router.lease,
                    ports: RouteRouter.Ports(exported: routeHolder, ordinary: holder), loop: loop,
                    logger: logger)
                made.onStateChange = { [weak self] in self?.onStateChange?($0) }
                interface.add(made)
                routeRouters.append(made)
            }
        }
    }

    private func interface(
        named name: String
    ) throws(VirtualRouterSetUpError) -> RouterInterface {
        if let known = interfaces.first(where: { $0.name == name }) { return known }
        let link: NetworkLink
        do throws(NetlinkError) {
            link = try netlink.link(named: name)
        } catch {
            throw .netlink(error)
        }
        let made = RouterInterface(
            link, factory: SpeakerPortFactory(holder: holder, loop: loop, logger: logger),
            logger: logger)
        interfaces.append(made)
        return made
    }

    private func stateChanged(_ change: SpeakerStateChange) {
        if change.transition.to == .active { noteActive(change.instance) }
        onStateChange?(change)
    }

    // MARK: Reading the host anew

    /// Looks at every interface and the own addresses on it.
    func reviewInterfaces() {
        for interface in interfaces { review(interface) }
    }

    func review(_ interface: RouterInterface) {
        if !interface.review(netlink) { reviewSoon() }
    }

    /// The kernel tells of a change once: what could not be done then is tried again.
    private func reviewSoon() {
        guard !isReviewWaiting else { return }
        isReviewWaiting = true
        loop.schedule(after: Self.reviewRetryDelay) { [weak self] in
            self?.isReviewWaiting = false
            self?.reviewInterfaces()
            self?.reviewAddresses()
        }
    }

    /// Looks where our virtual addresses are and puts back what is missing.
    func reviewAddresses() {
        guard let present = try? netlink.addresses() else {
            reviewSoon()
            return
        }
        strays.keep(present)
        for found in present where !isOurDevice(found.interfaceIndex) {
            noticeAddress(found.address, found.prefixLength, interfaceIndex: found.interfaceIndex)
        }
        checkAddresses()
    }

    func checkAddresses() {
        for speaker in speakers { speaker.checkAddresses() }
        for router in routeRouters { router.checkAddresses() }
    }

    private func deviceLost() {
        logger.warning("somebody removed our device and the virtual addresses on it")
        checkAddresses()
    }

    // MARK: Addresses of ours on interfaces that are not ours

    func isOurDevice(_ interfaceIndex: Int) -> Bool {
        interfaceIndex == holder.interfaceIndex || interfaceIndex == routeHolder?.interfaceIndex
    }

    /// Whether we put this virtual address on an interface of the LAN.
    func isPlaced(_ address: IPAddress, on interfaceIndex: Int) -> Bool {
        interfaces.contains { $0.link.index == interfaceIndex && $0.carries(address) }
    }

    func noticeAddress(_ address: IPAddress, _ prefixLength: Int, interfaceIndex: Int) {
        guard !isPlaced(address, on: interfaceIndex), let report = report(of: address),
            let owner = try? netlink.link(index: interfaceIndex)
        else { return }
        let isNews = strays.notice(
            address, prefixLength: prefixLength, on: owner, netlink: netlink)
        if isNews { report.strayAddresses.add() }
    }

    /// Who counts a stray; `nil` for an address that is none of ours, or the owner's own.
    private func report(of address: IPAddress) -> SpeakerReport? {
        if let speaker = speakers.first(where: { $0.settings.addresses.contains(address) }) {
            // The owner of the addresses has them as its own (RFC 9568 §6.1, priority 255).
            let isOwn = speaker.settings.isOwner && address == speaker.settings.primaryAddress
            return isOwn ? nil : speaker.report
        }
        // A node that announces routes may have the address elsewhere on purpose: on loopback.
        return nil
    }
}
