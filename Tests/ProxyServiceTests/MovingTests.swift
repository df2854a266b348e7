// SPDX-License-Identifier: Apache-2.0
//
// Goal: connections between requests go to another node whole: the client notices nothing, no byte
// is lost or seen twice, whatever it was doing. Method: two data planes on loopback; the test plays
// the channel between them and makes the sockets again.

import ConfigurationCore
import LinuxIO
import ProxyService
import ReplicationCore
import Telemetry
import Testing
import WireCore

/// Two nodes that serve the same address.
private final class Pair {
    let backend: TestBackend
    let nodes: [ShadowPlane]
    /// Records that were looked at, for each node.
    private var seen = [0, 0]

    init(level: CarryOver = .requests, _ script: @escaping TestBackend.Script) throws {
        let backend = try TestBackend(script)
        self.backend = backend
        nodes = try (0..<2).map { _ in try ShadowPlane([backend.endpoint], level: level) }
    }

    /// Makes again on the other node what node `index` gives away from now on, until so many
    /// connections have moved.
    func move(from index: Int, count: UInt64) throws {
        let before = nodes[index].plane.carryOverStatistics.moved
        nodes[index].plane.beginParting(moving: true)
        nodes[index].plane.moveClients()
        defer { nodes[index].plane.endParting() }
        let isDone = try eventually {
            try adopt(from: index)
            return nodes[index].plane.carryOverStatistics.moved &- before >= count
        }
        #expect(isDone, "moved: \(nodes[index].plane.carryOverStatistics)")
        try adopt(from: index)
    }

    /// Makes again what was told so far.
    func adopt(from index: Int) throws {
        let heard = nodes[index].receiver.heard()
        var keys: [UInt32: ClientKey] = [:]
        for (place, event) in heard.events.enumerated() {
            guard case .record(let id, let record) = event else { continue }
            switch record {
            case .opened(let key, _, _, _): keys[id] = key
            case .moved(let transport, let unread):
                guard place >= seen[index], let key = keys[id] else { continue }
                try adopt(key, transport, unread, at: 1 - index)
            default: continue
            }
        }
        seen[index] = heard.events.count
    }

    private func adopt(
        _ key: ClientKey, _ transport: TransportState, _ unread: [UInt8], at index: Int
    ) throws {
        let local = Endpoint(address: key.localAddress, port: key.localPort)
        let remote = Endpoint(address: key.remoteAddress, port: key.remotePort)
        var socket: FileDescriptor?
        // The record comes before the end of the socket that it is about.
        let isFree = eventually {
            socket = try? ConnectionRepair.recreate(local: local, remote: remote, transport)
            return socket != nil
        }
        guard isFree, let socket else { throw TestFailure.malformed("\(key) cannot be made") }
        let client = AdoptedClient(
            socket, local: nodes[index].endpoint, remote: remote, transport: transport,
            input: unread.isEmpty ? .none : .unread(unread))
        nodes[index].plane.adopt([client])
    }
}

@Suite(.serialized, .enabled(if: ConnectionRepair.isPermitted()))
struct MovingTests {
    private static func head(_ target: String) -> String {
        "GET \(target) HTTP/1.1\r\nHost: test\r\n\r\n"
    }

    private static func reply(_ request: ReceivedRequest) -> [ReplyStep] {
        let wait: [ReplyStep] = request.target == "/slow" ? [.wait(.milliseconds(100))] : []
        return wait + ReplyStep.ok("\(request.method) \(request.target) \(request.body.count)")
    }

    private func pair(_ level: CarryOver = .requests) throws -> Pair {
        try Pair(level: level, Self.reply)
    }

    @Test(arguments: [CarryOver.idle, .requests])
    func connectionsThatIdleGoBackAndForth(_ level: CarryOver) throws {
        let pair = try pair(level)
        let clients = try (0..<10).map { _ in try pair.nodes[0].knownClient() }
        for turn in 0..<20 {
            for (index, client) in clients.enumerated() where (index + turn) % 3 != 0 {
                let target = "/\(index)-\(turn)"
                #expect(try client.exchange(target).text == "GET \(target) 0")
            }
            try pair.move(from: turn % 2, count: UInt64(clients.count))
        }
        for client in clients { #expect(try client.exchange("/end").text == "GET /end 0") }
        for node in pair.nodes {
            #expect(node.plane.carryOverStatistics.stranded == 0)
            #expect(node.receiver.heard().faults.isEmpty)
        }
        #expect(pair.nodes[0].plane.openConnectionCount == clients.count)
        #expect(pair.nodes[1].plane.openConnectionCount == 0)
    }

    @Test(arguments: [1, 20, 32])
    func theBeginningOfAHeadGoesAlong(byteCount: Int) throws {
        let pair = try pair()
        let client = try pair.nodes[0].knownClient()
        let bytes = Array(Self.head("/split").utf8)
        try client.send(Array(bytes.prefix(byteCount)))
        #expect(eventually { pair.nodes[0].last(client) == .busy })
        try pair.move(from: 0, count: 1)
        try client.send(Array(bytes.dropFirst(byteCount)))
        #expect(try client.response().text == "GET /split 0")
        #expect(pair.backend.log.requests.count == 1)
    }

    @Test func aRequestThatComesJustThenIsExecutedOnce() throws {
        let pair = try pair()
        let client = try pair.nodes[0].knownClient()
        for turn in 0..<10 {
            let node = pair.nodes[turn % 2]
            node.plane.beginParting(moving: true)
            try client.send("POST /\(turn) HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody")
            try pair.move(from: turn % 2, count: 1)
            #expect(try client.response().text == "POST /\(turn) 4")
        }
        #expect(pair.backend.log.requests.map(\.target) == (0..<10).map { "/\($0)" })
    }

    @Test func aRequestInFlightIsAnsweredFirstAndItsConnectionStays() throws {
        let pair = try pair()
        let client = try pair.nodes[0].knownClient()
        try client.send(Self.head("/slow"))
        #expect(eventually { pair.backend.log.requests.count == 1 })
        try pair.move(from: 0, count: 1)
        let response = try client.response()
        #expect(response.text == "GET /slow 0")
        #expect(response.field("connection") == nil)
        #expect(try client.exchange("/after").text == "GET /after 0")
        #expect(pair.nodes[1].plane.openConnectionCount == 1)
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() throws {
        let pair = try pair()
        let client = try pair.nodes[0].knownClient()
        let targets = ["/slow"] + (0..<50).map { "/\($0)" }
        try client.send(targets.map(Self.head).joined())
        #expect(eventually { pair.backend.log.requests.count >= 1 })
        try pair.move(from: 0, count: 1)
        for target in targets {
            #expect(try client.response().text == "GET \(target) 0")
        }
        #expect(pair.backend.log.requests.map(\.target) == targets)
    }

    @Test func aClientThatWentAwayIsNotMoved() throws {
        let pair = try pair()
        let stays = try pair.nodes[0].knownClient()
        do {
            let goes = try pair.nodes[0].knownClient()
            goes.finishSending()
            #expect(goes.isClosedByPeer())
        }
        try pair.move(from: 0, count: 1)
        #expect(eventually { pair.nodes[0].plane.openConnectionCount == 0 })
        #expect(pair.nodes[0].plane.carryOverStatistics.moved == 1)
        #expect(try stays.exchange("/").status == 200)
    }

    @Test func whoIsUnknownOverThereIsPartedFromAsBefore() throws {
        let backend = try TestBackend(Self.reply)
        let tandem = try ShadowPlane([backend.endpoint], level: .off)
        let client = try tandem.client()
        #expect(try client.exchange("/").status == 200)
        tandem.plane.beginParting(moving: true)
        tandem.plane.moveClients()
        let last = try client.exchange("/")
        #expect(last.field("connection") == "close")
        #expect(client.isClosedByPeer())
    }

    @Test func whoIsNotTakenInTimeIsPartedFromAsBefore() throws {
        let backend = try TestBackend(Self.reply)
        let tandem = try ShadowPlane([backend.endpoint], level: .requests)
        let client = try tandem.knownClient()
        tandem.plane.beginParting(moving: true)
        #expect(try client.exchange("/").field("connection") == nil)
        // Nobody says that the other node has the addresses.
        #expect(client.isClosedByPeer())
        #expect(tandem.plane.carryOverStatistics.moved == 0)
    }

    @Test func withoutAChannelNobodyMoves() throws {
        let pair = try pair()
        let client = try pair.nodes[0].knownClient()
        pair.nodes[0].receiver.close()
        #expect(eventually { pair.nodes[0].losses.value == 1 })
        pair.nodes[0].plane.beginParting(moving: true)
        pair.nodes[0].plane.moveClients()
        #expect(try client.exchange("/").field("connection") == "close")
    }

    /// Clients with more bytes that nobody looked at than the channel takes at once.
    private func bulkyClients(of node: ShadowPlane) throws -> [TestClient] {
        try node.reopen(isNarrow: true)
        let beginning = "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "x", count: 12_000)
        return try (0..<12).map { _ in
            let client = try node.knownClient()
            try client.send(beginning)
            #expect(eventually { node.last(client) == .busy })
            return client
        }
    }

    @Test func whoIsOnTheWayWhenTheNodeEndsIsReset() throws {
        let node = try pair().nodes[0]
        let clients = try bulkyClients(of: node)
        node.plane.beginParting(moving: true)
        node.plane.moveClients()
        #expect(eventually { node.plane.shadowStatistics.waits > 0 })
        node.plane.stop()
        #expect(eventually { clients.allSatisfy { $0.isClosedByPeer() } })
    }
}
