// SPDX-License-Identifier: Apache-2.0
//
// Goal: every kind of answer and non-answer ends each lookup once, with the right outcome, without
// ever waiting. Method: a resolver and a scripted server on one loop.

import DNSIO
import EventLoop
import LinuxIO
import NameLaboratory
import Testing
import WireCore

/// A resolver, a server and their loop.
final class Scene {
    let loop: EventLoop
    let server: ScriptedNameServer
    let resolver: Resolver

    init(
        tryTimeout: TimeSpan = .seconds(5), tries: Int = 2,
        _ change: (inout ResolverSettings) -> Void = { _ in }
    ) throws {
        loop = try EventLoop()
        server = try ScriptedNameServer(on: loop)
        var settings = ResolverSettings(
            servers: [server.endpoint], tryTimeout: tryTimeout, tries: tries)
        settings.hostsPath = "/nonexistent"
        settings.serversPath = "/nonexistent"
        change(&settings)
        resolver = try Resolver(settings, on: loop)
    }

    deinit {
        resolver.stop()
        server.stop()
        loop.close()
    }

    func host(_ name: String) throws -> HostLookup {
        var found: HostLookup?
        resolver.lookUpHost(name) { found = $0 }
        #expect(found == nil, "never before the call returns")
        #expect(loop.run(until: Clock.now() + .seconds(20)) { found != nil })
        return try #require(found)
    }

    func service(_ name: String) throws -> NameLookupOutcome<ServiceRecord> {
        var found: NameLookupOutcome<ServiceRecord>?
        resolver.lookUpService(name) { found = $0 }
        #expect(loop.run(until: Clock.now() + .seconds(20)) { found != nil })
        return try #require(found)
    }

    static func v4(_ last: UInt8) -> IPAddress { .v4(IPv4Address(10, 0, 0, last)) }
    static func v6(_ last: UInt64) -> IPAddress { .v6(IPv6Address(high: 0xFD << 56, low: last)) }
}

@Suite struct ResolverTests {
    @Test func bothFamiliesComeWithTheirTimesToLive() throws {
        let scene = try Scene()
        scene.server.host("app.test", [.a(1, ttl: 7), .a(2, ttl: 9)], [.aaaa(3, ttl: 11)])
        let lookup = try scene.host("app.test")
        #expect(lookup.v4 == .records([Scene.v4(1), Scene.v4(2)], ttl: .seconds(7)))
        #expect(lookup.v6 == .records([Scene.v6(3)], ttl: .seconds(11)))
    }

    @Test func aFamilyWithoutRecordsIsNoFailure() throws {
        let scene = try Scene()
        scene.server.host("app.test", [.a(1)])
        #expect(try scene.host("app.test").v6 == .noRecords)
    }

    @Test func aliasesAreFollowed() throws {
        let scene = try Scene()
        scene.server.host("www.test", [.alias("app.test", ttl: 5), .a(1, owner: "app.test")])
        let lookup = try scene.host("www.test")
        #expect(lookup.v4 == .records([Scene.v4(1)], ttl: .seconds(5)))
        #expect(lookup.v6 == .noRecords)
    }

    @Test func servicesAreLookedUp() throws {
        let scene = try Scene()
        let records: [NameServerRecord] = [
            .service("one.test", port: 8_080, priority: 1, weight: 2, ttl: 30),
            .service("two.test", port: 8_081, priority: 3, weight: 4, ttl: 20),
        ]
        scene.server.script("_http._tcp.app.test", 33, .records(records))
        #expect(
            try scene.service("_http._tcp.app.test")
                == .records(
                    [
                        ServiceRecord(host: "one.test", port: 8_080, priority: 1, weight: 2),
                        ServiceRecord(host: "two.test", port: 8_081, priority: 3, weight: 4),
                    ], ttl: .seconds(20)))
        #expect(try scene.service("_other._tcp.app.test") == .noSuchName)
    }

    @Test(
        arguments: [
            (.code(3), .noSuchName), (.records([]), .noRecords), (.broken, .failed(.malformed)),
        ] as [(NameServerReply, NameLookupOutcome<IPAddress>)])
    func answersWithoutRecordsAreToldApart(
        reply: NameServerReply, outcome: NameLookupOutcome<IPAddress>
    ) throws {
        let scene = try Scene(tries: 1)
        scene.server.host("app.test", reply)
        #expect(try scene.host("app.test") == HostLookup(v4: outcome, v6: outcome))
    }

    /// SERVFAIL, NOTIMP, REFUSED: c-ares 1.18 only says that no server was left to ask.
    @Test(
        arguments: [
            (2, .serverFailure), (4, .notUnderstood), (5, .refused),
        ] as [(UInt8, NameLookupFailure)])
    func aServerThatCannotAnswerSaysNothingAboutTheName(
        code: UInt8, failure: NameLookupFailure
    ) throws {
        let scene = try Scene(tries: 1)
        scene.server.host("app.test", .code(code))
        let outcome = try scene.host("app.test").v4
        #expect(outcome == .failed(.noServer) || outcome == .failed(failure))
    }

    @Test(
        arguments: [
            .silence, .garbage([]), .garbage([0]), .garbage([UInt8](repeating: 0xFF, count: 600)),
            .garbage([UInt8](repeating: 0, count: 12)),
        ] as [NameServerReply])
    func silenceAndGarbageEndWithTheLastTry(reply: NameServerReply) throws {
        let scene = try Scene(tryTimeout: .milliseconds(60), tries: 2)
        scene.server.host("app.test", reply)
        let began = Clock.now()
        let timedOut = NameLookupOutcome<IPAddress>.failed(.timedOut)
        #expect(try scene.host("app.test") == HostLookup(v4: timedOut, v6: timedOut))
        // The second try waits twice as long.
        #expect(Clock.now() - began >= .milliseconds(180))
        #expect(scene.server.count("app.test", 1) == 2)
    }

    /// Another id, another question, another port: none is an answer, and the true one still is.
    @Test func forgedAnswersAreIgnored() throws {
        let scene = try Scene(tries: 1)
        scene.server.script("app.test", 1, .forgedThen([.a(66)], truth: [.a(1)]))
        scene.server.script("app.test", 28, .records([]))
        #expect(
            try scene.host("app.test").v4 == .records([Scene.v4(1)], ttl: .seconds(60)))
    }

    @Test func whatDoesNotFitComesOverTCP() throws {
        let scene = try Scene()
        let many = (0..<200).map { NameServerRecord.a([10, 1, 0, UInt8($0)]) }
        scene.server.host("big.test", .truncated(many))
        guard case .records(let found, _) = try scene.host("big.test").v4 else {
            Issue.record("no records")
            return
        }
        #expect(found.count == 200)
        #expect(scene.server.queries.contains { $0.isStream })
    }

    @Test func whatDoesNotFitAnywhereIsAFailure() throws {
        let scene = try Scene(tryTimeout: .milliseconds(100), tries: 2)
        scene.server.host("big.test", .truncatedForEver)
        guard case .failed = try scene.host("big.test").v4 else {
            Issue.record("an answer out of nothing")
            return
        }
    }

    @Test func aDeadServerIsKnownAtOnce() throws {
        let scene = try Scene()
        scene.server.stop()
        let unreachable = NameLookupOutcome<IPAddress>.failed(.noServer)
        let began = Clock.now()
        #expect(try scene.host("app.test") == HostLookup(v4: unreachable, v6: unreachable))
        #expect(Clock.now() - began < .seconds(4))
    }

    @Test(arguments: [NameServerReply.code(2), .code(5), .silence])
    func theNextServerIsAsked(reply: NameServerReply) throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let bad = try ScriptedNameServer(on: loop)
        let good = try ScriptedNameServer(on: loop)
        bad.host("app.test", reply)
        good.host("app.test", [.a(1)])
        var settings = ResolverSettings(
            servers: [bad.endpoint, good.endpoint], tryTimeout: .milliseconds(100), tries: 2)
        settings.hostsPath = "/nonexistent"
        settings.serversPath = "/nonexistent"
        let resolver = try Resolver(settings, on: loop)
        var found: HostLookup?
        resolver.lookUpHost("app.test") { found = $0 }
        #expect(loop.run(until: Clock.now() + .seconds(20)) { found != nil })
        #expect(found?.v4 == .records([Scene.v4(1)], ttl: .seconds(60)))
        #expect(bad.count("app.test", 1) > 0)
    }

    @Test(arguments: ["", ".", "a..b", "x\u{0}y", String(repeating: "a", count: 64) + ".test"])
    func namesThatCannotBeAskedForFail(name: String) throws {
        let scene = try Scene(tryTimeout: .milliseconds(50), tries: 1)
        let lookup = try scene.host(name)
        switch lookup.v4 {
        case .failed, .noSuchName, .noRecords: break
        case .records: Issue.record("records of a name that is none")
        }
    }

    @Test func noMoreQuestionsThanTheLimitAreOpen() throws {
        let scene = try Scene()
        scene.server.host("app.test", [.a(1)])
        var lookups: [HostLookup] = []
        let count = Resolver.questionsMax / 2 + 10
        for _ in 0..<count { scene.resolver.lookUpHost("app.test") { lookups.append($0) } }
        #expect(scene.loop.run(until: Clock.now() + .seconds(20)) { lookups.count == count })
        let refused = NameLookupOutcome<IPAddress>.failed(.notAsked)
        #expect(lookups.filter { $0.v4 == refused }.count == 10)
        #expect(try scene.host("app.test").v4 != refused)
    }

    @Test func aStoppedResolverSaysNothingMore() throws {
        let scene = try Scene()
        scene.server.host("app.test", .silence)
        scene.server.host("now.test", [.a(1)])
        var calls = 0
        scene.resolver.lookUpHost("app.test") { _ in calls += 1 }
        scene.resolver.lookUpHost("now.test") { _ in
            calls += 1
            // From inside an answer, with questions open.
            scene.resolver.stop()
        }
        #expect(scene.loop.run(until: Clock.now() + .seconds(20)) { calls == 1 })
        #expect(!scene.loop.run(until: Clock.now() + .milliseconds(50)) { calls == 2 })
    }

    @Test func answersMayAskAgain() throws {
        let scene = try Scene()
        for index in 0..<20 { scene.server.host("h\(index).test", [.a(UInt8(index))]) }
        var found = 0
        func ask(_ index: Int) {
            scene.resolver.lookUpHost("h\(index).test") { lookup in
                guard case .records = lookup.v4 else { return }
                found += 1
                if index + 1 < 20 { ask(index + 1) }
            }
        }
        ask(0)
        #expect(scene.loop.run(until: Clock.now() + .seconds(20)) { found == 20 })
    }
}
