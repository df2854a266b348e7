// SPDX-License-Identifier: Apache-2.0
//
// Goal: a tunnel goes on when both sides say what was told last, and at no other numbers. Method:
// shadows made by records, answers by offsets from the numbers told.

import ReplicationCore
import Testing
import WireCore

struct TunnelJudgeTests {
    private static let first = TunnelPosition(
        client: StreamPosition(receive: .max - 5, send: 100),
        backend: StreamPosition(receive: 7, send: .max))
    private static let later = TunnelPosition(
        client: StreamPosition(receive: 20, send: 110),
        backend: StreamPosition(receive: 17, send: 25))
    private static let key = ClientKey(
        localAddress: ShadowSamples.address, localPort: 40_000,
        remoteAddress: .v4(IPv4Address(rawValue: 0x0A00_0015)), remotePort: 8_080)

    private static func tunnelled(_ position: TunnelPosition) -> ShadowRecord {
        .tunnelled(
            ShadowTunnel(
                position: position, key: key,
                transport: ShadowSamples.transport(receive: 1, send: 1), pool: "web"))
    }

    private func shadow(
        _ records: [ShadowRecord], level: ShadowLevel = .idle, seconds: UInt64 = 0
    ) throws -> ConnectionShadow {
        var table = PeerShadowTable()
        let isKept = table.channelBegan(worker: 0, incarnation: 1)
        #expect(isKept)
        for record in [ShadowSamples.opened(1, level: level), .busy] + records {
            table.apply(record, of: 1, worker: 0, now: ShadowSamples.instant(seconds * 1_000))
        }
        #expect(table.movedCount == (records.contains { $0.kind == .movedTunnel } ? 1 : 0))
        let taken = table.take([ShadowSamples.address])
        #expect(table.movedCount == 0)
        return try #require(taken.first)
    }

    private func answer(
        _ position: StreamPosition, sent: UInt32 = 0, received: UInt32 = 0
    ) -> ClientAnswer {
        ClientAnswer(sent: position.receive &+ sent, received: position.send &+ received)
    }

    @Test func tunnelAtRestGoesOnWhenBothSidesSayWhatWasTold() throws {
        for level in [ShadowLevel.idle, .requests] {
            let shadow = try shadow([Self.tunnelled(Self.first)], level: level)
            let (client, backend) = (answer(Self.first.client), answer(Self.first.backend))
            #expect(shadow.tunnel?.key == Self.key)
            #expect(shadow.tunnel?.pool == "web")
            #expect(shadow.position == Self.first.client)
            #expect(shadow.tunnel?.position == Self.first.backend)
            #expect(TunnelJudge.judge(shadow, client: client, backend: backend) == .resume)
            #expect(TunnelJudge.judge(shadow, client: client, backend: nil) == .wait)
            #expect(TunnelJudge.judge(shadow, client: nil, backend: backend) == .wait)
            #expect(TunnelJudge.judge(shadow, client: nil, backend: nil) == .wait)
            #expect(TunnelJudge.judgeSilent(shadow) == .reset(.silent))
        }
    }

    @Test func restThatWasToldLastCounts() throws {
        let shadow = try shadow([Self.tunnelled(Self.first), .rested(Self.later)])
        let (client, backend) = (answer(Self.later.client), answer(Self.later.backend))
        #expect(TunnelJudge.judge(shadow, client: client, backend: backend) == .resume)
        let older = answer(Self.first.client)
        #expect(
            TunnelJudge.judge(shadow, client: older, backend: backend) == .reset(.busy))
    }

    /// Who spoke in the outage repeats it, unless it was acknowledged and is lost.
    @Test(arguments: [1, TunnelJudge.repeatedByteCountMax])
    func whoHasSentALittleMoreIsHeardOnceMore(_ more: UInt32) throws {
        let shadow = try shadow([Self.tunnelled(Self.first)])
        let (client, backend) = (Self.first.client, Self.first.backend)
        for (first, second) in [
            (answer(client, sent: more), answer(backend)),
            (answer(client), answer(backend, sent: more)),
            (answer(client, sent: more), answer(backend, sent: more)),
        ] {
            #expect(TunnelJudge.judge(shadow, client: first, backend: second) == .wait)
        }
        #expect(
            TunnelJudge.judge(shadow, client: answer(client), backend: answer(backend)) == .resume)
        let lost = answer(client, sent: more, received: 1)
        #expect(TunnelJudge.judge(shadow, client: lost, backend: nil) == .reset(.busy))
    }

    @Test(arguments: [TunnelJudge.repeatedByteCountMax + 1, 1 << 31, .max])
    func anyDifferenceOnAnySideIsReset(_ offset: UInt32) throws {
        let shadow = try shadow([Self.tunnelled(Self.first)])
        let (client, backend) = (Self.first.client, Self.first.backend)
        let wrong: [(ClientAnswer?, ClientAnswer?)] = [
            (answer(client, sent: offset), answer(backend)),
            (answer(client, received: offset), answer(backend)),
            (answer(client), answer(backend, sent: offset)),
            (answer(client), answer(backend, received: offset)),
            (answer(client, sent: offset), nil), (nil, answer(backend, received: offset)),
        ]
        for (client, backend) in wrong {
            #expect(
                TunnelJudge.judge(shadow, client: client, backend: backend) == .reset(.busy))
        }
    }

    @Test func upgradeThatNobodyCalledATunnelIsReset() throws {
        let upgrading = try shadow([])
        #expect(
            TunnelJudge.judge(upgrading, client: answer(Self.first.client), backend: nil)
                == .reset(.busy))
        let unknown = try shadow([.rested(Self.first)])
        #expect(unknown.phase == .busy)
        #expect(TunnelJudge.judgeSilent(unknown) == .reset(.busy))
    }

    @Test func oneSideAloneSavesNoTunnel() throws {
        let shadow = try shadow([Self.tunnelled(Self.first)])
        #expect(AdoptionJudge.judge(shadow, answer(Self.first.client)) == .reset(.busy))
        #expect(AdoptionJudge.judgeSilent(shadow) == .reset(.silent))
    }

    @Test func tunnelThatWasMovedGoesOnUnasked() throws {
        let client = ShadowSamples.transport(receive: 3, send: 4)
        let backend = ShadowSamples.transport(receive: 5, send: 6)
        let moved = try shadow([
            Self.tunnelled(Self.first), .movedTunnel(client: client, backend: backend),
            .rested(Self.later), .busy,
        ])
        #expect(moved.isMoved)
        #expect(moved.position == StreamPosition(receive: 3, send: 4))
        #expect(moved.tunnel?.position == StreamPosition(receive: 5, send: 6))
        #expect(TunnelJudge.judge(moved, client: nil, backend: nil) == .resume)
        #expect(TunnelJudge.judgeSilent(moved) == .resume)
        let unknown = try shadow([.movedTunnel(client: client, backend: backend)])
        #expect(unknown.isMoved)
        #expect(TunnelJudge.judgeSilent(unknown) == .reset(.busy))
    }

    @Test func bothConnectionsOfATunnelAreKnownByTheirEnds() {
        var table = PeerShadowTable()
        let isKept = table.channelBegan(worker: 0, incarnation: 1)
        #expect(isKept)
        for record in [ShadowSamples.opened(1), Self.tunnelled(Self.first)] {
            table.apply(record, of: 1, worker: 0, now: ShadowSamples.instant(0))
        }
        let keys = table.keys([ShadowSamples.address])
        #expect(Set(keys) == [ShadowSamples.key(1), Self.key])
    }

    @Test func clocksOfBothSidesGoOn() throws {
        let shadow = try shadow([Self.tunnelled(Self.first)], seconds: 10)
        let now = ShadowSamples.instant(12_000)
        let client = shadow.transport(at: shadow.position, now: now)
        let backend = try #require(shadow.tunnel).transport(now: now)
        let wanted = 1_002_001 + UInt32(ConnectionShadow.marginMilliseconds)
        #expect(client.timestamp == wanted)
        #expect(backend.timestamp == wanted)
        #expect(backend.sendSequence == Self.first.backend.send)
    }
}
