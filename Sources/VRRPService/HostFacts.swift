// SPDX-License-Identifier: Apache-2.0
//
// What the start-up check looks at, read once from the kernel. Judges nothing.

internal import LinuxIO
internal import NetlinkIO
internal import WireCore

/// The host as far as it can break a virtual address.
struct HostFacts {
    /// The capabilities that matter, by their bit in CapEff (capabilities(7)).
    enum Capability: Int, CaseIterable {
        case netAdmin = 12
        case netRaw = 13
        case ipcLock = 14
        case sysNice = 23

        var name: String {
            switch self {
            case .netAdmin: "CAP_NET_ADMIN"
            case .netRaw: "CAP_NET_RAW"
            case .ipcLock: "CAP_IPC_LOCK"
            case .sysNice: "CAP_SYS_NICE"
            }
        }
    }

    /// An address somewhere on this host and the interface it is on.
    struct Placed {
        var address: IPAddress
        var prefixLength: Int
        var interfaceName: String
    }

    /// Per-interface settings under /proc/sys/net that were looked at.
    enum Setting: String, CaseIterable {
        case arpIgnore = "ipv4/arp_ignore"
        case reversePathFilter = "ipv4/rp_filter"
        case noIPv6 = "ipv6/disable_ipv6"

        /// `ipv4` or `ipv6`.
        var family: Substring { rawValue.prefix(4) }
        var name: Substring { rawValue.dropFirst(5) }
    }

    /// One interface.
    struct Interface {
        var name: String
        /// `nil` when there is no such interface.
        var link: NetworkLink?
        /// Values of `all` and of the interface; missing where /proc is not readable.
        var settings: [Setting: (all: Int, interface: Int)] = [:]
    }

    /// Those of the configuration, the pair's own first.
    var interfaces: [Interface]
    var addresses: [Placed] = []
    var missingCapabilities: [Capability] = []
    /// Why the TUN device cannot be opened; `nil` when it can.
    var tunnelProblem: Errno?
    /// Whether the kernel has IPv6 at all.
    var hasIPv6 = true
    /// Whether a device that is made now begins without IPv6, as that of the addresses would.
    var newDevicesLackIPv6 = false

    /// Reads everything about `interfaceNames` in the calling thread's network namespace.
    static func read(interfaceNames: [String]) -> HostFacts {
        var facts = HostFacts(interfaces: [])
        let socket = try? NetlinkSocket()
        facts.interfaces = interfaceNames.map { name in
            var interface = Interface(name: name)
            interface.link = try? socket?.link(named: name)
            guard interface.link != nil else { return interface }
            for setting in Setting.allCases {
                guard let all = number(setting, "all"), let own = number(setting, name) else {
                    continue
                }
                interface.settings[setting] = (all, own)
            }
            return interface
        }
        if let socket {
            for found in (try? socket.addresses()) ?? [] {
                let name = (try? socket.link(index: found.interfaceIndex))?.name
                facts.addresses.append(
                    Placed(
                        address: found.address, prefixLength: found.prefixLength,
                        interfaceName: name ?? "interface \(found.interfaceIndex)"))
            }
        }
        facts.hasIPv6 = number(.noIPv6, "default") != nil
        facts.newDevicesLackIPv6 = number(.noIPv6, "default") == 1
        facts.missingCapabilities = missingCapabilities()
        facts.tunnelProblem = TunnelDevice.problem()
        return facts
    }

    private static func number(_ setting: Setting, _ interface: String) -> Int? {
        let path = "/proc/sys/net/\(setting.family)/conf/\(interface)/\(setting.name)"
        guard let bytes = try? FileSystem.read(path: path, byteCountMax: 64) else { return nil }
        return Int(String(decoding: bytes.prefix { $0 > 0x20 }, as: UTF8.self))
    }

    private static func missingCapabilities() -> [Capability] {
        guard
            let bytes = try? FileSystem.read(
                path: "/proc/thread-self/status", byteCountMax: 65_536),
            let effective = effectiveCapabilities(status: String(decoding: bytes, as: UTF8.self))
        else { return [] }
        return Capability.allCases.filter { effective & 1 << UInt64($0.rawValue) == 0 }
    }

    /// The number behind `CapEff:` in proc_pid_status(5).
    static func effectiveCapabilities(status: String) -> UInt64? {
        for line in status.split(separator: "\n") where line.hasPrefix("CapEff:") {
            let digits = line.dropFirst("CapEff:".count).drop { $0 == "\t" || $0 == " " }
            return UInt64(digits, radix: 16)
        }
        return nil
    }
}
