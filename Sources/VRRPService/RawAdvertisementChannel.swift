// SPDX-License-Identifier: Apache-2.0
//
// Adverts on the wire: IP protocol 112 of either family, multicast or to the other node alone, with
// a bound on what a flood of them can cost.

internal import ConfigurationCore
public import EventLoop
public import LinuxIO
internal import NetlinkIO
public import Telemetry
internal import VRRPCore
public import WireCore

/// The VRRP socket of one virtual router (RFC 9568 §5.1).
public final class RawAdvertisementChannel: AdvertisementChannel {
    /// Bytes that may wait in the socket: some 170 adverts, more than a second of an advert every
    /// 10 ms, and few enough that an old flood is soon read.
    static let receiveByteCountMax = 65_536

    /// Called when packets wait; paced while a flood lasts.
    public var onReadable: (() -> Void)?

    private let loop: EventLoop
    private let logger: Logger?
    private let point: AttachmentPoint
    private let filter: AdvertisementFilter
    private let carrier: any AdvertisementCarrier
    private let frames: VirtualMACFrames?
    private var source: EventSource?
    private var floodGuard = FloodGuard()
    private var shieldsRaised: UInt64 = 0
    private var pauses: UInt64 = 0
    private var shieldTimer: TimerID?
    private var pauseTimer: TimerID?
    private var heardPeer: (address: IPAddress, at: Instant)?

    /// Opens the socket.
    ///
    /// - Parameters:
    ///   - point: where; without an own address an IPv6 channel hears and cannot send.
    ///   - loop: where packets are waited for.
    ///   - logger: told when a flood begins.
    /// - Throws: EPERM without CAP_NET_RAW, EADDRNOTAVAIL when the point lacks an address that
    ///   is needed.
    public init(
        _ point: AttachmentPoint, loop: EventLoop, logger: Logger? = nil
    ) throws(Errno) {
        self.loop = loop
        self.logger = logger
        self.point = point
        filter = AdvertisementFilter(
            family: point.family, virtualRouterID: point.virtualRouterID,
            otherVirtualRouterIDs: point.otherVirtualRouterIDs)
        carrier = try Self.openCarrier(point)
        // To one station alone no switch needs the virtual MAC as source.
        frames =
            point.hasVirtualMAC && point.transport == .multicast
            ? try VirtualMACFrames(point) : nil
        if !point.otherVirtualRouterIDs.isEmpty { carrier.setFilter(filter.open) }
        source = try carrier.watch(on: loop, handler: self)
    }

    private static func openCarrier(
        _ point: AttachmentPoint
    ) throws(Errno) -> any AdvertisementCarrier {
        let isMulticast = point.transport == .multicast
        switch point.family {
        case .ipv4:
            let group = isMulticast ? Advertisement.multicastGroup.ipv4 : nil
            guard let own = point.ownAddress?.ipv4,
                let destination = group ?? point.peerAddress?.ipv4
            else { throw .addressNotAvailable }
            var options = RawIPSocket.Options(
                protocolNumber: Advertisement.protocolNumber, interfaceName: point.link.name,
                interfaceIndex: point.link.index, source: own, group: group)
            options.timeToLive = Advertisement.timeToLive
            options.receiveByteCountMax = receiveByteCountMax
            return try IPv4Carrier(options, to: destination)
        case .ipv6:
            let group = isMulticast ? Advertisement.group(of: .ipv6).ipv6 : nil
            guard let destination = group ?? point.peerAddress?.ipv6 else {
                throw .addressNotAvailable
            }
            var options = RawIPv6Socket.Options(
                protocolNumber: Advertisement.protocolNumber, interfaceName: point.link.name,
                interfaceIndex: point.link.index, group: group)
            options.hopLimit = Advertisement.timeToLive
            options.receiveByteCountMax = receiveByteCountMax
            return try IPv6Carrier(options, from: point.ownAddress?.ipv6, to: destination)
        }
    }

    /// What the channel counted.
    public var counts: ChannelCounts {
        var counts = ChannelCounts()
        counts.kernelDropped = carrier.droppedCount
        counts.shieldsRaised = shieldsRaised
        counts.pauses = pauses
        counts.isShielded = floodGuard.isShielded
        return counts
    }

    /// Takes the channel off its loop, which otherwise keeps it alive.
    public func close() {
        for timer in [shieldTimer, pauseTimer] {
            if let timer { loop.cancel(timer) }
        }
        if let source { carrier.unwatch(source, on: loop) }
        source = nil
        onReadable = nil
    }

    /// Sends one VRRP message; never waits.
    public func send(_ message: [UInt8]) -> Bool {
        if let frames { return frames.send(message) }
        return carrier.send(message)
    }

    /// The next waiting packet; `nil` when there is none.
    public func receive() -> CarriedPacket? {
        guard let packet = carrier.receive() else { return nil }
        switch floodGuard.packetArrived(now: Clock.now()) {
        case .calm: break
        case .raiseShield: raiseShield()
        case .pause: pause()
        }
        return packet
    }

    /// An advert from this address was accepted: during a flood it must still be heard.
    ///
    /// Only where the configuration names no address, and nobody takes the place of a peer that is
    /// still heard: whoever floods us in the name of another router must not pass the shield.
    public func heardPeer(at address: IPAddress) {
        guard point.peerAddress == nil else { return }
        let now = Clock.now()
        if let heard = heardPeer, heard.address != address,
            now - heard.at < FloodGuard.shieldDuration
        {
            return
        }
        let isNew = heardPeer?.address != address
        heardPeer = (address, now)
        if isNew, floodGuard.isShielded { putShieldOn() }
    }

    // MARK: Floods

    private func raiseShield() {
        shieldsRaised &+= 1
        putShieldOn()
        logger?.warning(
            "[vrid \(point.virtualRouterID)] too many adverts on \(point.link.name): for "
                + "\(FloodGuard.shieldDuration.milliseconds / 1_000)s only those of the other "
                + "node are heard",
            ["packets_per_second": String(FloodGuard.packetsPerSecond)])
        shieldTimer = loop.schedule(at: Clock.now() + FloodGuard.shieldDuration) { [weak self] in
            self?.lowerShield()
        }
    }

    private func putShieldOn() {
        let sources = [point.peerAddress ?? heardPeer?.address].compactMap { $0 }
        carrier.setFilter(filter.shield(sources: sources))
    }

    private func lowerShield() {
        shieldTimer = nil
        floodGuard.shieldLowered()
        carrier.setFilter(filter.open)
    }

    private func pause() {
        guard pauseTimer == nil, let source else { return }
        pauses &+= 1
        carrier.setPaused(true, source, on: loop)
        pauseTimer = loop.schedule(at: Clock.now() + FloodGuard.pauseDuration) { [weak self] in
            self?.resume()
        }
    }

    private func resume() {
        pauseTimer = nil
        guard let source else { return }
        carrier.setPaused(false, source, on: loop)
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
