// SPDX-License-Identifier: Apache-2.0
//
// The death certificate: every order of events that matters, as a table, and as random walks
// against the rule itself.

import ReplicationCore
import Testing
import WireCore

@Suite struct PeerLivenessTests {
    static let interval = TimeSpan.milliseconds(10)

    /// One thing that happens, `after` milliseconds after the one before.
    enum Event: Sendable {
        case established(UInt64)
        case heartbeat(UInt64)
        case goodbye(UInt64)
        case ended(UInt64, LinkEnding)
        case probe(ProbeResult)
        case timer(after: UInt64)
    }

    struct Story: Sendable, CustomTestStringConvertible {
        let name: String
        let events: [Event]
        let actions: [PeerLivenessAction]
        let downReason: LinkDownReason?
        var testDescription: String { name }

        init(
            _ name: String, _ events: [Event], _ actions: [PeerLivenessAction],
            down: LinkDownReason?
        ) {
            self.name = name
            self.events = events
            self.actions = actions
            downReason = down
        }
    }

    static let probeTimeoutMilliseconds = PeerLivenessStateMachine.probeTimeout.milliseconds

    static let stories = [
        Story("no link yet", [], [], down: .neverUp),
        Story(
            "link comes up", [.established(1), .heartbeat(1)], [.reportLinkUp, .none], down: nil),
        Story(
            "EOF and refused: dead", [.established(1), .ended(1, .endOfStream), .probe(.refused)],
            [.reportLinkUp, .probeAndReportLinkDown, .certifyDeath], down: .endOfStream),
        Story(
            "EOF and connected: only the link broke",
            [
                .established(1), .ended(1, .endOfStream), .probe(.connected),
                .timer(after: probeTimeoutMilliseconds),
            ],
            [.reportLinkUp, .probeAndReportLinkDown, .none, .reportPeerAlive],
            down: .endOfStream),
        Story(
            "EOF and no answer, three times",
            [
                .established(1), .ended(1, .endOfStream),
                .timer(after: probeTimeoutMilliseconds), .timer(after: probeTimeoutMilliseconds),
                .timer(after: probeTimeoutMilliseconds), .probe(.refused),
            ],
            [.reportLinkUp, .probeAndReportLinkDown, .probe, .probe, .reportNoVerdict, .none],
            down: .endOfStream),
        Story(
            "EOF, a lost SYN, then refused: dead",
            [
                .established(1), .ended(1, .endOfStream),
                .timer(after: probeTimeoutMilliseconds), .probe(.refused),
            ],
            [.reportLinkUp, .probeAndReportLinkDown, .probe, .certifyDeath], down: .endOfStream),
        Story(
            "EOF and unreachable",
            [.established(1), .ended(1, .endOfStream), .probe(.failed), .probe(.refused)],
            [.reportLinkUp, .probeAndReportLinkDown, .reportNoVerdict, .none],
            down: .endOfStream),
        Story(
            "EOF, accepted by a dying listener, then refused: dead",
            [
                .established(1), .ended(1, .endOfStream), .probe(.connected),
                .probe(.closedAfterConnect), .probe(.refused),
            ],
            [.reportLinkUp, .probeAndReportLinkDown, .none, .probe, .certifyDeath],
            down: .endOfStream),
        Story(
            "EOF, accepted and closed each time",
            [
                .established(1), .ended(1, .endOfStream), .probe(.closedAfterConnect),
                .probe(.closedAfterConnect), .probe(.closedAfterConnect), .probe(.refused),
            ],
            [.reportLinkUp, .probeAndReportLinkDown, .probe, .probe, .reportNoVerdict, .none],
            down: .endOfStream),
        Story(
            "reset and refused: never a certificate",
            [.established(1), .ended(1, .reset), .probe(.refused)],
            [.reportLinkUp, .reportLinkDown(.reset), .none], down: .reset),
        Story(
            "protocol fault and refused: never a certificate",
            [.established(1), .ended(1, .fault), .probe(.refused)],
            [.reportLinkUp, .reportLinkDown(.fault), .none], down: .fault),
        Story(
            "refused without a link before", [.probe(.refused)], [.none], down: .neverUp),
        Story(
            "EOF of a connection that never authenticated",
            [.ended(1, .endOfStream), .probe(.refused)], [.none, .none], down: .neverUp),
        Story(
            "EOF of an unauthenticated connection beside a good link",
            [.established(1), .ended(2, .endOfStream), .probe(.refused)],
            [.reportLinkUp, .none, .none], down: nil),
        Story(
            "EOF of a replaced link",
            [.established(1), .established(2), .ended(1, .endOfStream), .probe(.refused)],
            [.reportLinkUp, .none, .none, .none], down: nil),
        Story(
            "an older link does not replace a newer one",
            [.established(2), .established(1), .ended(1, .endOfStream)],
            [.reportLinkUp, .none, .none], down: nil),
        Story(
            "EOF twice certifies once",
            [
                .established(1), .ended(1, .endOfStream), .ended(1, .endOfStream),
                .probe(.refused), .ended(1, .endOfStream), .probe(.refused),
            ],
            [.reportLinkUp, .probeAndReportLinkDown, .none, .certifyDeath, .none, .none],
            down: .endOfStream),
        Story(
            "the peer is back while the probe runs",
            [
                .established(1), .ended(1, .endOfStream), .established(2), .probe(.refused),
                .timer(after: 1),
            ],
            [.reportLinkUp, .probeAndReportLinkDown, .reportLinkUp, .none, .none], down: nil),
        Story(
            "EOF of the new link while the old one's probe runs",
            [
                .established(1), .ended(1, .endOfStream), .established(2),
                .ended(2, .endOfStream), .probe(.refused),
            ],
            [
                .reportLinkUp, .probeAndReportLinkDown, .reportLinkUp, .probeAndReportLinkDown,
                .certifyDeath,
            ], down: .endOfStream),
        Story(
            "silence", [.established(1), .timer(after: 30), .probe(.refused)],
            [.reportLinkUp, .reportLinkDown(.silent), .none], down: .silent),
        Story(
            "silence is not judged early", [.established(1), .timer(after: 29)],
            [.reportLinkUp, .none], down: nil),
        Story(
            "silence is judged later when this node itself was late",
            [.established(1), .timer(after: 41), .timer(after: 10)],
            [.reportLinkUp, .none, .reportLinkDown(.silent)], down: .silent),
        Story(
            "heartbeats return", [.established(1), .timer(after: 30), .heartbeat(1)],
            [.reportLinkUp, .reportLinkDown(.silent), .reportLinkUp], down: nil),
        Story(
            "a frozen peer is killed",
            [.established(1), .timer(after: 30), .ended(1, .endOfStream), .probe(.refused)],
            [
                .reportLinkUp, .reportLinkDown(.silent), .probeAndReportLinkDown, .certifyDeath,
            ], down: .endOfStream),
        Story(
            "a silent link is reset", [.established(1), .timer(after: 30), .ended(1, .reset)],
            [.reportLinkUp, .reportLinkDown(.silent), .none], down: .reset),
        Story(
            "a silent link is replaced", [.established(1), .timer(after: 30), .established(2)],
            [.reportLinkUp, .reportLinkDown(.silent), .reportLinkUp], down: nil),
        Story(
            "goodbye and EOF: left",
            [.established(1), .goodbye(1), .ended(1, .endOfStream), .probe(.refused)],
            [.reportLinkUp, .none, .reportPeerLeft, .none], down: .goodbye),
        Story(
            "goodbye and reset: only a fault", [.established(1), .goodbye(1), .ended(1, .reset)],
            [.reportLinkUp, .none, .reportLinkDown(.reset)], down: .reset),
        Story(
            "goodbye on another connection",
            [.established(2), .goodbye(1), .ended(2, .endOfStream)],
            [.reportLinkUp, .none, .probeAndReportLinkDown], down: .endOfStream),
        Story(
            "a goodbye does not outlive its link",
            [.established(1), .goodbye(1), .established(2), .ended(2, .endOfStream)],
            [.reportLinkUp, .none, .none, .probeAndReportLinkDown], down: .endOfStream),
        Story(
            "dead, back, and dead again: one certificate each",
            [
                .established(1), .ended(1, .endOfStream), .probe(.refused), .established(2),
                .ended(2, .endOfStream), .probe(.refused),
            ],
            [
                .reportLinkUp, .probeAndReportLinkDown, .certifyDeath, .reportLinkUp,
                .probeAndReportLinkDown, .certifyDeath,
            ], down: .endOfStream),
    ]

    @Test(arguments: stories)
    func storyEndsAsItMust(_ story: Story) {
        var machine = PeerLivenessStateMachine(heartbeatInterval: Self.interval)
        var now = Instant(nanoseconds: 1_000_000_000)
        let actions = story.events.map { perform($0, on: &machine, now: &now) }
        #expect(actions == story.actions)
        #expect(machine.downReason == story.downReason)
        #expect(machine.isLinkUp == (story.downReason == nil))
    }

    private func perform(
        _ event: Event, on machine: inout PeerLivenessStateMachine, now: inout Instant
    ) -> PeerLivenessAction {
        switch event {
        case .established(let number):
            return machine.linkEstablished(LinkGeneration(number: number), now: now)
        case .heartbeat(let number):
            return machine.heartbeatReceived(on: LinkGeneration(number: number), now: now)
        case .goodbye(let number):
            machine.goodbyeReceived(on: LinkGeneration(number: number))
            return .none
        case .ended(let number, let ending):
            return machine.linkEnded(LinkGeneration(number: number), ending, now: now)
        case .probe(let result):
            return machine.probeEnded(result, now: now)
        case .timer(let milliseconds):
            now = now + .milliseconds(milliseconds)
            return machine.deadlinePassed(now: now)
        }
    }

    @Test func deadlinesFollowTheState() {
        var machine = PeerLivenessStateMachine(heartbeatInterval: Self.interval)
        let start = Instant(nanoseconds: 0)
        #expect(machine.nextDeadline == nil)
        _ = machine.linkEstablished(LinkGeneration(number: 1), now: start)
        #expect(machine.nextDeadline == start + .milliseconds(30))
        _ = machine.heartbeatReceived(
            on: LinkGeneration(number: 1), now: start + .milliseconds(7))
        #expect(machine.nextDeadline == start + .milliseconds(37))
        _ = machine.deadlinePassed(now: start + .milliseconds(37))
        #expect(machine.nextDeadline == nil)
        _ = machine.linkEnded(
            LinkGeneration(number: 1), .endOfStream, now: start + .milliseconds(40))
        #expect(
            machine.nextDeadline
                == start + .milliseconds(40) + PeerLivenessStateMachine.probeTimeout)
        _ = machine.probeEnded(.refused, now: start + .milliseconds(41))
        #expect(machine.nextDeadline == nil)
    }

    /// Random walks: a certificate comes only when the last thing that ended an authenticated link
    /// was the end of its stream, no link came since, and the event itself is a refusal.
    @Test(arguments: 0..<16)
    func noOrderOfEventsForgesACertificate(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var machine = PeerLivenessStateMachine(heartbeatInterval: Self.interval)
        var now = Instant(nanoseconds: 1_000_000_000)
        var current: UInt64?
        var hasGoodbye = false
        var mayCertify = false
        var certificateCount = 0
        for _ in 0..<5_000 {
            let event = randomEvent(&generator)
            let action = perform(event, on: &machine, now: &now)
            if action == .certifyDeath {
                certificateCount += 1
                #expect(mayCertify, "seed \(seed)")
                guard case .probe(.refused) = event else {
                    Issue.record("certificate without a refusal, seed \(seed)")
                    return
                }
                mayCertify = false
            }
            if action == .reportPeerLeft { #expect(hasGoodbye, "seed \(seed)") }
            switch event {
            case .established(let number) where current.map({ $0 < number }) ?? true:
                (current, hasGoodbye, mayCertify) = (number, false, false)
            case .goodbye(let number) where number == current:
                hasGoodbye = true
            case .ended(let number, let ending) where number == current:
                mayCertify = ending == .endOfStream && !hasGoodbye
                (current, hasGoodbye) = (nil, false)
            case .established, .goodbye, .ended, .heartbeat, .probe, .timer:
                break
            }
        }
        #expect(certificateCount > 0, "the walk never reaches a certificate: seed \(seed)")
    }

    private func randomEvent(_ generator: inout SeededGenerator) -> Event {
        let number = UInt64.random(in: 1...4, using: &generator)
        let results: [ProbeResult] = [.refused, .connected, .closedAfterConnect, .failed]
        let endings: [LinkEnding] = [.endOfStream, .endOfStream, .reset, .fault]
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: return .established(number)
        case 1: return .heartbeat(number)
        case 2: return .goodbye(number)
        case 3: return .ended(number, endings.randomElement(using: &generator) ?? .reset)
        case 4: return .probe(results.randomElement(using: &generator) ?? .failed)
        default: return .timer(after: UInt64.random(in: 0...60, using: &generator))
        }
    }
}

@Suite struct RedialBackoffTests {
    @Test func waitsDoubleUpToTheLimitWithJitter() {
        var backoff = RedialBackoff(seed: 1)
        var step = RedialBackoff.firstWait
        for _ in 0..<12 {
            let wait = backoff.next()
            #expect(wait >= step.divided(by: 2) && wait <= step)
            step = min(step.multiplied(by: 2), RedialBackoff.waitMax)
        }
        backoff.reset()
        #expect(backoff.next() <= RedialBackoff.firstWait)
    }

    @Test func twoSeedsDoNotWaitInStep() {
        var left = RedialBackoff(seed: 1)
        var right = RedialBackoff(seed: 2)
        let waits = (0..<8).map { _ in left.next() == right.next() }
        #expect(waits.contains(false))
    }
}
