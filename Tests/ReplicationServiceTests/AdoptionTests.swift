// SPDX-License-Identifier: Apache-2.0
//
// Goal: connections of a node that is no more go on here when its clients say so, and end at once
// when not. Method: real connections between two network namespaces; their server's end is closed
// without a word after its numbers were told to an adopter, which makes it again.

import EventLoop
import LinuxIO
import NamespaceLaboratory
import ReplicationCore
import Telemetry
import Testing
import WireCore

@testable import ReplicationService

/// An adopter with one worker's channel.
private final class Adopting {
    let loop: EventLoop
    let report = AdoptionReport()
    let adopter: ConnectionAdopter
    private(set) var clients: [AdoptedClient] = []
    private var nextID: UInt32 = 0

    init() throws {
        loop = try EventLoop()
        adopter = ConnectionAdopter(
            loop: loop, sender: try SegmentSender(), report: report,
            logger: Logger("replication", sink: nil))
        adopter.handOn = { [weak self] in self?.clients += $0 }
        adopter.shadowChannelBegan(worker: 0, incarnation: 1)
    }

    deinit {
        loop.close()
    }

    /// Tells of a connection and closes it without a word.
    func leave(
        _ server: TestSocket, from remote: Endpoint, to local: Endpoint,
        level: ShadowLevel = .requests, clockLag: UInt32 = 0,
        closes: Bool = true,
        _ records: (TransportState) -> [ShadowRecord] = { _ in [] }
    ) throws {
        var state = try ConnectionRepair.capture(server.descriptor)
        state.timestamp &-= clockLag
        let key = ClientKey(
            localAddress: local.address, localPort: local.port, remoteAddress: remote.address,
            remotePort: remote.port)
        nextID += 1
        var payload: [UInt8] = []
        let opened = ShadowRecord.opened(key: key, level: level, transport: state, client: nil)
        for record in [opened] + records(state) { payload.append(record, of: nextID) }
        #expect(
            adopter.shadowChannelReceived(
                worker: 0, type: ShadowFrame.recordsType, payload: payload))
        if closes { server.closeSilently() }
    }

    func takeOver(_ endpoint: Endpoint) {
        adopter.takeOver([endpoint.address], at: Clock.now())
    }

    /// Runs the loop until so many clients were handed on.
    func run(until count: Int, within span: TimeSpan = .seconds(3)) {
        let isDone = loop.run(until: Clock.now() + span) { self.clients.count >= count }
        var text = MetricsText()
        report.collect(into: &text)
        #expect(isDone, "\(text.rendered.split(separator: "\n").filter { !$0.hasPrefix("#") })")
    }

    /// Runs the loop until it is clear that a socket ended.
    func run(untilEnded socket: TestSocket) {
        #expect(
            loop.run(until: Clock.now() + .seconds(3)) { (try? socket.hasInput()) == nil })
    }
}

@Suite(.enabled(if: Laboratory.isRoot && ConnectionRepair.isPermitted(), "needs TCP_REPAIR"))
struct AdoptionTests {
    private static func endpoints() throws -> [Endpoint] {
        [try #require(ConnectedHosts.server), try #require(ConnectedHosts.serverIPv6)]
    }

    private func socket(of client: AdoptedClient) throws -> TestSocket {
        var taken: TestSocket?
        if let descriptor = client.takeDescriptor() { taken = TestSocket(descriptor) }
        return try #require(taken)
    }

    @Test func idleConnectionsGoOn() throws {
        try ConnectedHosts.run { hosts in
            for endpoint in try Self.endpoints() {
                let adopting = try Adopting()
                let (_, client, server, remote) = try hosts.connect(to: endpoint)
                try adopting.leave(server, from: remote, to: endpoint, level: .idle)
                adopting.takeOver(endpoint)
                adopting.run(until: 1)
                let adopted = try #require(adopting.clients.first)
                #expect(adopted.input == .none)
                #expect(adopted.expectsBytesWithin == nil)
                #expect(adopted.remote == remote)
                let again = try socket(of: adopted)
                try client.send("question")
                #expect(try again.receive(8) == "question")
                try again.send("answer")
                #expect(try client.receive(6) == "answer")
                #expect(adopting.report.silent.value == 0)
            }
        }
    }

    /// RFC 7323 §5.3: the client drops segments that seem older than what it has seen.
    @Test func connectionWhoseClockWasToldLongAgoGoesOn() throws {
        try ConnectedHosts.run { hosts in
            for endpoint in try Self.endpoints() {
                let adopting = try Adopting()
                let (_, client, server, remote) = try hosts.connect(to: endpoint)
                try server.send("seen")
                #expect(try client.receive(4) == "seen")
                // Ten minutes behind: this node was stopped when it was told.
                try adopting.leave(server, from: remote, to: endpoint, clockLag: 600_000)
                adopting.takeOver(endpoint)
                adopting.run(until: 1)
                let again = try socket(of: try #require(adopting.clients.first))
                try again.send("answer")
                #expect(try client.receive(6) == "answer")
            }
        }
    }

    @Test func requestInFlightComesWithItsConnection() throws {
        try ConnectedHosts.run { hosts in
            let endpoint = try Self.endpoints()[0]
            let adopting = try Adopting()
            let (_, client, server, remote) = try hosts.connect(to: endpoint)
            let head = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"
            try adopting.leave(server, from: remote, to: endpoint) { state in
                // Heard and acknowledged by a node that then dies.
                try? client.send(head)
                _ = try? server.receive(head.utf8.count)
                return [
                    .asked(
                        receiveSequence: state.receiveSequence &+ UInt32(head.utf8.count),
                        head: Array(head.utf8))
                ]
            }
            adopting.takeOver(endpoint)
            adopting.run(until: 1)
            let adopted = try #require(adopting.clients.first)
            #expect(adopted.input == .reissued(Array(head.utf8)))
            let again = try socket(of: adopted)
            try again.send("answer")
            #expect(try client.receive(6) == "answer")
            try client.send("next")
            #expect(try again.receive(4) == "next")
        }
    }

    @Test func answerThatNeverLeftIsMadeAgain() throws {
        try ConnectedHosts.run { hosts in
            let endpoint = try Self.endpoints()[0]
            let adopting = try Adopting()
            let (_, client, server, remote) = try hosts.connect(to: endpoint)
            try adopting.leave(server, from: remote, to: endpoint) { state in
                try? client.send("GET")
                _ = try? server.receive(3)
                let end = state.receiveSequence &+ 3
                return [
                    .asked(receiveSequence: end, head: Array("GET".utf8)),
                    .answered(receiveSequence: end, sendSequence: state.sendSequence &+ 1_000),
                ]
            }
            adopting.takeOver(endpoint)
            adopting.run(until: 1)
            let adopted = try #require(adopting.clients.first)
            #expect(adopted.input == .reissued(Array("GET".utf8)))
            try socket(of: adopted).send("answer")
            #expect(try client.receive(6) == "answer")
        }
    }

    @Test func unheardRequestIsExpectedAndComes() throws {
        try ConnectedHosts.run { hosts in
            let endpoint = try Self.endpoints()[0]
            let adopting = try Adopting()
            let (_, client, server, remote) = try hosts.connect(to: endpoint)
            try adopting.leave(server, from: remote, to: endpoint) { _ in
                try? ConnectionRepair.deafen(server.descriptor)
                try? client.send("unheard")
                return []
            }
            adopting.takeOver(endpoint)
            adopting.run(until: 1)
            let adopted = try #require(adopting.clients.first)
            let patience = try #require(adopted.expectsBytesWithin)
            #expect(patience >= .seconds(1))
            #expect(patience < .seconds(5))
            #expect(try socket(of: adopted).receive(7) == "unheard")
        }
    }

    @Test func clientWithAPartOfAnAnswerIsResetAtOnce() throws {
        try ConnectedHosts.run { hosts in
            let endpoint = try Self.endpoints()[0]
            let adopting = try Adopting()
            let (_, client, server, remote) = try hosts.connect(to: endpoint)
            try adopting.leave(server, from: remote, to: endpoint) { state in
                try? client.send("GET")
                _ = try? server.receive(3)
                try? server.send("half an ans")
                _ = try? client.receive(11)
                return [
                    .asked(
                        receiveSequence: state.receiveSequence &+ 3, head: Array("GET".utf8))
                ]
            }
            let start = Clock.now()
            adopting.takeOver(endpoint)
            adopting.run(untilEnded: client)
            #expect(Clock.now() - start < .milliseconds(100))
            #expect(adopting.clients.isEmpty)
        }
    }

    @Test func silentClientGoesOnOnlyWhenNothingIsOwed() throws {
        try ConnectedHosts.run { hosts in
            let endpoint = try Self.endpoints()[0]
            let adopting = try Adopting()
            let (_, client, server, remote) = try hosts.connect(to: endpoint)
            let (_, asking, owing, owed) = try hosts.connect(to: endpoint)
            try adopting.leave(server, from: remote, to: endpoint)
            try adopting.leave(owing, from: owed, to: endpoint) { state in
                try? asking.send("GET")
                _ = try? owing.receive(3)
                return [
                    .asked(
                        receiveSequence: state.receiveSequence &+ 3, head: Array("GET".utf8))
                ]
            }
            try ConnectionRepair.deafen(client.descriptor)
            try ConnectionRepair.deafen(asking.descriptor)
            adopting.takeOver(endpoint)
            adopting.run(until: 1)
            #expect(adopting.clients.map(\.remote) == [remote])
            #expect(adopting.report.silent.value == 1)
            ConnectionRepair.undeafen(client.descriptor)
            try socket(of: adopting.clients[0]).send("still there")
            #expect(try client.receive(11) == "still there")
        }
    }

    @Test func movedConnectionGoesOnUnaskedWhereTheAddressIs() throws {
        try ConnectedHosts.run { hosts in
            let endpoint = try Self.endpoints()[0]
            let adopting = try Adopting()
            adopting.adopter.prepare([endpoint.address])
            let (_, client, server, remote) = try hosts.connect(to: endpoint)
            try client.send("unread")
            #expect(try server.receive(6) == "unread")
            let state = try ConnectionRepair.capture(server.descriptor)
            server.closeSilently()
            var payload: [UInt8] = []
            let key = ClientKey(
                localAddress: endpoint.address, localPort: endpoint.port,
                remoteAddress: remote.address, remotePort: remote.port)
            payload.append(
                ShadowRecord.opened(key: key, level: .idle, transport: state, client: nil), of: 9)
            payload.append(
                ShadowRecord.moved(transport: state, unread: Array("unread".utf8)), of: 9)
            #expect(
                adopting.adopter.shadowChannelReceived(
                    worker: 0, type: ShadowFrame.recordsType, payload: payload))
            let adopted = try #require(adopting.clients.first)
            #expect(adopted.input == .unread(Array("unread".utf8)))
            try socket(of: adopted).send("answer")
            #expect(try client.receive(6) == "answer")
        }
    }

    @Test func whatCannotGoOnIsLeftToTheReset() throws {
        try ConnectedHosts.run { hosts in
            let endpoint = try Self.endpoints()[0]
            let adopting = try Adopting()
            let (_, client, server, remote) = try hosts.connect(to: endpoint)
            try adopting.leave(server, from: remote, to: endpoint)
            // Its worker gave the channel up: nothing of it is true any more.
            adopting.adopter.shadowChannelEnded(worker: 0, .reset)
            adopting.takeOver(endpoint)
            #expect(adopting.adopter.takeRefused([endpoint.address]).isEmpty)
            adopting.adopter.shadowChannelBegan(worker: 0, incarnation: 1)
            let (_, busyClient, busy, other) = try hosts.connect(to: endpoint)
            try adopting.leave(busy, from: other, to: endpoint) { _ in [.busy] }
            adopting.takeOver(endpoint)
            #expect(adopting.clients.isEmpty)
            withExtendedLifetime((client, busyClient)) {}
        }
    }

    /// A worker that was replaced goes on on its channel, and begins anew when it has something.
    @Test func whatTheReplacedSayCountsOnceTheyBeginAnew() throws {
        try ConnectedHosts.run { hosts in
            let endpoint = try Self.endpoints()[0]
            let adopting = try Adopting()
            let adopter = adopting.adopter
            let (_, client, server, remote) = try hosts.connect(to: endpoint)
            try adopting.leave(server, from: remote, to: endpoint)
            adopting.takeOver(endpoint)
            adopting.run(until: 1)
            let current = try socket(of: adopting.clients[0])
            let records = ShadowFrame.recordsType
            #expect(adopter.shadowChannelCounts(worker: 0, type: records))
            // Without a beginning: this one is not known.
            let (_, ignored, other, otherRemote) = try hosts.connect(to: endpoint)
            try adopting.leave(other, from: otherRemote, to: endpoint)
            adopter.lose([endpoint.address])
            let type = ShadowFrame.snapshotBeganType
            #expect(adopter.shadowChannelCounts(worker: 0, type: type))
            #expect(adopter.shadowChannelReceived(worker: 0, type: type, payload: []))
            try adopting.leave(current, from: remote, to: endpoint)
            adopting.takeOver(endpoint)
            adopting.run(until: 2)
            #expect(adopting.clients[1].remote == remote)
            try socket(of: adopting.clients[1]).send("answer")
            #expect(try client.receive(6) == "answer")
            withExtendedLifetime(ignored) {}
        }
    }

    /// Linux answers empty segments that are out of its window once in half a second.
    @Test func secondTakeoverIsAnsweredSoonAsWell() throws {
        try ConnectedHosts.run { hosts in
            for endpoint in try Self.endpoints() {
                let (_, client, server, remote) = try hosts.connect(to: endpoint)
                let start = Clock.now()
                var current = server
                for _ in 0..<3 {
                    let adopting = try Adopting()
                    try adopting.leave(current, from: remote, to: endpoint)
                    adopting.takeOver(endpoint)
                    adopting.run(until: 1)
                    #expect(adopting.report.silent.value == 0)
                    current = try socket(of: try #require(adopting.clients.first))
                }
                #expect(Clock.now() - start < .milliseconds(500))
                try client.send("question")
                #expect(try current.receive(8) == "question")
                try current.send("answer")
                #expect(try client.receive(6) == "answer")
            }
        }
    }

    @Test func connectionThatWorkersStillHaveIsMadeWhenTheyLetGo() throws {
        try ConnectedHosts.run { hosts in
            for isKnown in [true, false] {
                let endpoint = try Self.endpoints()[0]
                let adopting = try Adopting()
                let (_, client, server, remote) = try hosts.connect(to: endpoint)
                try adopting.leave(server, from: remote, to: endpoint, closes: false)
                // From before the address came; or the report of it is still on its way.
                adopting.adopter.beginEra = { 1 }
                adopting.adopter.era = { _ in isKnown ? 0 : nil }
                var questionCount = 0
                adopting.adopter.surrender = { keys in
                    #expect(keys.map(\.remotePort) == [remote.port])
                    return {
                        questionCount += 1
                        if questionCount == 3 { server.closeSilently() }
                        return questionCount >= 3
                    }
                }
                adopting.takeOver(endpoint)
                adopting.run(until: 1)
                #expect(adopting.report.silent.value == 0)
                let again = try socket(of: try #require(adopting.clients.first))
                try client.send("question")
                #expect(try again.receive(8) == "question")
                try again.send("answer")
                #expect(try client.receive(6) == "answer")
            }
        }
    }

    @Test func connectionThatIsServedHereIsYoungerThanItsShadow() throws {
        try ConnectedHosts.run { hosts in
            let endpoint = try Self.endpoints()[0]
            let adopting = try Adopting()
            let (_, client, server, remote) = try hosts.connect(to: endpoint)
            try adopting.leave(server, from: remote, to: endpoint, closes: false)
            adopting.adopter.beginEra = { 1 }
            // The report of it comes while the shadow is looked at.
            var lookCount = 0
            adopting.adopter.era = { _ in
                lookCount += 1
                return lookCount > 2 ? 1 : nil
            }
            adopting.adopter.surrender = { _ in
                Issue.record("what is served here is ended")
                return { true }
            }
            adopting.takeOver(endpoint)
            let report = adopting.report
            #expect(
                adopting.loop.run(until: Clock.now() + .seconds(3)) {
                    report.outdated.value == 1
                })
            #expect(adopting.adopter.takeRefused([endpoint.address]).isEmpty)
            try server.send("answer")
            #expect(try client.receive(6) == "answer")
        }
    }

    @Test func whatWorkersHaveNotLookedAtIsTakenBackWithItsAddress() throws {
        try ConnectedHosts.run { hosts in
            let endpoint = try Self.endpoints()[0]
            let adopting = try Adopting()
            let (_, client, server, remote) = try hosts.connect(to: endpoint)
            try adopting.leave(server, from: remote, to: endpoint)
            adopting.takeOver(endpoint)
            adopting.run(until: 1)
            adopting.adopter.lose([endpoint.address])
            let isTaken = adopting.clients[0].takeDescriptor() == nil
            #expect(isTaken)
            adopting.clients[0].reset()
            #expect(try client.hasInput() == false)
        }
    }

    /// In a debug build on two busy cores; the release build is what counts.
    @Test func manyConnectionsGoOnSoon() throws {
        try ConnectedHosts.run { hosts in
            let endpoint = try Self.endpoints()[0]
            let adopting = try Adopting()
            let count = 300
            var clients: [TestSocket] = []
            var common: TestSocket?
            for _ in 0..<count {
                let (listener, client, server, remote) = try hosts.connect(
                    to: endpoint, listener: common)
                common = listener
                try adopting.leave(server, from: remote, to: endpoint)
                clients.append(client)
            }
            let start = Clock.now()
            adopting.takeOver(endpoint)
            adopting.run(until: count)
            let span = Clock.now() - start
            #expect(adopting.report.silent.value == 0)
            #expect(span < .milliseconds(900), "\(span.milliseconds) ms")
            print("adopted \(count) in \(span.microseconds) us")
            withExtendedLifetime(clients) {}
        }
    }
}
