// SPDX-License-Identifier: Apache-2.0
//
// The state of a node on one screen, for the person on call.

internal import BalancerCore
internal import ConfigurationCore
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
            text += trackersText(pair.trackers)
            if let link = pair.link { text += linkText(link, at: pair.takenAt) }
            if pair.isHeldByConfiguration {
                text += "  WARNING     this node does not take over until both run the same\n"
            }
            text += replicationText()
            text += handoverText(pair)
            if let slow = latenessText(pair) { text += slow }
        }
        return text + poolsText() + namesText()
    }

    private func routerText(_ router: SpeakerStatus, at now: Instant) -> String {
        let held = Set(router.heldAddresses)
        let isQuiet = router.isPrepared || router.isLingering
        let mark = isQuiet ? " (held quietly)" : " (held)"
        let addresses = router.addresses.map { "\($0)\(held.contains($0) ? mark : "")" }
        var text = "\nvirtual router \(router.virtualRouterID) \(router.instance.family.rawValue) "
        text += "on \(router.instance.interface): \(router.stateName) "
        text += "for \(Self.age(router.since.instant, at: now))"
        text += router.mode == .lan ? Self.electionText(router) : ", announced by its route\n"
        text += "  addresses   \(addresses.joined(separator: ", "))\n"
        text += Self.troubleText(router, at: now)
        if let heard = router.heardActive {
            text += "  hears       \(heard.address) with priority \(heard.priority), last "
            text += "\(Self.age(heard.heardAt, at: now)) ago\n"
        }
        if router.isHeardOnLinkOnly {
            text +=
                "  WARNING     the active node is heard on the pair link only, not its adverts\n"
        }
        if let failover = router.lastFailover { text += failoverText(failover, at: now) }
        return text
    }

    private static func electionText(_ router: SpeakerStatus) -> String {
        var text = ", priority \(router.priority)"
        if router.penaltyPoints > 0 {
            text += " (\(router.basePriority) less \(router.penaltyPoints))"
        }
        text += ", adverts every \(router.interval)"
        if let group = router.group { text += ", group \(group)" }
        return text + "\n"
    }

    /// What keeps the router from its work, and who else does it; empty as a rule.
    private static func troubleText(_ router: SpeakerStatus, at now: Instant) -> String {
        var text = ""
        if let split = router.splitBrain {
            let evidence = split.evidence.map(\.rawValue).joined(separator: ", ")
            text += "  SPLIT BRAIN \(split.party) is active, too, seen by \(evidence) for "
            text += "\(age(split.since.instant, at: now))\n"
        }
        if let verification = router.verification, !verification.foreign.isEmpty {
            for (address, mac) in verification.foreign.sorted(by: { $0.key < $1.key }) {
                text += "  CONFLICT    \(mac) answers for \(address)\n"
            }
        }
        if !router.faults.isEmpty {
            text += "  held back   \(router.faults.map(\.explanation).joined(separator: "; "))\n"
        }
        if !router.holds.isEmpty {
            let holds = router.holds.map(\.hold.explanation).joined(separator: "; ")
            text += "  may not claim  \(holds)\n"
        }
        if let since = router.takeoverHeldSince {
            text += "  WARNING     would have taken over \(age(since.instant, at: now)) ago\n"
        }
        if let since = router.readySince {
            text += "  WARNING     ready for \(age(since.instant, at: now)), waits for its group\n"
        }
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
            let roles = heartbeat.routers.map { "\($0.id) \($0.family.rawValue) \($0.role)" }
            text += "  peer roles  \(roles.joined(separator: ", "))\n"
            if !heartbeat.isDataPlaneHealthy { text += "  peer        its data plane stalled\n" }
        }
        if link.isConfigurationEqual == false {
            text += "  WARNING     the nodes run from different configurations\n"
        }
        return text
    }

    private func latenessText(_ pair: PairSnapshot) -> String? {
        guard pair.timers.max > .milliseconds(5) else { return nil }
        return "  timers      up to \(Self.milliseconds(pair.timers.max)) late, of late "
            + "\(Self.milliseconds(pair.timers.recentMax))\n"
    }

    /// The trackers that fail; empty as a rule.
    private func trackersText(_ trackers: [TrackerStatus]) -> String {
        trackers.filter { $0.state == .failing }.map { tracker in
            let detail = tracker.detail.isEmpty ? "" : " (\(tracker.detail))"
            return "\ntracker \(tracker.identity) fails\(detail): \(tracker.effect)\n"
        }.joined()
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
