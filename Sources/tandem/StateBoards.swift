// SPDX-License-Identifier: Apache-2.0
//
// Everything that both nodes of a pair have beside connections: the tables of the data plane, and
// the boards on which the control threads of both nodes write what they decide.

internal import BalancerCore
internal import ConfigurationCore
internal import EventLoop
internal import LinuxIO
public import ProxyService
internal import ReplicationCore
public import ReplicationService
internal import Telemetry
internal import WireCore

extension StickyReplication: ReplicatedTable {}
extension RateLimitReplication: ReplicatedTable {}
extension ClockReplication: ReplicatedTable {}
extension ConcurrencyReplication: ReplicatedTable {}

/// The boards of a node; made on the control thread.
final class StateBoards: Sendable {
    /// What commands changed about backends.
    let operators: SharedStateBoard
    /// What traffic and checks found out about backends.
    let verdicts: SharedStateBoard
    /// Whether operators' decisions are told and followed.
    ///
    /// They say where clients are sent, and without a secret anyone on the pair's network could
    /// make them.
    let sharesOperators: Bool
    private let dataPlane: DataPlane
    /// How long the word is kept that nothing keeps a backend from serving.
    private static let verdictSpan = TimeSpan.seconds(3_600)

    init(node: String, dataPlane: DataPlane, isAuthenticated: Bool) throws(Errno) {
        // A word that nothing is changed is kept: an older one could come back without it.
        operators = try SharedStateBoard(
            table: 3, name: "operators", node: node,
            expiry: StateBoard.Expiry { SharedOverride.isAsConfigured($0) })
        verdicts = try SharedStateBoard(
            table: 4, name: "verdicts", node: node,
            expiry: StateBoard.Expiry(blankSpan: Self.verdictSpan) { BackendReport.isBlank($0) })
        sharesOperators = isAuthenticated
        self.dataPlane = dataPlane
    }

    /// The replicated tables of this node, for the replication thread, which calls this once.
    func makeTables(on loop: EventLoop) throws(Errno) -> [any ReplicatedTable] {
        let traffic = try dataPlane.replicatedTraffic(on: loop)
        var tables: [any ReplicatedTable] = []
        // What a node that takes over must not lack comes first.
        if sharesOperators { tables.append(try operators.makeTable(on: loop)) }
        tables.append(try verdicts.makeTable(on: loop))
        tables.append(traffic.rates)
        if let sticky = traffic.sticky { tables.append(sticky) }
        tables.append(traffic.clocks)
        tables.append(traffic.concurrency)
        return tables
    }
}

extension StateBoards: MetricSource {
    /// Writes what became of the entries of each table.
    func collect(into text: inout MetricsText) {
        var tables = dataPlane.replicatedEntries
        tables.append(("operators", operators.tally))
        tables.append(("verdicts", verdicts.tally))
        for (table, tally) in tables {
            for row in Self.rows(of: tally, table) {
                text.add(
                    "tandem_state_\(row.name)_total", .counter, help: row.help,
                    labels: row.labels, Double(row.count))
            }
        }
    }

    private struct Row {
        let name: String
        let help: String
        let labels: KeyValuePairs<String, String>
        let count: UInt64
    }

    private static func rows(of tally: StateTally, _ table: String) -> [Row] {
        func told(_ outcome: String, _ count: UInt64) -> Row {
            Row(
                name: "entries_received",
                help: "Entries of replicated tables that the peer told, by what became of them.",
                labels: ["table": table, "outcome": outcome], count: count)
        }
        func total(_ name: String, _ help: String, _ count: UInt64) -> Row {
            Row(name: name, help: help, labels: ["table": table], count: count)
        }
        return [
            total("entries_sent", "Entries of replicated tables made for the peer.", tally.sent),
            told("taken", tally.taken), told("older", tally.older),
            told("unknown", tally.unknown), told("full", tally.full),
            total("faults", "Pieces of replicated tables that could not be read.", tally.faults),
            total(
                "entries_forgotten",
                "Entries of replicated tables that expired or made room for others.",
                tally.forgotten),
        ]
    }
}
