// SPDX-License-Identifier: Apache-2.0
//
// Goal: the journal holds every client connection of the watched addresses and no other, also
// after it was full. Method: a data plane on loopback, clients that connect and go.

import ConfigurationCore
import EventLoop
import LinuxIO
import ProxyService
import ReplicationCore
import Telemetry
import Testing
import WireCore

@Suite(.serialized)
struct ConnectionJournalTests {
    private func plane(
        _ journal: ConnectionJournal, bind: IPAddress
    ) throws -> (plane: DataPlane, endpoint: Endpoint) {
        let dead = Endpoint(address: .v4(.loopback), port: 9)
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        let configuration = Configuration(
            workers: .exactly(1), pair: nil,
            listeners: [
                ListenerConfiguration(
                    name: "web", bind: Endpoint(address: bind, port: 0), routes: routes)
            ],
            pools: [TestPlane.pool("web", [dead])],
            admin: AdminConfiguration(http: nil, socket: nil), timeouts: TimeoutConfiguration())
        let plane = try DataPlane(
            configuration: configuration, nodeName: "test",
            logger: Logger("proxy", sink: nil), descriptorLimit: 1_024, journal: journal)
        try plane.start()
        return (plane, try #require(plane.boundEndpoint(listener: "web")))
    }

    /// Waits until the journal says so.
    private func wait(
        for journal: ConnectionJournal, _ changes: inout [ClientChange],
        until condition: ([ClientChange]) -> Bool
    ) -> Bool {
        let deadline = Clock.now() + .seconds(5)
        while Clock.now() < deadline {
            for batch in journal.mailbox.drain() {
                if batch.isComplete { changes = [] }
                changes += batch.changes
            }
            if condition(changes) { return true }
            KernelThread.pause(milliseconds: 1)
        }
        return false
    }

    @Test(arguments: [
        IPAddress.v4(.loopback), .v4(.any), .v6(.loopback), .v6(.any),
    ])
    func connectionsAreReportedWithBothEnds(bind: IPAddress) throws {
        let own: IPAddress = bind.family == .ipv4 ? .v4(.loopback) : .v6(.loopback)
        let journal = try ConnectionJournal(watching: [own])
        let (plane, bound) = try plane(journal, bind: bind)
        defer { plane.stop() }
        let target = Endpoint(address: own, port: bound.port)
        var changes: [ClientChange] = []
        do {
            let socket = try StreamSocket.connect(to: target)
            let local = try #require(try StreamSocket.localEndpoint(socket))
            #expect(wait(for: journal, &changes) { $0.count == 1 })
            let expected = ClientKey(
                localAddress: own, localPort: bound.port, remoteAddress: own,
                remotePort: local.port)
            #expect(changes == [ClientChange(expected, isOpen: true)])
        }
        #expect(wait(for: journal, &changes) { $0.count == 2 })
        #expect(changes[1] == ClientChange(changes[0].key, isOpen: false))
    }

    @Test(arguments: [IPAddress.v4(.loopback), .v4(.any)])
    func connectionsToOtherAddressesAreNotReported(bind: IPAddress) throws {
        let journal = try ConnectionJournal(watching: [IPAddress(192, 0, 2, 1)])
        let (plane, bound) = try plane(journal, bind: bind)
        defer { plane.stop() }
        let target = Endpoint(address: .v4(.loopback), port: bound.port)
        let socket = try StreamSocket.connect(to: target)
        let deadline = Clock.now() + .seconds(5)
        while plane.openConnectionCount == 0, Clock.now() < deadline {
            KernelThread.pause(milliseconds: 1)
        }
        #expect(plane.openConnectionCount == 1)
        #expect(journal.mailbox.drain().isEmpty)
        withExtendedLifetime(socket) {}
    }

    @Test func fullJournalIsOwedEveryOpenConnection() throws {
        let journal = try ConnectionJournal(watching: [.v4(.loopback)], capacity: 1)
        let (plane, bound) = try plane(journal, bind: .v4(.loopback))
        defer { plane.stop() }
        let target = Endpoint(address: .v4(.loopback), port: bound.port)
        let first = try StreamSocket.connect(to: target)
        let deadline = Clock.now() + .seconds(5)
        while plane.openConnectionCount < 1, Clock.now() < deadline {
            KernelThread.pause(milliseconds: 1)
        }
        // The report of the first one fills the mailbox; that of the others finds no room.
        let second = try StreamSocket.connect(to: target)
        let third = try StreamSocket.connect(to: target)
        while journal.mailbox.droppedCount == 0, Clock.now() < deadline {
            KernelThread.pause(milliseconds: 1)
        }
        #expect(journal.mailbox.droppedCount > 0)
        var changes: [ClientChange] = []
        #expect(wait(for: journal, &changes) { Set($0.map(\.key)).count == 3 })
        #expect(!changes.contains { !$0.isOpen })
        withExtendedLifetime(first) {}
        withExtendedLifetime(second) {}
        withExtendedLifetime(third) {}
    }
}
