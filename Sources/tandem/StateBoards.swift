// SPDX-License-Identifier: Apache-2.0
//
// Everything that both nodes of a pair have beside connections: the tables of the data plane, and
// the boards on which the control threads of both nodes write what they decide.

internal import EventLoop
internal import LinuxIO
public import ProxyService
internal import ReplicationCore
public import ReplicationService
internal import Telemetry

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
    private let dataPlane: DataPlane

    init(node: String, dataPlane: DataPlane) throws(Errno) {
        operators = try SharedStateBoard(table: 3, name: "operators", node: node)
        verdicts = try SharedStateBoard(table: 4, name: "verdicts", node: node)
        self.dataPlane = dataPlane
    }

    /// The replicated tables of this node, for the replication thread, which calls this once.
    func makeTables(on loop: EventLoop) throws(Errno) -> [any ReplicatedTable] {
        let traffic = try dataPlane.replicatedTraffic(on: loop)
        var tables: [any ReplicatedTable] = []
        // What a node that takes over must not lack comes first.
        tables.append(try operators.makeTable(on: loop))
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
        var rows = dataPlane.replicatedEntries
        rows.append(("operators", operators.tally))
        rows.append(("verdicts", verdicts.tally))
        for (table, tally) in rows {
            let outcomes = [
                ("taken", tally.taken), ("older", tally.older), ("unknown", tally.unknown),
                ("full", tally.full),
            ]
            text.add(
                "tandem_state_entries_sent_total", .counter,
                help: "Entries of replicated tables made for the peer.", labels: ["table": table],
                Double(tally.sent))
            for (outcome, count) in outcomes {
                text.add(
                    "tandem_state_entries_received_total", .counter,
                    help:
                        "Entries of replicated tables that the peer told, by what became of them.",
                    labels: ["table": table, "outcome": outcome], Double(count))
            }
            text.add(
                "tandem_state_faults_total", .counter,
                help: "Pieces of replicated tables that could not be read.",
                labels: ["table": table], Double(tally.faults))
        }
    }
}
