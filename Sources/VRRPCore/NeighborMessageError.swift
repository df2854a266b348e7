// SPDX-License-Identifier: Apache-2.0
//
// Why a received frame is no valid neighbour solicitation or advertisement.

/// A frame that failed a check of RFC 4861 §7.1: it is dropped without an answer.
public struct NeighborMessageError: Error, Hashable, Sendable {
    /// The check that failed.
    public var reason: Reason
    /// What the frame says.
    public var got: Int
    /// What the check asks for; a minimum where the reason says so.
    public var wanted: Int

    /// The checks; the raw value serves as a metric label.
    public enum Reason: String, Hashable, Sendable, CaseIterable {
        /// Another frame altogether, or the other kind of message: nobody's fault.
        case notNeighborDiscovery = "not_neighbor_discovery"
        /// The frame ends before its message (`wanted` is the minimum).
        case truncated = "truncated"
        /// The hop limit is not 255: a router passed it on.
        case hopLimit = "hop_limit"
        /// The code is not 0.
        case code = "code"
        /// The ICMPv6 checksum is wrong (`got` is what the field says).
        case checksum = "checksum"
        /// The source is a multicast address (RFC 4291 §2.7: it must never be one).
        case source = "source"
        /// The target is a multicast address.
        case target = "target"
        /// An option of no length, or one that ends after the message.
        case option = "option"
        /// From nobody (`::`), and not as RFC 4861 §7.1.1 lets a solicitation be.
        case unspecifiedSource = "unspecified_source"
        /// An answer to everybody that calls itself solicited (RFC 4861 §7.1.2).
        case solicitedMulticast = "solicited_multicast"
    }

    /// Makes an error.
    public init(_ reason: Reason, got: Int, wanted: Int) {
        self.reason = reason
        self.got = got
        self.wanted = wanted
    }
}

extension NeighborMessageError: CustomStringConvertible {
    /// `hop_limit: got 64, wanted 255`.
    public var description: String {
        "\(reason.rawValue): got \(got), wanted \(wanted)"
    }
}
