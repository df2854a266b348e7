// SPDX-License-Identifier: Apache-2.0
//
// A virtual router's numbers as metrics. The names are part of the product: docs/metrics.md.

internal import ConfigurationCore
public import Telemetry
internal import VRRPCore
internal import WireCore

extension SpeakerReport {
    /// Writes the present values.
    public func collect(into text: inout MetricsText) {
        let status = status
        let labels = InstanceLabels(status.instance)
        collectState(status, labels, into: &text)
        collectAddresses(status, labels, into: &text)
        // Without an election there is nothing more to say.
        guard let counters = status.counters else { return }
        collectElection(status, counters, labels, into: &text)
        collectSplits(status, counters, labels, into: &text)
        collectAdvertisements(counters, labels, into: &text)
        collectReception(status, counters, labels, into: &text)
        collectVerification(status, counters, labels, into: &text)
        collectFailover(status, labels, into: &text)
        lateness.collect(labels, into: &text)
    }

    private func collectState(
        _ status: SpeakerStatus, _ labels: InstanceLabels, into text: inout MetricsText
    ) {
        for state in VirtualRouterState.allCases {
            text.add(
                "tandem_vrrp_state", .gauge, help: "1 for the state the virtual router is in.",
                labels: labels.with("state", state.rawValue), state == status.state ? 1 : 0)
        }
        for fault in LocalFault.allCases {
            text.add(
                "tandem_vrrp_fault", .gauge, help: "1 while the node cannot serve for this reason.",
                labels: labels.with("fault", fault.rawValue), status.faults.contains(fault) ? 1 : 0)
        }
        text.add(
            "tandem_vrrp_transitions_total", .counter, help: "State changes.", labels: labels.own,
            Double(transitions.value))
        text.add(
            "tandem_vrrp_info", .gauge, help: "1; the labels say what the virtual router is.",
            labels: labels.with("announce", status.mode.rawValue, "group", status.group ?? ""), 1)
    }

    private func collectElection(
        _ status: SpeakerStatus, _ counters: VirtualRouterCounters, _ labels: InstanceLabels,
        into text: inout MetricsText
    ) {
        text.add(
            "tandem_vrrp_became_active_total", .counter, help: "Times the node became Active.",
            labels: labels.own, Double(counters.becameActive))
        for (reason, count) in zip(FailoverRecord.Reason.allCases, takeovers) {
            text.add(
                "tandem_vrrp_takeovers_total", .counter,
                help: "Times the node became Active, by what told it.",
                labels: labels.with("reason", reason.rawValue), Double(count.value))
        }
        text.add(
            "tandem_vrrp_priority", .gauge, help: "The priority in force.", labels: labels.own,
            Double(status.priority))
        text.add(
            "tandem_vrrp_priority_base", .gauge, help: "The configured priority.",
            labels: labels.own, Double(status.basePriority))
        for hold in ClaimHold.allCases {
            text.add(
                "tandem_vrrp_hold", .gauge,
                help: "1 while this keeps the node from becoming Active by silence.",
                labels: labels.with("hold", hold.rawValue),
                status.holds.contains { $0.hold == hold } ? 1 : 0)
        }
        text.add(
            "tandem_vrrp_takeovers_held_total", .counter,
            help: "Takeovers that were due and held back.", labels: labels.own,
            Double(counters.heldTakeovers))
        text.add(
            "tandem_vrrp_takeover_held", .gauge, help: "1 while a due takeover is held back.",
            labels: labels.own, status.takeoverHeldSince == nil ? 0 : 1)
        text.add(
            "tandem_vrrp_waits_for_group", .gauge,
            help: "1 while the node would be Active but for the others of its group.",
            labels: labels.own, status.readySince == nil ? 0 : 1)
        text.add(
            "tandem_vrrp_link_rescues_total", .counter,
            help: "Takeovers that the pair link showed to be needless: adverts were lost.",
            labels: labels.own, Double(counters.linkRescues))
    }

    private func collectSplits(
        _ status: SpeakerStatus, _ counters: VirtualRouterCounters, _ labels: InstanceLabels,
        into text: inout MetricsText
    ) {
        text.add(
            "tandem_vrrp_split_brain", .gauge,
            help: "1 while somebody else is Active beside this node.", labels: labels.own,
            status.splitBrain == nil ? 0 : 1)
        for evidence in SplitEvidence.allCases {
            text.add(
                "tandem_vrrp_split_brains_total", .counter,
                help: "Times two were Active at once, by what showed it first.",
                labels: labels.with("evidence", evidence.rawValue),
                Double(counters.splits(of: evidence)))
        }
    }

    private func collectAdvertisements(
        _ counters: VirtualRouterCounters, _ labels: InstanceLabels, into text: inout MetricsText
    ) {
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
                labels: labels.own, Double(number.value))
        }
        for (form, count) in zip(ChecksumForm.allCases, checksums) {
            text.add(
                "tandem_vrrp_adverts_received_by_checksum_total", .counter,
                help: "Adverts received and valid, by the form of their checksum.",
                labels: labels.with("checksum", form.rawValue), Double(count.value))
        }
    }

    private func collectReception(
        _ status: SpeakerStatus, _ counters: VirtualRouterCounters, _ labels: InstanceLabels,
        into text: inout MetricsText
    ) {
        for (reason, count) in zip(AdvertisementError.Reason.allCases, dropped) {
            text.add(
                "tandem_vrrp_adverts_dropped_total", .counter, help: "Packets dropped, by reason.",
                labels: labels.with("reason", reason.rawValue), Double(count.value))
        }
        for kind in VirtualRouterNotice.Kind.allCases {
            text.add(
                "tandem_vrrp_notices_total", .counter, help: "Oddities seen, by kind.",
                labels: labels.with("kind", kind.rawValue), Double(counters.count(of: kind)))
        }
        text.add(
            "tandem_vrrp_socket_dropped_total", .counter,
            help: "Packets that found the socket's buffer full.", labels: labels.own,
            Double(status.channel.kernelDropped))
        text.add(
            "tandem_vrrp_shields_raised_total", .counter,
            help: "Times a flood made the kernel pass the peer's adverts alone.",
            labels: labels.own, Double(status.channel.shieldsRaised))
        text.add(
            "tandem_vrrp_shielded", .gauge, help: "1 while the kernel passes the peer alone.",
            labels: labels.own, status.channel.isShielded ? 1 : 0)
    }

    private func collectVerification(
        _ status: SpeakerStatus, _ counters: VirtualRouterCounters, _ labels: InstanceLabels,
        into text: inout MetricsText
    ) {
        let numbers: [(name: String, help: String, value: UInt64)] = [
            ("announcements", "Announcement series started.", counters.announcements),
            ("probes", "Times the LAN was asked who has the addresses.", probes.value),
            (
                "probes_verified", "Times nobody else answered for the addresses.",
                verifiedAnnouncements.value
            ),
            (
                "address_conflicts", "Times somebody else answered for an address we hold.",
                counters.addressConflicts
            ),
        ]
        for number in numbers {
            text.add(
                "tandem_vrrp_\(number.name)_total", .counter, help: number.help,
                labels: labels.own, Double(number.value))
        }
        text.add(
            "tandem_vrrp_addresses_verified", .gauge,
            help: "1 while the last question found that nobody else has the addresses.",
            labels: labels.own, status.verification?.isVerified == true ? 1 : 0)
    }

    private func collectAddresses(
        _ status: SpeakerStatus, _ labels: InstanceLabels, into text: inout MetricsText
    ) {
        for address in status.addresses {
            text.add(
                "tandem_vrrp_address_held", .gauge, help: "1 while this node holds the address.",
                labels: labels.with("address", address.description),
                status.heldAddresses.contains(address) ? 1 : 0)
        }
        text.add(
            "tandem_vrrp_addresses_quiet", .gauge,
            help: "1 while this node holds the addresses without announcing them.",
            labels: labels.own, status.isPrepared || status.isLingering ? 1 : 0)
        let numbers: [(name: String, help: String, value: UInt64)] = [
            ("lease_renewals", "Lease renewals.", lease.renewals.value),
            (
                "lease_renewal_failures", "Lease renewals that failed.",
                lease.renewalFailures.value
            ),
            (
                "lease_lost", "Renewals that came after the lease ran out.",
                lease.lateRenewals.value
            ),
            (
                "addresses_healed", "Addresses put back after a removal.",
                lease.healedAddresses.value
            ),
            ("stray_addresses", "Our addresses seen elsewhere on this host.", strayAddresses.value),
        ]
        for number in numbers {
            text.add(
                "tandem_vrrp_\(number.name)_total", .counter, help: number.help,
                labels: labels.own, Double(number.value))
        }
    }

    private func collectFailover(
        _ status: SpeakerStatus, _ labels: InstanceLabels, into text: inout MetricsText
    ) {
        guard let failover = status.lastFailover else { return }
        let reason = failover.detectedBecause.rawValue
        text.add(
            "tandem_vrrp_last_takeover_time_seconds", .gauge,
            help: "Wall clock of the last takeover's decision.",
            labels: labels.with("reason", reason),
            Double(failover.detectedAt.wallNanoseconds) / 1e9)
        text.add(
            "tandem_vrrp_last_takeover_claim_seconds", .gauge,
            help: "From the decision to the addresses.", labels: labels.own,
            failover.claimDuration.secondsAsDouble)
        text.add(
            "tandem_vrrp_last_takeover_announce_seconds", .gauge,
            help: "From the decision to the first announcement.", labels: labels.own,
            failover.announceDuration.secondsAsDouble)
    }
}
