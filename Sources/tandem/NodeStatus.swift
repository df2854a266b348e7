// SPDX-License-Identifier: Apache-2.0
//
// The state of a node as JSON: what `tandem status --json` prints and the drill reads. The names
// are part of the product; a name never changes its meaning.

internal import BalancerCore
internal import ConfigurationCore
internal import ConfigurationService
internal import HealthService
internal import LinuxIO
internal import ProxyService
internal import ReplicationCore
internal import ReplicationService
internal import Telemetry
internal import VRRPCore
internal import VRRPService
internal import WireCore

extension Node {
    /// Everything there is to say about this node now.
    func statusJSON() -> JSONValue {
        let takenAt = pair?.takenAt ?? Clock.now()
        return .object([
            ("node", .string(name)),
            ("version", .string(Tandem.version)),
            ("role", .string(role)),
            ("uptime_seconds", .number((Clock.now() - startedAt).secondsAsDouble)),
            ("configuration_hash", .string(loaded.hash.description)),
            ("reloads", reloadsJSON()),
            ("virtual_routers", .array((pair?.routers ?? []).map { Self.json($0, at: takenAt) })),
            ("link", pair.map { linkJSON($0.link, at: takenAt) } ?? .null),
            ("peer", pair.map { peerJSON($0.link) } ?? .null),
            ("timers", timersJSON()),
            ("descriptor_order", descriptorOrder.map { .string($0.word) } ?? .null),
            ("pools", .array(poolsJSON())),
            ("names", namesJSON()),
            ("connections", .integer(Int64(dataPlane?.openConnectionCount ?? 0))),
        ])
    }

    private func reloadsJSON() -> JSONValue {
        .object([
            ("applied", .unsigned(reloads.appliedCount)),
            ("unchanged", .unsigned(reloads.unchangedCount)),
            ("refused", .unsigned(reloads.refusedCount)),
        ])
    }

    private func timersJSON() -> JSONValue {
        guard let pair else { return .null }
        return .object([
            ("real_time", .bool(pair.isRealTime)),
            ("lateness_max_us", .unsigned(pair.timerLatenessMax.microseconds)),
        ])
    }

    private static func json(_ router: SpeakerStatus, at now: Instant) -> JSONValue {
        .object([
            ("id", .unsigned(UInt64(router.virtualRouterID))),
            ("state", .string(router.state.rawValue)),
            ("since_wall_ns", .unsigned(router.since.wallNanoseconds)),
            ("cause", router.cause.map { .string($0.rawValue) } ?? .null),
            ("priority", .unsigned(UInt64(router.priority))),
            ("advertise_interval_ms", .unsigned(router.interval.milliseconds)),
            ("addresses", .array(router.addresses.map { .string($0.description) })),
            ("held_addresses", .array(router.heldAddresses.map { .string($0.description) })),
            ("faults", .array(router.faults.map { .string($0.rawValue) })),
            ("heard_active", router.heardActive.map { Self.json($0, at: now) } ?? .null),
            ("last_failover", router.lastFailover.map(Self.json) ?? .null),
        ])
    }

    private static func json(_ heard: HeardActive, at now: Instant) -> JSONValue {
        .object([
            ("address", .string(heard.address.description)),
            ("priority", .unsigned(UInt64(heard.priority))),
            ("interval_ms", .unsigned(heard.interval.milliseconds)),
            ("age_ms", .unsigned((now - heard.heardAt).milliseconds)),
        ])
    }

    private static func json(_ failover: FailoverRecord) -> JSONValue {
        .object([
            ("because", .string(failover.detectedBecause.rawValue)),
            ("silence_us", failover.silence.map { .unsigned($0.microseconds) } ?? .null),
            ("detected_wall_ns", .unsigned(failover.detectedAt.wallNanoseconds)),
            ("claimed_wall_ns", .unsigned(failover.claimedAt.wallNanoseconds)),
            ("announced_wall_ns", .unsigned(failover.announcedAt.wallNanoseconds)),
            ("detected_ns", .unsigned(failover.detectedAt.instant.nanoseconds)),
            ("claimed_ns", .unsigned(failover.claimedAt.instant.nanoseconds)),
            ("announced_ns", .unsigned(failover.announcedAt.instant.nanoseconds)),
        ])
    }

    private func linkJSON(_ link: LinkStatus, at now: Instant) -> JSONValue {
        .object([
            ("state", .string(link.isUp ? "up" : "down")),
            ("down_reason", link.downReason.map { .string($0.rawValue) } ?? .null),
            ("authenticated", .bool(link.isAuthenticated)),
            ("dial", .string(link.dial.description)),
            (
                "lag_ms",
                link.lastHeardAt.map { .unsigned((now - $0).milliseconds) } ?? .null
            ),
            (
                "refused_inbound",
                link.lastInboundRefusal.map { .string($0.description) } ?? .null
            ),
        ])
    }

    private func peerJSON(_ link: LinkStatus) -> JSONValue {
        guard let heartbeat = link.lastHeartbeat else {
            return .object([("node", .string(link.peerName))])
        }
        let routers = heartbeat.routers.map { router in
            JSONValue.object([
                ("id", .unsigned(UInt64(router.id))),
                ("state", .string("\(router.role)")),
            ])
        }
        return .object([
            ("node", .string(link.peerName)),
            ("up", .bool(link.isUp)),
            ("virtual_routers", .array(routers)),
            ("data_plane_healthy", .bool(heartbeat.isDataPlaneHealthy)),
            (
                "configuration_hash",
                .string(ConfigurationHash(rawValue: heartbeat.configurationHash).description)
            ),
            ("configuration_equal", link.isConfigurationEqual.map(JSONValue.bool) ?? .null),
        ])
    }

    private func poolsJSON() -> [JSONValue] {
        let backends = backendRows()
        let health = health?.poolSnapshot() ?? []
        return roster.pools.map { pool in
            let status = health.first { $0.pool == pool.name }?.status
            let own = backends.filter { $0.pool == pool.name }
            return .object([
                ("name", .string(pool.name)),
                ("balance", .string(pool.balance.rawValue)),
                ("panic", .bool(status?.panicSince != nil)),
                ("cascade", .bool(status?.cascadeSince != nil)),
                ("serving", .integer(Int64(status?.servingCount ?? 0))),
                ("ejected", .integer(Int64(status?.ejectedCount ?? 0))),
                ("backends", .array(own.map(\.json))),
            ])
        }
    }
}
