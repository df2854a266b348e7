// SPDX-License-Identifier: Apache-2.0
//
// Goal: what one node's data plane knows of cookies, buckets, latencies and limits the other's
// knows as well, and a peer with another file or another secret changes nothing.

import BalancerCore
import ConfigurationCore
import EventLoop
import Glibc
import LinuxIO
import ReplicationCore
import Synchronization
import Telemetry
import Testing
import WireCore

@testable import ProxyService

/// One node without threads: its tables, and their replication.
private final class StateNode {
    let plane: DataPlane
    let traffic: ReplicatedTraffic

    init(
        secret: String = "s", entriesMax: Int = 1_024, pool: String = "web",
        requests: Int = 10, policy: BalancePolicy = .leastTime, expire: TimeSpan = .seconds(600)
    ) throws {
        var web = PoolConfiguration(
            name: pool, balance: policy,
            backends: (1...3).map { number in
                BackendConfiguration(
                    name: "be\(number)", address: Endpoint(address: .v4(.loopback), port: number),
                    weight: 1)
            }, healthCheck: nil)
        web.sticky = StickyConfiguration()
        web.sticky?.mode = .learn
        web.sticky?.cookie = "session"
        web.sticky?.entriesMax = entriesMax
        web.sticky?.expire = expire
        web.adaptiveConcurrency = AdaptiveConcurrencyConfiguration()
        var route = RouteConfiguration(host: nil, pathPrefix: nil, pool: pool)
        route.rateLimits = [
            RateLimitConfiguration(requests: requests, per: .seconds(60), burst: 10, key: .client)
        ]
        let listener = ListenerConfiguration(
            name: "front", bind: Endpoint(address: .v4(.loopback), port: 0), routes: [route])
        plane = try DataPlane(
            configuration: Configuration(
                workers: .exactly(2), pair: nil, listeners: [listener], pools: [web],
                admin: AdminConfiguration(http: nil, socket: nil),
                timeouts: TimeoutConfiguration(), limits: LimitConfiguration(), zone: nil),
            nodeName: "n", logger: Logger("proxy", sink: nil), descriptorLimit: 4_096,
            journal: try ConnectionJournal(watching: []), pairSecret: Array(secret.utf8))
        traffic = try plane.replicatedTraffic(on: nil)
    }

    var snapshot: DataPlaneSnapshot { plane.currentSnapshot }
    var affinity: PoolAffinity? { snapshot.pools[0].affinity }
    var table: StickyTable? { affinity?.table }
    var limit: SharedRateLimit? { snapshot.rateLimits.first }
    var sticky: StickyReplication? { traffic.sticky }
    var nowSeconds: UInt32 { UInt32(truncatingIfNeeded: Clock.now().nanoseconds / 1_000_000_000) }
}

@Suite struct StateTablesTests {
    private func snapshot(
        _ sticky: StickyReplication, byteCountMax: Int = StateBlob.byteCountMax
    ) -> [StateBlob] {
        var blobs: [StateBlob] = []
        var cursor: Int? = 0
        while let place = cursor {
            let piece = sticky.snapshot(from: place, byteCountMax: byteCountMax)
            if let blob = piece.blob { blobs.append(blob) }
            cursor = piece.next
        }
        return blobs
    }

    // MARK: Cookies

    private static func merge(
        into table: StickyTable, _ key: UInt64, _ backendID: UInt32, used: UInt32, now: UInt32
    ) -> StickyTable.MergeOutcome {
        table.merge(
            StickyTable.Entry(key: key, backendID: backendID, usedAtSeconds: used),
            nowSeconds: now)
    }

    /// What a node's sticky table tells of one key that changed.
    private func told(_ key: UInt64, by node: StateNode) throws -> StateBlob {
        let journal = try #require(node.plane.stickyJournal)
        let table = try #require(node.table)
        journal.mailbox.post([StickyChange(key: key, table: table.number)])
        return try #require(node.sticky?.nextChanges(byteCountMax: 1_000))
    }

    @Test(arguments: [200, 1_000, StateBlob.byteCountMax])
    func aSnapshotCarriesEveryCookieWithItsAge(byteCountMax: Int) throws {
        let a = try StateNode()
        let b = try StateNode()
        let here = try #require(a.table)
        let there = try #require(b.table)
        let now = a.nowSeconds
        for key in 0..<500 as Range<UInt64> {
            here.insert(
                HashMixer.key(key, 1), backendID: UInt32(key % 3),
                nowSeconds: now &- UInt32(key))
        }
        let blobs = snapshot(try #require(a.sticky), byteCountMax: byteCountMax)
        #expect(blobs.allSatisfy { $0.bytes.count <= byteCountMax })
        for blob in blobs { b.sticky?.apply(blob) }
        var foundCount = 0
        for key in 0..<500 as Range<UInt64> {
            guard let mine = here.entry(HashMixer.key(key, 1)) else { continue }
            let other = try #require(there.entry(HashMixer.key(key, 1)))
            #expect(other.backendID == mine.backendID)
            #expect(other.usedAtSeconds &- mine.usedAtSeconds <= 2)
            foundCount += 1
        }
        #expect(foundCount > 450)
        #expect(there.count == blobs.reduce(0) { $0 + $1.entryCount })
    }

    @Test func theNewerUseCounts() throws {
        let b = try StateNode()
        let table = try #require(b.table)
        let now = b.nowSeconds
        table.insert(77, backendID: 1, nowSeconds: now &- 100)
        #expect(Self.merge(into: table, 77, 2, used: now &- 200, now: now) == .older)
        #expect(table.entry(77)?.backendID == 1)
        #expect(Self.merge(into: table, 77, 2, used: now &- 50, now: now) == .taken)
        #expect(table.entry(77)?.backendID == 2)
        #expect(table.count == 1)
    }

    @Test func aFullBucketKeepsWhatWasUsedLater() throws {
        let table = try StickyTable(entriesMax: 8)
        for key in 10..<18 as Range<UInt64> {
            table.insert(key, backendID: 1, nowSeconds: 1_000 + UInt32(key))
        }
        #expect(Self.merge(into: table, 99, 2, used: 900, now: 2_000) == .full)
        #expect(Self.merge(into: table, 99, 2, used: 1_500, now: 2_000) == .taken)
        #expect(table.entry(10) == nil)
        #expect(table.entry(99)?.backendID == 2)
    }

    @Test func whatExpiredAndWhatIsForeignIsLeftOut() throws {
        let a = try StateNode(expire: .seconds(600))
        let table = try #require(a.table)
        table.insert(50, backendID: 1, nowSeconds: a.nowSeconds &- 300)
        table.insert(51, backendID: 1, nowSeconds: a.nowSeconds)
        let blobs = snapshot(try #require(a.sticky))
        let short = try StateNode(expire: .seconds(60))
        for blob in blobs { short.sticky?.apply(blob) }
        #expect(short.table?.count == 1)
        for other in [try StateNode(secret: "other"), try StateNode(pool: "other")] {
            for blob in blobs { other.sticky?.apply(blob) }
            #expect(other.table?.count == 0)
            #expect(other.plane.stateTallies.sticky.value.unknown == 2)
        }
    }

    @Test func changesAreToldAsTheTableHasThemThen() throws {
        let a = try StateNode()
        let b = try StateNode()
        let sticky = try #require(a.sticky)
        let table = try #require(a.table)
        let journal = try #require(a.plane.stickyJournal)
        #expect(sticky.nextChanges(byteCountMax: 1_000) == nil)
        _ = sticky.snapshot(from: 0, byteCountMax: 1_000)
        let isWanted = journal.isWanted.load(ordering: .relaxed)
        #expect(isWanted)
        table.insert(5, backendID: 1, nowSeconds: a.nowSeconds)
        table.insert(6, backendID: 2, nowSeconds: a.nowSeconds)
        journal.mailbox.post([
            StickyChange(key: 5, table: table.number), StickyChange(key: 6, table: table.number),
            StickyChange(key: 7, table: table.number), StickyChange(key: 5, table: 9_999),
        ])
        table.insert(5, backendID: 3, nowSeconds: a.nowSeconds)
        let blob = try #require(sticky.nextChanges(byteCountMax: 1_000))
        #expect(blob.entryCount == 2)
        b.sticky?.apply(blob)
        #expect(b.table?.entry(5)?.backendID == 3)
        #expect(b.table?.entry(6)?.backendID == 2)
        #expect(sticky.nextChanges(byteCountMax: 1_000) == nil)
        #expect(sticky.waitingCount == 0)
    }

    @Test func tooManyChangesAskForASnapshot() throws {
        let a = try StateNode()
        let sticky = try #require(a.sticky)
        let journal = try #require(a.plane.stickyJournal)
        _ = sticky.snapshot(from: 0, byteCountMax: 1_000)
        let batches = StickyReplication.waitingCountMax / 4_096 + 1
        for batch in 0..<UInt64(batches) {
            journal.mailbox.post(
                (0..<4_096).map { StickyChange(key: batch * 4_096 + $0, table: 1) })
        }
        _ = sticky.nextChanges(byteCountMax: 1_000)
        #expect(sticky.hasLostChanges)
        _ = sticky.snapshot(from: 0, byteCountMax: 1_000)
        #expect(!sticky.hasLostChanges)
    }

    @Test func aKeyThatChangesOftenWaitsOnce() throws {
        let a = try StateNode()
        let sticky = try #require(a.sticky)
        let journal = try #require(a.plane.stickyJournal)
        _ = sticky.snapshot(from: 0, byteCountMax: 1_000)
        for _ in 0..<StickyReplication.waitingCountMax / 4_096 + 1 {
            journal.mailbox.post(
                [StickyChange](repeating: StickyChange(key: 5, table: 1), count: 4_096))
        }
        _ = sticky.nextChanges(byteCountMax: 10)
        #expect(!sticky.hasLostChanges)
        #expect(sticky.waitingCount <= 1)
    }

    @Test func aChangeWithinTheSameSecondIsTheNewerOne() throws {
        let a = try StateNode()
        let b = try StateNode()
        for backendID in [9, 4, 7] as [UInt32] {
            a.table?.insert(5, backendID: backendID, nowSeconds: a.nowSeconds)
            b.sticky?.apply(try told(5, by: a))
            #expect(b.table?.entry(5)?.backendID == backendID)
        }
        // What the other node only heard undoes nothing here.
        a.table?.insert(5, backendID: 2, nowSeconds: a.nowSeconds)
        a.sticky?.apply(try told(5, by: b))
        #expect(a.table?.entry(5)?.backendID == 2)
    }

    @Test(arguments: [(3, 8), (8, 3)])
    func twoBackendsWithinTheSameSecondEndAlikeOnBothNodes(ofA: Int, ofB: Int) throws {
        let a = try StateNode()
        let b = try StateNode()
        a.table?.insert(5, backendID: UInt32(ofA), nowSeconds: a.nowSeconds)
        b.table?.insert(5, backendID: UInt32(ofB), nowSeconds: b.nowSeconds)
        let fromA = try told(5, by: a)
        // Only one of them speaks: who refutes says so.
        b.sticky?.apply(fromA)
        while let answer = b.sticky?.nextChanges(byteCountMax: 1_000) { a.sticky?.apply(answer) }
        #expect(a.table?.entry(5)?.backendID == 8)
        #expect(b.table?.entry(5)?.backendID == 8)
    }

    @Test func agesAreRightWhenTheHostHasJustStarted() throws {
        let table = try StickyTable(entriesMax: 8)
        // A peer whose entry is older than this host is up.
        #expect(Self.merge(into: table, 5, 1, used: 60 &- 1_000, now: 60) == .taken)
        let entry = try #require(table.entry(5))
        #expect(StickyTable.ageSeconds(of: entry.usedAtSeconds, nowSeconds: 60) == 1_000)
        #expect(table.find(5, nowSeconds: 60, expireSeconds: 900) == nil)
        #expect(table.find(5, nowSeconds: 60, expireSeconds: 1_100) == 1)
        #expect(table.entry(5)?.isHeard == false)
    }

    @Test func aUseIsToldOnceInSomeSeconds() throws {
        let table = try StickyTable(entriesMax: 8)
        table.insert(5, backendID: 1, nowSeconds: 800)
        var toldCount = 0
        for second in 800..<880 as Range<UInt32> {
            for _ in 0..<5 {
                var isNews = false
                _ = table.find(5, nowSeconds: second, expireSeconds: 60, isNews: &isNews)
                if isNews { toldCount += 1 }
            }
        }
        #expect(toldCount == 9)
    }

    // MARK: Rates

    @Test func aClientOverItsRateIsRefusedByTheOtherNode() throws {
        let a = try StateNode()
        let b = try StateNode()
        let here = try #require(a.limit)
        let there = try #require(b.limit)
        let client = IPAddress.v4(IPv4Address(rawValue: 0x0A00_0001))
        let hash = CompiledRateLimit.hash(client, by: here.hash)
        #expect(hash == CompiledRateLimit.hash(client, by: there.hash))
        for _ in 0..<12 { _ = here.buckets.take(hash: hash, now: Clock.now(), from: here.cells) }
        let blob = try #require(a.traffic.rates.nextChanges(byteCountMax: 1_000))
        #expect(blob.entryCount == 1)
        b.traffic.rates.apply(blob)
        guard case .refused = there.buckets.take(hash: hash, now: Clock.now(), from: there.cells)
        else {
            Issue.record("its tokens are used up")
            return
        }
        // What was heard is not told back, neither as a change nor as news.
        #expect(b.traffic.rates.nextChanges(byteCountMax: 1_000) == nil)
        // A peer that was started anew hears of it.
        let piece = b.traffic.rates.snapshot(from: 0, byteCountMax: 1_000)
        #expect(piece.blob?.entryCount == 1)
        #expect(piece.next == nil)
    }

    @Test func anotherLimitOrSecretIsNoneOfOurs() throws {
        let a = try StateNode()
        let here = try #require(a.limit)
        for _ in 0..<12 { _ = here.buckets.take(hash: 9, now: Clock.now(), from: here.cells) }
        let blob = try #require(a.traffic.rates.nextChanges(byteCountMax: 1_000))
        for other in [try StateNode(secret: "x"), try StateNode(requests: 11)] {
            other.traffic.rates.apply(blob)
            #expect(other.plane.stateTallies.rates.value.unknown == 1)
            #expect(other.plane.stateTallies.rates.value.taken == 0)
        }
    }

    @Test func onlyBucketsInUseAreEntries() throws {
        let a = try StateNode()
        #expect(a.traffic.rates.entryCount == 0)
        let here = try #require(a.limit)
        let b = try StateNode()
        for _ in 0..<12 { _ = here.buckets.take(hash: 9, now: Clock.now(), from: here.cells) }
        let blob = try #require(a.traffic.rates.nextChanges(byteCountMax: 1_000))
        b.traffic.rates.apply(blob)
        #expect(b.traffic.rates.entryCount == 1)
        let full = Clock.now() + .seconds(3_600)
        #expect(!here.buckets.isInUse(here.cells.load(at: 0), now: full))
    }

    // MARK: What was learned

    @Test func aSnapshotTellsWhatWasLearned() throws {
        let a = try StateNode()
        a.snapshot.pools[0].backends[1].tallies[0].averageMicroseconds.store(
            2_000, ordering: .relaxed)
        let shares = a.snapshot.pools[0].shared.adaptive
        for worker in 0..<2 {
            shares.set(40, settled: 50, worker: worker)
            shares.set(baseline: .milliseconds(5), worker: worker)
        }
        #expect(a.traffic.clocks.entryCount == 1)
        #expect(a.traffic.concurrency.entryCount == 1)
        let clocks = a.traffic.clocks.snapshot(from: 0, byteCountMax: 1_000)
        #expect(clocks.blob?.entryCount == 1 && clocks.next == nil)
        let limits = a.traffic.concurrency.snapshot(from: 0, byteCountMax: 1_000)
        #expect(limits.blob?.entryCount == 1 && limits.next == nil)
    }

    @Test func latenciesReachWorkersThatKnowNothing() throws {
        let a = try StateNode()
        let b = try StateNode()
        let backend = a.snapshot.pools[0].backends[1]
        backend.tallies[0].averageMicroseconds.store(2_000, ordering: .relaxed)
        backend.tallies[1].averageMicroseconds.store(4_000, ordering: .relaxed)
        let blob = try #require(a.traffic.clocks.nextChanges(byteCountMax: 1_000))
        #expect(a.traffic.clocks.nextChanges(byteCountMax: 1_000) == nil)
        b.traffic.clocks.apply(blob)
        let hint = PeerHint(
            word: b.snapshot.pools[0].backends[1].peerLatency.load(ordering: .relaxed))
        #expect(hint.latency(now: Clock.now()) == .milliseconds(3))
        #expect(hint.latency(now: Clock.now() + .seconds(60)) == nil)
        #expect(PeerHint(word: 0).latency(now: Clock.now()) == nil)
    }

    @Test func adaptiveLimitsReachTheOtherNode() throws {
        let a = try StateNode()
        let b = try StateNode()
        let shares = a.snapshot.pools[0].shared.adaptive
        #expect(a.traffic.concurrency.nextChanges(byteCountMax: 1_000) == nil)
        for worker in 0..<2 {
            shares.set(40, settled: 50, worker: worker)
            shares.set(baseline: .milliseconds(5), worker: worker)
        }
        let piece = a.traffic.concurrency.snapshot(from: 0, byteCountMax: 1_000)
        let blob = try #require(piece.blob)
        b.traffic.concurrency.apply(blob)
        let there = b.snapshot.pools[0].shared.adaptive
        let limit = there.peerLimit.load(ordering: .relaxed)
        let baseline = there.peerBaselineMicroseconds.load(ordering: .relaxed)
        #expect(limit == 100)
        #expect(baseline == 5_000)
    }

    // MARK: Hostile bytes

    @Test func noBytesAreATrap() throws {
        let a = try StateNode()
        let table = try #require(a.table)
        for key in 100..<140 as Range<UInt64> {
            table.insert(HashMixer.key(key, 2), backendID: 1, nowSeconds: a.nowSeconds)
        }
        let here = try #require(a.limit)
        for _ in 0..<12 { _ = here.buckets.take(hash: 9, now: Clock.now(), from: here.cells) }
        var pieces = snapshot(try #require(a.sticky))
        if let blob = a.traffic.rates.nextChanges(byteCountMax: 1_000) { pieces.append(blob) }
        let b = try StateNode()
        var generator = SeededGenerator(seed: 21)
        for _ in 0..<3_000 {
            var blob = pieces[Int(generator.next() % UInt64(pieces.count))]
            blob.bytes = Array(
                blob.bytes.prefix(Int(generator.next() % UInt64(blob.bytes.count + 1))))
            for _ in 0..<generator.next() % 5 where !blob.bytes.isEmpty {
                blob.bytes[Int(generator.next() % UInt64(blob.bytes.count))] = UInt8(
                    truncatingIfNeeded: generator.next())
            }
            b.sticky?.apply(blob)
            b.traffic.rates.apply(blob)
            b.traffic.clocks.apply(blob)
            b.traffic.concurrency.apply(blob)
        }
        #expect(b.plane.stateTallies.sticky.value.faults > 100)
        #expect(try #require(b.table).count <= 1_024)
    }

    // MARK: A million

    /// What a full table costs to tell and to take; prints when TANDEM_BENCH is set.
    @Test(.enabled(if: getenv("TANDEM_BENCH") != nil))
    func aMillionCookies() throws {
        let a = try StateNode(entriesMax: 1_500_000)
        let b = try StateNode(entriesMax: 1_500_000)
        let table = try #require(a.table)
        let now = a.nowSeconds
        for key in 0..<1_000_000 as Range<UInt64> {
            table.insert(HashMixer.key(key, 3), backendID: 7, nowSeconds: now &- UInt32(key % 500))
        }
        let began = Clock.processCPU()
        let blobs = snapshot(try #require(a.sticky))
        let made = Clock.processCPU()
        for blob in blobs { b.sticky?.apply(blob) }
        let taken = Clock.processCPU()
        let byteCount = blobs.reduce(0) { $0 + $1.bytes.count }
        print(
            """
            sticky entries: \(table.count) of \(table.capacity) places in \(blobs.count) pieces, \
            \(byteCount) bytes
            CPU: snapshot \((made - began).milliseconds) ms, apply \((taken - made).milliseconds) ms
            """)
        #expect(b.table?.count == table.count)
        #if !DEBUG
            #expect(taken - began < .seconds(5))
        #endif
    }
}
