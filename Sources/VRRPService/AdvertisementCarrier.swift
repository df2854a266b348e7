// SPDX-License-Identifier: Apache-2.0
//
// The two raw sockets under an advertisement channel behind one face. Decides nothing.

internal import EventLoop
internal import LinuxIO
internal import VRRPCore
internal import WireCore

/// A raw socket of either family that carries adverts of one virtual router.
protocol AdvertisementCarrier: AnyObject {
    /// Starts to watch the socket.
    func watch(on loop: EventLoop, handler: any EventHandler) throws(Errno) -> EventSource
    /// Stops to watch the socket.
    func unwatch(_ source: EventSource, on loop: EventLoop)
    /// Watches for packets or, while paused, for errors alone.
    func setPaused(_ isPaused: Bool, _ source: EventSource, on loop: EventLoop)
    /// Sends one message to where this carrier's adverts go.
    func send(_ message: [UInt8]) -> Bool
    /// The next packet; `nil` when none waits.
    func receive() -> CarriedPacket?
    /// Replaces the filter; one that is refused changes nothing.
    func setFilter(_ filter: SocketFilter)
    /// Packets that found the buffer full.
    var droppedCount: UInt64 { get }
}

extension AdvertisementCarrier {
    /// Longer than any valid advert and than an Ethernet packet, so that an oversized one is told
    /// from a damaged one.
    static var packetByteCountMax: Int { 4_608 }
}

/// Adverts over IPv4 (RFC 9568 §5.1.1).
final class IPv4Carrier: AdvertisementCarrier {
    private let socket: RawIPSocket
    private let destination: IPv4Address

    init(_ options: RawIPSocket.Options, to destination: IPv4Address) throws(Errno) {
        socket = try RawIPSocket(options)
        self.destination = destination
    }

    func watch(on loop: EventLoop, handler: any EventHandler) throws(Errno) -> EventSource {
        try loop.add(socket.descriptor, .readable, handler: handler)
    }

    func unwatch(_ source: EventSource, on loop: EventLoop) {
        loop.remove(source, of: socket.descriptor)
    }

    func setPaused(_ isPaused: Bool, _ source: EventSource, on loop: EventLoop) {
        // It is registered, so this cannot fail for an outside reason.
        try? loop.modify(source, of: socket.descriptor, isPaused ? [] : .readable)
    }

    func send(_ message: [UInt8]) -> Bool {
        if case .bytes = try? socket.send(message, to: destination) { return true }
        return false
    }

    func receive() -> CarriedPacket? {
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

    func setFilter(_ filter: SocketFilter) {
        try? filter.attach(to: socket.descriptor)
    }

    var droppedCount: UInt64 { socket.descriptor.receiveDropCount }
}

/// Adverts over IPv6 (RFC 9568 §5.1.2).
final class IPv6Carrier: AdvertisementCarrier {
    private let socket: RawIPv6Socket
    private let destination: IPv6Address
    private let source: IPv6Address?

    init(
        _ options: RawIPv6Socket.Options, from source: IPv6Address?, to destination: IPv6Address
    ) throws(Errno) {
        socket = try RawIPv6Socket(options)
        self.source = source
        self.destination = destination
    }

    func watch(on loop: EventLoop, handler: any EventHandler) throws(Errno) -> EventSource {
        try loop.add(socket.descriptor, .readable, handler: handler)
    }

    func unwatch(_ source: EventSource, on loop: EventLoop) {
        loop.remove(source, of: socket.descriptor)
    }

    func setPaused(_ isPaused: Bool, _ source: EventSource, on loop: EventLoop) {
        // It is registered, so this cannot fail for an outside reason.
        try? loop.modify(source, of: socket.descriptor, isPaused ? [] : .readable)
    }

    func send(_ message: [UInt8]) -> Bool {
        guard let source else { return false }
        if case .bytes = try? socket.send(message, from: source, to: destination) { return true }
        return false
    }

    func receive() -> CarriedPacket? {
        var carrier: RawIPv6Socket.Carrier?
        let message = [UInt8](unsafeUninitializedCapacity: Self.packetByteCountMax) {
            buffer, count in
            // A pending error of the socket (the interface went down) is taken by this call.
            carrier = try? socket.receive(into: UnsafeMutableRawBufferPointer(buffer))
            count = carrier?.byteCount ?? 0
        }
        guard let carrier else { return nil }
        return CarriedPacket(
            bytes: message,
            carrier: .ipv6(
                source: carrier.source, destination: carrier.destination,
                hopLimit: carrier.hopLimit))
    }

    func setFilter(_ filter: SocketFilter) {
        try? filter.attach(to: socket.descriptor)
    }

    var droppedCount: UInt64 { socket.descriptor.receiveDropCount }
}
