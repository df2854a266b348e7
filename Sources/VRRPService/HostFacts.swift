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

    /// Per-interface settings under /proc/sys/net/ipv4/conf that were looked at.
    enum Setting: String, CaseIterable {
        case arpIgnore = "arp_ignore"
        case reversePathFilter = "rp_filter"
    }

    var interfaceName: String
    /// `nil` when there is no such interface.
    var link: NetworkLink?
    var addresses: [Placed] = []
    /// Values of `all` and of the interface; missing where /proc is not readable.
    var settings: [Setting: (all: Int, interface: Int)] = [:]
    var missingCapabilities: [Capability] = []
    /// Why the TUN device cannot be opened; `nil` when it can.
    var tunnelProblem: Errno?

    /// Reads everything about `interfaceName` in the calling thread's network namespace.
    static func read(interfaceName: String) -> HostFacts {
        var facts = HostFacts(interfaceName: interfaceName)
        if let socket = try? NetlinkSocket() {
            facts.link = try? socket.link(named: interfaceName)
            for found in (try? socket.addresses()) ?? [] {
                let name = (try? socket.link(index: found.interfaceIndex))?.name
                facts.addresses.append(
                    Placed(
                        address: found.address, prefixLength: found.prefixLength,
                        interfaceName: name ?? "interface \(found.interfaceIndex)"))
            }
        }
        if facts.link != nil {
            for setting in Setting.allCases {
                guard let all = number(setting, "all"), let own = number(setting, interfaceName)
                else { continue }
                facts.settings[setting] = (all, own)
            }
        }
        facts.missingCapabilities = missingCapabilities()
        facts.tunnelProblem = TunnelDevice.problem()
        return facts
    }

    private static func number(_ setting: Setting, _ interface: String) -> Int? {
        let path = "/proc/sys/net/ipv4/conf/\(interface)/\(setting.rawValue)"
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
