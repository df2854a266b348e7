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
struct Scene {
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
}
