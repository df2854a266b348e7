// SPDX-License-Identifier: Apache-2.0
//
// The state of a node on one screen, for the person on call.

internal import BalancerCore
internal import ConfigurationService
internal import HealthService
internal import LinuxIO
internal import ProxyService
internal import ReplicationCore
internal import ReplicationService
internal import VRRPCore
internal import VRRPService
internal import WireCore

extension Node {
    /// The text of `tandem status`.
    func statusText() -> String {
        var text =
            "node \(name): \(role), up \(Self.age(startedAt, at: Clock.now())), "
        text += "configuration \(loaded.hash)\n"
        if let pair {
            text += pair.routers.map { routerText($0, at: pair.takenAt) }.joined()
            text += linkText(pair.link, at: pair.takenAt)
            if let slow = latenessText(pair) { text += slow }
        }
        return text + poolsText() + namesText()
    }

    private func routerText(_ router: SpeakerStatus, at now: Instant) -> String {
        let held = Set(router.heldAddresses)
        let addresses = router.addresses.map { "\($0)\(held.contains($0) ? " (held)" : "")" }
        var text = "\nvirtual router \(router.virtualRouterID): \(router.state.rawValue) "
        text += "for \(Self.age(router.since.instant, at: now)), priority \(router.priority), "
        text += "adverts every \(router.interval)\n"
        text += "  addresses   \(addresses.joined(separator: ", "))\n"
        if !router.faults.isEmpty {
            text += "  held back   \(router.faults.map(\.explanation).joined(separator: "; "))\n"
        }
        if let heard = router.heardActive {
            text += "  hears       \(heard.address) with priority \(heard.priority), last "
            text += "\(Self.age(heard.heardAt, at: now)) ago\n"
        }
        if let failover = router.lastFailover { text += failoverText(failover, at: now) }
        return text
    }

    private func failoverText(_ failover: FailoverRecord, at now: Instant) -> String {
        var text = "  took over   \(Self.age(failover.detectedAt.instant, at: now)) ago because of "
        text += failover.detectedBecause.rawValue
        text += ": addresses after \(Self.milliseconds(failover.claimDuration)), "
        text += "announced after \(Self.milliseconds(failover.announceDuration))"
        if let silence = failover.silence {
            text += ", \(Self.milliseconds(silence)) after the last advert"
        }
        return text + "\n"
    }

    private func linkText(_ link: LinkStatus, at now: Instant) -> String {
        var text = "\npair link to \(link.peerName): "
        text += link.isUp ? "up" : "down (\(link.downReason?.rawValue ?? "unknown"))"
        text += link.isAuthenticated ? ", authenticated" : ", NOT authenticated"
        if let heardAt = link.lastHeardAt { text += ", heard \(Self.age(heardAt, at: now)) ago" }
        text += "\n"
        if case .refused = link.dial { text += "  dialling    \(link.dial)\n" }
        if let refusal = link.lastInboundRefusal { text += "  refused     \(refusal)\n" }
        if let heartbeat = link.lastHeartbeat {
            let roles = heartbeat.routers.map { "\($0.id) \($0.role)" }
            text += "  peer roles  \(roles.joined(separator: ", "))\n"
            if !heartbeat.isDataPlaneHealthy { text += "  peer        its data plane stalled\n" }
        }
        if link.isConfigurationEqual == false {
            text += "  WARNING     the nodes run from different configurations\n"
        }
        return text
    }

    private func latenessText(_ pair: PairSnapshot) -> String? {
        guard pair.timerLatenessMax > .milliseconds(5) else { return nil }
        return "  timers      up to \(Self.milliseconds(pair.timerLatenessMax)) late\n"
    }

    private func poolsText() -> String {
        var text = ""
        var pool: String?
        let pools = health?.poolSnapshot() ?? []
        for row in backendRows() {
            if row.pool != pool {
                text += "\npool \(row.pool)\n"
                text += pools.first { $0.pool == row.pool }.map(Self.troubleText) ?? ""
            }
            pool = row.pool
            text += "  " + Self.padded(row.name, 12) + Self.padded(row.state, 11)
            text += Self.padded(row.address, 22)
            text += "weight \(row.standing.weight), \(row.traffic?.requests ?? 0) requests, "
            text += "\(row.traffic?.requestsInFlight ?? 0) in flight"
            text += row.reason.isEmpty ? "\n" : ": \(row.reason)\n"
        }
        return text
    }

    /// What is wrong with a pool as a whole; empty as a rule.
    private static func troubleText(_ pool: PoolHealth) -> String {
        var text = ""
        if pool.status.cascadeSince != nil {
            text += "  CASCADE     many backends fail at once: they serve all the same\n"
        }
        if pool.status.panicSince != nil {
            text +=
                "  PANIC       \(pool.status.servingCount) of \(pool.status.total) are healthy: "
            text += "all are used\n"
        }
        return text
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    private static func milliseconds(_ span: TimeSpan) -> String {
        let microseconds = span.microseconds
        let fraction = String(microseconds % 1_000 + 1_000).dropFirst()
        return "\(microseconds / 1_000).\(fraction) ms"
    }

    private static func age(_ instant: Instant, at now: Instant) -> String {
        let age = now - instant
        let seconds = age.milliseconds / 1_000
        switch seconds {
        case 0: return "\(age.milliseconds) ms"
        case 1..<120: return "\(seconds) s"
        case 120..<7_200: return "\(seconds / 60) min"
        case 7_200..<172_800: return "\(seconds / 3_600) h"
        default: return "\(seconds / 86_400) d"
        }
    }
}
