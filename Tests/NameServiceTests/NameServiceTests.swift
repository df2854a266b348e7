// SPDX-License-Identifier: Apache-2.0
//
// Goal: names are resolved, changes told, failures survived, and nothing ever waits. Method: the
// service and a scripted server on one loop.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import NameLaboratory
import NameService
import Telemetry
import Testing
import WireCore

/// The service, its server, and everything it told.
private final class Scene {
    let loop: EventLoop
    let server: ScriptedNameServer
    private(set) var told: [ResolvedNames] = []
    private var running: NameService?

    init() throws {
        loop = try EventLoop()
        server = try ScriptedNameServer(on: loop)
    }

    deinit {
        running?.stop()
        server.stop()
        loop.close()
    }

    var service: NameService {
        if let running { return running }
        let service = NameService(
            on: loop, logger: Logger("name", sink: nil), seed: 1, hostsPath: "/nonexistent",
            serversPath: "/nonexistent"
        ) { [unowned self] answers in
            told.append(answers)
        }
        running = service
        return service
    }

    /// Short times, so that a test sees several questions.
    var configuration: ResolverConfiguration {
        ResolverConfiguration(
            servers: [server.endpoint], timeout: .milliseconds(100), tries: 1,
            ttlMin: .milliseconds(50), ttlMax: .seconds(300), hold: .milliseconds(10))
    }

    func resolve(_ names: UpstreamName...) {
        service.resolve(Set(names), configuration)
    }

    func wait(_ condition: () -> Bool) -> Bool {
        loop.run(until: Clock.now() + .seconds(20), condition)
    }

    func addresses(_ name: String) -> [IPAddress] {
        told.last?[.host(name)].map(\.address) ?? []
    }

    func status(_ name: UpstreamName) -> NameStatus? {
        service.snapshot().first { $0.name == name }
    }

    static func v4(_ last: UInt8...) -> [IPAddress] {
        last.map { .v4(IPv4Address(10, 0, 0, $0)) }
    }
}

@Suite struct NameServiceTests {
    @Test func withoutNamesNothingIsAskedOrTold() throws {
        let scene = try Scene()
        scene.resolve()
        #expect(!scene.loop.run(until: Clock.now() + .milliseconds(100)) { !scene.told.isEmpty })
        #expect(scene.service.snapshot().isEmpty)
        #expect(scene.server.queries.isEmpty)
        var text = MetricsText()
        scene.service.metrics.collect(into: &text)
        #expect(text.rendered.isEmpty)
    }

    @Test func aChangeIsToldWhenTheAnswerExpires() throws {
        let scene = try Scene()
        scene.server.host("app.test", [.a(1, ttl: 0)])
        scene.resolve(.host("app.test"))
        #expect(scene.told.isEmpty)
        #expect(scene.wait { scene.addresses("app.test") == Scene.v4(1) })
        scene.server.host("app.test", [.a(2, ttl: 0), .a(1, ttl: 0)])
        #expect(scene.wait { scene.addresses("app.test") == Scene.v4(1, 2) })
        // From now on the answer is valid for long: the next change is not seen.
        scene.server.host("app.test", [.a(3, ttl: 200)])
        #expect(scene.wait { scene.addresses("app.test") == Scene.v4(3) })
        let asked = scene.server.count("app.test", 1)
        #expect(
            !scene.loop.run(until: Clock.now() + .milliseconds(200)) {
                scene.server.count("app.test", 1) > asked
            })
        #expect(scene.told.count == 3)
        #expect(scene.status(.host("app.test"))?.ttl == .seconds(200))
        #expect(scene.status(.host("app.test"))?.changeCount == 2)
    }

    @Test func theSameAnswerIsNotToldAgain() throws {
        let scene = try Scene()
        scene.server.host("app.test", [.a(1, ttl: 0), .a(2, ttl: 0)])
        scene.resolve(.host("app.test"))
        #expect(scene.wait { scene.server.count("app.test", 1) > 1 })
        scene.server.host("app.test", [.a(2, ttl: 0), .a(1, ttl: 0)])
        let asked = scene.server.count("app.test", 1)
        #expect(scene.wait { scene.server.count("app.test", 1) > asked + 2 })
        #expect(scene.told.count == 1)
    }

    @Test func aServerThatDiesTakesNoAddressAway() throws {
        let scene = try Scene()
        let name = UpstreamName.host("app.test")
        scene.server.host("app.test", [.a(1, ttl: 0)])
        scene.resolve(name)
        #expect(scene.wait { scene.addresses("app.test") == Scene.v4(1) })
        scene.server.stop()
        #expect(scene.wait { (scene.status(name)?.failures ?? 0) >= 2 })
        #expect(scene.status(name)?.state == .stale)
        #expect(scene.service.answers[name].map(\.address) == Scene.v4(1))
        let again = try ScriptedNameServer(on: scene.loop, port: scene.server.endpoint.port)
        again.host("app.test", [.a(9, ttl: 100)])
        #expect(scene.wait { scene.addresses("app.test") == Scene.v4(9) })
        #expect(scene.status(name)?.state == .fresh)
        #expect(scene.told.count == 2)
    }

    @Test func startingWithDeadServersWaitsForNothing() throws {
        let scene = try Scene()
        let name = UpstreamName.host("app.test")
        scene.server.stop()
        let began = Clock.now()
        scene.resolve(name)
        #expect(Clock.now() - began < .seconds(1))
        #expect(scene.status(name)?.state == .unresolved)
        #expect(scene.wait { scene.status(name)?.state == .missing })
        #expect(scene.told.isEmpty)
        let late = try ScriptedNameServer(on: scene.loop, port: scene.server.endpoint.port)
        late.host("app.test", [.a(1)])
        #expect(scene.wait { scene.addresses("app.test") == Scene.v4(1) })
    }

    @Test func aNameThatIsGoneStandsForNothingAfterTheHoldTime() throws {
        let scene = try Scene()
        scene.server.host("app.test", [.a(1, ttl: 0)])
        scene.resolve(.host("app.test"))
        #expect(scene.wait { scene.addresses("app.test") == Scene.v4(1) })
        scene.server.host("app.test", .code(3))
        #expect(scene.wait { scene.told.count == 2 })
        #expect(scene.told.last == ResolvedNames())
        #expect(scene.status(.host("app.test"))?.trouble == .noSuchName)
    }

    @Test func aReloadKeepsWhatStaysAndForgetsTheRest() throws {
        let scene = try Scene()
        scene.server.host("a.test", [.a(1, ttl: 300)])
        scene.server.host("b.test", [.a(2, ttl: 300)])
        scene.resolve(.host("a.test"), .host("b.test"))
        #expect(scene.wait { scene.told.last?.targets.count == 2 })
        scene.resolve(.host("b.test"))
        #expect(scene.wait { scene.told.last?.targets.count == 1 })
        #expect(scene.addresses("b.test") == Scene.v4(2))
        #expect(scene.server.count("b.test", 1) == 1)
        let count = scene.told.count
        scene.resolve(.host("b.test"))
        #expect(
            !scene.loop.run(until: Clock.now() + .milliseconds(100)) {
                scene.told.count > count
            })
        scene.resolve()
        #expect(scene.wait { scene.told.last == ResolvedNames() })
    }

    /// Other servers are asked from the next question on, which comes at once; until they answer,
    /// the old answers hold.
    @Test func otherServersAreAskedAfterAReload() throws {
        let scene = try Scene()
        let name = UpstreamName.host("app.test")
        scene.server.host("app.test", [.a(1, ttl: 300)])
        scene.server.host("slow.test", .silence)
        scene.resolve(name, .host("slow.test"))
        #expect(scene.wait { scene.addresses("app.test") == Scene.v4(1) })
        let other = try ScriptedNameServer(on: scene.loop)
        other.host("app.test", [.a(2, ttl: 300)])
        other.host("slow.test", [.a(3, ttl: 300)])
        var configuration = scene.configuration
        configuration.servers = [other.endpoint]
        scene.service.resolve([name, .host("slow.test")], configuration)
        #expect(scene.service.answers[name].map(\.address) == Scene.v4(1))
        #expect(scene.wait { scene.addresses("app.test") == Scene.v4(2) })
        #expect(scene.wait { scene.addresses("slow.test") == Scene.v4(3) })
    }

    @Test func servicesBecomeBackends() throws {
        let scene = try Scene()
        let name = UpstreamName.service("_http._tcp.test")
        scene.server.script(
            "_http._tcp.test", 33,
            .records([
                .service("one.test", port: 81, priority: 1, weight: 3, ttl: 0),
                .service("two.test", port: 82, priority: 2, weight: 0, ttl: 0),
            ]))
        scene.server.host("one.test", [.a(1)])
        scene.server.host("two.test", [.a(2, ttl: 0)])
        scene.resolve(name)
        #expect(scene.wait { !scene.told.isEmpty })
        #expect(
            scene.told.last?[name] == [
                UpstreamTarget(address: Scene.v4(1)[0], port: 81, weight: 3, priority: 0),
                UpstreamTarget(address: Scene.v4(2)[0], port: 82, weight: 1, priority: 1),
            ])
        scene.server.host("two.test", [.a(3, ttl: 0)])
        #expect(scene.wait { scene.told.last?[name].last?.address == Scene.v4(3)[0] })
        #expect(scene.told.count == 2)
        #expect(scene.server.count("one.test", 1) == 1)
    }

    @Test func aThousandNamesAreAskedForInTurnAndToldTogether() throws {
        let scene = try Scene()
        var names: Set<UpstreamName> = []
        for index in 0..<1_000 {
            let text = "h\(index).test"
            names.insert(.host(text))
            scene.server.host(text, [.a([10, 1, UInt8(index / 250), UInt8(index % 250)])])
        }
        var configuration = scene.configuration
        configuration.timeout = .seconds(5)
        scene.service.resolve(names, configuration)
        #expect(scene.wait { scene.told.last?.targets.count == 1_000 })
        #expect(scene.told.count < 500)
        #expect(scene.server.queries.count >= 2_000)
    }

    @Test func metricsTellResultsAndAges() throws {
        let scene = try Scene()
        scene.server.host("app.test", [.a(1, ttl: 300), .a(2, ttl: 300)])
        scene.resolve(.host("app.test"), .host("gone.test"))
        let wanted = [
            "tandem_dns_questions_total{type=\"a\",result=\"records\"} 1\n",
            "tandem_dns_questions_total{type=\"aaaa\",result=\"no_records\"} 1\n",
            "tandem_dns_questions_total{type=\"a\",result=\"no_such_name\"} ",
            "tandem_dns_targets{name=\"app.test\"} 2\n",
            "tandem_dns_targets{name=\"gone.test\"} 0\n",
            "tandem_dns_answer_stale{name=\"app.test\"} 0\n",
            "tandem_dns_answer_stale{name=\"gone.test\"} 1\n",
            "tandem_dns_answer_age_seconds{name=\"app.test\"} ",
            "tandem_dns_changes_total{name=\"app.test\"} 0\n",
        ]
        var rendered = ""
        #expect(
            scene.wait {
                var text = MetricsText()
                scene.service.metrics.collect(into: &text)
                rendered = text.rendered
                return wanted.allSatisfy { rendered.contains($0) }
            }, "\(rendered)")
        #expect(!rendered.contains("tandem_dns_answer_age_seconds{name=\"gone.test\"}"))
    }
}
