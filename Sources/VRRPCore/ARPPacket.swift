// SPDX-License-Identifier: Apache-2.0
//
// ARP for IPv4 over Ethernet, as whole frames. Which packets are sent and when is not said here:
// see GratuitousARP, ARPProbe and ARPRequest.

public import WireCore

/// One ARP packet (RFC 826).
public struct ARPPacket: Hashable, Sendable {
    /// What the packet is for.
    public var operation: Operation
    /// The sender's Ethernet address.
    public var senderMAC: HardwareAddress
    /// The sender's address, 0.0.0.0 in a probe (RFC 5227 §1.1).
    public var senderAddress: IPv4Address
    /// The Ethernet address asked for: of no meaning in a request.
    public var targetMAC: HardwareAddress
    /// The address asked for.
    public var targetAddress: IPv4Address

    /// The two operations of RFC 826.
    public enum Operation: UInt16, Hashable, Sendable {
        /// "Who has the target address?"
        case request = 1
        /// "The sender address is mine."
        case reply = 2
    }

    /// EtherType of ARP, for the AF_PACKET socket.
    public static let etherType: UInt16 = 0x0806
    /// How long every frame is, before the padding that the device adds.
    public static let frameByteCount = 42

    /// Makes a packet.
    public init(
        _ operation: Operation, senderMAC: HardwareAddress, senderAddress: IPv4Address,
        targetMAC: HardwareAddress, targetAddress: IPv4Address
    ) {
        self.operation = operation
        self.senderMAC = senderMAC
        self.senderAddress = senderAddress
        self.targetMAC = targetMAC
        self.targetAddress = targetAddress
    }

    /// Reads an Ethernet frame; `nil` for anything but ARP for IPv4 over Ethernet.
    ///
    /// Bytes after the packet are Ethernet padding. The Ethernet source is not compared with the
    /// sender: a claim counts by what receivers put into their caches.
    public init?(frame: RawSpan) {
        var reader = ByteReader(frame)
        guard reader.readBytes(12) != nil, reader.readUInt16() == Self.etherType,
            // RFC 826: hardware type Ethernet, protocol type IPv4, their address sizes.
            reader.readUInt16() == 1, reader.readUInt16() == 0x0800,
            reader.readUInt8() == 6, reader.readUInt8() == 4,
            let operation = reader.readUInt16().flatMap(Operation.init(rawValue:)),
            let senderMAC = reader.readHardwareAddress(),
            let senderAddress = reader.readUInt32(),
            let targetMAC = reader.readHardwareAddress(),
            let targetAddress = reader.readUInt32()
        else { return nil }
        self.init(
            operation, senderMAC: senderMAC, senderAddress: IPv4Address(rawValue: senderAddress),
            targetMAC: targetMAC, targetAddress: IPv4Address(rawValue: targetAddress))
    }

    /// Who says that an address is his; `nil` for a probe, which claims nothing.
    public var claim: AddressClaim? {
        guard senderAddress != .any else { return nil }
        return AddressClaim(address: .v4(senderAddress), mac: senderMAC)
    }

    /// The packet as an Ethernet frame from its sender.
    public func frame(to destination: HardwareAddress) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.frameByteCount)
        bytes += destination.bytes
        bytes += senderMAC.bytes
        bytes.appendBigEndian(Self.etherType)
        bytes.appendBigEndian(UInt16(1))
        bytes.appendBigEndian(UInt16(0x0800))
        bytes.append(6)
        bytes.append(4)
        bytes.appendBigEndian(operation.rawValue)
        bytes += senderMAC.bytes
        bytes.appendBigEndian(senderAddress.rawValue)
        bytes += targetMAC.bytes
        bytes.appendBigEndian(targetAddress.rawValue)
        assert(bytes.count == Self.frameByteCount)
        return bytes
    }
}

extension ByteReader {
    /// The next six bytes, or `nil` when fewer are left.
    mutating func readHardwareAddress() -> HardwareAddress? {
        guard let bytes = readBytes(6) else { return nil }
        return HardwareAddress(bytes: bytes)
    }
}
