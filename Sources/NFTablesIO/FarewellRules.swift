// SPDX-License-Identifier: Apache-2.0
//
// The text of the rules that keep a dead process silent. Pure; it runs nothing.
//
// When a process is killed the kernel closes its connections: a FIN that tells a client that an
// answer ended where it was cut off, sent again a quarter of a second later and so on. Over IPv4 it
// cannot leave, because the addresses go first and the kernel sends from none that is not here.
// Over IPv6 it sends all the same, so a rule says it. The table does not belong to the process,
// which is dead when it is needed; what is left of it says nothing about addresses that are here.

public import WireCore

/// The rules for some virtual addresses.
public struct FarewellRules: Hashable, Sendable {
    /// The table's name; the same for the same addresses, so that a later process finds it.
    public let tableName: String
    /// The addresses; none of them twice.
    public let addresses: [IPAddress]

    /// Makes the rules.
    public init(addresses: [IPAddress]) {
        precondition(!addresses.isEmpty, "rules for no address")
        self.addresses = addresses
        // FNV-1a: the kernel takes no long names.
        var digest: UInt32 = 0x811C_9DC5
        for byte in addresses.map(\.description).sorted().joined(separator: " ").utf8 {
            digest = (digest ^ UInt32(byte)) &* 0x0100_0193
        }
        tableName = "tandem_farewell_" + String(digest, radix: 16)
    }

    /// Makes the table, in the place of one that an earlier process left: FIN and RST from an
    /// address that is not on this host go nowhere.
    public var installation: String {
        let ipv4 = addresses.compactMap(\.ipv4).map(\.description)
        let ipv6 = addresses.compactMap(\.ipv6).map(\.description)
        var rules: [String] = []
        if !ipv4.isEmpty { rules.append(Self.rule("ip", ipv4)) }
        if !ipv6.isEmpty { rules.append(Self.rule("ip6", ipv6)) }
        return """
            table inet \(tableName) { }
            delete table inet \(tableName)
            table inet \(tableName) {
                chain leaving {
                    type filter hook output priority 0; policy accept;
                    \(rules.joined(separator: "\n        "))
                }
            }

            """
    }

    /// Removes the table, which must be there.
    public var removal: String { "delete table inet \(tableName)\n" }

    private static func rule(_ family: String, _ addresses: [String]) -> String {
        "\(family) saddr { \(addresses.joined(separator: ", ")) } "
            + "tcp flags & (fin | rst) != 0 fib saddr type != local drop"
    }
}
