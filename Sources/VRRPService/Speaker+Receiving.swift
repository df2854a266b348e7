// SPDX-License-Identifier: Apache-2.0
//
// From a packet to an event, or to a counter and a line at a limited rate.

internal import LinuxIO
internal import Telemetry
internal import VRRPCore
internal import WireCore

/// One log limit per reason to drop: a peer that causes one kind cannot hide another.
struct DropLimiters {
    private var limiters: [AdvertisementError.Reason: LogRateLimiter] = [:]

    /// Reasons are a closed set, so the table stays small.
    mutating func admit(_ reason: AdvertisementError.Reason, now: Instant) -> Int? {
        limiters[reason, default: LogRateLimiter(burstCount: 2)].admit(now: now)
    }
}

extension Speaker {
    /// Makes every receive check (RFC 9568 §7.1) and passes on what is left.
    func take(_ packet: CarriedPacket) {
        let received: ReceivedAdvertisement
        do throws(AdvertisementError) {
            received = try decode(packet)
        } catch {
            report.countDropped(error.reason)
            logDrop(error)
            return
        }
        // Another virtual router of this node hears it on its own socket.
        guard received.advertisement.virtualRouterID == settings.virtualRouterID else { return }
        ports.channel.heardPeer(at: received.source)
        report.countReceived(received)
        status.heardActive = HeardActive(
            address: received.source, priority: received.advertisement.priority,
            interval: received.advertisement.interval, heardAt: Clock.now())
        run { $0.advertisementReceived(received, now: $1, into: &$2) }
    }

    private func decode(
        _ packet: CarriedPacket
    ) throws(AdvertisementError) -> ReceivedAdvertisement {
        switch packet.carrier {
        case .ipv4:
            try decoder.decode(ipv4Packet: packet.bytes.span.bytes)
        case .ipv6(let source, let destination, let hopLimit):
            try decoder.decode(
                ipv6Message: packet.bytes.span.bytes, source: source, destination: destination,
                hopLimit: hopLimit)
        }
    }

    private func logDrop(_ error: AdvertisementError) {
        guard let suppressed = dropLimiters.admit(error.reason, now: Clock.now()) else { return }
        logger.warning(
            "[\(surroundings.label)] advert dropped: \(error)",
            ["reason": error.reason.rawValue, "suppressed": String(suppressed)])
    }
}
