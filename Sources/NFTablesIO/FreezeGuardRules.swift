// SPDX-License-Identifier: Apache-2.0
//
// The text of the rules that keep the kernel of a frozen process from acknowledging requests. Pure;
// it runs nothing.
//
// A process that is stopped keeps its addresses and connections: 40 ms later its kernel
// acknowledges what clients sent, and they never send it again to the node that takes over. So what
// is nothing but an acknowledgement leaves only while the process has shown a sign of life in the
// last ``freshMilliseconds``: a packet with a mark, which these rules take note of and drop.
//
// A sign that comes late delays acknowledgements, which the next segment brings along or the client
// asks for again. When it is so late that another node may have taken over, nothing leaves any
// more: a process that wakes up must not put its bytes among those of the other node before it has
// found out what became of it.

public import WireCore

/// The rules for some virtual addresses and ports.
public struct FreezeGuardRules: Hashable, Sendable {
    /// The mark of the packets that are signs of life.
    public static let lifeSignMark: UInt32 = 0x7464_6C73
    /// How long a sign counts: less than the 40 ms by which Linux delays acknowledgements
    /// (TCP_DELACK_MIN), and several times the interval of the signs.
    public static let freshMilliseconds = 30

    /// The table's name.
    public let tableName: String
    /// The addresses; none of them twice.
    public let addresses: [IPAddress]
    /// The ports of listeners whose connections go on elsewhere.
    public let ports: [UInt16]
    /// How long after a sign anything may leave.
    public let aliveMilliseconds: UInt64

    /// The shortest `aliveMilliseconds`: several signs may be late on a busy host.
    public static let aliveMillisecondsMin: UInt64 = 50

    /// Makes the rules; `owner` tells processes in one network namespace apart.
    ///
    /// - Parameters:
    ///   - addresses: the virtual addresses.
    ///   - ports: of listeners whose connections go on elsewhere.
    ///   - silenceSpan: how long the other node waits before it takes over.
    ///   - owner: part of the table's name.
    public init(addresses: [IPAddress], ports: [UInt16], silenceSpan: TimeSpan, owner: CInt) {
        precondition(!addresses.isEmpty && !ports.isEmpty, "rules for nothing")
        self.addresses = addresses
        self.ports = ports
        aliveMilliseconds = max(silenceSpan.milliseconds, Self.aliveMillisecondsMin)
        tableName = "tandem_freeze_\(owner)"
    }

    /// Makes the table.
    public var installation: String {
        let ports = ports.map(String.init).joined(separator: ", ")
        let ipv4 = addresses.compactMap(\.ipv4).map(\.description)
        let ipv6 = addresses.compactMap(\.ipv6).map(\.description)
        var rules: [String] = []
        var ways: [String] = []
        for (word, addresses) in [("ip", ipv4), ("ip6", ipv6)] where !addresses.isEmpty {
            ways.append(
                "\(word) saddr { \(addresses.joined(separator: ", ")) } tcp sport { \(ports) } "
                    + "goto carried")
        }
        // Headers without options, and with up to 40 bytes of them (RFC 9293 §3.1): nothing else
        // fits when there is no payload.
        for words in ipv4.isEmpty ? 0..<0 : 5..<16 {
            rules.append(
                "ip length \(20 + 4 * words) tcp doff \(words) counter name \(heldName) drop")
        }
        for words in ipv6.isEmpty ? 0..<0 : 5..<16 {
            rules.append(
                "ip6 length \(4 * words) tcp doff \(words) counter name \(heldName) drop")
        }
        // Each set has one element, the same for a sign and for whatever is looked at. While signs
        // come in time, a carried packet costs one look, and any other packet of the host none.
        return """
            table inet \(tableName) {
                flags owner
                counter \(heldName) {
                }
                set fresh {
                    typeof meta mark
                    size 2
                    flags dynamic,timeout
                }
                set alive {
                    typeof meta mark
                    size 2
                    flags dynamic,timeout
                }
                chain carried {
                    meta mark & 0 @fresh accept
                    meta mark & 0 != @alive drop
                    tcp flags != ack accept
                    meta length > 120 accept
                    \(rules.joined(separator: "\n        "))
                }
                chain leaving {
                    type filter hook output priority 0; policy accept;
                    meta mark \(Self.lifeSignMark) \
            update @fresh { meta mark & 0 timeout \(Self.freshMilliseconds)ms } \
            update @alive { meta mark & 0 timeout \(aliveMilliseconds)ms } drop
                    \(ways.joined(separator: "\n        "))
                }
            }

            """
    }

    private let heldName = "held"

    /// Lists the acknowledgements that were held back.
    public var lookHeld: String { "list counter inet \(tableName) \(heldName)\n" }

    /// Reads the number in what ``lookHeld`` prints.
    public static func heldCount(in text: String) -> UInt64? {
        let words = text.split { $0.isWhitespace }
        guard let place = words.firstIndex(of: "packets"), place + 1 < words.endIndex else {
            return nil
        }
        return UInt64(words[place + 1])
    }

    /// Lists what the rules know of signs.
    public var look: String { "list set inet \(tableName) fresh\n" }

    /// Lists whether anything may leave.
    public var lookAlive: String { "list set inet \(tableName) alive\n" }

    /// Removes the table.
    public var removal: String { "delete table inet \(tableName)\n" }
}
