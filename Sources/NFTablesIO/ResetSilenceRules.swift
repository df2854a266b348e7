// SPDX-License-Identifier: Apache-2.0
//
// The text of the rules that keep the kernel from resetting connections it does not know, while
// they are being made here. Pure; it runs nothing.
//
// A node that takes addresses over makes the other node's connections one after the other. A client
// whose packet comes before its turn must not hear the kernel's reset; it sends the packet again.
// Resets that a program asked for carry an acknowledgement and leave as always. Sockets do not tell
// the two apart: the kernel lends a listener's to the resets it sends (Linux 6.14 and later).

public import WireCore

/// The rules of one process.
public struct ResetSilenceRules: Hashable, Sendable {
    /// The table's name.
    public let tableName: String

    /// Names the table; `owner` tells processes in one network namespace apart.
    public init(owner: CInt) {
        tableName = "tandem_silence_\(owner)"
    }

    /// Makes the rules be in force for `addresses` and no others, in one transaction; none are for
    /// no address, so that a node that serves does not pay for them.
    public func setting(_ addresses: [IPAddress]) -> String {
        // What does not exist cannot be deleted; what is there twice is one.
        let removal = """
            table inet \(tableName) { flags owner; }
            delete table inet \(tableName)

            """
        guard !addresses.isEmpty else { return removal }
        let ipv4 = addresses.compactMap(\.ipv4).map(\.description)
        let ipv6 = addresses.compactMap(\.ipv6).map(\.description)
        var drops: [String] = []
        if !ipv4.isEmpty { drops.append("ip saddr { \(ipv4.joined(separator: ", ")) } drop") }
        if !ipv6.isEmpty { drops.append("ip6 saddr { \(ipv6.joined(separator: ", ")) } drop") }
        return removal + """
            table inet \(tableName) {
                flags owner
                chain leaving {
                    type filter hook output priority 0; policy accept;
                    tcp flags & (rst | ack) != rst accept
                    \(drops.joined(separator: "\n        "))
                }
            }

            """
    }
}
