// SPDX-License-Identifier: Apache-2.0
//
// Goal: the other node knows where both connections of a tunnel are whenever nothing is on its way,
// by the numbers of the ends' own sockets; and a tunnel that began elsewhere goes on here. Method:
// a data plane on loopback whose channel ends in the test, between ends that the test drives.

import ConfigurationCore
import LinuxIO
import ProxyService
import ReplicationCore
import Testing
import WireCore

@Suite(.serialized, .enabled(if: ConnectionRepair.isPermitted()))
struct TunnelShadowTests {
    /// Both ends of a WebSocket that is told about.
    private struct Ends {
        let tandem: ShadowPlane
        let listener: TunnelListener
        let client: TunnelPeer
        let backend: TunnelPeer

        init(tunnelSource: IPAddress? = .v4(.loopback), level: CarryOver = .idle) throws {
            listener = try TunnelListener()
            tandem = try ShadowPlane(
                [listener.endpoint], level: level, tunnelSource: tunnelSource)
            client = try TunnelPeer(connectingTo: tandem.endpoint)
            try client.send(webSocketRequest)
            backend = try listener.accept()
            _ = try backend.take(until: "\r\n\r\n")
            try backend.send(webSocketAnswer)
            _ = try client.take(until: "\r\n\r\n")
        }

        var records: [ShadowRecord] {
            get throws { tandem.receiver.records(ofPort: try client.port) }
        }

        /// Where both are by what the ends' kernels say.
        func position() throws -> TunnelPosition {
            let (near, far) = (try client.transport(), try backend.transport())
            return TunnelPosition(
                client: StreamPosition(receive: near.sendSequence, send: near.receiveSequence),
                backend: StreamPosition(receive: far.sendSequence, send: far.receiveSequence))
        }

        /// What was told of the tunnel first, as soon as it was told.
        func told() throws -> ShadowTunnel {
            var told: ShadowTunnel?
            let isTold = try eventually {
                for case .tunnelled(let tunnel) in try records { told = tunnel }
                return told != nil
            }
            #expect(isTold)
            return try #require(told)
        }
    }

    @Test(arguments: [CarryOver.idle, .requests])
    func tunnelIsToldWithTheNumbersOfBothSockets(_ level: CarryOver) throws {
        let ends = try Ends(level: level)
        let told = try ends.told()
        #expect(told.position == (try ends.position()))
        #expect(told.pool == "web")
        #expect(told.key.localAddress == .v4(.loopback))
        #expect(told.key.remotePort == ends.listener.endpoint.port)
        #expect(told.transport.sendSequence == told.position.backend.send)
        let kinds = try ends.records.map(\.kind)
        #expect(kinds == [.opened, .busy, .tunnelled])
        withExtendedLifetime(ends) {}
    }

    @Test func everyRestIsTold() throws {
        let ends = try Ends()
        _ = try ends.told()
        for round in 1...5 {
            let text = String(repeating: "x", count: round * 10_000)
            try ends.client.send(text)
            try ends.backend.expect(text)
            try ends.backend.send("answer \(round)")
            try ends.client.expect("answer \(round)")
            let position = try ends.position()
            #expect(try eventually { try ends.records.last == .rested(position) })
        }
    }

    @Test func tunnelWithBytesOnTheirWayIsNotAtRest() throws {
        let ends = try Ends()
        _ = try ends.told()
        // More than the buffers of both connections hold; the backend reads nothing.
        let piece = [UInt8](repeating: 7, count: 1 << 16)
        var sent = 0
        var idle = 0
        while idle < 20 {
            let count = try ends.client.trySend(piece)
            sent += count
            idle = count == 0 ? idle + 1 : 0
            if count == 0 { KernelThread.pause(milliseconds: 5) }
        }
        let told = try ends.records.last
        let full = try ends.position()
        if case .rested(let position) = told { #expect(position.client != full.client) }
        let received = try ends.backend.take(sent)
        #expect(received.count == sent)
        let position = try ends.position()
        #expect(try eventually { try ends.records.last == .rested(position) })
    }

    @Test func newChannelHearsOfTunnelsToo() throws {
        let ends = try Ends()
        _ = try ends.told()
        try ends.client.send("before")
        try ends.backend.expect("before")
        try ends.tandem.reopen()
        #expect(try ends.told().position == (try ends.position()))
        try ends.backend.send("after")
        try ends.client.expect("after")
        let position = try ends.position()
        #expect(try eventually { try ends.records.last == .rested(position) })
    }

    @Test func tunnelFromElsewhereStaysBusy() throws {
        let ends = try Ends(tunnelSource: nil)
        try ends.client.send("hello")
        try ends.backend.expect("hello")
        #expect(try ends.records.map(\.kind) == [.opened, .busy])
        // An address that is not here: the tunnel works all the same.
        let absent = try Ends(tunnelSource: .v4(IPv4Address(192, 0, 2, 1)))
        try absent.client.send("hello")
        try absent.backend.expect("hello")
        #expect(try absent.records.map(\.kind) == [.opened, .busy])
    }

    @Test func endOfATunnelIsTold() throws {
        let ends = try Ends()
        _ = try ends.told()
        try ends.client.close(byReset: false)
        #expect(try ends.backend.end() == .ended)
        try ends.backend.close(byReset: false)
        #expect(
            eventually {
                ends.tandem.receiver.heard().events.contains {
                    if case .record(_, .closed) = $0 { true } else { false }
                }
            })
    }

    // MARK: Tunnels that began elsewhere

    private func adopted(
        _ tandem: ShadowPlane, client: TunnelPeer, backend: TunnelPeer, listener: TunnelListener,
        pool: String = "web"
    ) throws -> AdoptedClient {
        let (near, far) = (try client.transport(), try backend.transport())
        let remote = Endpoint(address: .v4(.loopback), port: 50_000)
        return AdoptedClient(
            try client.takeSocket(), local: tandem.endpoint, remote: remote, transport: near,
            tunnel: AdoptedTunnel(
                try backend.takeSocket(), local: remote, remote: listener.endpoint,
                transport: far, pool: pool))
    }

    /// Connected ends whose other ends are to be joined.
    private func joints(
        _ listener: TunnelListener
    ) throws -> (near: TunnelPeer, client: TunnelPeer, far: TunnelPeer, backend: TunnelPeer) {
        let near = try TunnelPeer(connectingTo: listener.endpoint)
        let client = try listener.accept()
        let backend = try TunnelPeer(connectingTo: listener.endpoint)
        return (near, client, try listener.accept(), backend)
    }

    @Test func tunnelThatBeganElsewhereGoesOn() throws {
        let listener = try TunnelListener()
        let tandem = try ShadowPlane(
            [listener.endpoint], level: .idle, tunnelSource: .v4(.loopback))
        let ends = try joints(listener)
        try ends.far.send("sent before it was here")
        tandem.plane.adopt([
            try adopted(tandem, client: ends.client, backend: ends.backend, listener: listener)
        ])
        try ends.near.expect("sent before it was here")
        try ends.near.send("hello")
        try ends.far.expect("hello")
        let inFlight = tandem.plane.inFlight(pool: "web", backend: "be0")
        #expect(inFlight.tunnels == 1 && inFlight.requests == 0)
        #expect(inFlight.connections == 1)
        try ends.client.close(byReset: false)
        try ends.backend.close(byReset: false)
        try ends.near.finishSending()
        #expect(try ends.far.end() == .ended)
        try ends.far.finishSending()
        #expect(try ends.near.end() == .ended)
        #expect(
            eventually {
                let inFlight = tandem.plane.inFlight(pool: "web", backend: "be0")
                return inFlight.tunnels == 0 && inFlight.connections == 0
            })
    }

    @Test func tunnelOfAnUnknownPoolIsResetAtBothEnds() throws {
        let listener = try TunnelListener()
        let tandem = try ShadowPlane([listener.endpoint], level: .idle)
        let ends = try joints(listener)
        tandem.plane.adopt([
            try adopted(
                tandem, client: ends.client, backend: ends.backend, listener: listener,
                pool: "other")
        ])
        try ends.client.close(byReset: true)
        try ends.backend.close(byReset: true)
        #expect(try ends.near.end() == .reset)
        #expect(try ends.far.end() == .reset)
        #expect(tandem.plane.openConnectionCount == 0)
    }
}
