// SPDX-License-Identifier: Apache-2.0
//
// Adverts that leave with the virtual MAC as source: whole frames, since the kernel would write the
// interface's own address. What is in them is the codec's.

internal import LinuxIO
internal import NetlinkIO
internal import VRRPCore
internal import WireCore

/// Multicast adverts of one virtual router as Ethernet frames (RFC 9568 §7.2).
final class VirtualMACFrames {
    private let socket: PacketSocket
    private let family: AddressFamily
    private let virtualRouterID: UInt8
    private let source: IPAddress?

    init(_ point: AttachmentPoint) throws(Errno) {
        socket = try PacketSocket(interfaceIndex: point.link.index)
        family = point.family
        virtualRouterID = point.virtualRouterID
        source = point.ownAddress
    }

    func send(_ message: [UInt8]) -> Bool {
        guard let source, message.count <= Int(UInt16.max) - 60 else { return false }
        let mac = HardwareAddress.virtualRouter(id: virtualRouterID, family: family)
        let frame =
            switch source {
            case .v4(let address): Self.ipv4Frame(message, from: address, mac: mac)
            case .v6(let address): Self.ipv6Frame(message, from: address, mac: mac)
            }
        if case .bytes = try? socket.send(frame) { return true }
        return false
    }

    static func ipv4Frame(
        _ message: [UInt8], from source: IPv4Address, mac: HardwareAddress
    ) -> [UInt8] {
        let group = Advertisement.multicastGroup.ipv4?.rawValue ?? 0
        // RFC 1112 §6.4: the low 23 bits of the group.
        var frame = HardwareAddress(rawValue: 0x0100_5E00_0000 | UInt64(group & 0x7F_FFFF)).bytes
        frame += mac.bytes
        frame.appendBigEndian(UInt16(0x0800))
        // RFC 791 §3.1; RFC 9568 §5.1.1.3: TTL 255.
        var header: [UInt8] = [0x45, 0xC0]
        header.appendBigEndian(UInt16(20 + message.count))
        header += [0, 0, 0x40, 0, Advertisement.timeToLive, Advertisement.protocolNumber, 0, 0]
        header.appendBigEndian(source.rawValue)
        header.appendBigEndian(group)
        var sum = InternetChecksum()
        sum.add(header.span.bytes)
        header[10] = UInt8(truncatingIfNeeded: sum.value >> 8)
        header[11] = UInt8(truncatingIfNeeded: sum.value)
        return frame + header + message
    }

    static func ipv6Frame(
        _ message: [UInt8], from source: IPv6Address, mac: HardwareAddress
    ) -> [UInt8] {
        guard let group = Advertisement.group(of: .ipv6).ipv6 else { return [] }
        // RFC 2464 §7: 33:33 and the last four bytes of the group.
        var frame = HardwareAddress(rawValue: 0x3333_0000_0000 | group.low & 0xFFFF_FFFF).bytes
        frame += mac.bytes
        frame.appendBigEndian(UInt16(0x86DD))
        // RFC 8200 §3: version 6, traffic class CS6; RFC 9568 §5.1.2.3: hop limit 255.
        frame.appendBigEndian(UInt32(0x6C00_0000))
        frame.appendBigEndian(UInt16(message.count))
        frame += [Advertisement.protocolNumber, Advertisement.timeToLive]
        frame += source.octets
        frame += group.octets
        return frame + message
    }
}
