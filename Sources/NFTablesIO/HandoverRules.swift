// SPDX-License-Identifier: Apache-2.0
//
// The text of the rules that let two nodes hold one address during a planned switchover. Pure; it
// runs nothing.
//
// Both nodes tell connections apart by who saw their first segment (SYN without ACK, RFC 9293
// §3.5). The old node passes new ones on and remembers them; the new one passes on what it does
// not know. A packet is passed on by a copy to the other node's link-layer address (`dup`) and the
// end of the original, so the receiver sees it as the client sent it. What the other node passed
// on is never passed back. IPv4: whoever is to be silent answers no ARP request for the addresses
// and asks with its own address instead of theirs; for IPv6 the process itself is silent.
//
// Connections may change nodes meanwhile. The new node knows them by the mark of their sockets,
// for it saw no first segment of theirs. The old node tells nobody that they are gone: a segment
// that comes between its last look and the other node's first is sent again by the client. What it
// would have answered with a reset goes nowhere for a moment, in which the other node makes the
// connection, and is the other node's from then on, so that whoever talks to a connection that
// nobody has any more gets its reset there.

public import WireCore

/// The rules of one node during a handover.
public struct HandoverRules: Hashable, Sendable {
    /// Which side of the handover the node is on.
    public enum Role: Hashable, Sendable {
        /// It has the connections that there are and passes new ones on.
        case old
        /// It takes new connections and passes the others on.
        case new
    }

    /// Most connections of one path that are told apart; further ones are taken for old ones.
    public static let connectionCountMax = 262_144

    /// How long the new node may take to make a connection that has left the old one.
    private static let makingSpan = "1s"

    /// The side.
    public let role: Role
    /// The name of all tables.
    public let tableName: String
    /// The ways to the other node.
    public let paths: [HandoverPath]
    /// Connections may change nodes; the new node's kernel has to have nft_socket for that.
    public let movesConnections: Bool

    /// Makes the rules of one side; `owner` tells processes in one network namespace apart.
    public init(role: Role, paths: [HandoverPath], owner: Int, movesConnections: Bool) {
        self.role = role
        self.paths = paths
        self.movesConnections = movesConnections
        tableName = "tandem_handover_\(owner)"
    }

    /// Makes the tables: in force at once on the new node, without effect on the old one.
    public var installation: String {
        var text = ""
        if !paths(of: .ipv4).isEmpty {
            text += forwardingTable(.ipv4) + silenceTable
        }
        if !paths(of: .ipv6).isEmpty {
            text += forwardingTable(.ipv6)
        }
        return text
    }

    /// Puts the old node's tables in force; one short transaction.
    public var activation: String {
        var text = ""
        for (number, path) in paths.enumerated() {
            text += "add element \(Self.word(path.family)) \(tableName) held\(number) "
            text += "{ \(Self.list(path.addresses)) }\n"
        }
        let silent = paths(of: .ipv4).flatMap(\.path.addresses)
        if !silent.isEmpty {
            text += "add element arp \(tableName) silent { \(Self.list(silent)) }\n"
        }
        return text
    }

    /// Ends the silence in ARP; everything else stays.
    public var loudness: String? {
        paths(of: .ipv4).isEmpty ? nil : "flush set arp \(tableName) silent\n"
    }

    /// Removes the tables.
    public var removal: String {
        var text = ""
        if !paths(of: .ipv4).isEmpty {
            text += "delete table ip \(tableName)\ndelete table arp \(tableName)\n"
        }
        if !paths(of: .ipv6).isEmpty { text += "delete table ip6 \(tableName)\n" }
        return text
    }

    /// Tables that do nothing and can be made only where all of the above can; for a start-up test.
    public static func trial(role: Role, owner: Int, movesConnections: Bool) -> HandoverRules {
        func path(_ own: IPAddress, _ peer: IPAddress, _ held: IPAddress) -> HandoverPath? {
            HandoverPath(
                interface: "lo", ownAddress: own, peerAddress: peer,
                peerHardwareAddress: [2, 0, 0, 0, 0, 1], addresses: [held])
        }
        // Documentation addresses (RFC 5737, RFC 3849): no packet is for them.
        let paths = [
            path(
                .v4(IPv4Address(192, 0, 2, 1)), .v4(IPv4Address(192, 0, 2, 2)),
                .v4(IPv4Address(192, 0, 2, 3))),
            path(
                .v6(IPv6Address(high: 0x2001_0DB8 << 32, low: 1)),
                .v6(IPv6Address(high: 0x2001_0DB8 << 32, low: 2)),
                .v6(IPv6Address(high: 0x2001_0DB8 << 32, low: 3))),
        ]
        return HandoverRules(
            role: role, paths: paths.compactMap(\.self), owner: owner,
            movesConnections: movesConnections)
    }

    // MARK: Tables

    private func paths(of family: AddressFamily) -> [(number: Int, path: HandoverPath)] {
        paths.enumerated().filter { $0.element.family == family }
            .map { (number: $0.offset, path: $0.element) }
    }

    private func forwardingTable(_ family: AddressFamily) -> String {
        let word = Self.word(family)
        let type = family == .ipv4 ? "ipv4_addr" : "ipv6_addr"
        var sets = ""
        var jumps = ""
        var chains = ""
        var silence = ""
        for (number, path) in paths(of: family) {
            sets += "    set held\(number) {\n        type \(type)\n"
            if role == .new {
                sets += "        elements = { \(Self.list(path.addresses)) }\n"
            }
            sets += "    }\n"
            sets += "    set begun\(number) {\n"
            sets += "        type \(type) . inet_service . \(type) . inet_service\n"
            sets += "        size \(Self.connectionCountMax)\n        flags dynamic\n    }\n"
            if role == .old, movesConnections {
                sets += "    set gone\(number) {\n"
                sets += "        type \(type) . inet_service . \(type) . inet_service\n"
                sets += "        size \(Self.connectionCountMax)\n"
                sets += "        flags dynamic,timeout\n    }\n"
            }
            // A node's own clients stay with it.
            let match = "iifname != \"lo\" \(word) daddr @held\(number)"
            jumps += "        \(match) meta l4proto tcp jump path\(number)\n"
            if role == .new {
                // For a connection of the other node, or of this one: let both look at it.
                jumps += "        \(match) \(Self.pathErrors(family)) \(Self.copy(to: path))\n"
            }
            chains += "    chain path\(number) {\n" + chain(number, path, word) + "    }\n"
            if role == .old, movesConnections { silence += resetRules(number, path, word) }
        }
        if !silence.isEmpty {
            silence =
                "    chain leaving {\n"
                + "        type filter hook output priority 0; policy accept;\n" + silence
                + "    }\n"
        }
        return """
            table \(word) \(tableName) {
                flags owner
            \(sets)\(chains)    chain arriving {
                    type filter hook prerouting priority -300; policy accept;
            \(jumps)    }
            \(silence)}

            """
    }

    /// A reset that answers a segment has no ACK (RFC 9293 §3.10.7.1); one that ends a connection
    /// of this host has, and leaves.
    private func resetRules(_ number: Int, _ path: HandoverPath, _ word: String) -> String {
        let match =
            "oifname != \"lo\" \(word) saddr @held\(number) tcp flags & (rst | ack) == rst"
        let key = "\(word) daddr . tcp dport . \(word) saddr . tcp sport"
        // A rule for each: a full set must not let the reset out.
        var text = "        \(match) add @gone\(number) { \(key) timeout \(Self.makingSpan) }\n"
        // Without this node's address the other one would pass it back again.
        if !path.peerHardwareAddress.isEmpty {
            text += "        \(match) add @begun\(number) { \(key) }\n"
        }
        return text + "        \(match) drop\n"
    }

    private func chain(_ number: Int, _ path: HandoverPath, _ word: String) -> String {
        let key = "\(word) saddr . tcp sport . \(word) daddr . tcp dport"
        let isFirst = "tcp flags & (syn | ack) == syn"
        let copy = Self.copy(to: path)
        var fromPeer = ""
        if !path.peerHardwareAddress.isEmpty {
            fromPeer = "        ether saddr \(Self.text(path.peerHardwareAddress)) accept\n"
        }
        switch role {
        case .old:
            let first =
                "        \(isFirst) add @begun\(number) { \(key) }\n"
                + "        \(isFirst) \(copy) drop\n"
            let begun = "        \(key) @begun\(number) \(copy) drop\n"
            guard movesConnections else { return fromPeer + first + begun }
            let gone = "        \(key) @gone\(number) drop\n"
            // The new node looks at what comes back to it and passes it on no further.
            return first + gone + begun + fromPeer
        case .new:
            let mark = "0x" + String(ConnectionMark.adopted, radix: 16)
            return (movesConnections ? "        socket mark \(mark) accept\n" : "")
                + "        \(isFirst) add @begun\(number) { \(key) }\n"
                + "        \(isFirst) accept\n"
                + fromPeer
                + "        \(key) @begun\(number) accept\n"
                + "        \(copy) drop\n"
        }
    }

    private var silenceTable: String {
        let paths = paths(of: .ipv4)
        var elements = ""
        if role == .new {
            elements = "        elements = { \(Self.list(paths.flatMap(\.path.addresses))) }\n"
        }
        var rules = "        arp operation reply arp saddr ip @silent drop\n"
        for (_, path) in paths {
            rules += "        oifname \"\(path.interface)\" arp operation request "
            rules += "arp saddr ip @silent arp saddr ip set \(path.ownAddress)\n"
        }
        return """
            table arp \(tableName) {
                flags owner
                set silent {
                    type ipv4_addr
            \(elements)    }
                chain asking {
                    type filter hook output priority 0; policy accept;
            \(rules)    }
            }

            """
    }

    // MARK: Words

    private static func word(_ family: AddressFamily) -> String {
        family == .ipv4 ? "ip" : "ip6"
    }

    private static func pathErrors(_ family: AddressFamily) -> String {
        family == .ipv4
            ? "icmp type destination-unreachable"
            : "icmpv6 type { destination-unreachable, packet-too-big }"
    }

    private static func copy(to path: HandoverPath) -> String {
        "dup to \(path.peerAddress) device \"\(path.interface)\""
    }

    private static func list(_ addresses: [IPAddress]) -> String {
        addresses.map(\.description).joined(separator: ", ")
    }

    private static func text(_ hardwareAddress: [UInt8]) -> String {
        hardwareAddress.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined(separator: ":")
    }
}

extension HandoverPath {
    /// The family of all its addresses.
    public var family: AddressFamily { ownAddress.family }
}
