// SPDX-License-Identifier: Apache-2.0
//
// Tunnels under load: exact bytes at mismatched speeds, sides that vanish, many tunnels, and what
// is left of them.

import ConfigurationCore
import Glibc
import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct TunnelLoadTests {
    private static func plane(
        _ backend: Endpoint, timeouts: TimeoutConfiguration = TimeoutConfiguration(),
        descriptorLimit: Int = 8_192
    ) throws -> TestPlane {
        try TestPlane(
            service: .tcp(pool: "tcp"), pools: [TestPlane.pool("tcp", [backend])],
            timeouts: timeouts, descriptorLimit: descriptorLimit)
    }

    /// One end that sends and receives a known stream, so much at a time.
    private struct Traffic {
        let peer: TunnelPeer
        let byteCount: Int
        let pace: Int
        var sent: StreamPattern
        var received: StreamPattern
        var isWrong = false
        var hasEnded = false

        var isDone: Bool { isWrong || (hasEnded && sent.offset == byteCount) }

        mutating func step() throws {
            let left = byteCount - sent.offset
            if left > 0 {
                let count = try peer.trySend(Array(sent.upcoming(left)))
                sent.advance(count)
                if sent.offset == byteCount { try peer.finishSending() }
            }
            guard !hasEnded, let bytes = try peer.tryReceive(upTo: pace) else { return }
            hasEnded = bytes.isEmpty
            isWrong = isWrong || !received.matches(bytes)
        }
    }

    /// 64 MiB each way at once; one side reads in small pieces, so that the other way runs full.
    @Test(arguments: [(8_192, 262_144), (262_144, 12_000), (65_536, 65_536)])
    func bytesAreExactBothWaysAtOnce(clientPace: Int, backendPace: Int) throws {
        let total = 64 << 20
        let listener = try TunnelListener()
        let tandem = try Self.plane(listener.endpoint)
        let client = try TunnelPeer(connectingTo: tandem.endpoint)
        let up = StreamPattern(seed: 1)
        let down = StreamPattern(seed: 2)
        var near = Traffic(
            peer: client, byteCount: total, pace: clientPace, sent: up, received: down)
        var far = Traffic(
            peer: try listener.accept(), byteCount: total, pace: backendPace, sent: down,
            received: up)
        let deadline = Clock.now() + .seconds(60)
        while !(near.isDone && far.isDone), Clock.now() < deadline {
            try near.step()
            try far.step()
        }
        #expect(!near.isWrong && !far.isWrong)
        #expect(near.received.offset == total)
        #expect(far.received.offset == total)
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
        #expect(tandem.listener.bytesReceived == UInt64(total))
        #expect(tandem.listener.bytesSent == UInt64(total))
    }

    @Test func aSideThatDoesNotReadStopsTheOther() throws {
        let listener = try TunnelListener()
        let tandem = try Self.plane(listener.endpoint)
        let client = try TunnelPeer(connectingTo: tandem.endpoint)
        let backend = try listener.accept()
        let piece = [UInt8](repeating: 0x78, count: 262_144)
        var sent = 0
        var stuckSince = Clock.now()
        // More than all socket buffers on the way hold is never taken.
        while Clock.now() - stuckSince < .milliseconds(300), sent < 256 << 20 {
            let count = try client.trySend(piece)
            sent += count
            if count > 0 { stuckSince = Clock.now() }
        }
        #expect(sent < 64 << 20)
        // The other direction is not held up.
        try backend.send("still open")
        try client.expect("still open")
        // A side that goes away meanwhile takes the tunnel along.
        try backend.close(byReset: true)
        #expect(try client.end() == .reset)
        #expect(eventually { tandem.listener.tunnelsOpen == 0 })
    }

    @Test func whatASenderLeftBehindIsNotKeptForLong() throws {
        var timeouts = TimeoutConfiguration()
        timeouts.bodyIdle = .milliseconds(200)
        let listener = try TunnelListener()
        let tandem = try Self.plane(listener.endpoint, timeouts: timeouts)
        let client = try TunnelPeer(connectingTo: tandem.endpoint)
        let backend = try listener.accept()
        let piece = [UInt8](repeating: 0x78, count: 262_144)
        var stuckSince = Clock.now()
        while Clock.now() - stuckSince < .milliseconds(300) {
            if try client.trySend(piece) > 0 { stuckSince = Clock.now() }
        }
        #expect(tandem.listener.tunnelsOpen == 1)
        try client.close(byReset: true)
        #expect(eventually(within: .seconds(5)) { tandem.listener.tunnelsOpen == 0 })
        #expect(try backend.end() == .reset)
    }

    @Test func oneBusyTunnelDoesNotStarveOthers() throws {
        let listener = try TunnelListener()
        let tandem = try Self.plane(listener.endpoint)
        let busy = try TunnelPeer(connectingTo: tandem.endpoint)
        let sink = try listener.accept()
        let quiet = try TunnelPeer(connectingTo: tandem.endpoint)
        let echo = try listener.accept()
        let piece = [UInt8](repeating: 0x78, count: 262_144)
        for round in 0..<200 {
            for _ in 0..<8 {
                _ = try busy.trySend(piece)
                _ = try sink.tryReceive()
            }
            let word = "word \(round)"
            try quiet.send(word)
            try echo.expect(word)
        }
    }

    /// Streams go on without buffers once there are none left, and lose nothing.
    @Test func tunnelsNeedNoBufferWhenThereIsNone() throws {
        let listener = try TunnelListener()
        let tandem = try TestPlane(
            service: .tcp(pool: "tcp"), pools: [TestPlane.pool("tcp", [listener.endpoint])],
            // The least there can be: 1 MiB.
            limits: LimitConfiguration(bufferByteCount: 1), descriptorLimit: 2_048)
        var configuration = tandem.configuration
        configuration.listeners.append(
            ListenerConfiguration(
                name: "http", bind: Endpoint(address: .v4(.loopback), port: 0),
                routes: [RouteConfiguration(host: nil, pathPrefix: nil, pool: "tcp")]))
        _ = try tandem.plane.apply(configuration)
        let http = try #require(tandem.plane.boundEndpoint(listener: "http"))
        let ends = try (0..<60).map { _ in
            (try TunnelPeer(connectingTo: tandem.endpoint), try listener.accept())
        }
        var sent = ends.indices.map { StreamPattern(seed: UInt64($0)) }
        var received = sent
        var stuckSince = Clock.now()
        while Clock.now() - stuckSince < .milliseconds(300) {
            for (index, (client, _)) in ends.enumerated() where sent[index].offset < 8 << 20 {
                let count = try client.trySend(Array(sent[index].upcoming(65_521)))
                sent[index].advance(count)
                if count > 0 { stuckSince = Clock.now() }
            }
        }
        // Requests would need buffers and are refused.
        #expect(
            eventually {
                (try? TestClient(http).exchange("/").status) == 503
            })
        for (client, _) in ends { try client.finishSending() }
        var openCount = ends.count
        let deadline = Clock.now() + TunnelPeer.patience
        while openCount > 0, Clock.now() < deadline {
            for (index, (_, backend)) in ends.enumerated()
            where received[index].offset < sent[index].offset {
                guard let bytes = try backend.tryReceive() else { continue }
                #expect(!bytes.isEmpty)
                let isExact = received[index].matches(bytes)
                #expect(isExact)
                if bytes.isEmpty || received[index].offset == sent[index].offset { openCount -= 1 }
            }
        }
        #expect(openCount == 0)
        for (_, backend) in ends { #expect(try backend.end() == .ended) }
    }

    // MARK: What is left

    private static func residentByteCount() throws -> Int {
        let text = String(
            decoding: try FileSystem.read(path: "/proc/self/statm", byteCountMax: 4_096),
            as: UTF8.self)
        return try #require(Int(text.split(separator: " ")[1])) * 4_096
    }

    private static func descriptorCount() -> Int {
        (0..<16_384).count { access("/proc/self/fd/\($0)", F_OK) == 0 }
    }

    /// An open tunnel that had something to say needs no buffer; a closed one needs nothing.
    @Test func aSilentTunnelNeedsNoMemory() throws {
        let listener = try TunnelListener()
        let tandem = try Self.plane(listener.endpoint)
        let roundMax = 3
        let tunnelCount = 700
        var descriptors: [Int] = []
        var sizes: [Int] = []
        for round in 0..<roundMax {
            let before = try Self.residentByteCount()
            var clients = try (0..<tunnelCount).map { _ in
                try TunnelPeer(connectingTo: tandem.endpoint)
            }
            var backends = try (0..<tunnelCount).map { _ in try listener.accept() }
            for client in clients { try client.send("ping") }
            for backend in backends { try backend.expect("ping") }
            for backend in backends { try backend.send("pong") }
            for client in clients { try client.expect("pong") }
            #expect(tandem.listener.tunnelsOpen == UInt64(tunnelCount))
            // With both buffers a tunnel would need 32 KiB.
            if round == 0 {
                #expect(try Self.residentByteCount() - before < tunnelCount * 6_144)
            }
            clients = []
            backends = []
            #expect(eventually { tandem.plane.openConnectionCount == 0 })
            descriptors.append(Self.descriptorCount())
            sizes.append(try Self.residentByteCount())
        }
        #expect(descriptors[roundMax - 1] <= descriptors[0], "\(descriptors)")
        #expect(sizes[roundMax - 1] - sizes[0] < 2 << 20, "\(sizes)")
        #expect(tandem.listener.tunnels == UInt64(roundMax * tunnelCount))
        #expect(tandem.backend(0).requestsInFlight == 0)
    }
}
