// SPDX-License-Identifier: Apache-2.0
//
// Goal: SRV records become backends with their ports, weights and priorities, and never empty a
// pool by halves. Method: a table in virtual time; the test is the servers.

import BalancerCore
import Testing
import WireCore

@Suite struct NameTableServiceTests {
    private static let name = UpstreamName.service("_http._tcp.app")

    private static func record(
        _ host: String, _ port: UInt16 = 80, priority: UInt16 = 0, weight: UInt16 = 0
    ) -> ServiceRecord {
        ServiceRecord(host: host, port: port, priority: priority, weight: weight)
    }

    private static func target(
        _ last: UInt8, _ port: UInt16 = 80, weight: Int = 1, priority: Int = 0
    ) -> UpstreamTarget {
        UpstreamTarget(
            address: .v4(IPv4Address(10, 0, 0, last)), port: port, weight: weight,
            priority: priority)
    }

    /// Answers everything that is due until nothing is, from a table of hosts.
    private static func settle(
        _ stage: inout NameStage, _ records: NameLookupOutcome<ServiceRecord>,
        _ hosts: [String: HostLookup]
    ) -> [NameEvent] {
        var events: [NameEvent] = []
        while stage.table.nextDeadline.map({ $0 <= stage.now }) ?? false {
            for name in stage.table.takeDue(now: stage.now) {
                switch name {
                case .service(let text):
                    events += stage.table.serviceLookupEnded(text, records, now: stage.now)
                case .host(let text):
                    let missing = HostLookup(v4: .failed(.timedOut), v6: .failed(.timedOut))
                    events += stage.table.hostLookupEnded(
                        text, hosts[text] ?? missing, now: stage.now)
                }
            }
        }
        return events
    }

    private static func host(_ last: UInt8..., ttl: UInt64 = 60) -> HostLookup {
        let addresses = last.map { IPAddress.v4(IPv4Address(10, 0, 0, $0)) }
        return HostLookup(v4: .records(addresses, ttl: .seconds(ttl)), v6: .noRecords)
    }

    @Test func recordsBecomeBackendsOnceAllTheirHostsWereAskedFor() {
        var stage = NameStage()
        _ = stage.want(Self.name)
        #expect(stage.next() == [Self.name])
        let records = [
            Self.record("b", 81, priority: 20, weight: 7),
            Self.record("a", 80, priority: 10, weight: 3),
        ]
        let outcome = NameLookupOutcome.records(records, ttl: .seconds(60))
        var events = stage.table.serviceLookupEnded(Self.name.text, outcome, now: stage.now)
        #expect(events == [])
        #expect(stage.table.takeDue(now: stage.now) == [.host("a"), .host("b")])
        events = stage.table.hostLookupEnded("a", Self.host(1), now: stage.now)
        #expect(events == [])
        #expect(stage.table.answers[Self.name] == [])
        events = stage.table.hostLookupEnded("b", Self.host(2), now: stage.now)
        #expect(events == [NameEvent(Self.name, .firstAnswer(count: 2))])
        #expect(
            stage.table.answers[Self.name] == [
                Self.target(1, 80, weight: 3, priority: 0),
                Self.target(2, 81, weight: 7, priority: 1),
            ])
        // Hosts that only services need are nobody's names.
        #expect(stage.table.status().map(\.name) == [Self.name])
        #expect(stage.table.answers.targets.keys.sorted() == [Self.name])
    }

    @Test(
        arguments: [
            // As they are, never below 1, scaled when too large, shared by addresses.
            ([1, 2, 3], [1, 1, 1], [1, 2, 3]), ([0, 0, 0], [1, 1, 1], [1, 1, 1]),
            ([0, 100, 200], [1, 1, 1], [1, 100, 200]),
            ([65_535, 32_768, 1], [1, 1, 1], [256, 128, 1]),
            ([10, 10, 10], [1, 2, 1], [10, 5, 5, 10]),
            ([1, 1, 1], [1, 2, 1], [256, 128, 128, 256]),
        ] as [([UInt16], [Int], [Int])])
    func weightsAreSharesOfRecords(weights: [UInt16], addresses: [Int], expected: [Int]) {
        var stage = NameStage()
        _ = stage.want(Self.name)
        var records: [ServiceRecord] = []
        var hosts: [String: HostLookup] = [:]
        var last: UInt8 = 0
        for index in weights.indices {
            records.append(Self.record("h\(index)", weight: weights[index]))
            let own = (0..<addresses[index]).map { _ -> IPAddress in
                last += 1
                return .v4(IPv4Address(10, 0, 0, last))
            }
            hosts["h\(index)"] = HostLookup(v4: .records(own, ttl: .seconds(60)), v6: .noRecords)
        }
        _ = Self.settle(&stage, .records(records, ttl: .seconds(60)), hosts)
        #expect(stage.table.answers[Self.name].map(\.weight) == expected)
    }

    @Test func prioritiesAreRanksUpToTheLast() {
        var stage = NameStage()
        _ = stage.want(Self.name)
        let records = (0..<10).map {
            Self.record("h\($0)", priority: UInt16($0) * 1_000, weight: 1)
        }
        var hosts: [String: HostLookup] = [:]
        for index in 0..<10 { hosts["h\(index)"] = Self.host(UInt8(index + 1)) }
        _ = Self.settle(&stage, .records(records, ttl: .seconds(60)), hosts)
        #expect(
            stage.table.answers[Self.name].map(\.priority) == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7])
    }

    @Test func aHostThatFailsKeepsItsAddressesAndTheOthersServe() {
        var stage = NameStage()
        _ = stage.want(Self.name)
        let records = NameLookupOutcome.records(
            [Self.record("a"), Self.record("b")], ttl: .seconds(300))
        _ = Self.settle(&stage, records, ["a": Self.host(1, ttl: 10), "b": Self.host(2, ttl: 10)])
        stage.pass(.seconds(10))
        let events = Self.settle(&stage, records, ["a": Self.host(1, 3, ttl: 10)])
        #expect(events.count == 1)
        #expect(
            stage.table.answers[Self.name].map(\.address)
                == NameStage.v4(1) + NameStage.v4(2, 3))
    }

    @Test func aHostThatNeverAnswersDoesNotHoldUpTheOthers() {
        var stage = NameStage()
        _ = stage.want(Self.name)
        let records = NameLookupOutcome.records(
            [Self.record("a"), Self.record("dead")], ttl: .seconds(300))
        _ = Self.settle(&stage, records, ["a": Self.host(1)])
        #expect(stage.table.answers[Self.name] == [Self.target(1)])
    }

    /// A record that is added must not take those away that serve while its host is asked for.
    @Test func newRecordsWaitForTheirHosts() {
        var stage = NameStage()
        _ = stage.want(Self.name)
        let hosts = ["a": Self.host(1), "b": Self.host(2)]
        _ = Self.settle(&stage, .records([Self.record("a")], ttl: .seconds(10)), hosts)
        stage.pass(.seconds(10))
        #expect(stage.next() == [Self.name])
        let records = NameLookupOutcome.records([Self.record("b")], ttl: .seconds(10))
        _ = stage.table.serviceLookupEnded(Self.name.text, records, now: stage.now)
        #expect(stage.table.answers[Self.name] == [Self.target(1)])
        #expect(stage.table.takeDue(now: stage.now) == [.host("b")])
        _ = stage.table.hostLookupEnded("b", Self.host(2), now: stage.now)
        #expect(stage.table.answers[Self.name] == [Self.target(2)])
    }

    @Test(arguments: [NameLookupOutcome<ServiceRecord>.failed(.serverFailure), .noSuchName])
    func withoutRecordsTheLastOnesAreKept(outcome: NameLookupOutcome<ServiceRecord>) {
        var stage = NameStage { $0.hold = .seconds(5) }
        _ = stage.want(Self.name)
        let hosts = ["a": Self.host(1)]
        _ = Self.settle(&stage, .records([Self.record("a")], ttl: .seconds(10)), hosts)
        stage.pass(.seconds(10))
        _ = Self.settle(&stage, outcome, hosts)
        #expect(stage.table.answers[Self.name] == [Self.target(1)])
        for _ in 0..<10 {
            stage.pass(.seconds(1))
            _ = Self.settle(&stage, outcome, hosts)
        }
        #expect((stage.table.answers[Self.name] == []) == (outcome == .noSuchName))
    }

    @Test func hostsBelongToTheServicesThatNeedThem() {
        var stage = NameStage()
        let other = UpstreamName.service("other")
        _ = stage.want(Self.name, other)
        let records = NameLookupOutcome.records([Self.record("a")], ttl: .seconds(300))
        _ = Self.settle(&stage, records, ["a": Self.host(1)])
        #expect(stage.table.answers[other] == [Self.target(1)])
        // Wanted by name as well, it is known at once.
        #expect(
            stage.table.want([Self.name, .host("a")], now: stage.now)
                == [NameEvent(.host("a"), .firstAnswer(count: 1))])
        _ = stage.want(.host("z"))
        stage.pass(.seconds(1_000))
        #expect(stage.next() == [.host("z")])
    }

    @Test func theSamePlaceTwiceIsOneBackend() {
        var stage = NameStage()
        _ = stage.want(Self.name)
        let records = [
            Self.record("a", priority: 0, weight: 2), Self.record("b", priority: 0, weight: 3),
            Self.record("c", priority: 9, weight: 50),
        ]
        _ = Self.settle(
            &stage, .records(records, ttl: .seconds(60)),
            ["a": Self.host(1), "b": Self.host(1), "c": Self.host(1, 2)])
        #expect(
            stage.table.answers[Self.name] == [
                Self.target(1, weight: 5), Self.target(2, weight: 25, priority: 1),
            ])
    }

    @Test func limitsHoldForServicesToo() {
        var stage = NameStage {
            $0.targetsMax = 4
            $0.serviceHostsMax = 3
        }
        _ = stage.want(Self.name)
        let records = (0..<9).map { Self.record("h\($0)") }
        var hosts: [String: HostLookup] = [:]
        for index in 0..<9 {
            hosts["h\(index)"] = Self.host(UInt8(2 * index + 1), UInt8(2 * index + 2))
        }
        let events = Self.settle(&stage, .records(records, ttl: .seconds(60)), hosts)
        #expect(events.map(\.kind) == [.limited(leftOutCount: 5), .firstAnswer(count: 4)])
        #expect(stage.table.answers[Self.name].count == 4)
    }
}
