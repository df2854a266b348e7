// SPDX-License-Identifier: Apache-2.0
//
// Says before the start what on this host would break a virtual address, and how to mend it.
// What breaks was found by experiment on Linux 6.18: a TCP client on the LAN and one behind a
// router, each setting on `all`, on the LAN interface and on the TUN.

public import ConfigurationCore
internal import LinuxIO
internal import NetlinkIO
internal import WireCore

/// The start-up check of the host.
public enum HostCheck {
    /// How bad a finding is.
    public enum Severity: String, Hashable, Sendable {
        /// The virtual address would not work: do not start.
        case error
        /// It works in ordinary networks, or not as well as it could.
        case warning
    }

    /// One thing that is wrong.
    public struct Finding: Hashable, Sendable, CustomStringConvertible {
        /// How bad it is.
        public var severity: Severity
        /// What is wrong.
        public var problem: String
        /// What would happen.
        public var consequence: String
        /// The command or step that mends it.
        public var remedy: String

        /// All of it in one line.
        public var description: String {
            "\(problem): \(consequence). To mend it: \(remedy)"
        }
    }

    /// Looks at the host the calling thread sees; opens nothing for longer than the look.
    public static func run(pair: PairConfiguration, node: NodeConfiguration) -> [Finding] {
        findings(in: .read(interfaceName: pair.interface), pair: pair, node: node)
    }

    static func findings(
        in facts: HostFacts, pair: PairConfiguration, node: NodeConfiguration
    ) -> [Finding] {
        privileges(facts) + interface(facts, node) + settings(facts)
            + virtualAddresses(facts, pair, node)
    }

    // MARK: Rules

    private static func privileges(_ facts: HostFacts) -> [Finding] {
        var findings = facts.missingCapabilities.map { capability in
            switch capability {
            case .netAdmin:
                Finding(
                    severity: .error, problem: "the process lacks CAP_NET_ADMIN",
                    consequence: "it can neither make its device nor add virtual addresses",
                    remedy: grant(capability))
            case .netRaw:
                Finding(
                    severity: .error, problem: "the process lacks CAP_NET_RAW",
                    consequence: "it can neither send adverts nor gratuitous ARP",
                    remedy: grant(capability))
            case .sysNice:
                Finding(
                    severity: .warning, problem: "the process lacks CAP_SYS_NICE",
                    consequence: "a busy core may delay adverts and cause a needless takeover",
                    remedy: grant(capability))
            case .ipcLock:
                Finding(
                    severity: .warning, problem: "the process lacks CAP_IPC_LOCK",
                    consequence: "a page read from disk may delay adverts",
                    remedy: grant(capability))
            }
        }
        if let problem = facts.tunnelProblem {
            let isMissing = problem == .noSuchFile || problem == .noSuchDevice
            findings.append(
                Finding(
                    severity: .error,
                    problem: "\(TunnelDevice.path) cannot be opened (\(problem))",
                    consequence: "virtual addresses have no device that dies with the process",
                    remedy: isMissing
                        ? "modprobe tun"
                        : "let the service use it (systemd: DeviceAllow=\(TunnelDevice.path) rw)"))
        }
        return findings
    }

    private static func grant(_ capability: HostFacts.Capability) -> String {
        "run as root, or add AmbientCapabilities=\(capability.name) to the service"
    }

    private static func interface(_ facts: HostFacts, _ node: NodeConfiguration) -> [Finding] {
        let name = facts.interfaceName
        guard let link = facts.link else {
            return [
                Finding(
                    severity: .error, problem: "there is no interface \(name)",
                    consequence: "nobody can hear this node",
                    remedy: "set pair.interface to one of those that `ip link` lists")
            ]
        }
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
        if link.hardwareAddress.count != 6 {
            findings.append(
                Finding(
                    severity: .warning, problem: "\(name) is not an Ethernet interface",
                    consequence: "a takeover is not announced by gratuitous ARP",
                    remedy: "set pair.interface to the interface of the clients' LAN"))
        }
        let isOwnPresent = facts.addresses.contains {
            $0.address == .v4(node.address) && $0.interfaceName == name
        }
        if !isOwnPresent {
            findings.append(
                Finding(
                    severity: .warning,
                    problem: "\(node.address), the address of node \(node.name), is not on \(name)",
                    consequence: "this node stays out of service until it is there",
                    remedy: "ip addr add \(node.address)/PREFIX dev \(name), or choose another "
                        + "node with --node"))
        }
        return findings
    }

    private static func settings(_ facts: HostFacts) -> [Finding] {
        var findings: [Finding] = []
        let name = facts.interfaceName
        // The kernel takes the larger of the two values (ip-sysctl, conf/all).
        if let (all, own) = facts.settings[.arpIgnore], [1, 2, 8].contains(max(all, own)) {
            findings.append(
                Finding(
                    severity: .error,
                    problem: "arp_ignore is \(max(all, own)) for \(name)",
                    consequence: "nobody answers ARP for a virtual address, because it is on "
                        + "another device than \(name), so no client finds it",
                    remedy: command(.arpIgnore, value: 0, all: all, own: own, name)))
        }
        if let (all, own) = facts.settings[.reversePathFilter], max(all, own) == 1 {
            findings.append(
                Finding(
                    severity: .warning,
                    problem: "rp_filter is 1 (strict) for \(name)",
                    consequence: "clients whose way back leads through another interface than "
                        + "\(name) are dropped; clients of \(name) itself are not affected",
                    remedy: "unless every client is reached through \(name): "
                        + command(.reversePathFilter, value: 2, all: all, own: own, name)))
        }
        return findings
    }

    /// `sysctl -w` for whichever of the two values is in the way.
    private static func command(
        _ setting: HostFacts.Setting, value: Int, all: Int, own: Int, _ name: String
    ) -> String {
        var assignments: [String] = []
        // A dot in an interface's name (a VLAN) is a slash in sysctl's notation.
        let key = String(name.map { $0 == "." ? "/" : $0 })
        if value == 0, all != 0 { assignments.append("net.ipv4.conf.all.\(setting.rawValue)=0") }
        if value != 0 || own != 0 {
            assignments.append("net.ipv4.conf.\(key).\(setting.rawValue)=\(value)")
        }
        return "sysctl -w " + assignments.joined(separator: " ")
    }

    private static func virtualAddresses(
        _ facts: HostFacts, _ pair: PairConfiguration, _ node: NodeConfiguration
    ) -> [Finding] {
        var findings: [Finding] = []
        let name = facts.interfaceName
        let networks = facts.addresses.filter { $0.interfaceName == name }
        for address in pair.virtualRouters.flatMap(\.addresses) {
            // The owner of the addresses has them as its own (RFC 9568 §6.1).
            if address == .v4(node.address) { continue }
            let ours = VirtualAddressHolder.devicePrefix
            for found in facts.addresses
            where found.address == address && !found.interfaceName.hasPrefix(ours) {
                findings.append(
                    Finding(
                        severity: .warning,
                        problem: "virtual address \(address) is already on \(found.interfaceName), "
                            + "left by keepalived or somebody else",
                        consequence: "this node answers for it even when the other one is Active",
                        remedy: "ip addr del \(address)/\(found.prefixLength) "
                            + "dev \(found.interfaceName)"))
            }
            let others = networks.filter { $0.address != address }
            if facts.link != nil, !others.isEmpty,
                !others.contains(where: { $0.covers(address) })
            {
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
