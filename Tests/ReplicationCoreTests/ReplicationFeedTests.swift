// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever happens to the stream, the peer's table ends up equal to this node's clients, and
// neither end grows past its limit. Method: feed and table joined by hand, then at random.

import ReplicationCore
import Testing
import WireCore

@Suite struct ReplicationFeedTests {
    static let vip = IPAddress(10, 77, 0, 100)
    static let vipIPv6 = IPAddress.v6(IPv6Address(high: 0xFD00 << 48, low: 0x100))
    /// Ports from here on are those of IPv6 clients.
    static let firstPortIPv6 = 20_000

    static func key(_ port: Int) -> ClientKey {
        guard port >= firstPortIPv6 else {
            return ClientKey(
                localAddress: vip, localPort: 80, remoteAddress: IPAddress(10, 77, 0, 200),
                remotePort: UInt16(port))
        }
        return ClientKey(
            localAddress: vipIPv6, localPort: 80,
            remoteAddress: .v6(IPv6Address(high: 0xFD00 << 48, low: 0x200)),
            remotePort: UInt16(port))
    }

    private func batch(
        opened: [Int] = [], closed: [Int] = [], worker: UInt16 = 0, isComplete: Bool = false
    ) -> ClientChangeBatch {
        ClientChangeBatch(
            worker: worker, isComplete: isComplete,
            changes: opened.map { ClientChange(Self.key($0), isOpen: true) }
                + closed.map { ClientChange(Self.key($0), isOpen: false) })
    }

    private func deliver(_ feed: inout ReplicationFeed, _ table: inout PeerClientTable) {
        while let message = feed.nextMessage() { table.apply(message) }
    }

    private func ports(_ table: PeerClientTable) -> [UInt16] {
        table.clients(of: [Self.vip, Self.vipIPv6]).map(\.remotePort).sorted()
    }

    @Test func connectionsOfAnEarlierEraAreToldApart() {
        var feed = ReplicationFeed()
        feed.apply(batch(opened: [1, 2, 3]))
        feed.beginEra()
        feed.apply(batch(opened: [2, 4], worker: 1))
        #expect([1, 2, 4, 5].map { feed.era(of: Self.key($0)) } == [0, 1, 1, nil])
        // What a worker closes that another one has opened since is another connection.
        feed.apply(batch(closed: [2]))
        #expect(feed.era(of: Self.key(2)) == 1)
        feed.beginEra()
        // Told once more, because a report was lost: as old as before, except for what is new.
        feed.apply(batch(opened: [1, 6], isComplete: true))
        #expect([1, 3, 6].map { feed.era(of: Self.key($0)) } == [0, nil, 2])
    }

    @Test func snapshotThenTailReachThePeer() {
        var feed = ReplicationFeed()
        var table = PeerClientTable()
        feed.apply(batch(opened: [1, 2, 3]))
        #expect(feed.nextMessage() == nil)
        feed.connected()
        deliver(&feed, &table)
        #expect(ports(table) == [1, 2, 3])
        feed.apply(batch(opened: [4], closed: [2]))
        deliver(&feed, &table)
        #expect(ports(table) == [1, 3, 4])
        #expect(feed.standing() == .standing(open: OpenClientCount(ipv4: 3), omittedCount: 0))
        feed.standing().map { table.apply($0) }
        #expect(table.mismatchCount == 0)
    }

    @Test func changesDuringASnapshotFollowIt() {
        var feed = ReplicationFeed()
        var table = PeerClientTable()
        let count = 3 * ReplicationMessage.changeCountMax(.ipv4)
        feed.apply(batch(opened: Array(1...count)))
        feed.connected()
        feed.nextMessage().map { table.apply($0) }
        feed.nextMessage().map { table.apply($0) }
        feed.apply(batch(opened: [count + 1], closed: [1, count]))
        deliver(&feed, &table)
        #expect(ports(table).count == count - 1)
        #expect(!ports(table).contains(1) && !ports(table).contains(UInt16(count)))
    }

    @Test func unfinishedSnapshotAddsToWhatWasKnown() {
        var table = PeerClientTable()
        table.apply(.snapshotBegan)
        table.apply(.changes([ClientChange(Self.key(1), isOpen: true)]))
        table.apply(.snapshotEnded(open: OpenClientCount(ipv4: 1)))
        table.apply(.snapshotBegan)
        table.apply(.changes([ClientChange(Self.key(2), isOpen: true)]))
        #expect(ports(table) == [1, 2])
        table.streamBegan()
        #expect(ports(table) == [1, 2])
        table.apply(.snapshotBegan)
        table.apply(.changes([ClientChange(Self.key(3), isOpen: true)]))
        table.apply(.snapshotEnded(open: OpenClientCount(ipv4: 1)))
        #expect(ports(table) == [3])
    }

    @Test func lateCloseOfAnotherWorkerDoesNotCloseTheNewConnection() {
        var feed = ReplicationFeed()
        feed.apply(batch(opened: [1], worker: 0))
        feed.apply(batch(opened: [1], worker: 1))
        feed.apply(batch(closed: [1], worker: 0))
        #expect(feed.contains(Self.key(1)))
        feed.apply(batch(closed: [1], worker: 1))
        #expect(!feed.contains(Self.key(1)))
    }

    @Test func completeReportReplacesWhatTheWorkerHad() {
        var feed = ReplicationFeed()
        var table = PeerClientTable()
        feed.connected()
        feed.apply(batch(opened: [1, 2], worker: 0))
        feed.apply(batch(opened: [3], worker: 1))
        deliver(&feed, &table)
        feed.apply(batch(opened: [2, 4], worker: 0, isComplete: true))
        deliver(&feed, &table)
        #expect(ports(table) == [2, 3, 4])
    }

    @Test func heldFeedSaysNothingAndThenEverything() {
        var feed = ReplicationFeed()
        var table = PeerClientTable()
        feed.connected()
        feed.apply(batch(opened: [1, 2]))
        deliver(&feed, &table)
        feed.hold()
        feed.apply(batch(closed: [1, 2]))
        #expect(feed.nextMessage() == nil && feed.standing() == nil)
        #expect(ports(table) == [1, 2])
        // A new connection is greeted, which takes nothing away.
        feed.connected()
        deliver(&feed, &table)
        #expect(ports(table) == [1, 2])
        feed.resume()
        deliver(&feed, &table)
        #expect(ports(table) == [])
    }

    @Test func fullTablesLeaveOutAndCount() {
        var feed = ReplicationFeed(clientCountMax: 2)
        feed.apply(batch(opened: [1, 2, 3]))
        #expect(feed.openCount == 2 && feed.omittedCount == 1)
        var table = PeerClientTable(clientCountMax: 1)
        feed.connected()
        deliver(&feed, &table)
        #expect(table.count == 1 && table.omittedHereCount == 1 && table.mismatchCount == 0)
    }

    @Test func slowPeerGetsAFreshSnapshotInsteadOfAQueue() {
        var feed = ReplicationFeed(waitingChangeCountMax: 10)
        var table = PeerClientTable()
        feed.connected()
        deliver(&feed, &table)
        for port in 1...100 { feed.apply(batch(opened: [port])) }
        #expect(feed.waitingChangeCount <= 10 && feed.snapshotCount == 2)
        deliver(&feed, &table)
        #expect(ports(table).count == 100)
    }

    @Test func mismatchIsCounted() {
        var table = PeerClientTable()
        table.apply(.standing(open: OpenClientCount(ipv4: 1), omittedCount: 0))
        #expect(table.mismatchCount == 1)
    }

    @Test func forgottenClientsStayForgottenUnlessRemembered() {
        var table = PeerClientTable()
        table.apply(.changes([ClientChange(Self.key(1), isOpen: true)]))
        let clients = table.clients(of: [Self.vip])
        table.forget([Self.vip])
        #expect(table.count == 0)
        table.apply(.standing(open: OpenClientCount(ipv4: 1), omittedCount: 0))
        #expect(table.mismatchCount == 0)
        table.remember(clients, knownAt: table.snapshotCount)
        #expect(ports(table) == [1])
        #expect(table.clients(of: [IPAddress(10, 0, 0, 1)]).isEmpty)
    }

    @Test func whatThePeerToldSinceCountsMoreThanWhatIsRemembered() {
        var table = PeerClientTable()
        table.apply(.changes([ClientChange(Self.key(1), isOpen: true)]))
        let clients = table.clients(of: [Self.vip])
        let knownAt = table.snapshotCount
        table.forget([Self.vip])
        table.apply(.snapshotBegan)
        table.apply(.snapshotEnded(open: OpenClientCount(ipv4: 0)))
        table.remember(clients, knownAt: knownAt)
        #expect(table.count == 0)
    }

    @Test func messagesOfChangesHaveOneFamilyAndNeitherWaits() {
        var feed = ReplicationFeed()
        var table = PeerClientTable()
        let ipv6 = (0..<300).map { Self.firstPortIPv6 + $0 }
        feed.apply(batch(opened: [1, 2, 3] + ipv6))
        feed.connected()
        deliver(&feed, &table)
        #expect(ports(table).count == 303)
        #expect(
            feed.standing()
                == .standing(open: OpenClientCount(ipv4: 3, ipv6: 300), omittedCount: 0))
        for port in 4...1_000 {
            feed.apply(batch(opened: [port, Self.firstPortIPv6 + 300 + port]))
        }
        var families: [AddressFamily] = []
        while let message = feed.nextMessage() {
            guard case .changes(let changes) = message, let first = changes.first else { continue }
            #expect(changes.allSatisfy { $0.key.family == first.key.family })
            families.append(first.key.family)
            table.apply(message)
        }
        #expect(families.prefix(4) == [.ipv4, .ipv6, .ipv4, .ipv6])
        #expect(ports(table).count == 303 + 2 * 997)
        feed.apply(batch(closed: ipv6))
        deliver(&feed, &table)
        feed.standing().map { table.apply($0) }
        #expect(table.mismatchCount == 0)
    }

    @Test(arguments: UInt64(1)...30)
    func peerKnowsTheSameAfterAnyHistory(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var feed = ReplicationFeed(waitingChangeCountMax: 20)
        var table = PeerClientTable()
        var open: [Int: UInt16] = [:]
        var isConnected = false
        for _ in 0..<500 {
            let port =
                Int(generator.next() % 20) + (generator.next() % 2 == 0 ? 0 : Self.firstPortIPv6)
            switch generator.next() % 12 {
            case 0:
                feed.disconnected()
                isConnected = false
            case 1:
                feed.connected()
                table.streamBegan()
                isConnected = true
            case 2: feed.hold()
            case 3: feed.resume()
            case 4...7:
                guard open[port] == nil else { continue }
                open[port] = UInt16(generator.next() % 2)
                feed.apply(batch(opened: [port], worker: open[port] ?? 0))
            case 8...9:
                guard let worker = open.removeValue(forKey: port) else { continue }
                feed.apply(batch(closed: [port], worker: worker))
            default:
                if isConnected { feed.nextMessage().map { table.apply($0) } }
            }
        }
        feed.resume()
        if !isConnected {
            feed.connected()
            table.streamBegan()
        }
        deliver(&feed, &table)
        #expect(ports(table) == open.keys.map { UInt16($0) }.sorted())
        feed.standing().map { table.apply($0) }
        #expect(table.mismatchCount == 0)
    }
}
