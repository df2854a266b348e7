// SPDX-License-Identifier: Apache-2.0
//
// The numbers of the replication stream; any thread may read them.

import LinuxIO
import Synchronization
public import Telemetry
import WireCore

/// Counters and gauges of replication.
public final class ReplicationReport: MetricSource {
    /// What became of the peer's connections here.
    public let adoption = AdoptionReport()
    let isSending = Gauge()
    let isReceiving = Gauge()
    let ownClients = Gauge()
    let peerClients = Gauge()
    let waitingChanges = Gauge()
    let changesSent = Counter()
    let changesReceived = Counter()
    let snapshotsSent = Gauge()
    let omittedHere = Gauge()
    let omittedByPeer = Gauge()
    let mismatches = Gauge()
    let reportsDropped = Gauge()
    let takeovers = Counter()
    let ticklesSent = Counter()
    let ticklesFailed = Counter()
    private let behindSince = Atomic<UInt64>(0)

    init() {}

    /// Since when the peer lacks something; `nil` when it lacks nothing.
    func setBehind(since instant: Instant?) {
        behindSince.store(instant?.nanoseconds ?? 0, ordering: .relaxed)
    }

    /// Writes the present values.
    public func collect(into text: inout MetricsText) {
        adoption.collect(into: &text)
        func gauge(_ name: String, _ help: String, _ value: Double) {
            text.add("tandem_replication_\(name)", .gauge, help: help, value)
        }
        func counter(_ name: String, _ help: String, _ value: Double) {
            text.add("tandem_replication_\(name)_total", .counter, help: help, value)
        }
        let since = behindSince.load(ordering: .relaxed)
        let lag =
            since == 0 ? 0 : (Clock.now() - Instant(nanoseconds: since)).milliseconds
        gauge("sending", "Whether the stream to the peer is up.", Double(isSending.value))
        gauge("receiving", "Whether the stream from the peer is up.", Double(isReceiving.value))
        gauge("entries", "Own client connections to tell.", Double(ownClients.value))
        gauge("peer_entries", "Client connections of the peer.", Double(peerClients.value))
        gauge("lag_entries", "Changes that wait for the peer.", Double(waitingChanges.value))
        gauge("lag_seconds", "Age of the oldest change that waits.", Double(lag) / 1_000)
        counter("changes_sent", "Changes sent.", Double(changesSent.value))
        counter("changes_received", "Changes received.", Double(changesReceived.value))
        counter("snapshots_sent", "Snapshots begun.", Double(snapshotsSent.value))
        counter(
            "dropped", "Connections left out: a table was full.",
            Double(omittedHere.value + omittedByPeer.value))
        counter("reports_dropped", "Reports of workers refused.", Double(reportsDropped.value))
        counter("mismatches", "Times both ends counted differently.", Double(mismatches.value))
        counter("takeovers", "Takeovers of addresses.", Double(takeovers.value))
        counter("tickles_sent", "Packets that make clients reset.", Double(ticklesSent.value))
        counter("tickles_failed", "Those the kernel refused.", Double(ticklesFailed.value))
    }
}
