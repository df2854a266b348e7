// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever clients, backends and the operator do to each other, a worker neither stops nor
// keeps anything. Method: seeded clients that send, cut, pipeline, stall and vanish; backends that
// answer, break off, reset and talk nonsense; reloads all the while. Afterwards every gauge must be
// back at zero and a request must be served.

import ConfigurationCore
import LinuxIO
import ProxyService
import Synchronization
import Testing
import WireCore

@Suite(.serialized)
struct ChaosTests {
    /// What a backend of bad character does, chosen by the number in the target.
    static func reply(_ request: ReceivedRequest) -> [ReplyStep] {
        let choice = Int(request.target.drop { !$0.isNumber }.prefix { $0.isNumber }) ?? 0
        switch choice % 15 {
        case 0: return [.close]
        case 1: return [.reset]
        case 2: return [.text("HTTP/1.1 200 OK\r\nContent-Le"), .close]
        case 3: return [.text("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"), .reset]
        case 4: return [.text("nonsense\r\n\r\n")]
        case 5:
            return [
                .text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
                .wait(.milliseconds(2)), .text("lo\r\n0\r\n\r\n"),
            ]
        case 6: return [.text("HTTP/1.1 200 OK\r\n\r\n"), .fill(byteCount: 300_000), .close]
        case 7: return [.text("HTTP/1.1 100 Continue\r\n\r\n")] + ReplyStep.ok("after")
        case 8: return ReplyStep.ok("then") + [.close]
        case 9: return [.text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")]
        case 12:
            return [
                .text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Su"),
                .wait(.milliseconds(1)), .text("m: 1\r\nHost: b\r\n\r\n"),
            ]
        case 13:
            // Stray bytes, and an end that nobody asked for.
            return ReplyStep.ok("stray") + [.wait(.milliseconds(1)), .text("HTTP/1.1 2"), .close]
        case 14:
            return [
                .text("HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n"),
                .fill(byteCount: 4_000_000),
            ]
        default: return ReplyStep.ok(String(repeating: "x", count: choice))
        }
    }

    /// One client's misdeeds on one connection; errors are part of the game.
    static func misbehave(
        _ generator: inout SeededGenerator, _ endpoint: Endpoint
    ) throws {
        let client = try TestClient(endpoint)
        for _ in 0..<Int(generator.next() % 6) {
            let number = generator.next() % 3_000
            let body = String(repeating: "b", count: Int(generator.next() % 40_000))
            switch generator.next() % 12 {
            case 0: _ = try client.exchange("/\(number)")
            case 1: _ = try client.exchange("/\(number)", method: "PUT", body: body)
            case 2: _ = try client.exchange("/\(number)", method: "POST", body: body)
            case 3:
                let one = "GET /\(number) HTTP/1.1\r\nHost: a\r\n\r\n"
                try client.send(String(repeating: one, count: 8))
                for _ in 0..<Int(generator.next() % 9) { _ = try client.response() }
            case 4:
                try client.send(
                    "POST /\(number) HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n")
                try client.send(body)
                return
            case 5:
                try client.send(
                    "POST /\(number) HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                        + "\(String(body.utf8.count + 1, radix: 16))\r\n\(body)b\r\n")
                if generator.next() % 2 == 0 {
                    try client.send("0\r\n\r\n")
                    _ = try client.response()
                } else {
                    try client.send("q\r\n")
                    _ = client.isClosedByPeer()
                }
            case 6:
                try client.send("GET /\(number) HTTP/1.0\r\n\r\n")
                client.finishSending()
                _ = try client.response()
            case 7:
                // Everything is asked for and said; only reading goes on.
                try client.send("GET /\(number) HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n")
                client.finishSending()
                while try client.receiveSome(upTo: 999) {}
                return
            case 8:
                try client.send(
                    "PUT /\(number) HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                        + "3\r\nabc\r\n0\r\nX-Trailer: \(body.prefix(500))\r\n\r\n")
                _ = try client.response()
            case 9:
                try client.send(
                    "POST /\(number) HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                        + "Content-Length: \(body.utf8.count)\r\n\r\n")
                if generator.next() % 2 == 0 { try client.send(body) }
                _ = try client.response()
            case 10:
                // Asks for much, reads a little of it now and then, leaves.
                try client.send("GET /14 HTTP/1.1\r\nHost: a\r\n\r\n")
                for _ in 0..<10 {
                    _ = try client.discardSome(upTo: 5_000)
                    _ = eventually(within: .milliseconds(10)) { false }
                }
                return
            default:
                try client.send("GET /\(number) HTTP/1.1\r\nHo")
                return
            }
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func nothingIsLeftOfABadDay(seed: UInt64) throws {
        let backends = try (0..<3).map { _ in try TestBackend(Self.reply) }
        let endpoints = backends.map(\.endpoint) + [try deadEndpoint()]
        let tandem = try TestPlane(
            endpoints, workers: 3, balance: .leastTime,
            timeouts: TimeoutConfiguration(
                requestHead: .milliseconds(200), keepAlive: .milliseconds(300),
                bodyIdle: .milliseconds(200), bodyGrace: .milliseconds(300),
                responseHead: .milliseconds(300), streamIdle: .milliseconds(300)),
            limits: LimitConfiguration(
                bodyByteCount: 30_000, bodyRateMin: 2_000, bufferByteCount: 8 << 20,
                requestsPerConnection: 20),
            listenerLimits: ListenerLimits(connections: 5, connectionsPerClient: 100))
        let remaining = Atomic<Int>(6)
        let threads = try (0..<6).map { number in
            let endpoint = tandem.endpoint
            return try KernelThread.start(name: "chaos") {
                var generator = SeededGenerator(seed: seed &* 1_000 &+ UInt64(number))
                for _ in 0..<40 { try? Self.misbehave(&generator, endpoint) }
                remaining.subtract(1, ordering: .relaxed)
            }
        }
        var generator = SeededGenerator(seed: seed)
        #expect(
            eventually(within: .seconds(120)) {
                let first = Int(generator.next() % 4)
                let members = [endpoints[first], endpoints[(first + 1) % 4]]
                let policies = BalancePolicy.allCases
                let policy = policies[Int(generator.next() % UInt64(policies.count))]
                _ = try? tandem.reload(pools: [TestPlane.pool("web", members, balance: policy)])
                return remaining.load(ordering: .relaxed) == 0
            })
        for thread in threads { thread.join() }
        _ = try tandem.reload(pools: [TestPlane.pool("web", endpoints)])
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
        #expect(
            eventually {
                tandem.plane.statistics().backends.allSatisfy { $0.requestsInFlight == 0 }
            })
        let pools = tandem.plane.statistics().pools
        #expect(pools.allSatisfy { $0.requestsInFlight == 0 && $0.retriesInFlight == 0 })
        #expect(pools.allSatisfy { $0.waiting == 0 })
        #expect(tandem.listener.connectionsOpen == 0)
        #expect(eventually { tandem.plane.statistics().bufferByteCount == 0 })
        #expect(!tandem.plane.isStalled(now: Clock.now()))
        #expect(try tandem.client().exchange("/10").text == "xxxxxxxxxx")
        tandem.plane.stop()
        // Stopping closes what was kept, so no backend has a connection left.
        #expect(
            eventually {
                backends.allSatisfy { $0.log.connectionCount == $0.log.endedConnections }
            })
    }
}
