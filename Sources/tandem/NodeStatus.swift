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
            ("virtual_routers", .array((pair?.routers ?? []).map { $0.json(at: takenAt) })),
            ("trackers", .array((pair?.trackers ?? []).map(\.json))),
            ("link", pair?.link.map { linkJSON($0, at: takenAt) } ?? .null),
            ("peer", pair?.link.map(peerJSON) ?? .null),
            ("replication", replicationJSON()),
            ("handover", handoverJSON()),
            ("timers", timersJSON()),
            ("descriptor_order", descriptorOrder.map { .string($0.word) } ?? .null),
            ("freeze_guard", .bool(freezeGuard != nil)),
            ("farewell", farewell.map { .string($0.verdict.rawValue) } ?? .null),
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
        guard let timers = pair?.timers else { return .null }
        return .object([
            ("real_time", .bool(timers.isRealTime)),
            ("memory_locked", .bool(timers.isMemoryLocked)),
            ("lateness_max_us", .unsigned(timers.max.microseconds)),
            ("lateness_recent_max_us", .unsigned(timers.recentMax.microseconds)),
            ("over_advertise_interval", .unsigned(timers.overAdvertiseIntervalCount)),
            ("over_active_down_interval", .unsigned(timers.overActiveDownIntervalCount)),
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
                ("family", .string(router.family.rawValue)),
                ("state", .string("\(router.role)")),
                ("priority", router.priority.map { .unsigned(UInt64($0)) } ?? .null),
                ("faulty", .bool(router.isFaulty)),
                ("held", .bool(router.isHeld)),
                ("lingering", .bool(router.isLingering)),
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
            ("held_by_configuration", .bool(pair?.isHeldByConfiguration == true)),
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
