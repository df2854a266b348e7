// SPDX-License-Identifier: Apache-2.0
//
// Limits of the data plane: who waits, who is refused, who gives way, and that everybody else is
// served as if nothing had happened.

import ConfigurationCore
import LinuxIO
import Testing
import WireCore

@testable import ProxyService

@Suite(.serialized)
struct LimitsTests {
    /// The least that a data plane with one worker starts with: 16 connections.
    static let descriptorLimitMin = DataPlane.reservedDescriptorCount + 5 + 16

    @Test func listenerLimitHoldsForAllWorkersTogether() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane(
            [backend.endpoint], workers: 3, listenerLimits: ListenerLimits(connections: 4))
        var inside: [TestClient] = []
        for _ in 0..<4 {
            let client = try tandem.client()
            #expect(try client.exchange("/").text == "ok")
            inside.append(client)
        }
        // The kernel accepts it; nobody takes it from there.
        let waiting = try tandem.client()
        try waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(eventually { tandem.hits(of: "listener_connections") > 0 })
        #expect(tandem.listener.connectionsOpen == 4)
        inside.removeLast()
        #expect(try waiting.response().text == "ok")
        #expect(eventually { tandem.listener.connectionsOpen == 4 })
        // Without the limit everybody comes in, and those counted before are not forgotten.
        try tandem.reload(listenerLimits: ListenerLimits())
        let other = try tandem.client()
        #expect(try other.exchange("/").text == "ok")
        try tandem.reload(listenerLimits: ListenerLimits(connections: 4))
        inside = []
        #expect(eventually { tandem.listener.connectionsOpen == 2 })
        for _ in 0..<3 {
            let client = try tandem.client()
            #expect(try client.exchange("/").text == "ok")
            inside.append(client)
        }
        withExtendedLifetime((waiting, other)) {}
    }

    @Test func connectionsOfOneAddressAreLimited() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane(
            [backend.endpoint], workers: 2, listenerLimits: ListenerLimits(connectionsPerClient: 2))
        let first = try tandem.client()
        #expect(try first.exchange("/").text == "ok")
        do {
            let second = try tandem.client()
            #expect(try second.exchange("/").text == "ok")
            let third = try tandem.client()
            #expect(third.isClosedByPeer())
            #expect(third.received.isEmpty)
            #expect(tandem.hits(of: "client_connections") == 1)
        }
        #expect(eventually { tandem.listener.connectionsOpen == 1 })
        #expect(try tandem.client().exchange("/").text == "ok")
    }

    @Test func addressesAreCountedEachForItself() {
        let counts = ClientAddressCounts(seed: (3, 4))
        func admit(_ text: String, limit: Int = 2) -> ClientAddressTicket? {
            guard let address = IPAddress(text) else { return nil }
            guard case .admitted(let ticket) = counts.admit(address, limit: limit) else {
                return nil
            }
            return ticket
        }
        let first = admit("192.0.2.1")
        #expect(first != nil)
        #expect(admit("192.0.2.1") == first)
        #expect(admit("192.0.2.1") == nil)
        #expect(admit("192.0.2.2") != nil)
        // IPv6: one /64 is one client.
        let home = admit("2001:db8::1", limit: 1)
        #expect(home != nil)
        #expect(admit("2001:db8::ffff:1", limit: 1) == nil)
        #expect(admit("2001:db8:0:1::1", limit: 1) != nil)
        if let home { counts.release(home) }
        #expect(admit("2001:db8::2", limit: 1) != nil)
        if let first {
            counts.release(first)
            #expect(admit("192.0.2.1") == first)
            #expect(admit("192.0.2.1") == nil)
        }
    }

    @Test func manyAddressesNeverRefuseEachOther() {
        let counts = ClientAddressCounts(seed: (RandomBytes.seed(), RandomBytes.seed()))
        var tickets: [ClientAddressTicket] = []
        var refused = 0
        for number in 0..<100_000 as Range<UInt32> {
            let address = IPAddress.v4(IPv4Address(rawValue: 0x0A00_0000 + number))
            switch counts.admit(address, limit: 1) {
            case .admitted(let ticket): tickets.append(ticket)
            case .overLimit: refused += 1
            }
        }
        #expect(refused == 0)
        for ticket in tickets { counts.release(ticket) }
        let again = counts.admit(.v4(IPv4Address(rawValue: 0x0A00_0000)), limit: 1)
        #expect(again != .overLimit)
    }

    @Test func connectionEndsWithItsLastRequest() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane(
            [backend.endpoint], limits: LimitConfiguration(requestsPerConnection: 3))
        let client = try tandem.client()
        // The fourth is on its way when the connection ends: the third response must not be lost.
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        try client.send(String(repeating: request, count: 4))
        for turn in 1...3 {
            let response = try client.response()
            #expect(response.text == "ok")
            #expect(response.field("connection") == (turn == 3 ? "close" : nil))
        }
        client.finishSending()
        #expect(client.isClosedByPeer())
        #expect(client.received.isEmpty)
        #expect(backend.log.requests.count == 3)
        #expect(tandem.hits(of: "connection_requests") == 1)
    }

    @Test func idleUpstreamConnectionsGiveWayToClients() throws {
        let backend = try TestBackend { _ in [.wait(.milliseconds(50))] + ReplyStep.ok("ok") }
        let tandem = try TestPlane([backend.endpoint], descriptorLimit: Self.descriptorLimitMin)
        do {
            let crowd = try (0..<8).map { _ in try tandem.client() }
            for client in crowd { try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
            for client in crowd { #expect(try client.response().text == "ok") }
        }
        #expect(eventually { tandem.backend(0).idleConnections == 8 })
        #expect(eventually { tandem.listener.connectionsOpen == 0 })
        let clients = try (0..<12).map { _ in try tandem.client() }
        #expect(eventually { tandem.listener.connectionsOpen == 12 })
        for client in clients { #expect(try client.exchange("/").text == "ok") }
        #expect(tandem.hits(of: "idle_upstream_connections") >= 4)
        #expect(tandem.hits(of: "connections") == 0)
    }

    @Test func ownShortageIsNotTheBackendsFault() throws {
        let backend = try TestBackend { _ in [] }
        let tandem = try TestPlane([backend.endpoint], descriptorLimit: Self.descriptorLimitMin)
        let clients = try (0..<12).map { _ in try tandem.client() }
        #expect(eventually { tandem.listener.connectionsOpen == 12 })
        for client in clients { try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
        // 12 clients leave room for 4 upstream connections.
        #expect(eventually { tandem.listener.responses.serverError == 8 })
        #expect(tandem.hits(of: "upstream_connections") == 8)
        #expect(tandem.backend(0).connectFailures == 0)
        #expect(tandem.backend(0).failures == 0)
        #expect(tandem.backend(0).requestsInFlight == 4)
    }

    @Test func memoryStaysBoundedWhenReadersAreSlow() throws {
        let backend = try TestBackend { request in
            guard request.target == "/large" else { return ReplyStep.ok("ok") }
            return [
                .text("HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n"),
                .fill(byteCount: 8 << 20),
            ]
        }
        let limit = 8 << 20
        let tandem = try TestPlane(
            [backend.endpoint], limits: LimitConfiguration(bufferByteCount: limit),
            descriptorLimit: 8_192)
        func used() -> Int { tandem.plane.statistics().bufferByteCount }
        var readers: [FileDescriptorBox] = []
        let request = Array("GET /large HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        var most = 0
        for _ in 0..<700 {
            let reader = FileDescriptorBox(try StreamSocket.connect(to: tandem.endpoint))
            readers.append(reader)
            _ = eventually(within: .seconds(1)) {
                (try? StreamSocket.send(reader.descriptor, request)) == .bytes(request.count)
            }
        }
        #expect(
            eventually(within: .seconds(40)) {
                most = max(most, used())
                return most >= limit
            })
        // Who is in keeps one small buffer; who comes now is told at once.
        #expect(most <= limit + 700 * BufferPool.smallByteCount)
        var late: [TestClient] = []
        #expect(
            try eventually {
                let client = try tandem.client()
                late.append(client)
                try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                return eventually(within: .milliseconds(200)) {
                    tandem.hits(of: "buffer_memory") > 0
                }
            })
        readers = []
        late = []
        #expect(eventually { used() == 0 })
        #expect(try tandem.client().exchange("/").text == "ok")
        #expect(tandem.listener.responses.serverError >= 1)
    }

    @Test func chunkedBodyThatGrowsTooLargeIs413() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane(
            [backend.endpoint], limits: LimitConfiguration(bodyByteCount: 1_000))
        let fields = "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        let half = "1f4\r\n\(String(repeating: "b", count: 500))\r\n"
        let exact = try tandem.client()
        try exact.send("POST / HTTP/1.1\r\n\(fields)\(half)\(half)0\r\n\r\n")
        #expect(try exact.response().status == 200)
        for isTogether in [true, false] {
            let client = try tandem.client()
            try client.send("POST / HTTP/1.1\r\n\(fields)\(half)")
            if !isTogether { #expect(eventually { tandem.backend(0).requestsInFlight == 1 }) }
            try client.send("\(half)1\r\nb\r\n")
            let response = try client.response()
            #expect(response.status == 413)
            #expect(response.field("connection") == "close")
        }
        #expect(tandem.hits(of: "body_size") == 2)
        #expect(backend.log.requests.count == 1)
    }
}
