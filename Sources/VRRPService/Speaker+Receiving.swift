// SPDX-License-Identifier: Apache-2.0
//
// From a packet to an event, or to a counter and a line at a limited rate.

internal import ConfigurationCore
internal import LinuxIO
internal import Telemetry
internal import VRRPCore
internal import WireCore

/// One log limit per reason to drop: a peer that causes one kind cannot hide another.
struct DropLimiters {
    private var limiters: [String: LogRateLimiter] = [:]

    /// Reasons come from two closed sets, so the table stays small.
    mutating func admit(_ reason: String, now: Instant) -> Int? {
        limiters[reason, default: LogRateLimiter(burstCount: 2)].admit(now: now)
    }
}

extension Speaker {
    /// Makes every receive check (RFC 9568 §7.1) and passes on what is left.
    func take(_ packet: [UInt8]) {
        let received: ReceivedAdvertisement
        do throws(AdvertisementError) {
            received = try ReceivedAdvertisement.decode(
                packet.span.bytes, virtualRouterIDs: surroundings.virtualRouterIDs)
        } catch {
            report.countDropped(error.reason)
            logDrop(error.reason.rawValue, error.description)
            return
        }
        // Another virtual router of this node hears it on its own socket.
        guard received.advertisement.virtualRouterID == settings.virtualRouterID else { return }
        if let refusal = refusal(of: received) {
            report.countDropped(refusal)
            logDrop(
                refusal.rawValue,
                "\(refusal.rawValue): got \(received.source) to \(received.destination)")
            return
        }
        status.heardActive = HeardActive(
            address: received.source, priority: received.advertisement.priority,
            interval: received.advertisement.interval, heardAt: Clock.now())
        run { $0.advertisementReceived(received, now: $1, into: &$2) }
    }

    private func refusal(of received: ReceivedAdvertisement) -> SpeakerReport.Refusal? {
        // Multicast is not looped back (IP_MULTICAST_LOOP), so this came from the wire.
        if received.source == settings.primaryAddress { return .ownAddress }
        switch surroundings.transport {
        case .multicast:
            // RFC 9568 §5.1.1.2: the destination is 224.0.0.18.
            return received.destination == Advertisement.multicastGroup ? nil : .destination
        case .unicast:
            guard received.destination == settings.primaryAddress else { return .destination }
            return received.source == surroundings.peerAddress ? nil : .source
        }
    }

    private func logDrop(_ reason: String, _ text: String) {
        guard let suppressed = dropLimiters.admit(reason, now: Clock.now()) else { return }
        logger.warning(
            "[vrid \(settings.virtualRouterID)] advert dropped: \(text)",
            ["reason": reason, "suppressed": String(suppressed)])
    }
}
