// SPDX-License-Identifier: Apache-2.0
//
// Clients that stick to a backend: our own cookie and the application's, what moves a client, and
// what hostile cookies cannot do.

import BalancerCore
import ConfigurationCore
import LinuxIO
import Testing
import WireCore

@testable import ProxyService

/// A data plane before backends that say their number.
private struct StickyScene {
    let backends: [TestBackend]
    let tandem: TestPlane

    init(
        count: Int = 3, workers: Int = 1, setsCookie: String? = nil,
        _ edit: (inout PoolConfiguration) -> Void = { _ in }
    ) throws {
        backends = try (0..<count).map { index in
            try TestBackend { request in
                var head = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                if let setsCookie, request.target == "/login" {
                    head += "Set-Cookie: \(setsCookie)=user-\(request.field("X-User") ?? "");"
                    head += " Path=/\r\n"
                }
                if request.target == "/broken" {
                    head = "HTTP/1.1 500 Broken\r\nContent-Length: 1\r\n"
                }
                return [.text(head + "\r\n\(index)")]
            }
        }
        var pool = TestPlane.pool("web", backends.map(\.endpoint))
        edit(&pool)
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        tandem = try TestPlane(routes: routes, pools: [pool], workers: workers)
    }

    func get(_ target: String = "/", _ fields: String = "") throws -> ReceivedResponse {
        let client = try tandem.client()
        try client.send("GET \(target) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
        return try client.response()
    }

    /// The cookie that a response sets, as a client sends it back.
    static func cookie(_ response: ReceivedResponse) -> String? {
        response.field("Set-Cookie").map { String($0.prefix { $0 != ";" }) }
    }

    var statistics: StickyStatistics? { tandem.plane.stickyStatistics(pool: "web") }

    func set(_ admission: BackendStanding.Admission, _ backend: String) {
        _ = tandem.plane.setStanding(
            pool: "web", backend: backend, BackendStanding(admission: admission))
    }
}

@Suite struct StickyCookieTests {
    private static func scene(
        workers: Int = 1, _ edit: (inout StickyConfiguration) -> Void = { _ in }
    ) throws -> StickyScene {
        var sticky = StickyConfiguration()
        edit(&sticky)
        return try StickyScene(workers: workers) { $0.sticky = sticky }
    }

    @Test func aClientGetsACookieAndStaysWithItsBackend() throws {
        let scene = try Self.scene(workers: 2)
        let first = try scene.get()
        let cookie = try #require(StickyScene.cookie(first))
        #expect(
            first.field("Set-Cookie") == "\(cookie); Path=/; HttpOnly; SameSite=Lax")
        #expect(cookie.hasPrefix("tandem="))
        #expect(cookie.utf8.count == 7 + 22)
        for _ in 0..<12 {
            let next = try scene.get("/", "Cookie: a=b; \(cookie); c=d\r\n")
            #expect(next.text == first.text)
            #expect(next.field("Set-Cookie") == nil)
        }
        #expect(scene.statistics?.kept == 12)
        #expect(scene.statistics?.assigned == 1)
        // Everybody else takes turns as before, on each of the two workers.
        let others = try (0..<12).map { _ in try scene.get().text }
        #expect(Set(others) == ["0", "1", "2"])
    }

    @Test func attributesAreThoseOfTheConfiguration() throws {
        let scene = try Self.scene { sticky in
            sticky.cookie = "SRV"
            sticky.maxAge = .seconds(3_600)
            sticky.isSecure = true
            sticky.sameSite = .none
            sticky.domain = "example.org"
            sticky.path = "/app"
        }
        let response = try scene.get()
        let cookie = try #require(StickyScene.cookie(response))
        #expect(
            response.field("Set-Cookie")
                == "\(cookie); Path=/app; Domain=example.org; Max-Age=3600; HttpOnly; Secure; "
                + "SameSite=None")
    }

    @Test func backendsDoNotSeeOurCookieUnlessAsked() throws {
        for forwards in [false, true] {
            let scene = try Self.scene { $0.forwards = forwards }
            let cookie = try #require(StickyScene.cookie(try scene.get()))
            let index = try #require(
                Int(try scene.get("/x", "Cookie: a=b;  \(cookie);c=\"d\"\r\n").text))
            let seen = scene.backends[index].log.requests.last?.field("Cookie")
            #expect(seen == (forwards ? "a=b;  \(cookie);c=\"d\"" : "a=b;c=\"d\""))
            // A line without any other cookie goes altogether.
            _ = try scene.get("/y", "Cookie: \(cookie)\r\nCookie: z=1\r\n")
            let heads = scene.backends[index].log.requests.last?.head ?? ""
            #expect(heads.contains("Cookie: z=1\r\n"))
            #expect(heads.contains(cookie) == forwards)
        }
    }

    @Test func cookiesThatNobodyMadeAreIgnored() throws {
        let scene = try Self.scene()
        let cookie = try #require(StickyScene.cookie(try scene.get()))
        let flipped = String(cookie.dropLast(2)) + (cookie.hasSuffix("AA") ? "BA" : "AA")
        let hostile = [
            "tandem=", "tandem=x", "tandem=\(String(repeating: "A", count: 22))", flipped,
            "tandem=\(String(repeating: "A", count: 6_000))", "tandem", "tandem==", ";;;tandem=;",
            "tandem=\"\"", "tandem=\(String(repeating: "é", count: 11))",
            (0..<200).map { "tandem=\($0)" }.joined(separator: "; "),
            // The last digit of a token has four bits that must be zero.
            String(cookie.dropLast()) + "_",
        ]
        for line in hostile {
            let response = try scene.get("/", "Cookie: \(line)\r\n")
            #expect(response.status == 200)
            #expect(StickyScene.cookie(response) != nil, "\(line.prefix(40))")
        }
        #expect(scene.statistics?.kept == 0)
        #expect((scene.statistics?.unknown ?? 0) >= 9)
    }

    @Test func aGoodCookieIsFoundAmongBadOnes() throws {
        let scene = try Self.scene()
        let first = try scene.get()
        let cookie = try #require(StickyScene.cookie(first))
        for _ in 0..<4 {
            let next = try scene.get("/", "Cookie: tandem=old; tandem=\"x\"; \(cookie)\r\n")
            #expect(next.text == first.text)
            #expect(next.field("Set-Cookie") == nil)
        }
    }

    @Test func anUnhealthyBackendGivesItsClientsUp() throws {
        let scene = try Self.scene()
        let first = try scene.get()
        let cookie = try #require(StickyScene.cookie(first))
        for admission in [BackendStanding.Admission.unhealthy, .maintenance, .trial] {
            scene.set(admission, "be\(first.text)")
            let client = try scene.tandem.client()
            // No idempotent request: it is no trial.
            try client.send(
                "POST / HTTP/1.1\r\nHost: a\r\nCookie: \(cookie)\r\nContent-Length: 0\r\n\r\n")
            let moved = try client.response(to: "POST")
            #expect(moved.text != first.text)
            let fresh = try #require(StickyScene.cookie(moved))
            #expect(fresh != cookie)
            #expect(try scene.get("/", "Cookie: \(fresh)\r\n").text == moved.text)
        }
        #expect(scene.statistics?.moved == 3)
    }

    @Test(arguments: [true, false])
    func aDrainingBackendKeepsItsClientsWhenAsked(whileDraining: Bool) throws {
        let scene = try Self.scene { $0.whileDraining = whileDraining }
        let first = try scene.get()
        let cookie = try #require(StickyScene.cookie(first))
        scene.set(.draining, "be\(first.text)")
        for _ in 0..<4 {
            let next = try scene.get("/", "Cookie: \(cookie)\r\n")
            #expect((next.text == first.text) == whileDraining)
            #expect((StickyScene.cookie(next) == nil) == whileDraining)
        }
        // Nobody new gets there.
        #expect(try (0..<6).allSatisfy { _ in try scene.get().text != first.text })
    }

    @Test func aBackendThatRefusesLosesItsClientToTheNext() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("1") }
        var pool = TestPlane.pool("web", [try deadEndpoint(), backend.endpoint])
        pool.sticky = StickyConfiguration()
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        let tandem = try TestPlane(routes: routes, pools: [pool])
        let affinity = try #require(
            PoolAffinity.make(
                pool, names: ["be0", "be1"],
                key: StickyToken.key(pairSecret: Array(TestPlane.pairSecret.utf8)), previous: nil))
        let line = String(decoding: affinity.setCookie(0), as: UTF8.self).prefix { $0 != ";" }
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\nCookie: \(line)\r\n\r\n")
        let response = try client.response()
        #expect(response.text == "1")
        let wanted = String(decoding: affinity.setCookie(1), as: UTF8.self)
        #expect(response.field("Set-Cookie") == wanted)
    }

    @Test func aFailureTiesNobody() throws {
        let scene = try Self.scene()
        #expect(try scene.get("/broken").field("Set-Cookie") == nil)
        #expect(try scene.get().field("Set-Cookie") != nil)
    }

    @Test func aReloadKeepsCookies() throws {
        let scene = try Self.scene()
        let first = try scene.get()
        let cookie = try #require(StickyScene.cookie(first))
        var pool = scene.tandem.configuration.pools[0]
        pool.backends.reverse()
        _ = try scene.tandem.reload(pools: [pool])
        for _ in 0..<4 {
            #expect(try scene.get("/", "Cookie: \(cookie)\r\n").text == first.text)
        }
    }

    @Test func aBackendAtItsLimitLendsItsClient() throws {
        let scene = try StickyScene { pool in
            pool.sticky = StickyConfiguration()
            for index in pool.backends.indices { pool.backends[index].weight = 1 }
        }
        let first = try scene.get()
        let cookie = try #require(StickyScene.cookie(first))
        var pool = scene.tandem.configuration.pools[0]
        let index = try #require(pool.backends.firstIndex { $0.name == "be\(first.text)" })
        pool.backends[index].maxConnections = 1
        _ = try scene.tandem.reload(pools: [pool])
        let stuck = try TestBackend { _ in [.wait(.seconds(30))] }
        pool.backends[index].location = .endpoint(stuck.endpoint)
        pool.backends[index].maxRequests = 1
        _ = try scene.tandem.reload(pools: [pool])
        let waiting = try scene.tandem.client()
        try waiting.send("GET / HTTP/1.1\r\nHost: a\r\nCookie: \(cookie)\r\n\r\n")
        #expect(eventually { stuck.log.connectionCount == 1 })
        let lent = try scene.get("/", "Cookie: \(cookie)\r\n")
        #expect(lent.text != first.text)
        #expect(lent.field("Set-Cookie") == nil)
    }
}

@Suite struct StickyLearningTests {
    private static func scene(
        count: Int = 3, workers: Int = 1, _ edit: (inout StickyConfiguration) -> Void = { _ in }
    ) throws -> StickyScene {
        var sticky = StickyConfiguration(mode: .learn, cookie: "SESSION", entriesMax: 1_024)
        edit(&sticky)
        return try StickyScene(count: count, workers: workers, setsCookie: "SESSION") {
            $0.sticky = sticky
        }
    }

    @Test func theApplicationsCookieIsRemembered() throws {
        let scene = try Self.scene(workers: 2)
        var homes: [String: String] = [:]
        for user in ["ann", "bob", "cem", "dee"] {
            let login = try scene.get("/login", "X-User: \(user)\r\n")
            #expect(login.field("Set-Cookie") == "SESSION=user-\(user); Path=/")
            homes[user] = login.text
        }
        for _ in 0..<4 {
            for (user, home) in homes {
                let next = try scene.get("/", "Cookie: SESSION=user-\(user)\r\n")
                #expect(next.text == home)
                #expect(next.field("Set-Cookie") == nil)
            }
        }
        #expect(scene.statistics?.entryCount == 4)
        #expect(scene.statistics?.kept == 16)
        let table = scene.tandem.plane.stickyEntries(pool: "web", limit: 100, now: Clock.now())
        #expect(table.next == nil)
        #expect(
            table.entries.map { $0.backend ?? "-" }.sorted()
                == homes.values.map { "be\($0)" }.sorted())
        // The backend sees the application's own cookie.
        let index = try #require(Int(homes["ann"] ?? ""))
        #expect(
            scene.backends[index].log.requests.contains {
                $0.field("Cookie") == "SESSION=user-ann"
            })
    }

    @Test func valuesThatNobodyWasGivenAreNotRemembered() throws {
        let scene = try Self.scene()
        for number in 0..<30 {
            let response = try scene.get("/", "Cookie: SESSION=guess-\(number)\r\n")
            #expect(response.status == 200)
        }
        #expect(try scene.get("/", "Cookie: SESSION=\r\n").status == 200)
        let long = String(repeating: "x", count: 5_000)
        #expect(try scene.get("/", "Cookie: SESSION=\(long)\r\n").status == 200)
        #expect(scene.statistics?.entryCount == 0)
        #expect(scene.statistics?.unknown == 30)
    }

    @Test func whoseBackendIsGoneIsRememberedAtTheNext() throws {
        let scene = try Self.scene()
        let login = try scene.get("/login", "X-User: ann\r\n")
        scene.set(.unhealthy, "be\(login.text)")
        let moved = try scene.get("/", "Cookie: SESSION=user-ann\r\n")
        #expect(moved.text != login.text)
        scene.set(.serving, "be\(login.text)")
        for _ in 0..<4 {
            #expect(try scene.get("/", "Cookie: SESSION=user-ann\r\n").text == moved.text)
        }
    }

    @Test func aReloadKeepsWhatWasLearned() throws {
        let scene = try Self.scene()
        let login = try scene.get("/login", "X-User: ann\r\n")
        var pool = scene.tandem.configuration.pools[0]
        pool.backends.reverse()
        _ = try scene.tandem.reload(pools: [pool])
        for _ in 0..<4 {
            #expect(try scene.get("/", "Cookie: SESSION=user-ann\r\n").text == login.text)
        }
        #expect(scene.statistics?.assigned == 1)
    }
}

@Suite struct StickyPartsTests {
    @Test func tokensSurviveTheirTextAndDependOnEverything() throws {
        let key = [UInt8](repeating: 7, count: 32)
        let token = StickyToken(pool: "web", backend: "be1", key: key)
        #expect(token.text.count == StickyToken.textByteCount)
        let read = token.text.withUnsafeBytes { StickyToken($0) }
        #expect(read == token)
        let others = [
            StickyToken(pool: "web", backend: "be2", key: key),
            StickyToken(pool: "we", backend: "bbe1", key: key),
            StickyToken(pool: "web", backend: "be1", key: [1]),
        ]
        #expect(Set(others + [token]).count == 4)
        #expect(others.allSatisfy { !$0.isSame(as: token) })
        // Both nodes, of whatever version, make the same.
        #expect(String(decoding: token.text, as: UTF8.self) == "_uUhMAguMANUEdkStLxikQ")
        #expect(
            StickyToken.key(pairSecret: Array("secret".utf8))
                == StickyToken.key(pairSecret: Array("secret\n".utf8)))
        #expect(StickyToken.key(pairSecret: nil) != StickyToken.key(pairSecret: nil))
    }

    @Test func aTableForgetsTheOldestAndTheUnused() throws {
        let table = try StickyTable(entriesMax: 8)
        #expect(table.capacity == 8)
        // Keys 0 and 1 mean something inside the table.
        let keys: [UInt64] = [0, 1, 10, 11, 12, 13, 14, 15]
        for (second, key) in keys.enumerated() {
            table.insert(key, backendID: 7, nowSeconds: UInt32(second))
        }
        #expect(table.count == 8)
        #expect(table.find(0, nowSeconds: 10, expireSeconds: 60) == 7)
        // The least recently used is now the one with key 1.
        table.insert(100, backendID: 9, nowSeconds: 11)
        #expect(table.find(100, nowSeconds: 11, expireSeconds: 60) == 9)
        #expect(table.find(1, nowSeconds: 11, expireSeconds: 60) == nil)
        #expect(table.find(10, nowSeconds: 11, expireSeconds: 60) == 7)
        #expect(table.count == 8)
        #expect(table.find(100, nowSeconds: 71, expireSeconds: 60) == nil)
        let rest = table.entries(from: 0, limit: 3, nowSeconds: 11, expireSeconds: 60)
        #expect(rest.entries.count == 3)
        let more = table.entries(
            from: rest.next ?? 0, limit: 100, nowSeconds: 11, expireSeconds: 60)
        #expect(rest.entries.count + more.entries.count == 8)
        #expect(more.next == nil)
    }

    @Test func aClockThatIsBehindSeesFreshEntries() throws {
        let table = try StickyTable(entriesMax: 8)
        for key in UInt64(10)..<17 { table.insert(key, backendID: 7, nowSeconds: 50) }
        table.insert(17, backendID: 8, nowSeconds: 101)
        // Used in the future of the worker that looks.
        #expect(table.find(17, nowSeconds: 100, expireSeconds: 60) == 8)
        let entries = table.entries(from: 0, limit: 8, nowSeconds: 100, expireSeconds: 60).entries
        #expect(entries.count == 8)
        #expect(entries.contains { $0.key == 17 && $0.usedAtSeconds == 101 })
        // It is the newest, not the oldest.
        table.insert(18, backendID: 9, nowSeconds: 100)
        #expect(table.find(17, nowSeconds: 100, expireSeconds: 60) == 8)
        #expect(table.find(18, nowSeconds: 100, expireSeconds: 60) == 9)
    }

    @Test func manyThreadsNeverReadWhatNobodyWrote() throws {
        let table = try StickyTable(entriesMax: 1_024)
        let threads = try (0..<4).map { number in
            try KernelThread.start(name: "sticky") {
                var generator = SeededGenerator(seed: UInt64(number))
                for round in 0..<40_000 {
                    let key = generator.next() % 4_096 &* 0x9E37_79B9_7F4A_7C15 | 2
                    let now = UInt32(round / 1_000)
                    if let found = table.find(key, nowSeconds: now, expireSeconds: 60) {
                        precondition(found == UInt32(truncatingIfNeeded: key), "a foreign entry")
                    } else {
                        table.insert(
                            key, backendID: UInt32(truncatingIfNeeded: key), nowSeconds: now)
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(table.count <= table.capacity)
        #expect(table.count > 900)
    }
}
