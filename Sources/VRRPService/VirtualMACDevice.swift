// SPDX-License-Identifier: Apache-2.0
//
// The interface that receives what is sent to a virtual router's own MAC address. Addresses are not
// on it: they stay on the device that dies with the process. A macvlan does not, so one that a dead
// process left is removed at the next start; until then it receives frames for nobody.

internal import LinuxIO
internal import NetlinkIO
internal import VRRPCore
internal import WireCore

/// A macvlan with the virtual MAC (RFC 9568 §7.3), up only while this node is the Active.
///
/// Three things must be so that packets to it arrive and nobody learns another MAC for an address:
/// - The macvlan of an IPv4 router has an address of its own, out of 127.0.0.0/8: packets on an
///   interface without any fail the kernel's source check even in loose mode.
/// - The kernel answers ARP on neither interface for addresses that are elsewhere (arp_ignore), so
///   that `NeighborResponder` is the only one who does.
/// - The kernel's own ARP questions never name a virtual address (arp_announce 2), because they
///   bear the interface's own MAC.
public final class VirtualMACDevice {
    /// Names of these interfaces begin with this.
    public static let namePrefix = "tandem-m"
    /// Interfaces that one virtual router may have at the same time, while it changes sockets.
    static let namesMax = 4

    private let netlink: NetlinkSocket
    private let claim: NamespaceClaim
    private let parentIndex: Int
    private let index: Int
    private var isRemoved = false

    init(_ point: AttachmentPoint) throws(VirtualAddressError) {
        parentIndex = point.link.index
        let name: String
        do throws(Errno) {
            let claimed = try Self.claimName(point)
            claim = claimed.claim
            name = claimed.name
        } catch {
            throw .virtualMAC("find a name for an interface", error)
        }
        do throws(NetlinkError) {
            let netlink = try NetlinkSocket()
            if let leftover = try? netlink.link(named: name) {
                try netlink.deleteLink(interfaceIndex: leftover.index)
            }
            let mac = HardwareAddress.virtualRouter(
                id: point.virtualRouterID, family: point.family)
            let note = try ParentSettings.before(netlink, parentIndex: point.link.index)
            try netlink.add(
                MacvlanRequest(
                    name: name, parentIndex: point.link.index, hardwareAddress: mac.bytes,
                    alias: note.text))
            index = try netlink.link(named: name).index
            // RFC 9568 §7.4: interface identifiers are not made from the virtual MAC. Without
            // IPv6 there is nothing to leave out.
            try? netlink.omitLinkLocal(interfaceIndex: index)
            self.netlink = netlink
        } catch {
            throw .netlink(error)
        }
        do {
            try furnish(point, name)
        } catch {
            remove()
            throw error
        }
    }

    deinit {
        remove()
    }

    /// Receives frames for the virtual MAC.
    func switchOn() {
        try? netlink.bringUp(interfaceIndex: index)
    }

    /// Receives them no longer (RFC 9568 §6.4.2 (345): a Backup drops them).
    func switchOff() {
        try? netlink.takeDown(interfaceIndex: index)
    }

    /// Removes the interface and, after the last one, restores what its parent had before.
    func remove() {
        guard !isRemoved else { return }
        isRemoved = true
        Self.remove(index, parentIndex, netlink)
    }

    /// Removes what processes that died left behind; before the host is checked.
    ///
    /// - Returns: the names of the interfaces that were removed.
    public static func removeLeftovers() -> [String] {
        guard let netlink = try? NetlinkSocket() else { return [] }
        var names: [String] = []
        for found in (try? netlink.macvlans(named: namePrefix)) ?? [] {
            // A living process has its claim.
            guard (try? NamespaceClaim(found.name)) != nil else { continue }
            remove(found.index, ParentSettings(found.alias)?.parentIndex, netlink)
            names.append(found.name)
        }
        return names
    }

    // MARK: Details

    private struct ClaimedName: ~Copyable {
        var name: String
        var claim: NamespaceClaim
    }

    /// A name that no living process has: sockets made anew overlap those they replace.
    private static func claimName(_ point: AttachmentPoint) throws(Errno) -> ClaimedName {
        for turn in 0..<namesMax {
            let name = name(point, turn: turn)
            do throws(Errno) {
                return ClaimedName(name: name, claim: try NamespaceClaim(name))
            } catch .addressInUse {
                continue
            } catch {
                throw error
            }
        }
        throw .addressInUse
    }

    /// At most 15 bytes: `tandem-m` and, in base 36, family and VRID, the carrying interface, turn.
    static func name(_ point: AttachmentPoint, turn: Int = 0) -> String {
        let family = point.family == .ipv4 ? 0 : 256
        let router = String(family + Int(point.virtualRouterID), radix: 36)
        let parent = String(point.link.index % 46_656, radix: 36)
        return namePrefix + router + "-" + parent + (turn == 0 ? "" : String(turn))
    }

    private func furnish(
        _ point: AttachmentPoint, _ name: String
    ) throws(VirtualAddressError) {
        do throws(NetlinkError) {
            // Of an IPv6 router's interface as well: it would answer for the node's own address.
            try netlink.set(.arpIgnore, to: 8, interfaceIndex: index)
            if point.family == .ipv4 { try furnishIPv4(point.virtualRouterID) }
        } catch {
            throw .netlink(error)
        }
        try refuseRouterAdvertisements(name)
    }

    private func furnishIPv4(_ id: UInt8) throws(NetlinkError) {
        try netlink.set(.reversePathFilter, to: 2, interfaceIndex: index)
        var options = AddressRequest.Options()
        options.hasNoPrefixRoute = true
        options.scope = .host
        try netlink.put(
            AddressRequest(
                .v4(Self.anchor(id: id)), prefixLength: 32, interfaceIndex: index,
                options: options))
        try netlink.set(.arpIgnore, to: 1, interfaceIndex: parentIndex)
        try netlink.set(.arpAnnounce, to: 2, interfaceIndex: parentIndex)
    }

    /// 127.86.77.VRID: an address that leads nowhere.
    private static func anchor(id: UInt8) -> IPv4Address { IPv4Address(127, 86, 77, id) }

    /// The macvlan hears what routers tell everybody; its parent has heard it already.
    private func refuseRouterAdvertisements(_ name: String) throws(VirtualAddressError) {
        let path = "/proc/sys/net/ipv6/conf/\(name)/accept_ra"
        // Without IPv6 there is no such file, and nothing to refuse.
        guard let present = try? FileSystem.read(path: path, byteCountMax: 64),
            present.first != UInt8(ascii: "0")
        else { return }
        do throws(Errno) {
            try FileSystem.overwrite([UInt8(ascii: "0")], path: path)
        } catch {
            throw .virtualMAC(
                "set net.ipv6.conf.\(name).accept_ra to 0 (set net.ipv6.conf.default.accept_ra=0 "
                    + "where the service may not write it)", error)
        }
    }

    private static func remove(
        _ index: Int, _ parentIndex: Int?, _ netlink: borrowing NetlinkSocket
    ) {
        let all = (try? netlink.macvlans(named: namePrefix)) ?? []
        let note = all.first { $0.index == index }.flatMap { ParentSettings($0.alias) }
        // When the parent is gone the macvlan is, too.
        try? netlink.deleteLink(interfaceIndex: index)
        guard let note, let parentIndex, note.parentIndex == parentIndex else { return }
        let isLast = !all.contains {
            $0.index != index && ParentSettings($0.alias)?.parentIndex == parentIndex
        }
        if isLast { note.restore(netlink) }
    }
}

/// What the carrying interface had before, written on each macvlan so that whoever removes the last
/// one can put it back, in this process or in the next.
struct ParentSettings: Hashable {
    var parentIndex: Int
    var arpIgnore: UInt32
    var arpAnnounce: UInt32

    private static let mark = "tandem"

    var text: String { "\(Self.mark) \(parentIndex) \(arpIgnore) \(arpAnnounce)" }

    init(parentIndex: Int, arpIgnore: UInt32, arpAnnounce: UInt32) {
        self.parentIndex = parentIndex
        self.arpIgnore = arpIgnore
        self.arpAnnounce = arpAnnounce
    }

    init?(_ text: String) {
        let words = text.split(separator: " ")
        guard words.count == 4, words[0] == Self.mark, let parentIndex = Int(words[1]),
            let arpIgnore = UInt32(words[2]), let arpAnnounce = UInt32(words[3])
        else { return nil }
        self.init(parentIndex: parentIndex, arpIgnore: arpIgnore, arpAnnounce: arpAnnounce)
    }

    /// What another macvlan of the same interface says, or what the interface has.
    static func before(
        _ netlink: borrowing NetlinkSocket, parentIndex: Int
    ) throws(NetlinkError) -> ParentSettings {
        for found in try netlink.macvlans(named: VirtualMACDevice.namePrefix) {
            if let note = ParentSettings(found.alias), note.parentIndex == parentIndex {
                return note
            }
        }
        return ParentSettings(
            parentIndex: parentIndex,
            arpIgnore: try netlink.value(of: .arpIgnore, interfaceIndex: parentIndex),
            arpAnnounce: try netlink.value(of: .arpAnnounce, interfaceIndex: parentIndex))
    }

    func restore(_ netlink: borrowing NetlinkSocket) {
        // The interface may be gone, and its settings with it.
        try? netlink.set(.arpIgnore, to: arpIgnore, interfaceIndex: parentIndex)
        try? netlink.set(.arpAnnounce, to: arpAnnounce, interfaceIndex: parentIndex)
    }
}
