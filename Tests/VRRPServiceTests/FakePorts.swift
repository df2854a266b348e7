// SPDX-License-Identifier: Apache-2.0
//
// A stand-in for the network: remembers in one list what a speaker did, in order.

import LinuxIO
import VRRPCore
import WireCore

@testable import VRRPService

/// What a speaker did.
enum Deed: Hashable {
    case put
    case remove
    case sent(priority: UInt8)
    case announced
    case cancelled
}

/// Asks a LAN that a test makes up.
final class FakeProber: AddressProbing {
    var onConflict: ((IPAddress, HardwareAddress) -> Void)?
    var verdict = ProbeVerdict()
    var watched: [IPAddress] = []
    var probeCount = 0

    func watch(_ addresses: [IPAddress]) {
        watched = addresses
    }

    func probe() {
        probeCount += 1
    }

    func close() {
        onConflict = nil
    }
}

/// All ports of a speaker in one object, but for the prober.
final class FakePorts: AdvertisementChannel, VirtualAddressControl, AddressAnnouncing {
    var deeds: [Deed] = []
    let prober = FakeProber()
    /// Which addresses are answered for, quietly or not.
    var answered: [IPAddress] = []
    /// Whom an advert was accepted from.
    var heardPeers: [IPAddress] = []
    /// What was sent last.
    var lastMessage: [UInt8] = []
    var refusal: VirtualAddressError?
    var present: Set<IPAddress> = []
    var onReadable: (() -> Void)?
    var isQuiet = false
    var isNeverQuiet = false
    var counts = ChannelCounts()
    private var waiting: [CarriedPacket] = []

    var ports: Speaker.Ports {
        Speaker.Ports(channel: self, addresses: self, announcer: self, prober: prober)
    }

    /// Lets packets arrive, all before the speaker hears of them.
    func deliver(_ packets: [[UInt8]]) {
        for packet in packets { queue(packet) }
        onReadable?()
    }

    /// Lets one IPv6 message arrive.
    func deliver(
        _ message: [UInt8], from source: IPv6Address, to destination: IPv6Address,
        hopLimit: UInt8 = 255
    ) {
        waiting.append(
            CarriedPacket(
                bytes: message,
                carrier: .ipv6(source: source, destination: destination, hopLimit: hopLimit)))
        onReadable?()
    }

    /// Puts a packet where the speaker finds it at its next wake-up.
    func queue(_ packet: [UInt8]) {
        waiting.append(CarriedPacket(bytes: packet, carrier: .ipv4))
    }

    var waitingCount: Int { waiting.count }

    func send(_ message: [UInt8]) -> Bool {
        lastMessage = message
        deeds.append(.sent(priority: message[2]))
        return true
    }

    func receive() -> CarriedPacket? {
        waiting.isEmpty ? nil : waiting.removeFirst()
    }

    func heardPeer(at address: IPAddress) {
        heardPeers.append(address)
    }

    func close() {
        onReadable = nil
    }

    func put(_ addresses: [IPAddress], lease: TimeSpan) throws(VirtualAddressError) {
        if let refusal { throw refusal }
        deeds.append(.put)
        present.formUnion(addresses)
    }

    func remove(_ addresses: [IPAddress]) throws(VirtualAddressError) {
        deeds.append(.remove)
        present.subtract(addresses)
    }

    func missing(among addresses: [IPAddress]) -> [IPAddress] {
        addresses.filter { !present.contains($0) }
    }

    func announce(_ addresses: [IPAddress]) {
        deeds.append(.announced)
    }

    func hold(_ addresses: [IPAddress]) {
        answered = addresses
    }

    func letGo() {
        answered = []
        cancel()
    }

    func cancel() {
        deeds.append(.cancelled)
    }
}

/// Whole IPv4 packets as a raw socket delivers them.
enum Packet {
    static let instance = VirtualRouterInstance(
        virtualRouterID: 51, family: .ipv4, interface: "lan0")
    static let own = IPAddress(192, 0, 2, 1)
    static let peer = IPAddress(192, 0, 2, 2)
    static let stranger = IPAddress(192, 0, 2, 66)
    static let virtual = IPAddress(192, 0, 2, 100)

    static func advertisement(
        from source: IPAddress = peer, to destination: IPAddress = Advertisement.multicastGroup,
        id: UInt8 = 51, priority: UInt8, intervalCentiseconds: UInt16 = 10
    ) -> [UInt8] {
        let message = Advertisement(
            virtualRouterID: id, priority: priority, intervalCentiseconds: intervalCentiseconds,
            addresses: [virtual]
        ).encoded(checksum: .rfc9568, source: source, destination: destination)
        return ip(message, from: source, to: destination)
    }

    static func ip(
        _ message: [UInt8], from source: IPAddress, to destination: IPAddress,
        timeToLive: UInt8 = 255
    ) -> [UInt8] {
        var header: [UInt8] = [0x45, 0xC0]
        header.appendBigEndian(UInt16(20 + message.count))
        header += [0, 0, 0, 0, timeToLive, 112, 0, 0]
        header.appendBigEndian(source.ipv4?.rawValue ?? 0)
        header.appendBigEndian(destination.ipv4?.rawValue ?? 0)
        var sum = InternetChecksum()
        sum.add(header.span.bytes)
        header[10] = UInt8(truncatingIfNeeded: sum.value >> 8)
        header[11] = UInt8(truncatingIfNeeded: sum.value)
        return header + message
    }
}
