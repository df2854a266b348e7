// SPDX-License-Identifier: Apache-2.0
//
// Whether the kernel answers ARP for an address that is on another device than the one asked on.

internal import LinuxIO
internal import NetlinkIO

/// The setting arp_ignore of one interface (ip-sysctl); made in the interface's namespace.
final class KernelAnswers {
    private let netlink: NetlinkSocket
    private let interfaceIndex: Int
    /// The value of `all`, which counts when it is larger; read once.
    private let ofAll: UInt32

    init?(_ link: NetworkLink) {
        guard let netlink = try? NetlinkSocket() else { return nil }
        self.netlink = netlink
        interfaceIndex = link.index
        let path = "/proc/sys/net/ipv4/conf/all/arp_ignore"
        let bytes = (try? FileSystem.read(path: path, byteCountMax: 64)) ?? []
        ofAll = UInt32(String(decoding: bytes.prefix { $0 > 0x20 }, as: UTF8.self)) ?? 0
    }

    /// True unless the kernel was told not to (0 and 3 answer for addresses of other devices).
    var isGiven: Bool {
        let own = (try? netlink.value(of: .arpIgnore, interfaceIndex: interfaceIndex)) ?? 0
        return [0, 3].contains(max(ofAll, own))
    }
}
