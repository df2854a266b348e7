// SPDX-License-Identifier: Apache-2.0
//
// Says before the start what on this host would break a virtual address, and how to mend it.
// What breaks was found by experiment on Linux 6.18: a TCP client on the LAN and one behind a
// router, each setting on `all`, on the LAN interface and on the TUN. What concerns one interface
// is in HostCheck+Interfaces.

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
        /// Nothing is wrong here; something else must be done elsewhere.
        case note
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
    ///
    /// - Parameters:
    ///   - pair: the pair as configured.
    ///   - node: the node that this process is.
    ///   - forwardingProblem: why connections cannot be led from node to node during a planned
    ///     switchover; `nil` when they can, or when nobody looked.
    /// - Returns: what was found, the worst not necessarily first.
    public static func run(
        pair: PairConfiguration, node: NodeConfiguration, forwardingProblem: String? = nil
    ) -> [Finding] {
        let facts = HostFacts.read(interfaceNames: interfaceNames(pair))
        return findings(in: facts, pair: pair, node: node) + forwarding(forwardingProblem, pair)
    }

    /// The interfaces that matter, the pair's first, each once.
    static func interfaceNames(_ pair: PairConfiguration) -> [String] {
        var names = [pair.interface]
        for router in pair.virtualRouters
        where router.announce == .lan && !names.contains(router.interface) {
            names.append(router.interface)
        }
        return names
    }

    static func findings(
        in facts: HostFacts, pair: PairConfiguration, node: NodeConfiguration
    ) -> [Finding] {
        var findings = privileges(facts) + newDevices(facts, pair)
        for interface in facts.interfaces {
            let part = InterfaceCheck(facts: facts, interface: interface, pair: pair, node: node)
            // What all interfaces have in common is said once.
            for finding in part.findings where !findings.contains(finding) {
                findings.append(finding)
            }
        }
        return findings + leftOvers(facts, pair, node) + routes(pair)
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
                    consequence: "it can neither send adverts nor announce a takeover",
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

    /// The addresses are on a device that the process makes, with the settings of new devices.
    private static func newDevices(_ facts: HostFacts, _ pair: PairConfiguration) -> [Finding] {
        guard
            let address = pair.virtualRouters.flatMap(\.addresses).first(where: { $0.ipv6 != nil })
        else { return [] }
        if !facts.hasIPv6 {
            return [
                Finding(
                    severity: .error, problem: "this kernel runs without IPv6",
                    consequence: "\(address) and other IPv6 addresses cannot be added",
                    remedy: "remove ipv6.disable=1 from the kernel's command line, or the "
                        + "addresses from the configuration")
            ]
        }
        guard facts.newDevicesLackIPv6 else { return [] }
        return [
            Finding(
                severity: .error, problem: "IPv6 is switched off for new devices",
                consequence: "the device of the virtual addresses takes no IPv6 address such as "
                    + "\(address)",
                remedy: "sysctl -w net.ipv6.conf.default.disable_ipv6=0")
        ]
    }

    /// Virtual addresses that somebody else left on this host.
    private static func leftOvers(
        _ facts: HostFacts, _ pair: PairConfiguration, _ node: NodeConfiguration
    ) -> [Finding] {
        var findings: [Finding] = []
        for router in pair.virtualRouters {
            let own = router.node(node)
            for address in router.addresses {
                // The owner of the addresses has them as its own (RFC 9568 §6.1).
                if own.has(address) { continue }
                let ours = VirtualAddressHolder.devicePrefix
                for found in facts.addresses
                where found.address == address && !found.interfaceName.hasPrefix(ours) {
                    let isLoopback = found.interfaceName == "lo"
                    // With routes an address beside ours attracts nothing by itself.
                    let consequence =
                        router.announce == .route
                        ? "this node takes its packets even when it announces no route"
                        : isLoopback
                            ? "this node takes its packets even when the other one is Active"
                            : "this node answers for it even when the other one is Active"
                    findings.append(
                        Finding(
                            severity: .warning,
                            problem: "virtual address \(address) is already on "
                                + "\(found.interfaceName), left by keepalived or somebody else",
                            consequence: consequence,
                            remedy: "ip addr del \(address)/\(found.prefixLength) "
                                + "dev \(found.interfaceName)"))
                }
            }
        }
        return findings
    }

    /// Nobody here can see whether a routing daemon does its part.
    private static func routes(_ pair: PairConfiguration) -> [Finding] {
        let addresses = pair.virtualRouters.filter { $0.announce == .route }.flatMap(\.addresses)
        guard let first = addresses.first else { return [] }
        return [
            Finding(
                severity: .note,
                problem: "\(first)\(addresses.count > 1 ? " and others" : "") are found by routes "
                    + "alone",
                consequence: "no client reaches them until a routing daemon exports the addresses "
                    + "of \(VirtualAddressHolder.devicePrefix)-rt0",
                remedy: "BIRD: protocol direct { ipv4; ipv6; interface "
                    + "\"\(VirtualAddressHolder.devicePrefix)-rt*\"; }")
        ]
    }

    private static func forwarding(_ problem: String?, _ pair: PairConfiguration) -> [Finding] {
        guard let problem, pair.hasElection, pair.nodes.count == 2 else { return [] }
        return [
            Finding(
                severity: .warning, problem: "nftables cannot be used (\(problem))",
                consequence: "a planned switchover ends the requests that are in flight after it "
                    + "moved the addresses",
                remedy: "modprobe nf_tables, and install libnftables1")
        ]
    }
}
