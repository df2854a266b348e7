// SPDX-License-Identifier: Apache-2.0
//
// Goal: what one node finds out about a backend reaches the governor of the other under the same
// name, and nothing that is said about others does harm.

import BalancerCore
import ConfigurationCore
import LinuxIO
import Testing
import WireCore

@testable import HealthService

@Suite struct PeerHealthTests {
    /// What a node said last, by name.
    private final class Words {
        var all: [[UInt8]: [UInt8]] = [:]
    }

    /// A pool without checks; nobody asks its backends.
    private static func pool(_ count: Int) -> PoolConfiguration {
        let address = Endpoint(address: .v4(.loopback), port: 9)
        var pool = HealthBench.pool([Endpoint](repeating: address, count: count))
        pool.healthCheck = nil
        pool.outlierDetection = OutlierConfiguration()
        return pool
    }

    private static func node(_ name: String, _ pool: PoolConfiguration) throws -> (
        bench: HealthBench, words: Words
    ) {
        let bench = try HealthBench()
        let words = Words()
        bench.service.apply([pool])
        bench.service.tellPeer(as: name) { words.all[$0] = $1 }
        return (bench, words)
    }

    private static func eject(_ backend: String, _ node: (bench: HealthBench, words: Words)) {
        node.bench.service.traffic(
            pool: node.bench.service.poolSnapshot()[0].pool, backend: backend,
            .failedInARow(.serverErrors(count: 5)))
        node.bench.poll(for: "an ejection to be told") { !node.words.all.isEmpty }
    }

    @Test func anEjectedBackendIsEjectedOnTheOtherNode() throws {
        let pool = Self.pool(4)
        let a = try Self.node("a", pool)
        let b = try Self.node("b", pool)
        let backend = pool.backends[1].name
        Self.eject(backend, a)
        for (key, value) in a.words.all {
            #expect(b.bench.service.hearPeer(key, value, age: .zero, as: "b") == .heard)
        }
        let health = try #require(b.bench.service.snapshot().first { $0.backend == backend })
        #expect(health.ejectedUntil != nil)
        #expect(health.governed?.standing.admission == .unhealthy)
        // It is not told back.
        #expect(b.words.all.isEmpty)
        // The other node starts anew and hears it from this one, which kept it.
        let reborn = try Self.node("a", pool)
        for (key, value) in a.words.all {
            #expect(reborn.bench.service.hearPeer(key, value, age: .seconds(5), as: "a") == .heard)
        }
        #expect(reborn.bench.service.snapshot().count { $0.ejectedUntil != nil } == 1)
    }

    @Test func backendsThatThisNodeDoesNotHaveAreUnknown() throws {
        let a = try Self.node("a", Self.pool(4))
        Self.eject(Self.pool(4).backends[3].name, a)
        let word = try #require(a.words.all.first)
        let fewer = try Self.node("b", Self.pool(3))
        #expect(
            fewer.bench.service.hearPeer(word.key, word.value, age: .zero, as: "b") == .unknown)
        var moved = Self.pool(4)
        moved.backends[3] = BackendConfiguration(
            name: moved.backends[3].name, address: Endpoint(address: .v4(.loopback), port: 10),
            weight: 1)
        let other = try Self.node("b", moved)
        #expect(
            other.bench.service.hearPeer(word.key, word.value, age: .zero, as: "b") == .unknown)
        #expect(other.bench.service.poolSnapshot()[0].status.servingCount == 4)
    }

    @Test func wordsOfThisNodeOfBeforeAreAnswered() throws {
        let pool = Self.pool(2)
        let node = try Self.node("a", pool)
        let address = try #require(pool.backends[0].address)
        let key = BackendKey(
            .liveness, pool: pool.name, backend: pool.backends[0].name, address: address,
            node: "a")
        let said = BackendReport.check(.liveness, .timedOut).bytes
        #expect(
            node.bench.service.hearPeer(key.bytes, said, age: .zero, as: "a")
                == .outdated(value: BackendReport.check(.liveness, nil).bytes))
        // The other node has no such check here.
        #expect(node.bench.service.hearPeer(key.bytes, said, age: .zero, as: "b") == .unknown)
    }

    @Test func anyBytesAreAWordOrNothing() throws {
        let pool = Self.pool(4)
        let a = try Self.node("a", pool)
        Self.eject(pool.backends[1].name, a)
        let word = try #require(a.words.all.first)
        let b = try Self.node("b", pool)
        var generator = SeededGenerator(seed: 5)
        for count in 0..<word.key.count {
            let key = Array(word.key.prefix(count))
            #expect(
                b.bench.service.hearPeer(key, word.value, age: .zero, as: "b") == .unreadable)
        }
        for _ in 0..<2_000 {
            var key = word.key
            var value = word.value
            key[Int(generator.next() % UInt64(key.count))] = UInt8(
                truncatingIfNeeded: generator.next())
            value[Int(generator.next() % UInt64(value.count))] = UInt8(
                truncatingIfNeeded: generator.next())
            _ = b.bench.service.hearPeer(key, value, age: .seconds(1), as: "b")
        }
        #expect(b.bench.service.poolSnapshot()[0].status.servingCount > 0)
    }
}
