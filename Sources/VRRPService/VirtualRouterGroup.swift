// SPDX-License-Identifier: Apache-2.0
//
// All virtual routers of this node and what they share: the TUN, the interface, the kernel's
// notifications. Makes the parts, passes events on; decides nothing.

public import ConfigurationCore
public import EventLoop
public import LinuxIO
public import NetlinkIO
public import Telemetry
public import VRRPCore
public import WireCore

/// Why the virtual routers of a node cannot be set up.
public enum VirtualRouterSetUpError: Error, Hashable, Sendable {
    /// The interface is missing or netlink is refused.
    case netlink(NetlinkError)
    /// A socket was refused; the text names it.
    case socket(String, Errno)
    /// The device for the addresses was refused.
    case addresses(VirtualAddressError)
    /// The configuration of a virtual router is out of range.
    case settings(virtualRouterID: UInt8, VirtualRouterSettings.Problem)
}

extension VirtualRouterSetUpError: CustomStringConvertible {
    /// What failed and the kernel's words.
    public var description: String {
        switch self {
        case .netlink(let error): error.description
        case .socket(let what, let error): "open \(what): \(error)"
        case .addresses(let error): error.description
        case .settings(let id, let problem): "virtual router \(id): \(problem)"
        }
    }
}

/// Runs every virtual router of this node on one loop.
public final class VirtualRouterGroup {
    /// When to look again at an interface whose sockets could not be opened.
    static let reviewRetryDelay = TimeSpan.seconds(1)

    /// One speaker per virtual router, in configured order.
    public private(set) var speakers: [Speaker] = []
    /// The device and its addresses.
    public let holder: VirtualAddressHolder

    /// One of our addresses on an interface that is not ours.
    private struct Stray: Hashable {
        var address: IPAddress
        var interfaceIndex: Int
    }

    private let pair: PairConfiguration
    private let node: NodeConfiguration
    private let peer: NodeConfiguration
    private let loop: EventLoop
    private let logger: Logger
    private let netlink: NetlinkSocket
    private let monitor: NetlinkMonitor
    private var monitorSource: EventSource?
    private var link: NetworkLink
    private var announcers: [Announcer] = []
    private var strays: Set<Stray> = []
    private var strayLimiter = LogRateLimiter()
    private var isReviewWaiting = false

    /// Opens everything that a takeover will need; no packet leaves before `start`.
    ///
    /// - Parameters:
    ///   - pair: the pair.
    ///   - node: this node.
    ///   - peer: the other node.
    ///   - plan: where the TUN's descriptor goes; `nil` for any number.
    ///   - loop: the loop of the calling thread.
    ///   - logger: speaks as `vrrp`.
    /// - Throws: when the interface is missing or a capability is.
    public init(
        pair: PairConfiguration, node: NodeConfiguration, peer: NodeConfiguration,
        plan: DescriptorPlan?, loop: EventLoop, logger: Logger
    ) throws(VirtualRouterSetUpError) {
        self.pair = pair
        self.node = node
        self.peer = peer
        self.loop = loop
        self.logger = logger
        do throws(NetlinkError) {
            netlink = try NetlinkSocket()
            monitor = try NetlinkMonitor()
            link = try netlink.link(named: pair.interface)
        } catch {
            throw .netlink(error)
        }
        do throws(VirtualAddressError) {
            holder = try VirtualAddressHolder(loop: loop, descriptorNumber: plan?.tunnel)
            for router in pair.virtualRouters {
                try holder.prepare(router.addresses, lease: router.lease)
            }
        } catch {
            throw .addresses(error)
        }
        for router in pair.virtualRouters { speakers.append(try makeSpeaker(router)) }
        do throws(Errno) {
            monitorSource = try loop.add(monitor.descriptor, .readable, handler: self)
        } catch {
            throw .socket("netlink socket", error)
        }
        holder.onDeviceLost = { [weak self] in self?.deviceLost() }
    }

    /// Takes the group off its loop; the virtual addresses go with the TUN, without a farewell.
    public func close() {
        if let monitorSource { loop.remove(monitorSource, of: monitor.descriptor) }
        monitorSource = nil
        for speaker in speakers { speaker.close() }
        holder.close()
    }

    /// Starts all virtual routers.
    public func start() {
        reviewInterface()
        reviewAddresses()
        for speaker in speakers { speaker.start() }
    }

    /// Leaves: whoever is Active releases the addresses and sends priority 0.
    public func shutDown() {
        for speaker in speakers { speaker.shutDown() }
    }

    /// Gives all addresses to the other node.
    public func switchOver() {
        for speaker in speakers { speaker.switchOver() }
    }

    /// The pair link proved that the other node's process is gone.
    public func peerProcessDied(detectedAt: Instant) {
        for speaker in speakers { speaker.peerProcessDied(detectedAt: detectedAt) }
    }

    /// The other node said on the pair link that it has released its addresses.
    public func peerReleasedAddresses(because reason: FailoverRecord.Reason, detectedAt: Instant) {
        for speaker in speakers {
            speaker.peerReleasedAddresses(because: reason, detectedAt: detectedAt)
        }
    }

    /// Says whether a fault keeps this node from serving.
    public func setFault(_ fault: LocalFault, isPresent: Bool) {
        for speaker in speakers { speaker.setFault(fault, isPresent: isPresent) }
    }

    // MARK: Making

    private func makeSpeaker(
        _ router: VirtualRouterConfiguration
    ) throws(VirtualRouterSetUpError) -> Speaker {
        let settings: VirtualRouterSettings
        do throws(VirtualRouterSettings.Problem) {
            settings = try VirtualRouterSettings(
                virtualRouterID: router.id, priority: node.priority,
                primaryAddress: .v4(node.address),
                addresses: router.addresses, advertisementInterval: router.advertiseInterval,
                preempts: router.preempt, preemptDelay: router.preemptDelay,
                peerPriorityMax: peer.priority, addressLease: router.lease)
        } catch {
            throw .settings(virtualRouterID: router.id, error)
        }
        let (channel, announcer) = try makePorts(router)
        announcers.append(announcer)
        return Speaker(
            settings: settings,
            surroundings: Speaker.Surroundings(
                transport: router.transport, peerAddress: .v4(peer.address),
                virtualRouterIDs: pair.virtualRouters.map(\.id)),
            ports: Speaker.Ports(channel: channel, addresses: holder, announcer: announcer),
            loop: loop, logger: logger)
    }

    private func makePorts(
        _ router: VirtualRouterConfiguration
    ) throws(VirtualRouterSetUpError) -> (RawAdvertisementChannel, Announcer) {
        let point = AttachmentPoint(
            link: link, virtualRouterID: router.id, family: .ipv4, addresses: router.addresses,
            transport: router.transport, ownAddress: .v4(node.address),
            peerAddress: .v4(peer.address),
            otherVirtualRouterIDs: pair.virtualRouters.map(\.id).filter { $0 != router.id },
            hasVirtualMAC: router.virtualMAC)
        let channel: RawAdvertisementChannel
        do throws(Errno) {
            channel = try RawAdvertisementChannel(point, loop: loop)
        } catch {
            throw .socket("VRRP socket on \(link.name) from \(node.address)", error)
        }
        do throws(Errno) {
            return (channel, try Announcer(point, loop: loop, logger: logger))
        } catch {
            throw .socket("packet socket on \(link.name)", error)
        }
    }

    // MARK: Reading the host anew

    /// Looks at the interface and the node's own address and sets or clears their faults.
    private func reviewInterface() {
        let current: NetworkLink
        do throws(NetlinkError) {
            current = try netlink.link(named: pair.interface)
        } catch {
            // A question that failed for want of memory says nothing about the interface.
            if error.isMissing {
                setFault(.interfaceDown, isPresent: true)
            } else {
                reviewInterfaceSoon()
            }
            return
        }
        if current.index != link.index {
            guard reopen(on: current) else {
                setFault(.interfaceDown, isPresent: true)
                return
            }
        }
        link = current
        for announcer in announcers { announcer.update(link: current) }
        setFault(.interfaceDown, isPresent: !current.isUp || !current.hasCarrier)
        reviewOwnAddress()
    }

    private func reviewOwnAddress() {
        guard let present = try? netlink.addresses(interfaceIndex: link.index) else {
            reviewInterfaceSoon()
            return
        }
        let isMissing = !present.contains { $0.address == .v4(node.address) }
        setFault(.ownAddressMissing, isPresent: isMissing)
    }

    /// Sockets name the interface by number: one that was made anew needs new sockets.
    private func reopen(on current: NetworkLink) -> Bool {
        let former = link
        link = current
        announcers.removeAll()
        for (speaker, router) in zip(speakers, pair.virtualRouters) {
            guard let (channel, announcer) = try? makePorts(router) else {
                // The number stays unlike the interface's, so that the next look tries again.
                link = former
                reviewInterfaceSoon()
                return false
            }
            announcers.append(announcer)
            speaker.replacePorts(channel: channel, announcer: announcer)
        }
        logger.info("interface \(current.name) was made anew, sockets reopened")
        return true
    }

    /// The kernel tells of a change once: what could not be done then is tried again.
    private func reviewInterfaceSoon() {
        guard !isReviewWaiting else { return }
        isReviewWaiting = true
        loop.schedule(after: Self.reviewRetryDelay) { [weak self] in
            self?.isReviewWaiting = false
            self?.reviewInterface()
            self?.reviewAddresses()
        }
    }

    /// Looks where our virtual addresses are and puts back what is missing.
    private func reviewAddresses() {
        guard let present = try? netlink.addresses() else {
            reviewInterfaceSoon()
            return
        }
        strays.formIntersection(
            present.map { Stray(address: $0.address, interfaceIndex: $0.interfaceIndex) })
        for found in present where found.interfaceIndex != holder.interfaceIndex {
            noticeAddress(found.address, found.prefixLength, interfaceIndex: found.interfaceIndex)
        }
        for speaker in speakers { speaker.checkAddresses() }
    }

    private func deviceLost() {
        logger.warning("somebody removed our device and the virtual addresses on it")
        for speaker in speakers { speaker.checkAddresses() }
    }

    // MARK: Addresses of ours on interfaces that are not ours

    private func noticeAddress(
        _ address: IPAddress, _ prefixLength: Int, interfaceIndex: Int
    ) {
        guard
            let speaker = speakers.first(where: { $0.settings.addresses.contains(address) }),
            let owner = try? netlink.link(index: interfaceIndex)
        else { return }
        // The owner of the addresses has them as its own (RFC 9568 §6.1, priority 255).
        if node.priority == 255, address == .v4(node.address) { return }
        let stray = Stray(address: address, interfaceIndex: interfaceIndex)
        guard strays.insert(stray).inserted else { return }
        speaker.report.strayAddresses.add()
        // A device of our name without carrier belongs to no living process.
        if owner.name.hasPrefix(VirtualAddressHolder.devicePrefix), !owner.hasCarrier,
            remove(address, prefixLength, interfaceIndex)
        {
            logger.warning("removed \(address) from \(owner.name), left there by a dead process")
            return
        }
        guard let suppressed = strayLimiter.admit(now: Clock.now()) else { return }
        logger.warning(
            "\(address) is a virtual address but was added to \(owner.name) by somebody else; "
                + "both nodes may answer for it. Stop keepalived or whatever added it, then: "
                + "ip address del \(address)/\(prefixLength) dev \(owner.name)",
            ["suppressed": String(suppressed)])
    }

    private func remove(
        _ address: IPAddress, _ prefixLength: Int, _ interfaceIndex: Int
    ) -> Bool {
        do throws(NetlinkError) {
            let request = try AddressRequest(
                address, prefixLength: prefixLength, interfaceIndex: interfaceIndex)
            return try netlink.delete(request)
        } catch {
            return false
        }
    }
}

extension VirtualRouterGroup: EventHandler {
    /// Takes the kernel's notifications.
    public func handle(_ events: EpollEvents, from source: EventSource) {
        var mustReviewInterface = false
        var mustReviewAddresses = false
        for event in monitor.receive() {
            switch event {
            case .addressAdded(let index, let address, let prefixLength):
                if index == link.index {
                    mustReviewInterface = mustReviewInterface || isOwn(address)
                }
                if index != holder.interfaceIndex {
                    noticeAddress(address, prefixLength, interfaceIndex: index)
                }
            case .addressRemoved(let index, let address, _):
                strays.remove(Stray(address: address, interfaceIndex: index))
                if index == link.index {
                    mustReviewInterface = mustReviewInterface || isOwn(address)
                }
                if index == holder.interfaceIndex { mustReviewAddresses = true }
            case .linkChanged(let index, let name, let isUp, _):
                holder.linkChanged(interfaceIndex: index, isUp: isUp)
                if index == link.index || name == pair.interface { mustReviewInterface = true }
                if index == holder.interfaceIndex { mustReviewAddresses = true }
            case .linkRemoved(let index, _):
                if index == link.index { mustReviewInterface = true }
                holder.linkRemoved(interfaceIndex: index)
            case .overrun:
                mustReviewInterface = true
                mustReviewAddresses = true
            }
        }
        if mustReviewInterface { reviewInterface() }
        if mustReviewAddresses { reviewAddresses() }
    }

    private func isOwn(_ address: IPAddress) -> Bool {
        address == .v4(node.address)
    }
}
