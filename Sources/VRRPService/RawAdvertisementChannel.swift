// SPDX-License-Identifier: Apache-2.0
//
// Adverts on the wire: IP protocol 112, multicast or to the other node alone.

internal import ConfigurationCore
public import EventLoop
public import LinuxIO
internal import NetlinkIO
internal import VRRPCore
public import WireCore

/// The VRRP socket of one virtual router (RFC 9568 §5.1.1).
public final class RawAdvertisementChannel: AdvertisementChannel {
    /// Longer than any valid advert (60 bytes of IP header, 8 of VRRP, 255 addresses) and than an
    /// Ethernet packet, so that an oversized one is told from a damaged one.
    static let packetByteCountMax = 2_048

    /// Called when packets wait.
    public var onReadable: (() -> Void)?

    private let loop: EventLoop
    private let socket: RawIPSocket
    private let destination: IPv4Address
    private var source: EventSource?

    /// What the channel counted.
    public var counts: ChannelCounts { ChannelCounts() }

    /// Opens the socket.
    ///
    /// - Throws: EPERM without CAP_NET_RAW.
    public init(_ point: AttachmentPoint, loop: EventLoop) throws(Errno) {
        self.loop = loop
        guard let own = point.ownAddress?.ipv4 else { throw .addressNotAvailable }
        let group: IPv4Address?
        switch point.transport {
        case .multicast: group = Advertisement.multicastGroup.ipv4
        case .unicast: group = nil
        }
        guard let destination = group ?? point.peerAddress?.ipv4 else {
            throw .addressNotAvailable
        }
        self.destination = destination
        var options = RawIPSocket.Options(
            protocolNumber: Advertisement.protocolNumber, interfaceName: point.link.name,
            interfaceIndex: point.link.index, source: own, group: group)
        options.timeToLive = Advertisement.timeToLive
        socket = try RawIPSocket(options)
        source = try loop.add(socket.descriptor, .readable, handler: self)
    }

    /// An advert from this address was accepted: during a flood it must still be heard.
    public func heardPeer(at address: IPAddress) {}

    /// Takes the channel off its loop, which otherwise keeps it alive.
    public func close() {
        if let source { loop.remove(source, of: socket.descriptor) }
        source = nil
        onReadable = nil
    }

    /// Sends one VRRP message; never waits.
    public func send(_ message: [UInt8]) -> Bool {
        if case .bytes = try? socket.send(message, to: destination) { return true }
        return false
    }

    /// The next waiting packet; `nil` when there is none.
    public func receive() -> CarriedPacket? {
        var hasPacket = false
        let packet = [UInt8](unsafeUninitializedCapacity: Self.packetByteCountMax) {
            buffer, count in
            // A pending error of the socket (the interface went down) is taken by this call.
            if case .bytes(let got) = try? socket.receive(
                into: UnsafeMutableRawBufferPointer(buffer))
            {
                count = got
                hasPacket = true
            }
        }
        return hasPacket ? CarriedPacket(bytes: packet, carrier: .ipv4) : nil
    }
}

extension RawAdvertisementChannel: EventHandler {
    /// Passes readiness on.
    public func handle(_ events: EpollEvents, from source: EventSource) {
        guard let onReadable else {
            // Nobody listens yet: take one packet so that the loop does not spin.
            _ = receive()
            return
        }
        onReadable()
    }
}
