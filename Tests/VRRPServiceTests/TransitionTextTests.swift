// SPDX-License-Identifier: Apache-2.0
//
// Goal: a transition reads as a sentence that starts with the instance. Method: a table.

import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite struct TransitionTextTests {
    private func line(
        _ from: VirtualRouterState, _ to: VirtualRouterState,
        _ cause: VirtualRouterTransition.Cause,
        _ change: (inout TransitionText) -> Void = { _ in }
    ) -> String {
        var text = TransitionText(
            label: "vrid 51",
            transition: VirtualRouterTransition(from: from, to: to, cause: cause))
        change(&text)
        return text.line
    }

    private let heard = HeardActive(
        address: IPAddress(192, 0, 2, 2), priority: 200, interval: .seconds(1),
        heardAt: Instant(nanoseconds: 1_000_000))

    private func failover(_ reason: FailoverRecord.Reason) -> FailoverRecord {
        let decision = Moment(instant: Instant(nanoseconds: 73_000_000), wallNanoseconds: 0)
        return FailoverRecord(
            instance: Packet.instance, detectedBecause: reason,
            lastHeardFromActiveAt: Moment(
                instant: Instant(nanoseconds: 1_000_000), wallNanoseconds: 0),
            detectedAt: decision, claimedAt: decision, advertisedAt: decision,
            announcedAt: decision)
    }

    @Test func everyCauseHasItsSentence() {
        #expect(
            line(.backup, .active, .peerDeathProven)
                == "[vrid 51] backup -> active: peer process died (link EOF, port refused)")
        #expect(line(.initialize, .backup, .startup) == "[vrid 51] initialize -> backup: started")
        #expect(
            line(.initialize, .backup, .startup) { $0.isRestart = true }
                == "[vrid 51] initialize -> backup: in service again")
        #expect(
            line(.active, .initialize, .localFault) { $0.faults = [.interfaceDown] }
                == "[vrid 51] active -> initialize: the interface is down")
        #expect(
            line(.active, .backup, .higherPriorityHeard) { $0.heardActive = heard }
                == "[vrid 51] active -> backup: heard the better router 192.0.2.2 (priority 200)")
    }

    @Test func silenceNamesTheSilentRouterAndHowLong() {
        let text = line(.backup, .active, .activeDownTimerFired) {
            $0.heardActive = heard
            $0.failover = failover(.activeDownTimer)
        }
        #expect(text == "[vrid 51] backup -> active: 192.0.2.2 (priority 200) silent for 72ms")
        #expect(
            line(.backup, .active, .activeDownTimerFired)
                == "[vrid 51] backup -> active: heard no Active")
    }

    @Test(arguments: [
        (FailoverRecord.Reason.switchover, "peer handed over (switchover)"),
        (.peerLeft, "peer handed over (it leaves)"),
    ])
    func handOverSaysWhy(reason: FailoverRecord.Reason, sentence: String) {
        let text = line(.backup, .active, .peerHandedOver) { $0.failover = failover(reason) }
        #expect(text == "[vrid 51] backup -> active: " + sentence)
    }
}
