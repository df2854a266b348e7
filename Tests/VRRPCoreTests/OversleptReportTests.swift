// SPDX-License-Identifier: Apache-2.0
//
// An Active that overslept is asked before its next event: it must not call itself Active, and that
// event must make it give up.

import Testing
import VRRPCore
import WireCore

@Suite struct OversleptReportTests {
    @Test("Who overslept, asked at any time, is who gives up at the next event")
    func theQuestionAgreesWithTheNextEvent() throws {
        for milliseconds in stride(from: 0, through: 5_000, by: 50) as StrideThrough<UInt64> {
            let (router, since) = try RouterUnderTest.active()
            let late = since + .milliseconds(milliseconds)
            let hasOverslept = router.hasOverslept(at: late)
            let actions = router.hearOnLink(.backup, priority: 1, at: late)
            let gaveUp = actions.transitions.map(\.cause) == [.overslept]
            #expect(hasOverslept == gaveUp, "after \(milliseconds) ms")
            #expect(!router.hasOverslept(at: late), "whoever gave up is late no more")
            if milliseconds <= 3_000 { #expect(!hasOverslept) }
            if milliseconds >= 4_000 { #expect(hasOverslept) }
        }
    }

    @Test("A Backup never overslept: it said nothing that could be wrong")
    func aBackupHasNotOverslept() throws {
        let router = try RouterUnderTest.started()
        #expect(!router.hasOverslept(at: .seconds(3_600)))
    }
}
