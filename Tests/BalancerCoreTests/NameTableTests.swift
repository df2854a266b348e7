// SPDX-License-Identifier: Apache-2.0
//
// Goal: names are asked for when they should be, and what they stand for changes only on evidence.
// Method: a table in virtual time; the test is the servers.

import BalancerCore
import Testing
import WireCore

/// A table, its clock, and servers that say what the test wants.
struct NameStage {
    var table: NameTable
    var now = Instant(nanoseconds: 1_000_000_000_000)

    init(_ change: (inout NameResolutionPlan) -> Void = { _ in }) {
        var plan = NameResolutionPlan()
        plan.jitterPercent = 0
        change(&plan)
        table = NameTable(plan: plan, seed: 1)
    }

    mutating func want(_ names: UpstreamName...) -> [NameEvent] {
        table.want(Set(names), now: now)
    }

    mutating func pass(_ span: TimeSpan) { now = now + span }

    /// Waits for the next deadline and takes what is due.
    mutating func next() -> [UpstreamName] {
        if let deadline = table.nextDeadline { now = max(now, deadline) }
        return table.takeDue(now: now)
    }

    /// Asks for a host when it is due and answers.
    mutating func answer(
        _ name: String, _ v4: NameLookupOutcome<IPAddress>,
        _ v6: NameLookupOutcome<IPAddress> = .noRecords
    ) -> [NameEvent] {
        #expect(next().contains(.host(name)))
        return table.hostLookupEnded(name, HostLookup(v4: v4, v6: v6), now: now)
    }

    static func v4(_ last: UInt8...) -> [IPAddress] {
        last.map { .v4(IPv4Address(10, 0, 0, $0)) }
    }

    static func v6(_ last: UInt64...) -> [IPAddress] {
        last.map { .v6(IPv6Address(high: 0xFD << 56, low: $0)) }
    }

    static func records(
        _ last: UInt8..., ttl: TimeSpan = .seconds(60)
    ) -> NameLookupOutcome<IPAddress> {
        .records(last.map { .v4(IPv4Address(10, 0, 0, $0)) }, ttl: ttl)
    }

    func targets(_ name: String) -> [IPAddress] { table.answers[.host(name)].map(\.address) }

    func status(_ name: String) throws -> NameStatus {
        try #require(table.status(of: .host(name)))
    }

    /// How long until the next question.
    var wait: TimeSpan? { table.nextDeadline.map { $0 - now } }
}

@Suite struct NameTableTests {
    @Test func aNameIsAskedForAtOnceAndAgainWhenItsAnswerExpires() throws {
        var stage = NameStage()
        #expect(stage.want(.host("app")) == [])
        #expect(stage.wait == .zero)
        #expect(try stage.status("app").state == .unresolved)
        let events = stage.answer("app", NameStage.records(2, 1, ttl: .seconds(60)))
        #expect(events == [NameEvent(.host("app"), .firstAnswer(count: 2))])
        #expect(stage.targets("app") == NameStage.v4(1, 2))
        #expect(try stage.status("app").state == .fresh)
        #expect(stage.wait == .seconds(60))
        stage.pass(.seconds(59))
        #expect(stage.table.takeDue(now: stage.now) == [])
        stage.pass(.seconds(1))
        #expect(stage.table.takeDue(now: stage.now) == [.host("app")])
        #expect(stage.table.takeDue(now: stage.now) == [])
    }

    @Test(
        arguments: [
            (0, 1_000), (500, 1_000), (60_000, 60_000), (301_000, 300_000), (604_800_000, 300_000),
        ] as [(UInt64, UInt64)])
    func timesToLiveAreBounded(ttl: UInt64, wait: UInt64) {
        var stage = NameStage()
        _ = stage.want(.host("app"))
        _ = stage.answer("app", NameStage.records(1, ttl: .milliseconds(ttl)))
        #expect(stage.wait == .milliseconds(wait))
    }

    @Test func waitsAreShortenedAtRandomButNeverBelowTheMinimum() {
        var waits: Set<TimeSpan> = []
        for seed in 0..<50 as Range<UInt64> {
            var table = NameTable(plan: NameResolutionPlan(), seed: seed)
            let now = Instant(nanoseconds: 5)
            _ = table.want([.host("a"), .host("b")], now: now)
            _ = table.takeDue(now: now)
            for (name, ttl) in [("a", 100), ("b", 1)] as [(String, UInt64)] {
                let lookup = HostLookup(
                    v4: NameStage.records(1, ttl: .seconds(ttl)), v6: .noRecords)
                _ = table.hostLookupEnded(name, lookup, now: now)
            }
            #expect(table.nextDeadline == now + .seconds(1))
            let due = table.status().compactMap(\.dueAt).max() ?? now
            #expect(due - now >= .seconds(90) && due - now <= .seconds(100))
            waits.insert(due - now)
        }
        #expect(waits.count > 40)
    }

    @Test func theOrderOfAddressesIsNoChange() {
        var stage = NameStage()
        _ = stage.want(.host("app"))
        _ = stage.answer("app", NameStage.records(3, 1, 2))
        #expect(stage.answer("app", NameStage.records(2, 3, 1, 3)) == [])
        let events = stage.answer("app", NameStage.records(2, 4, 1))
        #expect(
            events == [
                NameEvent(
                    .host("app"),
                    .changed(
                        added: [UpstreamTarget(address: NameStage.v4(4)[0])],
                        removed: [UpstreamTarget(address: NameStage.v4(3)[0])], count: 3))
            ])
    }

    @Test(arguments: NameLookupFailure.allCases)
    func aFailureKeepsTheLastGoodAnswer(failure: NameLookupFailure) throws {
        var stage = NameStage()
        _ = stage.want(.host("app"))
        _ = stage.answer("app", NameStage.records(1, 2))
        let answeredAt = stage.now
        var reported = 0
        for _ in 0..<40 {
            let events = stage.answer("app", .failed(failure), .failed(failure))
            reported += events.count
            #expect(stage.targets("app") == NameStage.v4(1, 2))
        }
        #expect(reported == 1)
        let status = try stage.status("app")
        #expect(status.state == .stale)
        #expect(status.failures == 40)
        #expect(status.trouble == .failed(failure))
        #expect(status.answeredAt == answeredAt)
        let events = stage.answer("app", NameStage.records(1, 2))
        #expect(events == [NameEvent(.host("app"), .recovered(failures: 40))])
        #expect(try stage.status("app").state == .fresh)
    }

    @Test func failuresBackOffUpToALimit() {
        var stage = NameStage()
        _ = stage.want(.host("app"))
        var waits: [UInt64] = []
        for _ in 0..<8 {
            _ = stage.answer("app", .failed(.timedOut), .failed(.timedOut))
            waits.append((stage.wait ?? .zero).milliseconds / 1_000)
        }
        #expect(waits == [1, 2, 4, 8, 16, 30, 30, 30])
        _ = stage.answer("app", NameStage.records(1))
        _ = stage.answer("app", .failed(.timedOut), .failed(.timedOut))
        #expect(stage.wait == .seconds(1))
    }

    @Test func aNameThatNeverResolvedStandsForNothing() throws {
        var stage = NameStage()
        _ = stage.want(.host("app"))
        let events = stage.answer("app", .failed(.noServer), .failed(.timedOut))
        let trouble = NameTrouble.failed(.noServer)
        #expect(events == [NameEvent(.host("app"), .troubled(trouble, keptCount: 0))])
        #expect(stage.table.answers == ResolvedNames())
        #expect(try stage.status("app").state == .missing)
        let later = stage.answer("app", NameStage.records(1))
        #expect(
            later == [
                NameEvent(.host("app"), .recovered(failures: 1)),
                NameEvent(.host("app"), .firstAnswer(count: 1)),
            ])
    }

    @Test(
        arguments: [
            (.noSuchName, .noSuchName), (.noRecords, .noRecords),
            (
                .records([.v4(.any), .v4(IPv4Address(224, 0, 0, 1))], ttl: .seconds(9)),
                .noUsableRecords
            ),
        ] as [(NameLookupOutcome<IPAddress>, NameTrouble)])
    func anAnswerWithoutAddressesIsBelievedAfterTheHoldTime(
        outcome: NameLookupOutcome<IPAddress>, trouble: NameTrouble
    ) throws {
        var stage = NameStage { $0.hold = .seconds(25) }
        _ = stage.want(.host("app"))
        _ = stage.answer("app", NameStage.records(1))
        let first = stage.answer("app", outcome)
        #expect(first == [NameEvent(.host("app"), .troubled(trouble, keptCount: 1))])
        let began = stage.now
        var last: [NameEvent] = []
        while last.isEmpty {
            #expect(stage.targets("app") == NameStage.v4(1))
            last = stage.answer("app", outcome)
        }
        #expect(stage.now - began == .seconds(25))
        let removed = [UpstreamTarget(address: NameStage.v4(1)[0])]
        #expect(
            last == [
                NameEvent(.host("app"), .emptied(trouble)),
                NameEvent(.host("app"), .changed(added: [], removed: removed, count: 0)),
            ])
        #expect(stage.targets("app") == [])
        #expect(try stage.status("app").state == .missing)
        #expect(!stage.answer("app", NameStage.records(1)).isEmpty)
        #expect(stage.targets("app") == NameStage.v4(1))
    }

    /// Servers that die after they said "no such name" are no evidence; a good answer clears it.
    @Test func onlyFreshEvidenceEndsTheHoldTime() {
        var stage = NameStage { $0.hold = .seconds(10) }
        _ = stage.want(.host("app"))
        _ = stage.answer("app", NameStage.records(1))
        _ = stage.answer("app", .noSuchName)
        for _ in 0..<20 { _ = stage.answer("app", .failed(.timedOut), .failed(.timedOut)) }
        #expect(stage.targets("app") == NameStage.v4(1))
        _ = stage.answer("app", NameStage.records(1))
        _ = stage.answer("app", .noSuchName)
        #expect(stage.targets("app") == NameStage.v4(1))
        stage.pass(.seconds(10))
        _ = stage.answer("app", .noSuchName)
        #expect(stage.targets("app") == [])
    }

    @Test func withoutAHoldTimeAddressesGoAtOnce() {
        var stage = NameStage { $0.hold = .zero }
        _ = stage.want(.host("app"))
        _ = stage.answer("app", NameStage.records(1))
        #expect(stage.answer("app", .noSuchName).count == 2)
        #expect(stage.targets("app") == [])
    }

    @Test func aFamilyThatFailsKeepsItsAddresses() throws {
        var stage = NameStage()
        _ = stage.want(.host("app"))
        _ = stage.answer(
            "app", NameStage.records(1), .records(NameStage.v6(7), ttl: .seconds(60)))
        let events = stage.answer("app", NameStage.records(1, 2), .failed(.serverFailure))
        #expect(stage.targets("app") == NameStage.v4(1, 2) + NameStage.v6(7))
        #expect(events.count == 1)
        #expect(try stage.status("app").state == .stale)
        #expect(stage.wait == .seconds(1))
        // The family that answers decides for itself.
        _ = stage.answer("app", NameStage.records(1), .noRecords)
        #expect(stage.targets("app") == NameStage.v4(1))
        #expect(try stage.status("app").state == .fresh)
    }

    /// RFC 8020 §2: one family without the name is no name at all.
    @Test func noSuchNameOfOneFamilyCountsForBoth() throws {
        var stage = NameStage()
        _ = stage.want(.host("app"))
        _ = stage.answer("app", .noSuchName, .failed(.timedOut))
        #expect(try stage.status("app").trouble == .noSuchName)
        _ = stage.answer("app", .noRecords, .failed(.timedOut))
        #expect(try stage.status("app").trouble == .failed(.timedOut))
    }

    @Test func addressesThatAreNoHostsAreLeftOut() {
        var stage = NameStage()
        _ = stage.want(.host("app"))
        let mapped = IPAddress.v6(IPv6Address(high: 0, low: 0xFFFF_0A00_0005))
        let linkLocal = IPAddress.v6(IPv6Address(high: 0xFE80 << 48, low: 1))
        let multicast = IPAddress.v6(IPv6Address(high: 0xFF02 << 48, low: 1))
        let long = NameStage.v6(9) + [mapped, linkLocal, multicast, .v6(.any)]
        let short: [IPAddress] = [
            .v4(IPv4Address(255, 255, 255, 255)), .v4(IPv4Address(0, 1, 2, 3)),
            .v4(IPv4Address(239, 0, 0, 1)), .v4(.loopback),
        ]
        _ = stage.answer(
            "app", .records(short, ttl: .seconds(60)), .records(long, ttl: .seconds(60)))
        #expect(stage.targets("app") == NameStage.v4(5) + [.v4(.loopback)] + NameStage.v6(9))
    }

    @Test func noMoreAddressesThanTheLimitAreTaken() {
        var stage = NameStage { $0.targetsMax = 3 }
        _ = stage.want(.host("app"))
        let events = stage.answer("app", NameStage.records(9, 8, 7, 6, 5))
        #expect(events.map(\.kind) == [.limited(leftOutCount: 2), .firstAnswer(count: 3)])
        #expect(stage.targets("app") == NameStage.v4(5, 6, 7))
        #expect(stage.answer("app", NameStage.records(5, 6, 7, 8)) == [])
    }

    @Test func noMoreNamesThanTheLimitAreAskedFor() {
        var stage = NameStage { $0.namesMax = 2 }
        let names: Set<UpstreamName> = [.host("a"), .host("b"), .host("c"), .service("d")]
        #expect(
            stage.table.want(names, now: stage.now) == [
                NameEvent(.host("c"), .refused), NameEvent(.service("d"), .refused),
            ])
        #expect(stage.table.want(names, now: stage.now) == [])
        #expect(stage.next() == [.host("a"), .host("b")])
    }

    @Test func noMoreQuestionsThanTheLimitAreOpen() {
        var stage = NameStage { $0.lookupsAtOnceMax = 3 }
        let names = (0..<10).map { UpstreamName.host("h\($0)") }
        _ = stage.table.want(Set(names), now: stage.now)
        #expect(stage.next() == Array(names[0..<3]))
        #expect(stage.table.nextDeadline == nil)
        #expect(stage.table.takeDue(now: stage.now) == [])
        let good = HostLookup(v4: NameStage.records(1), v6: .noRecords)
        _ = stage.table.hostLookupEnded("h1", good, now: stage.now)
        #expect(stage.next() == [names[3]])
        #expect(stage.table.askingCount == 3)
    }

    @Test func namesThatStayAreKeptAndOthersForgotten() throws {
        var stage = NameStage()
        _ = stage.want(.host("a"), .host("b"))
        _ = stage.next()
        for name in ["a", "b"] {
            let good = HostLookup(v4: NameStage.records(1), v6: .noRecords)
            _ = stage.table.hostLookupEnded(name, good, now: stage.now)
        }
        #expect(stage.want(.host("b"), .host("c")) == [])
        #expect(stage.targets("a") == [])
        #expect(stage.targets("b") == NameStage.v4(1))
        #expect(stage.next() == [.host("c")])
        // An answer for a name that nobody wants any more changes nothing.
        _ = stage.want(.host("b"))
        let late = HostLookup(v4: NameStage.records(9), v6: .noRecords)
        #expect(stage.table.hostLookupEnded("c", late, now: stage.now) == [])
        #expect(stage.table.hostLookupEnded("b", late, now: stage.now) == [])
        #expect(stage.targets("b") == NameStage.v4(1))
    }

    @Test func questionsGivenUpAreAskedAnew() {
        var stage = NameStage()
        _ = stage.want(.host("a"))
        #expect(stage.next() == [.host("a")])
        stage.table.askAnew(now: stage.now)
        #expect(stage.next() == [.host("a")])
    }

    @Test func everythingIsAskedForNowWhenToldSo() {
        var stage = NameStage()
        _ = stage.want(.host("a"), .host("b"))
        _ = stage.answer("a", NameStage.records(1))
        stage.table.askNow(stage.now)
        // The question for the other one is still open.
        #expect(stage.table.takeDue(now: stage.now) == [.host("a")])
        let late = HostLookup(v4: NameStage.records(2), v6: .noRecords)
        #expect(!stage.table.hostLookupEnded("b", late, now: stage.now).isEmpty)
    }

    @Test func aShorterLongestTimeHoldsAtOnce() {
        var stage = NameStage()
        _ = stage.want(.host("a"))
        _ = stage.answer("a", NameStage.records(1, ttl: .seconds(300)))
        stage.table.replacePlan(NameResolutionPlan(ttlMax: .seconds(5)), now: stage.now)
        #expect(stage.wait == .seconds(5))
    }
}
