// SPDX-License-Identifier: Apache-2.0
//
// Goal: the table says what the channels said, of each worker by its own names, within its limits.
// Method: records applied in order; what comes out is looked at by taking it out.

import ReplicationCore
import Testing
import WireCore

struct PeerShadowTableTests {
    private let now = ShadowSamples.instant(1)

    private func table(
        _ records: [(id: UInt32, record: ShadowRecord)], workers: Int = 1
    ) -> PeerShadowTable {
        var table = PeerShadowTable()
        for worker in 0..<workers {
            let isKept = table.channelBegan(worker: worker, incarnation: 1)
            #expect(isKept)
        }
        for (id, record) in records { table.apply(record, of: id, worker: 0, now: now) }
        return table
    }

    private func ports(_ shadows: [ConnectionShadow]) -> [UInt16] {
        shadows.map(\.key.remotePort).sorted()
    }

    @Test func connectionsOfTheAddressesAreTakenOutOnce() {
        var table = table([
            (1, ShadowSamples.opened(10)), (2, ShadowSamples.opened(20)), (1, .closed),
            (3, ShadowSamples.opened(30, at: ShadowSamples.otherAddress)),
        ])
        #expect(table.count == 2)
        let taken1 = table.take([ShadowSamples.address])
        #expect(ports(taken1) == [20])
        let rest = table.take([ShadowSamples.address])
        #expect(rest.isEmpty)
        #expect(table.count == 1)
        let taken2 = table.take([ShadowSamples.otherAddress])
        #expect(ports(taken2) == [30])
        #expect(table.count == 0)
    }

    @Test func workersHaveTheirOwnNames() {
        var table = table([(1, ShadowSamples.opened(10))], workers: 2)
        table.apply(ShadowSamples.opened(11), of: 1, worker: 1, now: now)
        table.apply(.closed, of: 1, worker: 0, now: now)
        let taken3 = table.take([ShadowSamples.address])
        #expect(ports(taken3) == [11])
    }

    /// Without a secret anyone can say what a client asked; nobody's word makes this node send it.
    @Test func aPeerThatProvedNothingIsNotBelievedAboutRequests() throws {
        var table = table([])
        table.distrustRequests()
        for id in 1...3 as ClosedRange<UInt32> {
            table.apply(ShadowSamples.opened(UInt16(id) * 10), of: id, worker: 0, now: now)
        }
        let asked = ShadowRecord.asked(receiveSequence: 1_100, head: ShadowSamples.head(100))
        table.apply(asked, of: 1, worker: 0, now: now)
        let transport = ShadowSamples.transport(receive: 1, send: 1)
        table.apply(.moved(transport: transport, unread: [1, 2]), of: 2, worker: 0, now: now)
        table.apply(.moved(transport: transport, unread: []), of: 3, worker: 0, now: now)
        let taken = table.take([ShadowSamples.address])
        #expect(taken.count == 3)
        #expect(taken.allSatisfy { $0.contentByteCount == 0 })
        let movable = taken.filter { $0.phase == .moved(unread: []) }
        #expect(ports(movable) == [30])
    }

    @Test func unknownNamesAreIgnored() {
        var table = table([
            (1, .closed), (2, .busy), (3, .answered(receiveSequence: 1, sendSequence: 2)),
            (4, .asked(receiveSequence: 1, head: [1])),
            (5, .moved(transport: ShadowSamples.transport(receive: 1, send: 1), unread: [])),
        ])
        #expect(table.count == 0)
        #expect(table.unknownCount == 5)
        table.apply(ShadowSamples.opened(1), of: 1, worker: 7, now: now)
        #expect(table.count == 0, "a worker without a channel")
    }

    @Test func nameThatIsOpenedAgainIsAnotherConnection() throws {
        var table = table([
            (1, ShadowSamples.opened(10)), (1, .busy), (1, ShadowSamples.opened(20)),
        ])
        #expect(table.count == 1)
        let taken = table.take([ShadowSamples.address])
        let shadow = try #require(taken.first)
        #expect(shadow.key.remotePort == 20)
        #expect(shadow.phase == .idle)
    }

    @Test func latestOfTwoConnectionsWithTheSameEndsCounts() throws {
        var table = table([(1, ShadowSamples.opened(10, receive: 1))], workers: 2)
        table.apply(ShadowSamples.opened(10, receive: 2), of: 9, worker: 1, now: now)
        let taken = table.take([ShadowSamples.address])
        #expect(taken.map(\.position.receive) == [2])
        #expect(table.count == 0)
    }

    @Test func channelThatWasGivenUpIsForgottenAndOneThatEndedIsNot() {
        var table = table([(1, ShadowSamples.opened(10))], workers: 2)
        table.apply(ShadowSamples.opened(11), of: 1, worker: 1, now: now)
        table.channelEnded(worker: 0, .givenUp)
        table.channelEnded(worker: 1, .complete)
        let taken4 = table.take([ShadowSamples.address])
        #expect(ports(taken4) == [11])
    }

    @Test func newChannelReplacesTheFormerAndNewProcessAll() {
        var table = table([(1, ShadowSamples.opened(10))], workers: 2)
        table.apply(ShadowSamples.opened(11), of: 1, worker: 1, now: now)
        let isKept = table.channelBegan(worker: 0, incarnation: 1)
        #expect(isKept)
        #expect(table.count == 1)
        let isNewKept = table.channelBegan(worker: 0, incarnation: 2)
        #expect(isNewKept)
        #expect(table.count == 0)
    }

    @Test func snapshotReplacesAndIsCounted() {
        var table = table([(1, ShadowSamples.opened(10)), (2, ShadowSamples.opened(20))])
        table.snapshotBegan(worker: 0)
        table.apply(ShadowSamples.opened(30), of: 3, worker: 0, now: now)
        table.snapshotEnded(worker: 0, openCount: 1)
        #expect(table.mismatchCount == 0)
        table.snapshotEnded(worker: 0, openCount: 2)
        #expect(table.mismatchCount == 1)
        let taken5 = table.take([ShadowSamples.address])
        #expect(ports(taken5) == [30])
        // What was taken out is missing for a reason.
        table.snapshotEnded(worker: 0, openCount: 2)
        #expect(table.mismatchCount == 1)
    }

    @Test func connectionsBeyondTheLimitAreCounted() {
        var table = PeerShadowTable(connectionCountMax: 2)
        let isKept = table.channelBegan(worker: 0, incarnation: 1)
        #expect(isKept)
        for port in 1...3 {
            table.apply(
                ShadowSamples.opened(UInt16(port)), of: UInt32(port), worker: 0, now: now)
        }
        #expect(table.count == 2)
        #expect(table.omittedCount == 1)
        table.apply(.closed, of: 1, worker: 0, now: now)
        table.apply(ShadowSamples.opened(4), of: 4, worker: 0, now: now)
        let taken6 = table.take([ShadowSamples.address])
        #expect(ports(taken6) == [2, 4])
    }

    @Test func headsBeyondTheLimitAreLeftOutAndTheirRoomComesBack() throws {
        var table = PeerShadowTable(contentByteCountMax: 150)
        let isKept = table.channelBegan(worker: 0, incarnation: 1)
        #expect(isKept)
        let asked = ShadowRecord.asked(receiveSequence: 1_100, head: ShadowSamples.head(100))
        for id in [1, 2] as [UInt32] {
            table.apply(ShadowSamples.opened(UInt16(id)), of: id, worker: 0, now: now)
            table.apply(asked, of: id, worker: 0, now: now)
        }
        #expect(table.omittedHeadCount == 1)
        // Asked again, closed, opened anew: the room is the same as before.
        for _ in 0..<5 {
            table.apply(
                .answered(receiveSequence: 1_000, sendSequence: 5_000), of: 1, worker: 0,
                now: now)
            table.apply(asked, of: 1, worker: 0, now: now)
        }
        table.apply(.closed, of: 1, worker: 0, now: now)
        table.apply(asked, of: 2, worker: 0, now: now)
        #expect(table.omittedHeadCount == 1)
        let taken = table.take([ShadowSamples.address])
        let shadow = try #require(taken.first)
        #expect(shadow.request?.head.count == 100)
    }

    @Test func movedConnectionsAreTakenOutAlone() throws {
        let exact = ShadowSamples.transport(receive: 7, send: 9)
        var table = table([
            (1, ShadowSamples.opened(10)), (2, ShadowSamples.opened(20)),
            (1, .moved(transport: exact, unread: [1])),
            (1, .busy), (1, .answered(receiveSequence: 1, sendSequence: 1)),
        ])
        #expect(table.movedCount == 1)
        let elsewhere = table.takeMoved([ShadowSamples.otherAddress])
        #expect(elsewhere.isEmpty)
        let taken = table.takeMoved([ShadowSamples.address])
        let moved = try #require(taken.first)
        #expect(moved.phase == .moved(unread: [1]))
        #expect(moved.transport == exact)
        #expect(table.movedCount == 0)
        #expect(table.count == 1)
    }

    @Test func movedConnectionsNobodyTookAreForgottenInTime() {
        let exact = ShadowSamples.transport(receive: 7, send: 9)
        var table = table([
            (1, ShadowSamples.opened(10)), (1, .moved(transport: exact, unread: [])),
        ])
        let forgotten0 = table.forgetMoved(before: ShadowSamples.instant(1))
        #expect(forgotten0 == 0)
        let forgotten1 = table.forgetMoved(before: ShadowSamples.instant(2))
        #expect(forgotten1 == 1)
        #expect(table.count == 0)
    }

    @Test func unreadBytesWithoutRoomMakeAMovedConnectionEnd() throws {
        var table = PeerShadowTable(contentByteCountMax: 1)
        let isKept = table.channelBegan(worker: 0, incarnation: 1)
        #expect(isKept)
        let exact = ShadowSamples.transport(receive: 7, send: 9)
        table.apply(ShadowSamples.opened(1), of: 1, worker: 0, now: now)
        table.apply(.moved(transport: exact, unread: [1, 2]), of: 1, worker: 0, now: now)
        let taken = table.takeMoved([ShadowSamples.address])
        let moved = try #require(taken.first)
        #expect(AdoptionJudge.refusal(moved) == .busy)
    }

    @Test func movedConnectionSurvivesWhatItsWorkerCallsByItsName() throws {
        let exact = ShadowSamples.transport(receive: 7, send: 9)
        var table = table([
            (1, ShadowSamples.opened(10)), (1, .moved(transport: exact, unread: [])),
            (1, ShadowSamples.opened(20)),
        ])
        #expect(table.count == 2)
        table.snapshotEnded(worker: 0, openCount: 1)
        #expect(table.mismatchCount == 0)
        table.snapshotBegan(worker: 0)
        let isKept = table.channelBegan(worker: 0, incarnation: 2)
        #expect(isKept)
        let taken = table.takeMoved([ShadowSamples.address])
        #expect(ports(taken) == [10])
        #expect(table.count == 0)
    }

    @Test func movedConnectionsOfAChannelThatWasGivenUpAreForgotten() {
        let exact = ShadowSamples.transport(receive: 7, send: 9)
        var table = table([
            (1, ShadowSamples.opened(10)), (1, .moved(transport: exact, unread: [])),
        ])
        table.channelEnded(worker: 0, .givenUp)
        #expect(table.count == 0)
        #expect(table.movedCount == 0)
    }

    /// A planned switchover moves some dozens at a time out of very many.
    @Test func takingMovedConnectionsLooksAtNoOthers() {
        let count = 100_000
        let perFrame = 64
        let exact = ShadowSamples.transport(receive: 7, send: 9)
        var table = PeerShadowTable()
        let isKept = table.channelBegan(worker: 0, incarnation: 1)
        #expect(isKept)
        for id in 0..<UInt32(count) {
            let key = ClientKey(
                localAddress: ShadowSamples.address, localPort: 80,
                remoteAddress: .v4(IPv4Address(rawValue: 0x0A00_0000 + id)), remotePort: 40_000)
            table.apply(
                .opened(key: key, level: .idle, transport: exact, client: nil), of: id,
                worker: 0, now: now)
        }
        var takenCount = 0
        for first in stride(from: 0, to: count, by: perFrame) {
            for id in first..<min(first + perFrame, count) {
                table.apply(
                    .moved(transport: exact, unread: []), of: UInt32(id), worker: 0, now: now)
            }
            takenCount += table.takeMoved([ShadowSamples.address]).count
        }
        #expect(takenCount == count)
        #expect(table.visitCount == count)
        #expect(table.count == 0)
    }
}
