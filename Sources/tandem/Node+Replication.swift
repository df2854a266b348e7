// SPDX-License-Identifier: Apache-2.0
//
// What the node says about replication, and what the election hears of it.

internal import EventLoop
internal import LinuxIO
internal import ProxyService
internal import ReplicationService
internal import Telemetry
internal import VRRPService
internal import WireCore

extension Node {
    /// Tells the pair thread when this node may preempt again, or may not.
    func watchSynchronization() {
        guard let report = replicationReport else { return }
        let status = report.status
        let look = SynchronizationWatch.Look(
            status: status, isLinkUp: pair?.link?.isUp == true)
        guard let news = synchronization.look(look, now: Clock.now()) else { return }
        pairCommands?.post(.synchronized(news != .behind))
        let peer = pair?.link?.peerName ?? "the peer"
        switch news {
        case .inSync:
            let entries = status.tables.reduce(0) { $0 + $1.entryCount }
            logger.info("in sync with \(peer)", ["entries": "\(entries)"])
        case .behind:
            logger.info("not in sync with \(peer): this node preempts nobody until it is")
        case .alone:
            logger.info("nothing is heard from \(peer) that could be kept for it")
        }
    }

    /// The lines of `tandem status` about what both nodes know.
    func replicationText() -> String {
        guard let status = replicationReport?.status else { return "" }
        var text = "  replication "
        if !status.isReceiving {
            text += "nothing is heard from the peer"
        } else if status.isInSync {
            text += "this node has all that the peer has"
        } else {
            let missing = status.missingCount.map { "\($0) entries" } ?? "an unknown number"
            text += "this node lacks \(missing) of the peer"
        }
        if !status.isSending {
            text += ", the peer hears nothing\n"
        } else if status.isPeerInSync {
            text += ", the peer all of this one\n"
        } else {
            text += ", the peer lacks \(status.lagEntryCount) entries "
            text += "for \(status.lagMilliseconds) ms\n"
        }
        return text + secrecyText + carryOverText(status)
    }

    /// What a pair without a secret does not share.
    private var secrecyText: String {
        guard peerState?.boards.sharesOperators == false else { return "" }
        return
            "  WARNING     no pair.link.secret_file: commands about servers, learned cookies and "
            + "rate limits are not shared, no request in flight is issued again\n"
    }

    private func carryOverText(_ status: ReplicationStatus) -> String {
        guard let numbers = dataPlane?.shadowStatistics else { return "" }
        let workers = dataPlane?.workerCount ?? 0
        guard status.isSending, numbers.channelsOpen < workers else {
            return "  carry over  \(numbers.open) connections of this node could go on there\n"
        }
        return "  WARNING     \(UInt64(workers) - numbers.channelsOpen) of \(workers) workers "
            + "cannot tell the peer about connections\n"
    }

    /// What `status --json` says about what both nodes know.
    func replicationJSON() -> JSONValue {
        guard let status = replicationReport?.status else { return .null }
        let carried = dataPlane?.carryOverStatistics
        return .object([
            ("sending", .bool(status.isSending)),
            ("receiving", .bool(status.isReceiving)),
            ("in_sync", .bool(status.isInSync)),
            ("peer_in_sync", .bool(status.isPeerInSync)),
            ("authenticated", .bool(peerState?.boards.sharesOperators ?? false)),
            ("missing_entries", status.missingCount.map(JSONValue.unsigned) ?? .null),
            ("lag_entries", .unsigned(status.lagEntryCount)),
            ("lag_ms", .unsigned(status.lagMilliseconds)),
            (
                "tables",
                .array(
                    status.tables.map { table in
                        .object([
                            ("name", .string(table.name)),
                            ("entries", .integer(Int64(table.entryCount))),
                            ("waiting", .integer(Int64(table.waitingCount))),
                        ])
                    })
            ),
            ("shadows", .unsigned(dataPlane?.shadowStatistics.open ?? 0)),
            ("channels_out", .integer(Int64(status.shadowChannelsOut))),
            ("channels_in", .integer(Int64(status.shadowChannelsIn))),
            ("adopted", .unsigned(carried?.adopted ?? 0)),
            ("reissued", .unsigned(carried?.reissued ?? 0)),
            ("moved", .unsigned(carried?.moved ?? 0)),
        ])
    }
}
