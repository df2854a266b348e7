// SPDX-License-Identifier: Apache-2.0
//
// The text of the rules that keep a dead process silent. Pure; it runs nothing.
//
// When a process is killed the kernel closes its connections: a FIN that tells a client that an
// answer ended where it was cut off. Over IPv4 it cannot leave, because the addresses go first and
// the kernel sends from none that is not here. Over IPv6 it sends all the same, so a rule says it.
// The table goes with its owner's socket, which a process loses after its connections.

public import WireCore

/// The rules for some virtual addresses.
public struct FarewellRules: Hashable, Sendable {
    /// The table's name.
    public let tableName: String
    /// The addresses; none of them twice.
    public let addresses: [IPv6Address]

    /// Makes the rules; `owner` tells processes in one network namespace apart.
    public init(addresses: [IPv6Address], owner: CInt) {
        precondition(!addresses.isEmpty, "rules for no address")
        self.addresses = addresses
        tableName = "tandem_farewell_\(owner)"
    }

    /// Makes the table: FIN and RST from an address that is not on this host go nowhere.
    public var installation: String {
        """
        table ip6 \(tableName) {
            flags owner
            chain leaving {
                type filter hook output priority 0; policy accept;
                ip6 saddr { \(addresses.map(\.description).joined(separator: ", ")) } \
        tcp flags & (fin | rst) != 0 fib saddr type != local drop
            }
        }

        """
    }
}
