// SPDX-License-Identifier: Apache-2.0
//
// Health by order: what ends it and what does not, and how it goes with a shared cause.

import BalancerCore
import Testing
import WireCore

@Suite struct ForcedHealthTests {
    @Test func stoppingKeepsConnectionsAndHolds() {
        var script = GovernorScript(count: 3, settings: .exact)
        script.event { $0.setForcedHealth(0, .stopping, now: $1) }
        #expect(script.picture == "uss")
        #expect(script.governor.draining.isEmpty)
        #expect(script.governor.status(of: 0, now: script.now)?.reason == .forcedStopping)
        script.fail(0)
        script.pass(0)
        script.wait(.seconds(1_000))
        #expect(script.picture == "uss")
        #expect(!script.take().contains { if case .forceClose = $0 { true } else { false } })
        script.event { $0.setForcedHealth(0, .up, now: $1) }
        #expect(script.picture == "sss")
        #expect(script.governor.status(of: 0, now: script.now)?.forced == nil)
        // Judged by its checks again.
        script.fail(0)
        #expect(script.picture == "uss")
    }

    @Test func stoppingClosesNothing() {
        var script = GovernorScript(count: 3, settings: .exact)
        script.event { $0.setForcedHealth(0, .stopping, now: $1) }
        #expect(!script.take().contains(.closeIdle(backend: 0)))
        script.event { $0.setForcedHealth(0, .down, now: $1) }
        #expect(script.take().contains(.closeIdle(backend: 0)))
    }

    @Test func stoppingLeavesMaintenanceAlone() {
        var script = GovernorScript(count: 2)
        script.event { $0.setAdminState(0, .maintenance, now: $1) }
        script.event { $0.setForcedHealth(0, .stopping, now: $1) }
        script.event { $0.setForcedHealth(0, .up, now: $1) }
        #expect(script.picture == "ms")
        script.event { $0.setAdminState(0, .ready, now: $1) }
        #expect(script.picture == "ss")
    }

    @Test func upLastsUntilACheckChangesItsMind() {
        for changes in 0..<3 {
            var script = GovernorScript(count: 3, settings: .exact)
            script.fail(0)
            script.event { $0.setForcedHealth(0, .up, now: $1) }
            #expect(script.picture == "sss")
            // The same verdict for another reason is no change.
            script.fail(0, .connectionRefused)
            #expect(script.picture == "sss")
            switch changes {
            case 0:
                script.pass(0)
                script.fail(0)
            case 1: script.fail(0, .notServing(.unknown), .readiness)
            default:
                script.event { $0.checkForgotten(0, .liveness, now: $1) }
                script.fail(0)
            }
            #expect(script.picture == "uss")
        }
    }

    @Test func whoIsJudgedAgainServesWhileTheCauseIsShared() {
        var script = GovernorScript(count: 5, settings: .guarded)
        script.event { $0.setForcedHealth(0, .down, now: $1) }
        script.event { $0.setAdminState(1, .maintenance, now: $1) }
        for index in 0..<5 { script.fail(index) }
        #expect(script.picture == "umsss")
        script.event { $0.setForcedHealth(0, nil, now: $1) }
        script.event { $0.setAdminState(1, .ready, now: $1) }
        #expect(script.picture == "sssss")
        #expect(script.governor.status(now: script.now).excusedCount == 5)
    }

    @Test func whoIsDeadStaysOutWhileTheCauseIsShared() {
        var script = GovernorScript(count: 5, settings: .guarded)
        script.event { $0.setAdminState(1, .maintenance, now: $1) }
        for index in [0, 2, 3, 4] { script.fail(index) }
        script.fail(1, .connectionRefused)
        script.event { $0.setAdminState(1, .ready, now: $1) }
        #expect(script.picture == "susss")
    }

    @Test func theGuardStaysWhileAllAreDead() {
        var script = GovernorScript(count: 3, settings: .guarded)
        for index in 0..<3 { script.fail(index, .connectionRefused) }
        #expect(script.picture == "sss")
        _ = script.take()
        script.wait(.seconds(600))
        #expect(script.take().isEmpty)
        #expect(script.governor.status(now: script.now).cascadeSince != nil)
        script.pass(0)
        #expect(script.picture == "suu")
        script.wait(.seconds(60))
        #expect(script.governor.status(now: script.now).cascadeSince == nil)
    }
}
