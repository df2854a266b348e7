// SPDX-License-Identifier: Apache-2.0
//
// The start-up check of one interface: its state, its addresses of both families, its settings.

internal import ConfigurationCore
internal import LinuxIO
internal import NetlinkIO
internal import WireCore

/// Looks at one interface of the configuration.
struct InterfaceCheck {
    typealias Finding = HostCheck.Finding

    let facts: HostFacts
    let interface: HostFacts.Interface
    let pair: PairConfiguration
    let node: NodeConfiguration

    private var name: String { interface.name }
    private var isPairInterface: Bool { name == pair.interface }

    /// The virtual routers that speak here.
    private var routers: [VirtualRouterConfiguration] {
        pair.virtualRouters.filter { $0.announce == .lan && $0.interface == name }
    }

    private var hasIPv6: Bool { routers.contains { $0.addresses.contains { $0.ipv6 != nil } } }

    var findings: [Finding] {
        guard let link = interface.link else {
            return [
                Finding(
                    severity: .error, problem: "there is no interface \(name)",
                    consequence: "nobody can hear this node",
                    remedy: "set \(isPairInterface ? "pair.interface" : "interface") to one of "
                        + "those that `ip link` lists")
            ]
        }
        return state(link) + ownAddresses() + arp() + reversePath() + ipv6(link) + networks()
    }

    // MARK: Rules

    private func state(_ link: NetworkLink) -> [Finding] {
        var findings: [Finding] = []
        if !link.isUp {
            findings.append(
                Finding(
                    severity: .warning, problem: "\(name) is switched off",
                    consequence: "this node stays out of service until it is on",
                    remedy: "ip link set \(name) up"))
        } else if !link.hasCarrier {
            findings.append(
                Finding(
                    severity: .warning, problem: "\(name) has no carrier",
                    consequence: "this node stays out of service until the cable is in",
                    remedy: "look at the cable and the switch port of \(name)"))
        }
        if link.hardwareAddress.count != 6, !routers.isEmpty {
            findings.append(
                Finding(
                    severity: .warning, problem: "\(name) is not an Ethernet interface",
                    consequence: "a takeover is not announced by gratuitous ARP",
                    remedy: "set \(isPairInterface ? "pair.interface" : "interface") to the "
                        + "interface of the clients' LAN"))
        }
        return findings
    }

    /// The node's own addresses that adverts and the pair link leave from.
    private func ownAddresses() -> [Finding] {
        var wanted: [IPAddress] = isPairInterface ? [.v4(node.address)] : []
        for router in routers {
            let own = router.node(node)
            let candidates = [
                router.addresses.contains { $0.ipv4 != nil } ? IPAddress.v4(own.address) : nil,
                router.addresses.contains { $0.ipv6 != nil }
                    ? own.ipv6Address.map { .v6($0) } : nil,
            ]
            for address in candidates.compactMap(\.self) where !wanted.contains(address) {
                wanted.append(address)
            }
        }
        return wanted.filter { address in
            !facts.addresses.contains { $0.address == address && $0.interfaceName == name }
        }.map { address in
            Finding(
                severity: .warning,
                problem: "\(address), the address of node \(node.name), is not on \(name)",
                consequence: "this node stays out of service until it is there",
                remedy: "ip addr add \(address)/PREFIX dev \(name), or choose another "
                    + "node with --node")
        }
    }

    private func arp() -> [Finding] {
        // Of a virtual MAC the process answers itself, whatever the kernel is told.
        let needsKernel = routers.contains { router in
            !router.virtualMAC && router.addresses.contains { $0.ipv4 != nil }
        }
        // The kernel takes the larger of the two values (ip-sysctl, conf/all).
        guard needsKernel, let (all, own) = interface.settings[.arpIgnore],
            [1, 2, 8].contains(max(all, own))
        else { return [] }
        return [
            Finding(
                severity: .error,
                problem: "arp_ignore is \(max(all, own)) for \(name)",
                consequence: "nobody answers ARP for a virtual address, because it is on "
                    + "another device than \(name), so no client finds it",
                remedy: command(.arpIgnore, value: 0, all: all, own: own))
        ]
    }

    private func reversePath() -> [Finding] {
        guard let (all, own) = interface.settings[.reversePathFilter], max(all, own) == 1 else {
            return []
        }
        return [
            Finding(
                severity: .warning,
                problem: "rp_filter is 1 (strict) for \(name)",
                consequence: "clients whose way back leads through another interface than "
                    + "\(name) are dropped; clients of \(name) itself are not affected",
                remedy: "unless every client is reached through \(name): "
                    + command(.reversePathFilter, value: 2, all: all, own: own))
        ]
    }

    /// RFC 9568 §5.1.2.1: IPv6 adverts leave from the link-local address.
    private func ipv6(_ link: NetworkLink) -> [Finding] {
        guard hasIPv6, facts.hasIPv6 else { return [] }
        // The kernel looks at the interface's own value only; writing `all` sets every one.
        if let (_, own) = interface.settings[.noIPv6], own != 0 {
            return [
                Finding(
                    severity: .error, problem: "IPv6 is switched off on \(name)",
                    consequence: "this node neither hears nor sends IPv6 adverts and no client "
                        + "finds its IPv6 addresses",
                    remedy: command(.noIPv6, value: 0, all: 0, own: own))
            ]
        }
        let hasLinkLocal = facts.addresses.contains {
            $0.interfaceName == name && $0.address.ipv6?.isLinkLocal == true
        }
        guard !hasLinkLocal, link.isUp, link.hasCarrier else { return [] }
        return [
            Finding(
                severity: .warning, problem: "\(name) has no link-local IPv6 address",
                consequence: "IPv6 adverts have no source, so this node stays out of service for "
                    + "IPv6 until it is there",
                remedy: "ip link set \(name) addrgenmode eui64, then switch \(name) off and on")
        ]
    }

    /// Virtual addresses that hosts of the LAN would look for elsewhere.
    private func networks() -> [Finding] {
        var findings: [Finding] = []
        for router in routers {
            let own = router.node(node)
            for address in router.addresses {
                if own.has(address) { continue }
                let others = facts.addresses.filter {
                    $0.interfaceName == name && $0.address != address
                        && $0.address.family == address.family
                        && $0.address.ipv6?.isLinkLocal != true
                }
                guard !others.isEmpty || address.family == .ipv6,
                    !others.contains(where: { $0.covers(address) })
                else { continue }
                findings.append(
                    Finding(
                        severity: .warning,
                        problem: "virtual address \(address) is in no network of \(name)",
                        consequence: "hosts on the LAN reach it only when their router sends "
                            + "them to this LAN for it",
                        remedy: "choose an address of the LAN, or add a route to the router"))
            }
        }
        return findings
    }

    /// `sysctl -w` for whichever of the two values is in the way.
    private func command(
        _ setting: HostFacts.Setting, value: Int, all: Int, own: Int
    ) -> String {
        var assignments: [String] = []
        // A dot in an interface's name (a VLAN) is a slash in sysctl's notation.
        let key = String(name.map { $0 == "." ? "/" : $0 })
        let prefix = "net.\(setting.family).conf"
        if value == 0, all != 0 { assignments.append("\(prefix).all.\(setting.name)=0") }
        if value != 0 || own != 0 {
            assignments.append("\(prefix).\(key).\(setting.name)=\(value)")
        }
        return "sysctl -w " + assignments.joined(separator: " ")
    }
}

extension HostFacts.Placed {
    /// Whether `other` is in the network of this address.
    fileprivate func covers(_ other: IPAddress) -> Bool {
        guard (0...address.bitWidth).contains(prefixLength), other.family == address.family else {
            return false
        }
        let prefix = address.masked(prefixLength: prefixLength)
        return prefix == other.masked(prefixLength: prefixLength)
    }
}

extension NodeConfiguration {
    /// Whether `address` is the node's own.
    func has(_ address: IPAddress) -> Bool {
        switch address {
        case .v4(let address): address == self.address
        case .v6(let address): address == ipv6Address
        }
    }
}
