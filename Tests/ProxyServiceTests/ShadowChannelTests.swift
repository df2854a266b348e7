// SPDX-License-Identifier: Apache-2.0
//
// Goal: a channel begins with all connections, follows them, and costs nobody anything when it
// ends or is too slow: no request fails, nobody waits for long, and the next channel knows
// everything again. Method: a data plane on loopback whose channels end in the test.

import ConfigurationCore
import LinuxIO
import ProxyService
import ReplicationCore
import Testing
import WireCore

@Suite(.serialized, .enabled(if: ConnectionRepair.isPermitted()))
struct ShadowChannelTests {
    private func plane(
        _ level: CarryOver = .requests, opensChannel: Bool = true,
        timeouts: TimeoutConfiguration = TimeoutConfiguration(),
        proxySources: [IPNetwork] = []
    ) throws -> (ShadowPlane, TestBackend) {
        let backend = try TestBackend(ShadowTests.reply)
        let tandem = try ShadowPlane(
            [backend.endpoint], level: level, timeouts: timeouts, proxySources: proxySources,
            opensChannel: opensChannel)
        return (tandem, backend)
    }

    private func ports(_ clients: [TestClient]) -> Set<UInt16> {
        Set(clients.compactMap(\.localPort))
    }

    @Test func aChannelBeginsWithEveryConnection() throws {
        let (tandem, backend) = try plane(opensChannel: false)
        defer { withExtendedLifetime(backend) {} }
        let clients = try (0..<100).map { _ in try tandem.client() }
        for client in clients { _ = try client.exchange("/chunked") }
        #expect(tandem.plane.shadowStatistics.records == 0)
        try tandem.open()
        let heard = tandem.receiver.heard()
        #expect(heard.events.first == .snapshotBegan)
        #expect(heard.events.contains(.snapshotEnded(100)))
        #expect(heard.openPorts == ports(clients))
        for client in clients {
            let own = try client.transport()
            guard case .opened(_, _, let state, _) = tandem.last(client) else {
                Issue.record("\(String(describing: tandem.last(client)))")
                continue
            }
            #expect(state.receiveSequence == own.sendSequence)
            #expect(state.sendSequence == own.receiveSequence)
        }
        for client in clients.prefix(10) {
            _ = try client.exchange("/")
            #expect(try tandem.last(client) == tandem.answered(client))
        }
    }

    @Test func aRequestInFlightIsBusyInASnapshotAndIdleWithItsAnswer() throws {
        let backend = try ManualBackend()
        let tandem = try ShadowPlane([backend.endpoint], level: .requests, opensChannel: false)
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let connection = try backend.accept()
        _ = try connection.takeHead()
        try tandem.open()
        #expect(
            tandem.receiver.records(ofPort: client.localPort).map(\.kind) == [.opened, .busy])
        try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        #expect(try client.response().text == "ok")
        #expect(try tandem.last(client) == tandem.answered(client))
    }

    /// To look at a connection stops its kernel from sending for a moment.
    @Test func whoseAnswerHasNotLeftIsToldWithItsNextOne() throws {
        let (tandem, backend) = try plane(opensChannel: false)
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.client()
        try client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(eventually { (try? client.receiveSome(upTo: 1)) == true })
        try tandem.open()
        #expect(tandem.receiver.heard().openPorts.isEmpty)
        #expect(try client.response().body.count == 3_000_000)
        _ = try client.exchange("/")
        #expect(eventually { tandem.receiver.heard().openPorts == ports([client]) })
        _ = try client.exchange("/")
        #expect(try tandem.last(client) == tandem.answered(client))
    }

    @Test func aConnectionThatEndsIsForgotten() throws {
        let (tandem, backend) = try plane()
        defer { withExtendedLifetime(backend) {} }
        do {
            let client = try tandem.knownClient()
            _ = try client.exchange("/")
        }
        #expect(eventually { tandem.receiver.heard().openPorts.isEmpty })
        #expect(tandem.plane.shadowStatistics.open == 0)
    }

    @Test func aChannelThatNothingIsToldOnStands() throws {
        let (tandem, backend) = try plane()
        defer { withExtendedLifetime(backend) {} }
        let count = tandem.receiver.heard().events.count
        #expect(eventually { tandem.receiver.heard().events.count >= count + 10 })
        let events = tandem.receiver.heard().events.suffix(10)
        #expect(events.allSatisfy { $0 == .standing(0) })
    }

    @Test func aLostChannelIsReportedAndCostsNoRequest() throws {
        let (tandem, backend) = try plane()
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.knownClient()
        _ = try client.exchange("/")
        tandem.receiver.close()
        for _ in 0..<20 { #expect(try client.exchange("/", method: "POST").status == 200) }
        #expect(eventually { tandem.losses.value == 1 })
        #expect(tandem.receiver.heard().isReset)
        #expect(tandem.plane.shadowStatistics.channelsOpen == 0)
        #expect(tandem.plane.shadowStatistics.open == 0)
        try tandem.reopen()
        #expect(tandem.receiver.heard().openPorts == ports([client]))
        _ = try client.exchange("/")
        #expect(try tandem.last(client) == tandem.answered(client))
    }

    @Test func aNewerChannelReplacesTheOlderOne() throws {
        let (tandem, backend) = try plane()
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.knownClient()
        let older = tandem.receiver
        try tandem.reopen()
        #expect(eventually { older.heard().isReset })
        #expect(tandem.losses.value == 0)
        _ = try client.exchange("/")
        #expect(try tandem.last(client) == tandem.answered(client))
    }

    /// Nobody reads the channel: it fills up, and is given up with a reset.
    @Test func aChannelThatTakesNothingIsGivenUp() throws {
        let (tandem, backend) = try plane()
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.knownClient()
        let padding = "X-Pad: \(String(repeating: "p", count: 7_000))\r\n"
        var longest = TimeSpan.zero
        let isLost = try eventually(within: .seconds(60)) {
            let began = Clock.now()
            let response = try client.exchange("/", fields: padding)
            guard response.status == 200 else { throw TestFailure.malformed(response.head) }
            longest = max(longest, Clock.now() - began)
            return tandem.losses.value > 0
        }
        #expect(isLost)
        #expect(longest < .seconds(5))
        let numbers = tandem.plane.shadowStatistics
        #expect(numbers.waits > 0 && numbers.channelsOpen == 0)
        #expect(numbers.channelEnds.first { $0.label == "congested" }?.count == 1)
        #expect(eventually { tandem.receiver.heard().isReset })
        try tandem.reopen()
        _ = try client.exchange("/")
        #expect(try tandem.last(client) == tandem.answered(client))
    }

    @Test func aReloadChangesWhatIsTold() throws {
        let (tandem, backend) = try plane(.off)
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.client()
        _ = try client.exchange("/")
        #expect(tandem.receiver.heard().openPorts.isEmpty)
        try tandem.carryOver(.requests)
        #expect(eventually { tandem.receiver.heard().openPorts == ports([client]) })
        _ = try client.exchange("/")
        #expect(try tandem.last(client) == tandem.answered(client))
        try tandem.carryOver(.off)
        #expect(eventually { tandem.receiver.heard().openPorts.isEmpty })
        let count = tandem.plane.shadowStatistics.records
        _ = try client.exchange("/")
        #expect(tandem.plane.shadowStatistics.records == count)
    }

    @Test func aClientThatAHeaderNamesIsToldWithThatName() throws {
        let (tandem, backend) = try plane(
            proxySources: [try #require(IPNetwork("127.0.0.0/8"))])
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.client()
        let header = "PROXY TCP4 192.0.2.7 192.0.2.8 4711 80\r\n"
        try client.send(header)
        #expect(eventually { tandem.last(client) != nil })
        guard case .opened(_, _, let state, let named) = tandem.last(client) else {
            Issue.record("not opened")
            return
        }
        #expect(named == Endpoint(address: .v4(IPv4Address(192, 0, 2, 7)), port: 4_711))
        #expect(try state.receiveSequence == client.transport().sendSequence)
        _ = try client.exchange("/")
        #expect(try tandem.last(client) == tandem.answered(client))
    }

    @Test func aWebSocketStaysBusy() throws {
        let backend = try ManualBackend()
        let tandem = try ShadowPlane([backend.endpoint], level: .requests)
        let client = try tandem.knownClient()
        try client.send(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        let connection = try backend.accept()
        _ = try connection.takeHead()
        #expect(tandem.last(client) == .busy)
        try connection.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        while !client.shown.hasSuffix("\r\n\r\n") { try client.receiveSome() }
        try connection.send("hello")
        while !client.shown.hasSuffix("hello") { try client.receiveSome() }
        #expect(
            tandem.receiver.records(ofPort: client.localPort).map(\.kind) == [.opened, .busy])
    }

    @Test func answersGoOnBeingToldWhileABodyIsThrownAway() throws {
        let limits = LimitConfiguration(bodyByteCount: 10)
        let backend = try TestBackend(ShadowTests.reply)
        let tandem = try ShadowPlane([backend.endpoint], level: .requests, limits: limits)
        let client = try tandem.knownClient()
        try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n1234567890")
        #expect(try client.response().status == 413)
        // The client has the whole answer: that was told, with the end that its request has.
        let state = try client.transport()
        let told = ShadowRecord.answered(
            receiveSequence: state.sendSequence &+ 10, sendSequence: state.receiveSequence)
        #expect(tandem.last(client) == told)
        try client.send("1234567890")
        #expect(try tandem.last(client) == tandem.answered(client))
        _ = try client.exchange("/")
        #expect(try tandem.last(client) == tandem.answered(client))
    }

    private static let post = "POST /once HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"

    /// A backend that counts what must not be repeated, and a plane with it.
    private func countingPlane() throws -> (ShadowPlane, TestBackend, asked: Counter) {
        let asked = Counter()
        let backend = try TestBackend { request in
            if request.target == "/once" { asked.add() }
            return ReplyStep.ok("done")
        }
        return (try ShadowPlane([backend.endpoint], level: .requests), backend, asked)
    }

    /// What is on its way may be lost with the host: the client's repetition would be new to the
    /// other node.
    @Test func whatMustNotBeRepeatedBeginsWhenTheOtherNodeHasWhatWasTold() throws {
        let (tandem, backend, asked) = try countingPlane()
        defer { withExtendedLifetime(backend) {} }
        let (client, other) = (try tandem.knownClient(), try tandem.knownClient())
        try tandem.receiver.loseEverything()
        try client.send(Self.post)
        #expect(eventually { tandem.plane.shadowStatistics.heldRequests == 1 })
        // What does no harm twice goes on.
        _ = try other.exchange("/")
        let hasBegun = asked.value > 0
        // A host that stood still for longer than the worker's patience proves nothing.
        #expect(!hasBegun || tandem.losses.value > 0)
        tandem.receiver.loseNothing()
        #expect(try client.response().status == 200)
        #expect(asked.value == 1)
        #expect(
            tandem.losses.value > 0
                || tandem.receiver.records(ofPort: client.localPort).map(\.kind)
                    == [.opened, .busy, .answered]
        )
    }

    @Test func aChannelThatNobodyAcknowledgesIsGivenUp() throws {
        let (tandem, backend, asked) = try countingPlane()
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.knownClient()
        try tandem.receiver.loseEverything()
        try client.send(Self.post)
        #expect(try client.response().status == 200)
        #expect(asked.value == 1)
        let ends = tandem.plane.shadowStatistics.channelEnds
        #expect(ends.first { $0.label == "congested" }?.count == 1)
        // Without a channel nobody waits.
        try client.send(Self.post)
        #expect(try client.response().status == 200)
        #expect(asked.value == 2)
    }
}
