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
    let shadowChannelsOut = Gauge()
    let shadowChannelsIn = Gauge()
    let entriesReceived = Counter()
    /// Entries of the peer that were announced and missing at the last takeover; -1 when it was
    /// not known.
    let missingAtTakeover = Gauge()
    private let behindSince = Atomic<UInt64>(0)
    /// A picture that is older says nothing about the present: its thread does not run.
    private static let statusAgeMax = TimeSpan.seconds(2)
    private let state = Mutex((status: ReplicationStatus(), at: Instant(nanoseconds: 0)))

    init() {}

    /// Since when the peer lacks something; `nil` when it lacks nothing.
    func setBehind(since instant: Instant?) {
        behindSince.store(instant?.nanoseconds ?? 0, ordering: .relaxed)
    }

    /// Takes a new picture of the tables.
    func note(_ status: ReplicationStatus) {
        let now = Clock.now()
        state.withLock { $0 = (status, now) }
    }

    /// What both nodes know of each other, at most 100 ms old.
    ///
    /// Nobody is in sync while the replication thread does not run.
    public var status: ReplicationStatus {
        var (status, at) = state.withLock { $0 }
        if Clock.now() - at > Self.statusAgeMax {
            status.isInSync = false
            status.isPeerInSync = false
            status.missingCount = nil
        }
        status.isSending = isSending.value != 0
        status.isReceiving = isReceiving.value != 0
        status.shadowChannelsOut = Int(shadowChannelsOut.value)
        status.shadowChannelsIn = Int(shadowChannelsIn.value)
        status.shadowChannelsWhole = Int(adoption.wholeChannels.value)
        return status
    }

    /// Writes the present values.
    public func collect(into text: inout MetricsText) {
        adoption.collect(into: &text)
        let status = status
        for row in gauges(status) {
            text.add("tandem_replication_\(row.name)", .gauge, help: row.help, row.value)
        }
        for table in status.tables {
            text.add(
                "tandem_replication_table_entries", .gauge, help: "Entries of a table.",
                labels: ["table": table.name], Double(table.entryCount))
        }
        for row in counters(status) {
            text.add("tandem_replication_\(row.name)_total", .counter, help: row.help, row.value)
        }
    }

    private typealias Row = (name: String, help: String, value: Double)

    private func gauges(_ status: ReplicationStatus) -> [Row] {
        let since = behindSince.load(ordering: .relaxed)
        let lag = max(
            since == 0 ? 0 : (Clock.now() - Instant(nanoseconds: since)).milliseconds,
            status.lagMilliseconds)
        return [
            ("sending", "Whether the stream to the peer is up.", Double(isSending.value)),
            ("receiving", "Whether the stream from the peer is up.", Double(isReceiving.value)),
            ("entries", "Own client connections to tell.", Double(ownClients.value)),
            ("peer_entries", "Client connections of the peer.", Double(peerClients.value)),
            (
                "lag_entries", "Changes that the peer does not have.",
                Double(waitingChanges.value) + Double(status.lagEntryCount)
            ),
            ("lag_seconds", "Age of the oldest change that waits.", Double(lag) / 1_000),
            ("in_sync", "Whether everything the peer has is here.", status.isInSync ? 1 : 0),
            (
                "peer_in_sync", "Whether everything here is at the peer.",
                status.isPeerInSync ? 1 : 0
            ),
            (
                "missing_entries",
                "Entries the peer announced and this node lacks; -1: not known.",
                status.missingCount.map { Double($0) } ?? -1
            ),
            (
                "takeover_missing_entries", "Those at the last takeover; -1: not known.",
                Double(missingAtTakeover.value)
            ),
            ("shadow_channels_out", "Channels of own workers.", Double(status.shadowChannelsOut)),
            ("shadow_channels_in", "Channels of the peer's.", Double(status.shadowChannelsIn)),
        ]
    }

    private func counters(_ status: ReplicationStatus) -> [Row] {
        [
            ("entries_received", "Entries of tables received.", Double(entriesReceived.value)),
            ("state_snapshots_sent", "Snapshots of tables.", Double(status.snapshotsSent)),
            (
                "state_snapshots_received", "Snapshots of the peer's tables.",
                Double(status.snapshotsReceived)
            ),
            (
                "tables_retold", "Tables told again because they had too many changes.",
                Double(status.tablesRetold)
            ),
            (
                "resumptions", "Connections that went on without a snapshot.",
                Double(status.resumptions)
            ),
            ("changes_sent", "Changes sent.", Double(changesSent.value)),
            ("changes_received", "Changes received.", Double(changesReceived.value)),
            ("snapshots_sent", "Snapshots begun.", Double(snapshotsSent.value)),
            (
                "dropped", "Connections left out: a table was full.",
                Double(omittedHere.value + omittedByPeer.value)
            ),
            ("reports_dropped", "Reports of workers refused.", Double(reportsDropped.value)),
            ("mismatches", "Times both ends counted differently.", Double(mismatches.value)),
            ("takeovers", "Takeovers of addresses.", Double(takeovers.value)),
            ("tickles_sent", "Packets that make clients reset.", Double(ticklesSent.value)),
            ("tickles_failed", "Those the kernel refused.", Double(ticklesFailed.value)),
        ]
    }
}
