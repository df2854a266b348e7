// SPDX-License-Identifier: Apache-2.0
//
// "Who has this IPv6 address?": asked of others, and read when others ask for ours.

public import WireCore

/// A neighbour solicitation (RFC 4861 §4.3).
public struct NeighborSolicitation: Hashable, Sendable {
    /// Who asks; `::` when the asker has no address yet (RFC 4862 §5.4.2).
    public var source: IPv6Address
    /// The solicited-node group of the target, or the target itself.
    public var destination: IPv6Address
    /// The address asked for.
    public var target: IPv6Address
    /// Where an answer goes: the option, or the source of the frame where there is none.
    public var senderMAC: HardwareAddress

    /// EtherType of IPv6, for the AF_PACKET socket.
    public static let etherType = NeighborMessage.etherType

    /// Reads an Ethernet frame, with every check of RFC 4861 §7.1.1.
    ///
    /// - Throws: with reason `notNeighborDiscovery` when the frame is something else.
    public init(frame: RawSpan) throws(NeighborMessageError) {
        let message = try NeighborMessage(frame: frame, .solicitation)
        if message.source == .any {
            // RFC 4861 §7.1.1: from the unspecified address only to a solicited-node multicast
            // address, and without a source link-layer address option.
            guard message.destination == message.target.solicitedNodeGroup else {
                throw NeighborMessageError(.unspecifiedSource, got: 0, wanted: 0)
            }
            guard message.linkLayerAddress == nil else {
                throw NeighborMessageError(.unspecifiedSource, got: 1, wanted: 0)
            }
        }
        source = message.source
        destination = message.destination
        target = message.target
        // An answer to one asker is not for a group, whatever the option says.
        let option = message.linkLayerAddress.flatMap { $0.isGroup ? nil : $0 }
        senderMAC = option ?? message.etherSource
    }

    /// A frame to the solicited-node group of `target`.
    ///
    /// From `::` it is the probe of RFC 4862 §5.4.2; the address is asked for without a claim.
    public static func frame(
        mac: HardwareAddress, source: IPv6Address, target: IPv6Address
    ) -> [UInt8] {
        let group = target.solicitedNodeGroup
        return frame(
            mac: mac, source: source, target: target, destination: group,
            etherDestination: .multicast(group))
    }

    /// A frame to a station that answered before (RFC 4861 §7.3.3 probes by unicast).
    public static func frame(
        mac: HardwareAddress, source: IPv6Address, target: IPv6Address, to station: HardwareAddress
    ) -> [UInt8] {
        frame(
            mac: mac, source: source, target: target, destination: target,
            etherDestination: station)
    }

    private static func frame(
        mac: HardwareAddress, source: IPv6Address, target: IPv6Address, destination: IPv6Address,
        etherDestination: HardwareAddress
    ) -> [UInt8] {
        NeighborMessage(
            kind: .solicitation, etherDestination: etherDestination, etherSource: mac,
            source: source, destination: destination, flags: 0, target: target,
            // RFC 4861 §4.3: MUST NOT be included when the source is the unspecified address.
            linkLayerAddress: source == .any ? nil : mac
        ).frame
    }
}
