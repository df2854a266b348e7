// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever the two sides of many tunnels do, and the operator meanwhile, what arrives is what
// was sent, and nothing is left. Method: seeded steps on both ends by hand, reloads in between.

import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct TunnelChaosTests {
    /// One open tunnel with what each end has sent and got.
    private struct Tunnel {
        let client: TunnelPeer
        let backend: TunnelPeer
        var up: StreamPattern
        var upSeen: StreamPattern
        var down: StreamPattern
        var downSeen: StreamPattern
        var clientFinished = false
        var backendFinished = false

        init(_ client: TunnelPeer, _ backend: TunnelPeer, seed: UInt64) {
            self.client = client
            self.backend = backend
            up = StreamPattern(seed: seed)
            upSeen = up
            down = StreamPattern(seed: seed &+ 1)
            downSeen = down
        }
    }

    private static func send(
        _ count: Int, from peer: TunnelPeer, _ pattern: inout StreamPattern
    ) throws {
        pattern.advance(try peer.trySend(Array(pattern.upcoming(count))))
    }

    /// True when everything that is there is what was sent.
    private static func receive(
        at peer: TunnelPeer, _ seen: inout StreamPattern, sent: StreamPattern
    ) throws -> Bool {
        guard let bytes = try peer.tryReceive() else { return true }
        return seen.matches(bytes) && seen.offset <= sent.offset
    }

    /// One step of one tunnel; false when it is over.
    private static func step(_ tunnel: inout Tunnel, _ random: inout SeededGenerator) throws -> Bool
    {
        let count = 1 + Int(random.next() % 60_000)
        switch random.next() % 32 {
        case 0..<10:
            if !tunnel.clientFinished { try send(count, from: tunnel.client, &tunnel.up) }
        case 10..<20:
            if !tunnel.backendFinished { try send(count, from: tunnel.backend, &tunnel.down) }
        case 20..<25:
            let isExact = try receive(at: tunnel.backend, &tunnel.upSeen, sent: tunnel.up)
            #expect(isExact)
        case 25..<30:
            let isExact = try receive(at: tunnel.client, &tunnel.downSeen, sent: tunnel.down)
            #expect(isExact)
        case 30:
            if random.next() % 2 == 0 {
                tunnel.clientFinished = true
                try tunnel.client.finishSending()
            } else {
                tunnel.backendFinished = true
                try tunnel.backend.finishSending()
            }
        default:
            let ends = [tunnel.client, tunnel.backend]
            try ends[Int(random.next() % 2)].close(byReset: random.next() % 2 == 0)
            return false
        }
        return true
    }

    @Test(arguments: [true, false])
    func tunnelsOfAnyCharacterLeaveNothing(isWebSocket: Bool) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let listener = try TunnelListener()
        let pools = [TestPlane.pool("web", [listener.endpoint])]
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        let tandem = try TestPlane(
            service: isWebSocket
                ? .http(HTTPListenerConfiguration(routes: routes)) : .tcp(pool: "web"),
            pools: pools, limits: LimitConfiguration(bufferByteCount: 1))
        var open: [Tunnel] = []
        for round in 0..<6_000 {
            if open.count < 20, random.next() % 8 == 0 {
                let client = try TunnelPeer(connectingTo: tandem.endpoint)
                if isWebSocket { try client.send(webSocketRequest) }
                let tag = Self.tag(random.next())
                if !isWebSocket { try? client.send(tag) }
                // Full buffers refuse requests.
                guard
                    let backend = try Self.accept(
                        listener, saying: isWebSocket ? [] : tag, unlessEnded: client)
                else { continue }
                if isWebSocket {
                    _ = try backend.take(until: "\r\n\r\n")
                    try backend.send(webSocketAnswer)
                    _ = try client.take(until: "\r\n\r\n")
                }
                open.append(Tunnel(client, backend, seed: random.next()))
            }
            if round % 1_000 == 999 { _ = try tandem.reload(pools: pools) }
            guard !open.isEmpty else { continue }
            let index = Int(random.next() % UInt64(open.count))
            // A side that was reset, by the other or by what it lost, is over, too.
            let goesOn = (try? Self.step(&open[index], &random)) ?? false
            if !goesOn { open.remove(at: index) }
        }
        open = []
        #expect(eventually { tandem.plane.openConnectionCount == 0 }, "seed \(seed)")
        #expect(tandem.listener.tunnelsOpen == 0, "seed \(seed)")
        #expect(tandem.backend(0).requestsInFlight == 0, "seed \(seed)")
        #expect(tandem.listener.tunnels > 50, "seed \(seed)")
    }

    /// What a client says first, so that its backend is known whatever the order of connections.
    private static func tag(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }

    /// The connection that brings `tag`; those of clients that were given up are closed.
    private static func accept(
        _ listener: TunnelListener, saying tag: [UInt8], unlessEnded client: TunnelPeer
    ) throws -> TunnelPeer? {
        while let backend = try acceptNext(listener, unlessEnded: client) {
            if (try? backend.take(tag.count)) == tag { return backend }
            try? backend.close(byReset: true)
        }
        return nil
    }

    private static func acceptNext(
        _ listener: TunnelListener, unlessEnded client: TunnelPeer
    ) throws -> TunnelPeer? {
        var backend: TunnelPeer?
        var isOver = false
        _ = try eventually {
            backend = try listener.tryAccept()
            if backend == nil { isOver = try client.tryReceive() != nil }
            return backend != nil || isOver
        }
        return backend
    }
}
