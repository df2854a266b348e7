// SPDX-License-Identifier: Apache-2.0
//
// The parts that routes are compiled to, each alone: the index of hosts, splits, dates, and the
// buckets of a rate limit under several threads.

import BalancerCore
import ConfigurationCore
import LinuxIO
import Synchronization
import Testing
import WireCore

@testable import ProxyService

@Suite struct RouteCompilationTests {
    /// Hosts over few labels, so that exact ones, suffixes and requests meet often.
    private func randomHost(_ generator: inout SeededGenerator, labels: ClosedRange<Int>) -> String
    {
        (0..<Int.random(in: labels, using: &generator))
            .map { _ in ["a", "b", "cc", "a-1"].randomElement(using: &generator) ?? "" }
            .joined(separator: ".")
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func theIndexFindsWhatALookAtEveryRouteFinds(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var texts = TextArena()
        var patterns: [String] = []
        for _ in 0..<200 {
            switch UInt64.random(in: 0..<10, using: &generator) {
            case 0: patterns.append("")
            case 1...3: patterns.append("." + randomHost(&generator, labels: 1...3))
            default: patterns.append(randomHost(&generator, labels: 1...4))
            }
        }
        let index = HostIndex(patterns.map { texts.keep($0) })
        for _ in 0..<500 {
            let host = randomHost(&generator, labels: 1...5)
            let sent = Bool.random(using: &generator) ? host.uppercased() : host
            let expected = patterns.indices.filter { number in
                let pattern = patterns[number]
                if pattern.isEmpty || pattern == host { return true }
                return pattern.hasPrefix(".") && host.hasSuffix(pattern)
                    && host.utf8.count > pattern.utf8.count
            }
            var candidates = index.candidates(for: texts.keep(sent))
            var found: [Int] = []
            while let number = index.next(&candidates) { found.append(number) }
            #expect(found == expected)
        }
    }

    @Test func filtersLetEveryMatchThrough() {
        var texts = TextArena()
        for pattern in ["", "/", "/a", "/abcdefg", "/abcdefgh", "/api/v1/users"] {
            let filter = PathFilter(texts.keep(pattern))
            for path in ["", "/", "/a", "/ab", "/abcdefg", "/abcdefghi", "/api/v1/users/7", "/b"] {
                let passes = filter.passes(PathFilter.start(of: texts.keep(path)))
                #expect(!path.hasPrefix(pattern) || passes)
                let start = String(pattern.prefix(8))
                #expect(passes == path.hasPrefix(start))
            }
        }
    }

    @Test func hostsWithMoreDomainsThanListsAreSeen() {
        var texts = TextArena()
        let suffixes = (1...12).map {
            "." + Array(repeating: "x", count: $0).joined(separator: ".")
        }
        let index = HostIndex(suffixes.map { texts.keep($0) })
        let deep = Array(repeating: "x", count: 20).joined(separator: ".")
        #expect(index.candidates(for: texts.keep(deep)).isOverflowing)
        #expect(!index.candidates(for: texts.keep("x.x.x")).isOverflowing)
    }

    @Test(arguments: [[900, 100, 0], [1, 1], [0, 0, 5], [1_000_000, 1], [3, 0, 2, 5]])
    func drawsFollowTheWeights(weights: [Int]) {
        var texts = TextArena()
        let split = PoolSplit(weights, texts: &texts)
        var generator = SeededGenerator(seed: 42)
        var counts = Array(repeating: 0, count: weights.count)
        let total = 100_000
        for _ in 0..<total { counts[split.draw(&generator)] += 1 }
        let sum = Double(weights.reduce(0, +))
        for (weight, count) in zip(weights, counts) {
            let share = Double(weight) / sum
            let deviation = (Double(total) * share * (1 - share)).squareRoot()
            #expect(abs(Double(count) - Double(total) * share) <= 4 * deviation + 0.001)
        }
    }

    @Test(arguments: [
        (0 as UInt64, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        (1_795_219_199, "Fri, 20 Nov 2026 23:59:59 GMT"),
    ])
    func datesAreWrittenAsHTTPWantsThem(seconds: UInt64, expected: String) {
        var date = DateText()
        date.write(unixSeconds: seconds)
        #expect(date.text == expected)
    }

    /// However many threads take tokens, there are as many as there are, and one for each race.
    @Test func threadsShareBucketsWithoutLosingTokens() throws {
        let configuration = RateLimitConfiguration(
            requests: 1, per: .seconds(86_400), burst: 10_000, key: .client)
        let limit = try SharedRateLimit(
            RateLimitIdentity(
                listener: ListenerIdentity(
                    name: "web", bind: Endpoint(address: .v4(.loopback), port: 1)),
                owner: .listener, configuration: configuration, ordinal: 0), workerCount: 4)
        let box = AdmittedBox()
        let keys = 16 as UInt64
        let threads = try (0..<4).map { number in
            try KernelThread.start(name: "taker") {
                let now = Clock.now()
                var count = 0
                for round in 0..<UInt64(40_000) {
                    let hash = limit.hash.hash(1, (round &+ UInt64(number)) % keys)
                    if case .refused = limit.buckets.take(hash: hash, now: now, from: limit.cells) {
                        continue
                    }
                    count += 1
                }
                box.count.wrappingAdd(count, ordering: .relaxed)
            }
        }
        for thread in threads { thread.join() }
        // 160,000 takes of 16 keys with 10,000 tokens each: all but those of lost races fit.
        #expect(box.count.load(ordering: .relaxed) == 160_000)
        var refusals = 0
        for key in 0..<keys {
            let hash = limit.hash.hash(1, key)
            for _ in 0..<4 {
                let decision = limit.buckets.take(hash: hash, now: Clock.now(), from: limit.cells)
                if case .refused = decision { refusals += 1 }
            }
        }
        #expect(refusals >= 64 - 3 * Int(keys))
    }

    @Test func clientsOfOneIPv6NetworkShareABucket() throws {
        let first = try #require(IPAddress("2001:db8:1:2::1"))
        let second = try #require(IPAddress("2001:db8:1:2:ffff::9"))
        let other = try #require(IPAddress("2001:db8:1:3::1"))
        let mapped = try #require(IPv6Address("::ffff:c000:201"))
        let hash = SeededHash(1, 2)
        #expect(CompiledRateLimit.hash(first, by: hash) == CompiledRateLimit.hash(second, by: hash))
        #expect(CompiledRateLimit.hash(first, by: hash) != CompiledRateLimit.hash(other, by: hash))
        #expect(
            CompiledRateLimit.hash(.v6(mapped), by: hash)
                == CompiledRateLimit.hash(.v4(IPv4Address(192, 0, 2, 1)), by: hash))
    }
}

private final class AdmittedBox: Sendable {
    let count = Atomic<Int>(0)
}
