// SPDX-License-Identifier: Apache-2.0
//
// Goal: a pool of 10,000 backends loads, is checked and compared in a moment. Method: files with as
// many backends as are allowed, right and wrong; the bound on the time is far above what it takes
// on a busy machine, and far below what anything quadratic would take.

import ConfigurationCore
import ConfigurationService
import Testing

@Suite(.serialized) struct ManyBackendsTests {
    private static let countMax = 10_000
    private static let bound = Duration.seconds(60)

    private static func file(count: Int, _ backend: (Int) -> String) -> [UInt8] {
        var text = "zone: east\nlisteners: { web: { bind: 0.0.0.0:80, routes: [{ pool: web }] } }\n"
        text += "pools:\n  web:\n    backends:\n"
        for index in 0..<count { text += "      \(backend(index))\n" }
        return Array(text.utf8)
    }

    private static func whole(_ index: Int) -> String {
        "backend-\(index): { address: 10.\(index >> 8).\(index & 255).1:8080, weight: 2, "
            + "zone: east, priority: 1, max_requests: 100, max_connections: 200 }"
    }

    private static func measured<Value>(_ body: () throws -> Value) rethrows -> Value {
        let clock = ContinuousClock()
        let start = clock.now
        let value = try body()
        #expect(clock.now - start < bound)
        return value
    }

    private static func load(_ bytes: [UInt8]) throws -> LoadedConfiguration {
        try ConfigurationLoader.load(bytes, name: "t", node: .unchecked).get()
    }

    @Test func tenThousandBackendsAreLoaded() throws {
        let bytes = Self.file(count: Self.countMax, Self.whole)
        let loaded = try Self.measured { try Self.load(bytes) }
        #expect(loaded.warningText == "")
        #expect(loaded.configuration.pools[0].backends.count == Self.countMax)
        let (exitCode, text) = ConfigurationLoader.check(bytes, name: "t")
        #expect(exitCode == 0)
        #expect(text == "t: ok: 1 listener, 1 pool, 10000 backends, 0 virtual routers\n")
    }

    @Test func oneMoreIsRefused() {
        let bytes = Self.file(count: Self.countMax + 1, Self.whole)
        let (exitCode, text) = Self.measured { ConfigurationLoader.check(bytes, name: "t") }
        #expect(exitCode == 1)
        #expect(text.contains("has 10001 entries; allowed are 1 to 10000"))
    }

    @Test func aChangeAmongTenThousandIsFound() throws {
        let old = try Self.load(Self.file(count: Self.countMax, Self.whole)).configuration
        let new = try Self.load(
            Self.file(count: Self.countMax) { index in
                index == 7_777 ? Self.whole(9_999 + index) : Self.whole(index)
            }
        ).configuration
        let difference = Self.measured { ConfigurationDifference(from: old, to: new) }
        #expect(
            difference.changes.map(\.path) == [
                "pools.web.backends.backend-7777", "pools.web.backends.backend-17776",
            ])
    }

    @Test func aPoolThatComesOrGoesIsOneShortLine() throws {
        let old = try Self.load(Self.file(count: Self.countMax, Self.whole)).configuration
        var new = old
        new.pools[0].name = "x"
        let difference = ConfigurationDifference(from: old, to: new)
        #expect(difference.changes.map(\.path).contains("pools.web"))
        #expect(difference.render().utf8.count < 4_000)
    }

    @Test func tenThousandMistakesAreCounted() {
        let bytes = Self.file(count: Self.countMax) {
            "b\($0): { adress: 10.0.0.\($0):x, zone: esat }"
        }
        let (exitCode, text) = Self.measured { ConfigurationLoader.check(bytes, name: "t") }
        #expect(exitCode == 1)
        #expect(text.utf8.count < 200_000)
    }

    @Test func tenThousandTwinsAreCounted() {
        let bytes = Self.file(count: Self.countMax) { "b\($0): { address: app.internal:80 }" }
        let (exitCode, text) = Self.measured { ConfigurationLoader.check(bytes, name: "t") }
        #expect(exitCode == 0)
        #expect(text.utf8.count < 200_000)
    }
}
