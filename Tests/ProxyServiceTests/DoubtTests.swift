// SPDX-License-Identifier: Apache-2.0
//
// Goal: a node that gave its addresses up because it was late keeps its clients when nobody else
// had them, and lets go of them without a word, to clients and to the other node, when somebody
// had. Method: a data plane on loopback whose clients are told to a test; the test plays the
// threads that know.

import ConfigurationCore
import LinuxIO
import ProxyService
import ReplicationCore
import Testing
import WireCore

@Suite(.enabled(if: ConnectionRepair.isPermitted(), "needs TCP_REPAIR"))
struct DoubtTests {
    private static let silenceMilliseconds = 50

    private func plane() throws -> (TestBackend, ShadowPlane) {
        let backend = try TestBackend { ReplyStep.ok($0.target) }
        return (backend, try ShadowPlane([backend.endpoint], level: .requests))
    }

    /// Whether nothing comes to the client for a while, not even an end.
    private func hearsNothing(_ client: TestClient) -> Bool {
        let before = try? client.transport().receiveSequence
        KernelThread.pause(milliseconds: Self.silenceMilliseconds)
        // A connection that was ended by the other side is not established.
        guard let after = try? client.transport().receiveSequence else { return false }
        return after == before
    }

    @Test func clientsStayWhenNobodyElseHadThem() throws {
        let (backend, test) = try plane()
        let client = try test.knownClient()
        #expect(try client.exchange("/before").text == "/before")
        test.plane.life.noteDoubt(at: Clock.now())
        try client.send("GET /meanwhile HTTP/1.1\r\nHost: test\r\n\r\n")
        // Nothing is served before somebody knows.
        #expect(hearsNothing(client))
        #expect(backend.log.requests.count == 1)
        test.plane.life.noteRestored(at: Clock.now())
        #expect(try client.response().text == "/meanwhile")
        #expect(try client.exchange("/after").text == "/after")
        #expect(test.plane.carryOverStatistics.superseded == 0)
    }

    @Test func clientsAreLetGoWithoutAWordWhenAnotherNodeHasThem() throws {
        let (backend, test) = try plane()
        let client = try test.knownClient()
        #expect(try client.exchange("/before").text == "/before")
        let told = test.last(client)
        let now = Clock.now()
        test.plane.life.noteDoubt(at: now)
        test.plane.life.noteReplaced(at: Clock.now())
        let plane = test.plane
        #expect(eventually { plane.carryOverStatistics.superseded == 1 })
        #expect(eventually { plane.openConnectionCount == 0 })
        #expect(hearsNothing(client))
        // The other node may only now begin to go on with it.
        #expect(test.last(client) == told)
        #expect(backend.log.requests.count == 1)
        // New ones are served as ever, and told after a new beginning.
        let new = try test.knownClient()
        #expect(try new.exchange("/new").text == "/new")
        let heard = test.receiver.heard()
        #expect(!heard.isEnded)
        #expect(heard.openPorts == Set([new.localPort].compactMap(\.self)))
    }

    @Test func clientsAreLetGoWhenNobodyKnowsForLong() throws {
        let (backend, test) = try plane()
        let client = try test.knownClient()
        test.plane.life.noteDoubt(at: Clock.now())
        let plane = test.plane
        #expect(eventually { plane.openConnectionCount == 0 })
        test.plane.life.noteRestored(at: Clock.now())
        #expect(hearsNothing(client))
        withExtendedLifetime(backend) {}
    }

    @Test func connectionsThatAreSurrenderedEndWithoutAWord() throws {
        let (backend, test) = try plane()
        let clients = try (0..<3).map { _ in try test.knownClient() }
        func key(_ client: TestClient) throws -> ClientKey {
            ClientKey(
                localAddress: .v4(.loopback), localPort: test.endpoint.port,
                remoteAddress: .v4(.loopback), remotePort: try #require(client.localPort))
        }
        let order = test.plane.surrender([
            try key(clients[0]), try key(clients[2]),
        ])
        #expect(eventually { order.isDone })
        #expect(test.plane.openConnectionCount == 1)
        #expect(hearsNothing(clients[0]))
        #expect(hearsNothing(clients[2]))
        #expect(try clients[1].exchange("/kept").text == "/kept")
        withExtendedLifetime(backend) {}
    }
}
