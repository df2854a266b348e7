// SPDX-License-Identifier: Apache-2.0
//
// One interface and the virtual routers that speak on it: what the kernel says about it becomes
// their faults, and their sockets follow it when it is made anew.

internal import ConfigurationCore
internal import LinuxIO
internal import NetlinkIO
internal import Telemetry
internal import WireCore

/// An interface on which virtual routers speak.
final class RouterInterface {
    /// A virtual router and what its sockets were opened for.
    private struct Seat {
        let plan: InstancePlan
        let speaker: Speaker
        var announcer: Announcer
        var boundIndex: Int
        var boundAddress: IPAddress?
        var boundMAC: [UInt8]
    }

    let name: String
    private(set) var link: NetworkLink
    private let factory: SpeakerPortFactory
    private let logger: Logger
    private var seats: [Seat] = []
    private var routes: [RouteRouter] = []

    init(_ link: NetworkLink, factory: SpeakerPortFactory, logger: Logger) {
        name = link.name
        self.link = link
        self.factory = factory
        self.logger = logger
    }

    /// Makes the speaker of `plan` with its sockets.
    func addSpeaker(
        _ plan: InstancePlan, isGrouped: Bool, decidesForGroup: Bool,
        authentication: AdvertisementAuthenticator?,
        netlink: borrowing NetlinkSocket
    ) throws(VirtualRouterSetUpError) -> Speaker {
        let present = (try? netlink.addresses(interfaceIndex: link.index)) ?? []
        let linkLocal = linkLocal(netlink)
        let own = ownAddress(plan, present, linkLocal)
        let opened = try factory.open(plan, on: link, ownAddress: own)
        let speaker = Speaker(
            settings: try plan.settings(
                ownAddress: own, isGrouped: isGrouped, decidesForGroup: decidesForGroup),
            surroundings: SpeakerSurroundings(
                instance: plan.instance, transport: plan.router.transport,
                peerAddress: plan.peerAddress, virtualRouterIDs: plan.virtualRouterIDs,
                label: plan.label, authentication: authentication, group: plan.router.group,
                takeover: plan.router.takeover),
            ports: opened.ports, loop: factory.loop, logger: logger)
        speaker.status.linkLocal = linkLocal
        seats.append(
            Seat(
                plan: plan, speaker: speaker, announcer: opened.announcer, boundIndex: link.index,
                boundAddress: own, boundMAC: link.hardwareAddress))
        return speaker
    }

    /// Counts the interface's faults against `router`, too.
    func add(_ router: RouteRouter) {
        routes.append(router)
    }

    /// Looks at the interface and the own addresses and sets or clears their faults.
    ///
    /// - Returns: false when something could not be found out or done and is to be tried again.
    func review(_ netlink: borrowing NetlinkSocket) -> Bool {
        let current: NetworkLink
        do throws(NetlinkError) {
            current = try netlink.link(named: name)
        } catch {
            // A question that failed for want of memory says nothing about the interface.
            guard error.isMissing else { return false }
            setFault(.interfaceDown, isPresent: true)
            return true
        }
        let isNew = current.index != link.index
        link = current
        guard let present = try? netlink.addresses(interfaceIndex: link.index) else { return false }
        let linkLocal = linkLocal(netlink)
        var isComplete = true
        for index in seats.indices {
            isComplete = review(index, present, linkLocal) && isComplete
        }
        for router in routes { router.setFault(.interfaceDown, isPresent: isDown) }
        if isNew, isComplete {
            logger.info("interface \(name) was made anew, sockets reopened")
        }
        return isComplete
    }

    /// Whether this address on the interface may be a node's own one.
    func concerns(_ address: IPAddress) -> Bool {
        !seats.contains { $0.plan.addresses.contains(address) }
    }

    /// Whether this virtual address is on the interface because it cannot be elsewhere.
    func carries(_ address: IPAddress) -> Bool {
        seats.contains {
            $0.announcer.needsAddressOnInterface && $0.plan.addresses.contains(address)
        }
    }

    // MARK: Details

    private var isDown: Bool { !link.isUp || !link.hasCarrier }

    private func review(
        _ index: Int, _ present: [InterfaceAddress], _ linkLocal: IPAddress?
    ) -> Bool {
        let seat = seats[index]
        let own = ownAddress(seat.plan, present, linkLocal)
        if seat.boundIndex != link.index || seat.boundAddress != own || hasOtherMAC(seat) {
            // Ports name the interface by number, the own address and the MAC; an Active announces
            // on new ones. The former go first: a device for a virtual MAC exists once.
            seat.speaker.closePorts()
            seats[index].boundIndex = 0
            guard let opened = try? factory.open(seat.plan, on: link, ownAddress: own) else {
                seat.speaker.setFault(.interfaceDown, isPresent: true)
                return false
            }
            seats[index].announcer = opened.announcer
            seats[index].boundIndex = link.index
            seats[index].boundAddress = own
            seats[index].boundMAC = link.hardwareAddress
            seat.speaker.replacePorts(opened.ports, ownAddress: own, linkLocal: linkLocal)
        }
        seat.speaker.status.linkLocal = linkLocal
        let isMissing = own.map { own in !present.contains { $0.address == own } } ?? true
        seat.speaker.setFault(.interfaceDown, isPresent: isDown)
        seat.speaker.setFault(.ownAddressMissing, isPresent: isMissing)
        return true
    }

    /// Whether the interface got another MAC, as a bond does when its cable changes.
    private func hasOtherMAC(_ seat: Seat) -> Bool {
        !seat.plan.router.virtualMAC && seat.boundMAC != link.hardwareAddress
    }

    /// Where the adverts of `plan` come from: what is configured, or what the interface has.
    ///
    /// An IPv4 socket may name an address that is not there yet, an IPv6 socket may not.
    private func ownAddress(
        _ plan: InstancePlan, _ present: [InterfaceAddress], _ linkLocal: IPAddress?
    ) -> IPAddress? {
        guard let configured = plan.ownAddress else { return linkLocal }
        let isUsable =
            plan.instance.family == .ipv4
            || present.contains { $0.address == configured && $0.isUsable }
        return isUsable ? configured : nil
    }

    private func linkLocal(_ netlink: borrowing NetlinkSocket) -> IPAddress? {
        guard let address = try? netlink.linkLocalAddress(interfaceIndex: link.index) else {
            return nil
        }
        return .v6(address)
    }

    private func setFault(_ fault: LocalFault, isPresent: Bool) {
        for seat in seats { seat.speaker.setFault(fault, isPresent: isPresent) }
        for router in routes { router.setFault(fault, isPresent: isPresent) }
    }
}
