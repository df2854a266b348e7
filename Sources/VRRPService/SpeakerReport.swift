// SPDX-License-Identifier: Apache-2.0
//
// A speaker's numbers and last status, written on its thread and read on any.

internal import Synchronization
public import Telemetry
public import VRRPCore
internal import WireCore

/// What a speaker counted and how it stands; safe to read from any thread.
public final class SpeakerReport: MetricSource {
    /// Why the speaker drops packets that the codec would take; the raw value is a label.
    public enum Refusal: String, CaseIterable, Sendable {
        /// Sent to another address than the transport in use says.
        case destination
        /// Unicast, and not from the other node.
        case source
        /// From our own address: reflected by the network, or somebody copied it.
        case ownAddress = "own_address"
    }

    /// Adverts that the network did not take.
    public let sendFailures = Counter()
    /// Virtual addresses put back after somebody removed them.
    public let healedAddresses = Counter()
    /// Lease renewals made.
    public let renewals = Counter()
    /// Lease renewals that failed.
    public let renewalFailures = Counter()
    /// Renewals that came after the lease had run out.
    public let lateRenewals = Counter()
    /// Times one of our virtual addresses was seen on an interface that is not ours.
    public let strayAddresses = Counter()
    /// State changes.
    public let transitions = Counter()

    private let malformed = AdvertisementError.Reason.allCases.map { _ in Counter() }
    private let refused = Refusal.allCases.map { _ in Counter() }
    private let shared: Mutex<SpeakerStatus>

    init(_ status: SpeakerStatus) {
        shared = Mutex(status)
    }

    /// How the virtual router stood when its thread last looked.
    public var status: SpeakerStatus {
        shared.withLock { $0 }
    }

    /// How many packets failed a receive check.
    public func droppedCount(_ reason: AdvertisementError.Reason) -> UInt64 {
        malformed[Self.index(of: reason)].value
    }

    /// How many packets were well-formed and not for us.
    public func droppedCount(_ refusal: Refusal) -> UInt64 {
        refused[Self.index(of: refusal)].value
    }

    /// Everything dropped.
    public var droppedCount: UInt64 {
        malformed.reduce(0) { $0 &+ $1.value } &+ refused.reduce(0) { $0 &+ $1.value }
    }

    func publish(_ status: SpeakerStatus) {
        shared.withLock { $0 = status }
    }

    func countDropped(_ reason: AdvertisementError.Reason) {
        malformed[Self.index(of: reason)].add()
    }

    func countDropped(_ refusal: Refusal) {
        refused[Self.index(of: refusal)].add()
    }

    private static func index<Case: CaseIterable & Equatable>(of value: Case) -> Int {
        Array(Case.allCases).firstIndex(of: value) ?? 0
    }
}

extension SpeakerReport {
    /// Writes the present values.
    public func collect(into text: inout MetricsText) {
        let status = status
        let router = String(status.virtualRouterID)
        collectState(status, router, into: &text)
        collectAdvertisements(status, router, into: &text)
        collectAddresses(status, router, into: &text)
        collectFailover(status, router, into: &text)
    }

    private func collectState(
        _ status: SpeakerStatus, _ router: String, into text: inout MetricsText
    ) {
        for state in VirtualRouterState.allCases {
            text.add(
                "tandem_vrrp_state", .gauge, help: "1 for the state the virtual router is in.",
                labels: ["vrid": router, "state": state.rawValue], state == status.state ? 1 : 0)
        }
        for fault in LocalFault.allCases {
            text.add(
                "tandem_vrrp_fault", .gauge, help: "1 while the node cannot serve for this reason.",
                labels: ["vrid": router, "fault": fault.rawValue],
                status.faults.contains(fault) ? 1 : 0)
        }
        text.add(
            "tandem_vrrp_transitions_total", .counter, help: "State changes.",
            labels: ["vrid": router], Double(transitions.value))
        text.add(
            "tandem_vrrp_became_active_total", .counter, help: "Times the node became Active.",
            labels: ["vrid": router], Double(status.counters.becameActive))
    }

    private func collectAdvertisements(
        _ status: SpeakerStatus, _ router: String, into text: inout MetricsText
    ) {
        let counters = status.counters
        let numbers: [(name: String, help: String, value: UInt64)] = [
            ("sent", "Adverts sent, priority 0 included.", counters.advertisementsSent),
            ("sent_priority_zero", "Adverts sent with priority 0.", counters.priorityZeroSent),
            ("send_failed", "Adverts the network did not take.", sendFailures.value),
            ("received", "Adverts received and valid.", counters.advertisementsReceived),
            (
                "received_priority_zero", "Adverts received with priority 0.",
                counters.priorityZeroReceived
            ),
            (
                "received_rfc5798_checksum", "Adverts received with the RFC 5798 checksum.",
                counters.rfc5798ChecksumsReceived
            ),
        ]
        for number in numbers {
            text.add(
                "tandem_vrrp_adverts_\(number.name)_total", .counter, help: number.help,
                labels: ["vrid": router], Double(number.value))
        }
        let reasons =
            zip(AdvertisementError.Reason.allCases.map(\.rawValue), malformed)
            .map { ($0, $1.value) }
            + zip(Refusal.allCases.map(\.rawValue), refused).map { ($0, $1.value) }
        for (reason, count) in reasons {
            text.add(
                "tandem_vrrp_adverts_dropped_total", .counter, help: "Packets dropped, by reason.",
                labels: ["vrid": router, "reason": reason], Double(count))
        }
        for kind in VirtualRouterNotice.Kind.allCases {
            text.add(
                "tandem_vrrp_notices_total", .counter, help: "Oddities seen, by kind.",
                labels: ["vrid": router, "kind": kind.rawValue], Double(counters.count(of: kind)))
        }
    }

    private func collectAddresses(
        _ status: SpeakerStatus, _ router: String, into text: inout MetricsText
    ) {
        for address in status.addresses {
            text.add(
                "tandem_vrrp_address_held", .gauge, help: "1 while this node holds the address.",
                labels: ["vrid": router, "address": address.description],
                status.heldAddresses.contains(address) ? 1 : 0)
        }
        let numbers: [(name: String, help: String, value: UInt64)] = [
            ("announcements", "Announcement series started.", status.counters.announcements),
            ("lease_renewals", "Lease renewals.", renewals.value),
            ("lease_renewal_failures", "Lease renewals that failed.", renewalFailures.value),
            ("lease_lost", "Renewals that came after the lease ran out.", lateRenewals.value),
            ("addresses_healed", "Addresses put back after a removal.", healedAddresses.value),
            ("stray_addresses", "Our addresses seen elsewhere on this host.", strayAddresses.value),
        ]
        for number in numbers {
            text.add(
                "tandem_vrrp_\(number.name)_total", .counter, help: number.help,
                labels: ["vrid": router], Double(number.value))
        }
    }

    private func collectFailover(
        _ status: SpeakerStatus, _ router: String, into text: inout MetricsText
    ) {
        guard let failover = status.lastFailover else { return }
        let reason = failover.detectedBecause.rawValue
        text.add(
            "tandem_vrrp_last_takeover_time_seconds", .gauge,
            help: "Wall clock of the last takeover's decision.",
            labels: ["vrid": router, "reason": reason],
            Double(failover.detectedAt.wallNanoseconds) / 1e9)
        text.add(
            "tandem_vrrp_last_takeover_claim_seconds", .gauge,
            help: "From the decision to the addresses.", labels: ["vrid": router],
            failover.claimDuration.secondsAsDouble)
        text.add(
            "tandem_vrrp_last_takeover_announce_seconds", .gauge,
            help: "From the decision to the first announcement.", labels: ["vrid": router],
            failover.announceDuration.secondsAsDouble)
    }
}
