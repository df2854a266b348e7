// SPDX-License-Identifier: Apache-2.0
//
// "This IPv6 address lives here": to everybody after a takeover, to one asker, and as others say.

public import WireCore

/// A neighbour advertisement (RFC 4861 §4.4).
public struct NeighborAdvertisement: Hashable, Sendable {
    /// Who sent it.
    public var source: IPv6Address
    /// Everybody, or the asker.
    public var destination: IPv6Address
    /// The address it is about.
    public var target: IPv6Address
    /// R: the sender is a router.
    public var isRouter: Bool
    /// S: an answer to a solicitation.
    public var isSolicited: Bool
    /// O: caches take the new station over the one they know.
    public var isOverride: Bool
    /// Where the target lives; `nil` when the option is missing.
    public var targetMAC: HardwareAddress?

    private static let routerFlag: UInt32 = 1 << 31
    private static let solicitedFlag: UInt32 = 1 << 30
    private static let overrideFlag: UInt32 = 1 << 29

    /// Reads an Ethernet frame, with every check of RFC 4861 §7.1.2.
    ///
    /// - Throws: with reason `notNeighborDiscovery` when the frame is something else.
    public init(frame: RawSpan) throws(NeighborMessageError) {
        let message = try NeighborMessage(frame: frame, .advertisement)
        isRouter = message.flags & Self.routerFlag != 0
        isSolicited = message.flags & Self.solicitedFlag != 0
        isOverride = message.flags & Self.overrideFlag != 0
        // RFC 4861 §7.1.2: to a multicast address the Solicited flag is zero.
        guard !(isSolicited && message.destination.isMulticast) else {
            throw NeighborMessageError(.solicitedMulticast, got: 1, wanted: 0)
        }
        source = message.source
        destination = message.destination
        target = message.target
        targetMAC = message.linkLayerAddress
    }

    /// Who says that an address is his; `nil` when the message does not say where.
    public var claim: AddressClaim? {
        targetMAC.map { AddressClaim(address: .v6(target), mac: $0) }
    }

    /// A frame to everybody: the address lives at `mac` now.
    ///
    /// RFC 9568 §6.4.1 and §6.4.2: unsolicited, R set, S clear, O set, target link-layer address
    /// the announced one. The source is the virtual address.
    public static func unsolicitedFrame(mac: HardwareAddress, address: IPv6Address) -> [UInt8] {
        NeighborMessage(
            kind: .advertisement, etherDestination: .multicast(NeighborMessage.allNodes),
            etherSource: mac, source: address, destination: NeighborMessage.allNodes,
            flags: routerFlag | overrideFlag, target: address, linkLayerAddress: mac
        ).frame
    }

    /// The frame that answers an asker: the address asked for lives at `mac`.
    ///
    /// RFC 9568 §6.4.3: with the router flag set. RFC 4861 §7.2.4: to the asker with S set, or,
    /// when it has no address, to everybody with S clear.
    public static func answer(
        to solicitation: NeighborSolicitation, mac: HardwareAddress
    ) -> [UInt8] {
        guard solicitation.source != .any else {
            return unsolicitedFrame(mac: mac, address: solicitation.target)
        }
        return NeighborMessage(
            kind: .advertisement, etherDestination: solicitation.senderMAC, etherSource: mac,
            source: solicitation.target, destination: solicitation.source,
            flags: routerFlag | solicitedFlag | overrideFlag, target: solicitation.target,
            linkLayerAddress: mac
        ).frame
    }
}
