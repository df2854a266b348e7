// SPDX-License-Identifier: Apache-2.0
//
// Mirrors: what a copy is, what is not copied, and that a mirror which is dead, slow or talkative
// costs the client nothing.

import ConfigurationCore
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct MirrorTests {
    private func plane(
        main: Endpoint, mirror: Endpoint, basisPoints: Int = 10_000,
        requestHeaders: HeaderEdits = HeaderEdits()
    ) throws -> TestPlane {
        let route = RouteConfiguration(
            action: .pool("web"), rewrite: RouteRewrite(host: "inner.test"),
            requestHeaders: requestHeaders,
            mirror: MirrorConfiguration(pool: "shadow", shareBasisPoints: basisPoints))
        return try TestPlane(
            routes: [route],
            pools: [TestPlane.pool("web", [main]), TestPlane.pool("shadow", [mirror])])
    }

    @Test func copiesAreTheSameRequests() throws {
        let main = try TestBackend { _ in ReplyStep.ok("main") }
        let shadow = try TestBackend { _ in ReplyStep.ok("shadow") }
        let edits = HeaderEdits(set: [HeaderEdits.Header(name: "X-E", value: "1")])
        let tandem = try plane(
            main: main.endpoint, mirror: shadow.endpoint, requestHeaders: edits)
        let client = try tandem.client()
        #expect(try client.exchange("/a?b").text == "main")
        #expect(try client.exchange("/p", method: "POST", body: "payload").text == "main")
        try client.send(
            "POST /c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
        #expect(try client.response().text == "main")
        #expect(eventually { shadow.log.requests.count == 3 })
        let copies = shadow.log.requests.sorted { $0.connection < $1.connection }
        #expect(copies.map(\.target) == ["/a?b", "/p", "/c"])
        #expect(
            copies.map { String(decoding: $0.body, as: UTF8.self) } == ["", "payload", "abcde"])
        for copy in copies {
            #expect(copy.field("host") == "inner.test")
            #expect(copy.field("x-e") == "1")
            #expect(copy.field("connection") == "close")
            #expect(copy.field("x-forwarded-for") == "127.0.0.1")
        }
        #expect(main.log.requests.map(\.target) == ["/a?b", "/p", "/c"])
        #expect(tandem.plane.routeStatistics()[0].requests == 3)
    }

    @Test func whatIsNotHereInFullIsNotCopied() throws {
        let main = try TestBackend { _ in ReplyStep.ok("main") }
        let shadow = try TestBackend { _ in ReplyStep.ok("shadow") }
        let tandem = try plane(main: main.endpoint, mirror: shadow.endpoint)
        let client = try tandem.client()
        try client.send("POST /late HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n")
        #expect(eventually { tandem.plane.routeStatistics()[0].mirrorSkips == 1 })
        try client.send("late")
        #expect(try client.response().text == "main")
        #expect(
            try client.exchange("/big", method: "POST", body: String(repeating: "x", count: 70_000))
                .text == "main")
        #expect(eventually { tandem.plane.routeStatistics()[0].mirrorSkips == 2 })
        #expect(shadow.log.requests.isEmpty)
    }

    @Test func aShareIsDrawn() throws {
        let main = try TestBackend { _ in ReplyStep.ok("main") }
        let shadow = try TestBackend { _ in ReplyStep.ok("shadow") + [.close] }
        let tandem = try plane(
            main: main.endpoint, mirror: shadow.endpoint, basisPoints: 2_500)
        let client = try tandem.client()
        for _ in 0..<400 { #expect(try client.exchange("/").status == 200) }
        #expect(eventually { tandem.backend(1).requestsInFlight == 0 })
        let row = tandem.plane.routeStatistics()[0]
        // Five standard deviations around a hundred.
        #expect((57...143).contains(Int(row.mirrored)))
        #expect(row.mirrorSkips == 0 && row.mirrorFailures == 0)
    }

    @Test func aDeadMirrorIsTheClientsBusinessInNoWay() throws {
        let main = try TestBackend { _ in ReplyStep.ok("main") }
        let tandem = try plane(main: main.endpoint, mirror: try deadEndpoint())
        let client = try tandem.client()
        for _ in 0..<20 { #expect(try client.exchange("/").text == "main") }
        #expect(eventually { tandem.plane.routeStatistics()[0].mirrorFailures == 20 })
        #expect(tandem.backend(0).failures == 0)
        #expect(tandem.backend(1).failures == 0)
        #expect(tandem.backend(1).requestsInFlight == 0)
        #expect(tandem.listener.responses.success == 20)
    }

    @Test func aTalkativeMirrorIsCutOff() throws {
        let main = try TestBackend { _ in ReplyStep.ok("main") }
        let shadow = try TestBackend { _ in
            [
                .text("HTTP/1.1 200 OK\r\nContent-Length: 64000000\r\n\r\n"),
                .fill(byteCount: 64_000_000),
            ]
        }
        let tandem = try plane(main: main.endpoint, mirror: shadow.endpoint)
        let client = try tandem.client()
        #expect(try client.exchange("/").text == "main")
        #expect(eventually { shadow.log.endedConnections == 1 })
        #expect(shadow.log.byteCountSent < 32_000_000)
        #expect(eventually { tandem.backend(1).requestsInFlight == 0 })
    }

    /// Copies under way are bounded, and survive reloads that take their route away.
    @Test func aSilentMirrorHoldsABoundedNumber() throws {
        let main = try TestBackend { _ in ReplyStep.ok("main") }
        let shadow = try TestBackend { _ in [.wait(.seconds(60))] }
        let tandem = try plane(main: main.endpoint, mirror: shadow.endpoint)
        let client = try tandem.client()
        for _ in 0..<300 { #expect(try client.exchange("/").text == "main") }
        #expect(tandem.backend(1).requestsInFlight == 256)
        #expect(tandem.plane.routeStatistics()[0].mirrorSkips == 44)
        _ = try tandem.reload(
            pools: [TestPlane.pool("web", [main.endpoint])],
            routes: [
                RouteConfiguration(
                    match: RouteMatch(path: .exact("/x")),
                    action: .respond(FixedResponseConfiguration(body: "x"))),
                RouteConfiguration(action: .pool("web")),
            ])
        #expect(try eventually { try client.exchange("/x").text == "x" })
        #expect(try client.exchange("/").text == "main")
    }
}
