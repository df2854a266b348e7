// SPDX-License-Identifier: Apache-2.0
//
// One virtual router as JSON, for `tandem status --json` and the drill. The names are part of the
// product; a name never changes its meaning.

internal import ConfigurationCore
internal import Telemetry
internal import VRRPCore
internal import VRRPService
internal import WireCore

extension SpeakerStatus {
    /// Everything about the router at `now`.
    func json(at now: Instant) -> JSONValue {
        .object(identityJSON + electionJSON(at: now) + addressesJSON(at: now))
    }

    private var identityJSON: [(String, JSONValue)] {
        [
            ("id", .unsigned(UInt64(virtualRouterID))),
            ("family", .string(instance.family.rawValue)),
            ("interface", .string(instance.interface)),
            ("group", group.map(JSONValue.string) ?? .null),
            ("announce", .string(mode.rawValue)),
            ("state", .string(stateName)),
            ("since_wall_ns", .unsigned(since.wallNanoseconds)),
            ("cause", cause.map { .string($0.rawValue) } ?? .null),
        ]
    }

    private func electionJSON(at now: Instant) -> [(String, JSONValue)] {
        [
            ("priority", .unsigned(UInt64(priority))),
            ("base_priority", .unsigned(UInt64(basePriority))),
            ("advertise_interval_ms", .unsigned(interval.milliseconds)),
            ("version", .unsigned(UInt64(version.rawValue))),
            ("authenticated", .bool(isAuthenticated)),
            ("takeover", .string(takeover.rawValue)),
            ("faults", .array(faults.map { .string($0.rawValue) })),
            ("holds", .array(holds.map { .string($0.hold.rawValue) })),
            (
                "takeover_held_ms",
                takeoverHeldSince.map { .unsigned((now - $0.instant).milliseconds) } ?? .null
            ),
            (
                "waits_for_group_ms",
                readySince.map { .unsigned((now - $0.instant).milliseconds) } ?? .null
            ),
            ("heard_active", heardActive.map { $0.json(at: now) } ?? .null),
            ("heard_on_link_only", .bool(isHeardOnLinkOnly)),
            ("split_brain", splitBrain.map { $0.json(at: now) } ?? .null),
        ]
    }

    private func addressesJSON(at now: Instant) -> [(String, JSONValue)] {
        [
            ("addresses", .array(addresses.map { .string($0.description) })),
            ("held_addresses", .array(heldAddresses.map { .string($0.description) })),
            ("prepared", .bool(isPrepared)),
            ("lingering", .bool(isLingering)),
            ("verification", verification.map { $0.json(at: now) } ?? .null),
            ("last_failover", lastFailover.map(\.json) ?? .null),
        ]
    }
}

extension HeardActive {
    fileprivate func json(at now: Instant) -> JSONValue {
        .object([
            ("address", .string(address.description)),
            ("priority", .unsigned(UInt64(priority))),
            ("interval_ms", .unsigned(interval.milliseconds)),
            ("age_ms", .unsigned((now - heardAt).milliseconds)),
        ])
    }
}

extension SplitBrainStatus {
    fileprivate func json(at now: Instant) -> JSONValue {
        .object([
            ("age_ms", .unsigned((now - since.instant).milliseconds)),
            ("evidence", .array(evidence.map { .string($0.rawValue) })),
            ("with", .string(party)),
        ])
    }
}

extension ProbeVerdict {
    fileprivate func json(at now: Instant) -> JSONValue {
        .object([
            ("nobody_else_answers", .bool(isVerified)),
            ("age_ms", probedAt.map { .unsigned((now - $0).milliseconds) } ?? .null),
            (
                "others",
                .array(
                    foreign.sorted { $0.key < $1.key }.map { address, mac in
                        .object([
                            ("address", .string(address.description)),
                            ("mac", .string(mac.description)),
                        ])
                    })
            ),
        ])
    }
}

extension FailoverRecord {
    fileprivate var json: JSONValue {
        .object([
            ("because", .string(detectedBecause.rawValue)),
            ("silence_us", silence.map { .unsigned($0.microseconds) } ?? .null),
            ("detected_wall_ns", .unsigned(detectedAt.wallNanoseconds)),
            ("claimed_wall_ns", .unsigned(claimedAt.wallNanoseconds)),
            ("announced_wall_ns", .unsigned(announcedAt.wallNanoseconds)),
            ("detected_ns", .unsigned(detectedAt.instant.nanoseconds)),
            ("claimed_ns", .unsigned(claimedAt.instant.nanoseconds)),
            ("announced_ns", .unsigned(announcedAt.instant.nanoseconds)),
        ])
    }
}

extension TrackerStatus {
    /// The tracker as JSON.
    var json: JSONValue {
        .object([
            ("tracker", .string(identity.description)),
            ("state", .string(state.rawValue)),
            ("effect", .string(effect.description)),
            ("detail", .string(detail)),
        ])
    }
}
