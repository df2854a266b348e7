// SPDX-License-Identifier: Apache-2.0
//
// What finding a route and taking a token cost. Prints a table when TANDEM_BENCH is set; only a
// release build counts.

import BalancerCore
import ConfigurationCore
import Glibc
import HTTPCore
import LinuxIO
import Testing
import WireCore

@testable import ProxyService

@Suite struct RouteBenchmark {
    private static let isWanted = getenv("TANDEM_BENCH") != nil

    private func nanoseconds(_ rounds: Int, _ body: (Int) -> Void) -> Double {
        let start = Clock.processCPU()
        for round in 0..<rounds { body(round) }
        return Double((Clock.processCPU() - start).nanoseconds) / Double(rounds)
    }

    @Test(
        .enabled(if: isWanted), .serialized, arguments: [true, false],
        [1, 10, 11, 100, 1_000, 10_000])
    func nanosecondsPerRoute(byHost: Bool, count: Int) throws {
        var routes: [RouteConfiguration] = []
        for number in 0..<count {
            routes.append(
                RouteConfiguration(
                    match: RouteMatch(
                        host: byHost && count > 1 ? "host-\(number).example.org" : nil,
                        path: .prefix(byHost ? "/api" : "/\(number)")),
                    action: .respond(FixedResponseConfiguration())))
        }
        let listener = ListenerConfiguration(
            name: "web", bind: Endpoint(address: .v4(.loopback), port: 1), routes: routes)
        var planner = ListenerPlanner(pools: [], previous: nil, workerCount: 1)
        let plan = planner.plan(listener)
        let began = Clock.processCPU()
        let table = RoutingTable.make(plan, pools: [], workerIndex: 0)
        let compiling = (Clock.processCPU() - began).microseconds
        defer {
            table.deinitialize(count: 1)
            table.deallocate()
        }
        var head = RequestHead()
        var progress = HeadProgress()
        let text = Array(
            ("GET \(byHost ? "/api" : "/\(count - 1)")/v1/users?id=1 HTTP/1.1\r\n"
                + "Host: host-\(count - 1).example.org\r\n\r\n").utf8)
        var found = 0
        let rounds = 1_000_000
        let cost = text.withUnsafeBytes { bytes in
            _ = head.parse(bytes, progress: &progress)
            return nanoseconds(rounds) { _ in
                if table.pointee.route(for: head, in: bytes) != nil { found += 1 }
            }
        }
        let kind = byHost ? "host" : "path"
        print("last of \(count) routes by \(kind): \(cost) ns, compiled in \(compiling) us")
        #expect(found == rounds)
    }

    @Test(.enabled(if: isWanted), .serialized, arguments: [1, 1_000, 60_000, 1_000_000])
    func nanosecondsPerToken(keys: Int) throws {
        let limit = try SharedRateLimit(
            RateLimitIdentity(
                listener: ListenerIdentity(
                    name: "web", bind: Endpoint(address: .v4(.loopback), port: 1)),
                owner: .listener,
                configuration: RateLimitConfiguration(
                    requests: 100, per: .seconds(1), burst: 200, key: .client), ordinal: 0),
            workerCount: 1)
        var refused = 0
        var evictions = 0
        var now = Clock.now()
        let cost = nanoseconds(2_000_000) { round in
            now = now + .microseconds(1)
            let address = IPAddress.v4(IPv4Address(rawValue: UInt32(round % keys)))
            let hash = CompiledRateLimit.hash(address, by: limit.hash)
            switch limit.buckets.take(hash: hash, now: now, from: limit.cells) {
            case .refused: refused += 1
            case .admittedByEviction: evictions += 1
            case .admitted: break
            }
        }
        print("\(keys) keys: \(cost) ns, \(refused) refused, \(evictions) evictions")
        #expect(cost > 0)
    }
}
