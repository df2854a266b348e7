// SPDX-License-Identifier: Apache-2.0
//
// What makes the other end of a connection say where it is, when it is known where it should be: a
// segment that lies behind all that it may still receive, so that it can change nothing, and must
// be answered (RFC 9293 §3.10.7.4: "If an incoming segment is not acceptable, an acknowledgment
// should be sent in reply").
//
// The first question is empty and lies just behind, as a keep-alive does: firewalls that follow
// connections let it pass. But Linux answers segments without data that are out of its window only
// once in half a second, on each connection (net.ipv4.tcp_invalid_ratelimit, 500 ms by default):
// after two takeovers in that time the second one would hear nothing. The limit does not hold for
// segments with data, "not likely part of an ACK loop" (tcp_oow_rate_limited in
// net/ipv4/tcp_input.c). So whoever has not answered is asked with one octet, far behind. Observed
// on Linux 6.18, IPv4 and IPv6, with time stamps and without: one of 10 empty questions within
// 100 ms was answered, and 20 of 20 with an octet, each with the right numbers and a DSACK block
// (RFC 2883) about the octet.

public import WireCore

/// A segment that asks.
public struct TickleQuestion: Hashable, Sendable {
    /// How far behind the octet lies: no window reaches so far (RFC 7323 §2.3: at most 2^30 bytes,
    /// and it lies ahead).
    public static let farByteCount: UInt32 = 1 << 30

    /// Sequence number of the segment.
    public let sequence: UInt32
    /// What it acknowledges; nobody looks at it.
    public let acknowledgement: UInt32
    /// The time stamp, of a connection that has them: RFC 7323 §3.2 lets ends drop segments without
    /// one, and §5.3 those with an older one.
    public let timestamp: UInt32?
    /// Whether an octet comes with it.
    public let hasOctet: Bool

    /// The first question on a connection that stands at `transport`.
    ///
    /// The other end may not have acknowledged two full segments yet (RFC 1122 §4.2.3.2), and what
    /// it has not acknowledged is in its window still; firewalls let pass what is less than a
    /// window behind.
    ///
    /// - Parameters:
    ///   - transport: with a time stamp of now.
    ///   - sent: the other end has surely received everything before this number.
    public init(first transport: TransportState, sent: UInt32) {
        let behind = min(
            2 * UInt32(transport.segmentByteCountMax), max(transport.sendWindow / 2, 1))
        self.init(transport, sequence: sent &- max(behind, 1), hasOctet: false)
    }

    /// A further question.
    public init(further transport: TransportState, sent: UInt32) {
        self.init(transport, sequence: sent &- Self.farByteCount, hasOctet: true)
    }

    private init(_ transport: TransportState, sequence: UInt32, hasOctet: Bool) {
        self.sequence = sequence
        acknowledgement = transport.receiveSequence
        timestamp = transport.options.contains(.timestamps) ? transport.timestamp : nil
        self.hasOctet = hasOctet
    }
}
