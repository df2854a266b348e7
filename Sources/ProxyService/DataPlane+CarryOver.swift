// SPDX-License-Identifier: Apache-2.0
//
// Connections that come from the other node and go there, as the rest of the process sees them.

internal import EventLoop
public import LinuxIO
public import ReplicationCore
internal import Telemetry
internal import WireCore

/// What became of connections that the two nodes gave to each other, since the start.
public struct CarryOverStatistics: Hashable, Sendable {
    /// Connections of the other node that go on here.
    public var adopted: UInt64 = 0
    /// Requests of theirs that were issued again.
    public var reissued: UInt64 = 0
    /// Connections of the other node that found no listener or no room here, and were reset.
    public var refused: UInt64 = 0
    /// Connections reset because what the client had sent did not come again.
    public var expired: UInt64 = 0
    /// Connections that the other node had by now, ended without a word.
    public var superseded: UInt64 = 0
    /// Connections given to the other node.
    public var moved: UInt64 = 0
    /// Connections reset because the way to the other node broke while they were given to it.
    public var stranded: UInt64 = 0
}

extension DataPlane {
    /// Serves connections of the other node that were made again here; who finds no listener or no
    /// room is reset.
    ///
    /// Any thread may call this. It costs a message to each worker, so give many at a time.
    public func adopt(_ clients: [AdoptedClient]) {
        guard !clients.isEmpty else { return }
        let share = (clients.count + workerCount - 1) / workerCount
        // Whom a short list leaves out is another worker each time.
        let first = clients[0].remote.port
        for index in 0..<workerCount {
            let part = clients.dropFirst(index * share).prefix(share)
            guard !part.isEmpty else { return }
            let worker = (Int(first) + index) % workerCount
            // A mailbox that is full drops them, which resets them.
            mailboxes[worker].post(.adoptClients(Array(part)))
        }
    }

    /// Ends connections that the other node had in the meantime, without a word to their clients.
    ///
    /// Any thread may call this. The order says when no worker has any of them left.
    public func surrender(_ keys: Set<ClientKey>) -> SurrenderOrder {
        let order = SurrenderOrder(keys, workerCount: workerCount)
        for mailbox in mailboxes { mailbox.post(.surrender(order)) }
        return order
    }

    /// What became of connections that were carried over.
    public var carryOverStatistics: CarryOverStatistics {
        var sum = CarryOverStatistics()
        for row in workerTallies {
            sum.adopted &+= row.carry.adopted.value
            sum.reissued &+= row.carry.reissued.value
            sum.refused &+= row.carry.refused.value
            sum.expired &+= row.carry.expired.value
            sum.superseded &+= row.carry.superseded.value
            sum.moved &+= row.carry.moved.value
            sum.stranded &+= row.carry.stranded.value
        }
        return sum
    }

    /// Writes them as metrics.
    func collectCarryOver(into text: inout MetricsText) {
        let numbers = carryOverStatistics
        for (outcome, count) in [
            ("adopted", numbers.adopted), ("refused", numbers.refused),
            ("expired", numbers.expired), ("superseded", numbers.superseded),
            ("moved", numbers.moved), ("stranded", numbers.stranded),
        ] {
            text.add(
                "tandem_carried_connections_total", .counter,
                help: "Connections that came from the other node or went there, by outcome.",
                labels: ["outcome": outcome], Double(count))
        }
        text.add(
            "tandem_reissued_requests_total", .counter,
            help: "Requests of the other node's clients that were issued again here.",
            Double(numbers.reissued))
    }
}
