// SPDX-License-Identifier: Apache-2.0
//
// Shadows of client connections as the rest of the process sees them: channels to the other node
// come in, numbers go out.

internal import EventLoop
public import LinuxIO
internal import Telemetry
public import WireCore

/// What the other node was told about client connections, since the start.
public struct ShadowStatistics: Hashable, Sendable {
    /// Workers whose channel to the other node is open.
    public var channelsOpen: UInt64 = 0
    /// Connections that the other node knows at present.
    public var open: UInt64 = 0
    /// Records written.
    public var records: UInt64 = 0
    /// Frames sealed.
    public var frames: UInt64 = 0
    /// Bytes of these frames.
    public var bytes: UInt64 = 0
    /// Snapshots of all connections of a worker.
    public var snapshots: UInt64 = 0
    /// Ends of answers that waited for the end of their turn.
    public var heldAnswers: UInt64 = 0
    /// Requests that waited for it.
    public var heldRequests: UInt64 = 0
    /// Turns at whose end a channel did not take everything.
    public var waits: UInt64 = 0
    /// Records that channels did not take yet, at most.
    public var lagRecords: UInt64 = 0
    /// How long the oldest of them has waited.
    public var lag = TimeSpan.zero
    /// Requests that may be repeated, with a head too long to be told.
    public var longHeads: UInt64 = 0
    /// Connections whose state the kernel does not tell, by reason.
    public var uncaptured: [LabelledCount] = []
    /// Channels that ended, by reason.
    public var channelEnds: [LabelledCount] = []
}

extension DataPlane {
    /// Lets a worker tell the other node about its connections; a channel that it had ends.
    ///
    /// Any thread may call this. The worker begins with all connections of watched addresses on
    /// listeners with `carry_over`.
    public func openShadowChannel(_ grant: ShadowChannelGrant, worker: Int) {
        guard mailboxes.indices.contains(worker) else { return }
        // A mailbox that is full drops the grant, which says that nobody took it.
        mailboxes[worker].post(.openShadowChannel(grant))
    }

    /// What the other node was told.
    public var shadowStatistics: ShadowStatistics {
        var sum = ShadowStatistics()
        let now = Clock.now()
        for row in workerTallies {
            if let lag = row.shadows.lag {
                sum.lagRecords &+= lag.records
                sum.lag = max(sum.lag, now - lag.began)
            }
            sum.channelsOpen &+= row.shadows.channelsOpen.value
            sum.open &+= row.shadows.open.value
            sum.records &+= row.shadows.records.value
            sum.frames &+= row.shadows.frames.value
            sum.bytes &+= row.shadows.bytes.value
            sum.snapshots &+= row.shadows.snapshots.value
            sum.heldAnswers &+= row.shadows.heldAnswers.value
            sum.heldRequests &+= row.shadows.heldRequests.value
            sum.waits &+= row.shadows.waits.value
            sum.longHeads &+= row.shadows.longHeads.value
        }
        func total(_ tally: (ShadowTallies) -> UInt64) -> UInt64 {
            workerTallies.reduce(0) { $0 &+ tally($1.shadows) }
        }
        sum.uncaptured = [
            LabelledCount(label: "not_permitted", count: total { $0.notPermitted.value }),
            LabelledCount(label: "failed", count: total { $0.notCaptured.value }),
        ]
        sum.channelEnds = ShadowChannelEnd.allCases.map { end in
            LabelledCount(label: "\(end.token)", count: total { $0.ends(end) })
        }
        return sum
    }

    /// Writes them as metrics.
    func collectShadows(into text: inout MetricsText) {
        let numbers = shadowStatistics
        func add(_ name: String, _ kind: MetricsText.Kind, _ help: String, _ value: UInt64) {
            text.add(name, kind, help: help, Double(value))
        }
        add(
            "tandem_shadow_channels_open", .gauge,
            "Workers that tell the other node about their connections.", numbers.channelsOpen)
        add(
            "tandem_shadows_open", .gauge, "Client connections that the other node knows.",
            numbers.open)
        add(
            "tandem_shadow_records_total", .counter,
            "Things told to the other node about connections.", numbers.records)
        add(
            "tandem_shadow_frames_total", .counter, "Frames in which they were told.",
            numbers.frames)
        add("tandem_shadow_bytes_total", .counter, "Bytes of these frames.", numbers.bytes)
        add(
            "tandem_shadow_snapshots_total", .counter,
            "Times that a worker told of all its connections.", numbers.snapshots)
        add(
            "tandem_shadow_held_answers_total", .counter,
            "Answers whose end waited until it was told.", numbers.heldAnswers)
        add(
            "tandem_shadow_held_requests_total", .counter,
            "Requests that waited until they were told.", numbers.heldRequests)
        add(
            "tandem_shadow_waits_total", .counter,
            "Turns at whose end a channel did not take everything.", numbers.waits)
        add(
            "tandem_shadow_lag_records", .gauge,
            "Things about connections that the other node was not told yet, at most.",
            numbers.lagRecords)
        text.add(
            "tandem_shadow_lag_seconds", .gauge, help: "How long the oldest of them has waited.",
            Double(numbers.lag.nanoseconds) / 1e9)
        add(
            "tandem_shadow_long_heads_total", .counter,
            "Requests that could be issued again if their heads were shorter.",
            numbers.longHeads)
        for entry in numbers.uncaptured {
            text.add(
                "tandem_shadow_uncaptured_connections_total", .counter,
                help: "Connections whose state the kernel does not tell.",
                labels: ["reason": entry.label], Double(entry.count))
        }
        for entry in numbers.channelEnds {
            text.add(
                "tandem_shadow_channel_ends_total", .counter,
                help: "Channels to the other node that ended.",
                labels: ["reason": entry.label], Double(entry.count))
        }
    }
}
