// SPDX-License-Identifier: Apache-2.0
//
// Goal: every row of the judge's table, at numbers in the middle of their range and around its end.
// Method: shadows made by records, answers by offsets from the shadow's numbers.

import ReplicationCore
import Testing
import WireCore

struct AdoptionJudgeTests {
    /// Where connections begin: in the middle, and such that every number wraps around.
    static let origins: [StreamPosition] = [
        StreamPosition(receive: 1_000, send: 5_000),
        StreamPosition(receive: .max - 49, send: .max - 99),
        StreamPosition(receive: .max, send: .max),
        StreamPosition(receive: 1 << 31 - 50, send: 1 << 31 - 100),
    ]

    /// A request of 100 bytes with an answer of 200.
    private func shadow(
        _ origin: StreamPosition, level: ShadowLevel = .requests, _ records: [ShadowRecord]
    ) throws -> ConnectionShadow {
        var table = PeerShadowTable()
        let isKept = table.channelBegan(worker: 0, incarnation: 1)
        #expect(isKept)
        let opened = ShadowSamples.opened(
            1, receive: origin.receive, send: origin.send, level: level)
        for record in [opened] + records {
            table.apply(record, of: 1, worker: 0, now: ShadowSamples.instant(0))
        }
        let taken = table.take([ShadowSamples.address])
        return try #require(taken.first)
    }

    private func asked(_ origin: StreamPosition) -> ShadowRecord {
        .asked(receiveSequence: origin.receive &+ 100, head: ShadowSamples.head(100))
    }

    private func answered(_ origin: StreamPosition) -> ShadowRecord {
        .answered(receiveSequence: origin.receive &+ 100, sendSequence: origin.send &+ 200)
    }

    private func verdict(
        _ shadow: ConnectionShadow, _ origin: StreamPosition, sent: Int, received: Int
    ) -> AdoptionVerdict {
        AdoptionJudge.judge(
            shadow,
            ClientAnswer(
                sent: origin.receive &+ UInt32(truncatingIfNeeded: sent),
                received: origin.send &+ UInt32(truncatingIfNeeded: received)))
    }

    @Test(arguments: origins)
    func idleConnectionGoesOn(_ origin: StreamPosition) throws {
        for level in [ShadowLevel.idle, .requests] {
            let idle = try shadow(origin, level: level, [])
            #expect(AdoptionJudge.likelyPosition(idle) == origin)
            #expect(
                verdict(idle, origin, sent: 0, received: 0)
                    == .resume(origin, expectsBytes: false))
            #expect(
                verdict(idle, origin, sent: 70, received: 0)
                    == .resume(origin, expectsBytes: true))
            #expect(verdict(idle, origin, sent: -1, received: 0) == .reset(.numbers))
            #expect(verdict(idle, origin, sent: 0, received: 1) == .reset(.numbers))
            #expect(verdict(idle, origin, sent: 0, received: -1) == .reset(.answerCutOff))
            #expect(AdoptionJudge.judgeSilent(idle) == .resume(origin, expectsBytes: false))
        }
    }

    @Test(arguments: origins)
    func requestInFlightIsIssuedAgain(_ origin: StreamPosition) throws {
        let shadow = try shadow(origin, [asked(origin)])
        let behind = StreamPosition(receive: origin.receive &+ 100, send: origin.send)
        #expect(AdoptionJudge.likelyPosition(shadow) == behind)
        let head = ShadowSamples.head(100)
        #expect(
            verdict(shadow, origin, sent: 100, received: 0)
                == .reissue(behind, head: head, expectsBytes: false))
        #expect(
            verdict(shadow, origin, sent: 150, received: 0)
                == .reissue(behind, head: head, expectsBytes: true))
        #expect(verdict(shadow, origin, sent: 99, received: 0) == .reset(.numbers))
        #expect(verdict(shadow, origin, sent: 100, received: 1) == .reset(.answerCutOff))
        #expect(verdict(shadow, origin, sent: 100, received: -1) == .reset(.numbers))
        #expect(AdoptionJudge.judgeSilent(shadow) == .reset(.silent))
    }

    @Test(arguments: origins)
    func answeredRequestIsIssuedAgainWhenNothingOfTheAnswerArrived(
        _ origin: StreamPosition
    ) throws {
        let shadow = try shadow(origin, [asked(origin), answered(origin)])
        let after = StreamPosition(receive: origin.receive &+ 100, send: origin.send &+ 200)
        let behind = StreamPosition(receive: origin.receive &+ 100, send: origin.send)
        #expect(AdoptionJudge.likelyPosition(shadow) == after)
        #expect(
            verdict(shadow, origin, sent: 100, received: 200)
                == .resume(after, expectsBytes: false))
        #expect(
            verdict(shadow, origin, sent: 170, received: 200)
                == .resume(after, expectsBytes: true))
        #expect(
            verdict(shadow, origin, sent: 100, received: 0)
                == .reissue(behind, head: ShadowSamples.head(100), expectsBytes: false))
        #expect(verdict(shadow, origin, sent: 100, received: 1) == .reset(.answerCutOff))
        #expect(verdict(shadow, origin, sent: 100, received: 199) == .reset(.answerCutOff))
        #expect(verdict(shadow, origin, sent: 100, received: 201) == .reset(.numbers))
        #expect(AdoptionJudge.judgeSilent(shadow) == .resume(after, expectsBytes: false))
    }

    @Test func whatMustNotBeRepeatedIsReset() throws {
        let origin = Self.origins[0]
        let busy = try shadow(origin, [asked(origin), answered(origin), .busy])
        #expect(AdoptionJudge.likelyPosition(busy) == nil)
        #expect(verdict(busy, origin, sent: 100, received: 200) == .reset(.busy))
        #expect(AdoptionJudge.judgeSilent(busy) == .reset(.busy))
        // Answered, but the answer did not arrive.
        let done = try shadow(origin, [.busy, answered(origin)])
        #expect(verdict(done, origin, sent: 100, received: 0) == .reset(.answerCutOff))
        let idleOnly = try shadow(origin, level: .idle, [asked(origin)])
        #expect(verdict(idleOnly, origin, sent: 100, received: 0) == .reset(.busy))
        let notCarried = try shadow(origin, level: .reset, [])
        #expect(verdict(notCarried, origin, sent: 0, received: 0) == .reset(.notCarried))
        #expect(AdoptionJudge.likelyPosition(notCarried) == nil)
    }

    @Test func onlyTheLatestRequestIsIssuedAgain() throws {
        let origin = Self.origins[0]
        // Answered without having been asked: the kept request is not the one.
        let other = ShadowRecord.answered(
            receiveSequence: origin.receive &+ 300, sendSequence: origin.send &+ 400)
        let shadow = try shadow(origin, [asked(origin), answered(origin), other])
        #expect(shadow.request == nil)
        #expect(verdict(shadow, origin, sent: 300, received: 200) == .reset(.answerCutOff))
    }

    @Test func headThatLeavesAGapIsBusy() throws {
        let origin = Self.origins[0]
        let shadow = try shadow(
            origin,
            [.asked(receiveSequence: origin.receive &+ 101, head: ShadowSamples.head(100))])
        #expect(shadow.phase == .busy)
    }

    @Test func requestWithoutHeadIsTheClientsToRepeat() throws {
        let origin = Self.origins[0]
        let shadow = try shadow(
            origin, [.asked(receiveSequence: origin.receive &+ 100, head: [])])
        #expect(AdoptionJudge.likelyPosition(shadow) == origin)
        #expect(
            verdict(shadow, origin, sent: 100, received: 0)
                == .resume(origin, expectsBytes: true))
    }

    @Test func movedConnectionGoesOnWithoutQuestion() throws {
        let origin = Self.origins[0]
        let exact = ShadowSamples.transport(receive: 7, send: 9)
        let shadow = try shadow(
            origin, [asked(origin), answered(origin), .moved(transport: exact, unread: [1, 2])])
        #expect(shadow.isMoved)
        #expect(
            AdoptionJudge.judgeSilent(shadow)
                == .resume(StreamPosition(receive: 7, send: 9), expectsBytes: false))
    }

    @Test func aKeepAliveProbeIsNoAnswer() throws {
        for origin in Self.origins {
            let idle = try shadow(origin, [])
            let probe = ClientAnswer(sent: origin.receive &- 1, received: origin.send)
            #expect(AdoptionJudge.isProbe(probe, of: idle))
            let answer = ClientAnswer(sent: origin.receive, received: origin.send)
            #expect(!AdoptionJudge.isProbe(answer, of: idle))
            let waiting = try shadow(origin, [asked(origin)])
            let end = try #require(waiting.request).receiveEnd
            let probing = ClientAnswer(sent: end &- 1, received: origin.send)
            #expect(AdoptionJudge.isProbe(probing, of: waiting))
        }
    }

    @Test func timeStampsOfTheNewConnectionAreAheadOfTheOld() throws {
        let shadow = try shadow(Self.origins[0], [])
        let hour: UInt64 = 3_600_000
        let later = shadow.transport(at: shadow.position, now: ShadowSamples.instant(hour))
        let ahead = later.timestamp &- 1_000_000
        // By the time that passed and more than two hosts' clocks differ by.
        let least = UInt32(hour) + UInt32(ConnectionShadow.marginMilliseconds)
        #expect(ahead >= least + UInt32(hour) / 2_000)
        #expect(ahead <= least + UInt32(hour) / 500)
    }
}
