// SPDX-License-Identifier: Apache-2.0
//
// Goal: what a table of one node has, the other has soon, whatever was there first; nobody says
// "in sync" too early, and the missing entries are counted. Method: two replicators over loopback
// on one loop, whose processes and connections end as they please.

import EventLoop
import LinuxIO
import ReplicationCore
import Telemetry
import Testing
import WireCore

@testable import ReplicationService

@Suite struct StateReplicatorTests {
    private let bench = LinkBench()

    private func node(
        isLeft: Bool, on loop: EventLoop, tableCount: Int = 1
    ) throws -> BenchedReplicator {
        let secret = try secret(7)
        let settings =
            isLeft ? bench.leftSettings(secret: secret) : bench.rightSettings(secret: secret)
        return try BenchedReplicator(settings, on: loop, tableCount: tableCount)
    }

    @Test func changesReachBothNodes() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try node(isLeft: true, on: loop)
        let right = try node(isLeft: false, on: loop)
        try left.replicator.start()
        try right.replicator.start()
        #expect(eventually(loop) { left.status.isInSync && right.status.isInSync })
        left.tables[0].write(0..<10, 1)
        right.tables[0].write(5..<20, 2)
        #expect(eventually(loop) { left.numbers.count == 20 && right.numbers == left.numbers })
        #expect(left.numbers[7] == 2 && left.numbers[4] == 1)
        // What was learnt from the peer is not told back.
        #expect(eventually(loop) { left.status.isPeerInSync && right.status.isPeerInSync })
        #expect(left.status.lagEntryCount == 0 && left.status.missingCount == 0)
        // The report follows within 100 ms.
        let lines = [
            "tandem_replication_in_sync 1", "tandem_replication_missing_entries 0",
            #"tandem_replication_table_entries{table="numbers"} 20"#,
        ]
        #expect(
            eventually(loop) {
                let text = left.metrics()
                return lines.allSatisfy(text.contains)
            })
    }

    @Test func snapshotOfManyPiecesAndTablesIsComplete() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try node(isLeft: true, on: loop, tableCount: 3)
        left.tables[0].write(0..<60_000, 1)
        left.tables[2].write(0..<30_000, 2)
        let right = try node(isLeft: false, on: loop, tableCount: 3)
        try left.replicator.start()
        try right.replicator.start()
        // Changes in the middle of it.
        left.tables[0].write(59_990..<60_010, 3)
        #expect(
            eventually(loop) {
                right.numbers.count == 60_010 && right.tables[2].numbers.count == 30_000
            })
        #expect(right.numbers == left.numbers)
        #expect(eventually(loop) { right.status.isInSync })
        #expect(right.tables[1].peerSnapshots == (1, 1))
        #expect(
            eventually(loop) {
                left.status.snapshotsSent == 1 && right.status.snapshotsReceived == 1
            })
    }

    @Test func restartedNodeLearnsEverything() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try node(isLeft: true, on: loop)
        do {
            let right = try node(isLeft: false, on: loop)
            try left.replicator.start()
            try right.replicator.start()
            right.tables[0].write(0..<100, 1)
            left.tables[0].write(100..<200, 1)
            #expect(eventually(loop) { left.numbers.count == 200 && right.numbers.count == 200 })
            right.replicator.stop()
        }
        #expect(eventually(loop) { !left.status.isInSync && !left.status.isPeerInSync })
        left.tables[0].write(200..<210, 1)
        let right = try node(isLeft: false, on: loop)
        #expect(!right.status.isInSync && right.status.missingCount == nil)
        try right.replicator.start()
        #expect(eventually(loop) { right.numbers == left.numbers && right.numbers.count == 210 })
        #expect(eventually(loop) { right.status.isInSync && left.status.isPeerInSync })
    }

    @Test func brokenConnectionGoesOnWithoutASnapshot() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try node(isLeft: true, on: loop)
        let right = try node(isLeft: false, on: loop)
        try left.replicator.start()
        try right.replicator.start()
        left.tables[0].write(0..<100, 1)
        #expect(eventually(loop) { left.status.isPeerInSync && right.numbers.count == 100 })
        for round in 1...3 {
            left.replicator.breakConnection()
            left.tables[0].write(0..<UInt32(100 + round), UInt64(round + 1))
            #expect(eventually(loop) { left.status.resumptions == UInt64(round) })
            #expect(eventually(loop) { right.numbers == left.numbers })
        }
        #expect(left.status.snapshotsSent == 1)
        #expect(eventually(loop) { right.status.isInSync && left.status.isPeerInSync })
    }

    @Test func tableThatForgotChangesIsToldAnew() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try node(isLeft: true, on: loop)
        let right = try node(isLeft: false, on: loop)
        left.tables[0].waitingMax = 50
        try left.replicator.start()
        try right.replicator.start()
        #expect(eventually(loop) { left.status.isPeerInSync })
        left.tables[0].write(0..<500, 1)
        #expect(left.tables[0].hasLostChanges)
        #expect(eventually(loop) { right.numbers.count == 500 })
        #expect(eventually(loop) { left.status.tablesRetold == 1 })
        #expect(left.status.snapshotsSent == 1)
        #expect(eventually(loop) { right.status.isInSync && right.status.missingCount == 0 })
    }

    @Test func unknownTablesAreSkipped() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try node(isLeft: true, on: loop, tableCount: 2)
        let right = try node(isLeft: false, on: loop, tableCount: 1)
        try left.replicator.start()
        try right.replicator.start()
        left.tables[1].write(0..<10, 1)
        left.tables[0].write(0..<10, 1)
        #expect(eventually(loop) { right.numbers.count == 10 && left.status.isPeerInSync })
    }

    /// As after a power loss: the connection never ends by itself.
    @Test func silentPeerIsNotReceivedAndComesBack() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let otherLoop = try EventLoop()
        defer { otherLoop.close() }
        let left = try node(isLeft: true, on: loop)
        let right = try node(isLeft: false, on: otherLoop)
        left.replicator.silenceMax = .milliseconds(500)
        try left.replicator.start()
        try right.replicator.start()
        func both(_ condition: () -> Bool) -> Bool {
            let deadline = Clock.now() + .seconds(5)
            while Clock.now() < deadline {
                for loop in [loop, otherLoop] {
                    if loop.run(until: Clock.now() + .milliseconds(2), condition) { return true }
                }
            }
            return false
        }
        #expect(both { left.status.isInSync && right.status.isInSync })
        #expect(eventually(loop) { !left.status.isReceiving && !left.status.isInSync })
        #expect(both { left.status.isInSync && right.status.isInSync && left.status.isReceiving })
    }

    @Test func nodeWithoutAPeerIsNotInSync() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try node(isLeft: true, on: loop)
        try left.replicator.start()
        left.tables[0].write(0..<10, 1)
        #expect(!loop.run(until: Clock.now() + .milliseconds(250)) { left.status.isInSync })
        #expect(!left.status.isPeerInSync && left.status.lagEntryCount == 10)
        #expect(left.status.lagMilliseconds > 0 && left.status.missingCount == nil)
        #expect(left.metrics().contains("tandem_replication_missing_entries -1"))
    }
}
