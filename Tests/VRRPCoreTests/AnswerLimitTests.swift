// SPDX-License-Identifier: Apache-2.0
//
// RFC 9568 §6.4.3 has an Active answer adverts at once; a flood of them must not become ours.

import Testing
import VRRPCore
import WireCore

@Suite("Answers to adverts")
struct AnswerLimitTests {
    private func answers(_ actions: [VirtualRouterAction]) -> Int {
        actions.effects.count { $0 == .sendAdvertisement(priority: 100) }
    }

    @Test("RFC 9568 §6.4.3: the first is answered at once, and one that comes 10 ms later is")
    func answersAtOnce() throws {
        let (router, since) = try RouterUnderTest.active()
        for step in UInt64(0)..<50 {
            let actions = router.hear(
                priority: 50, from: RouterUnderTest.lowerAddress, centiseconds: 1,
                at: since + ms(100 + 10 * step))
            #expect(answers(actions) == 1)
        }
    }

    @Test(
        "A flood is answered a hundred times a second, and its last advert as well",
        arguments: [0, 1, 99] as [UInt8])
    func limitsAnswers(priority: UInt8) throws {
        let (router, since) = try RouterUnderTest.active()
        var count = 0
        // 100,000 adverts a second for half a second.
        for step in UInt64(0)..<50_000 {
            let time = since + ms(100) + us(10 * step)
            while let deadline = router.deadline, deadline <= time {
                count += answers(router.timer(at: deadline))
            }
            count += answers(
                router.hear(priority: priority, from: RouterUnderTest.lowerAddress, at: time))
        }
        #expect((50...110).contains(count), "\(count) answers in half a second")
        let deadline = try #require(router.deadline)
        #expect(deadline <= since + ms(610))
        #expect(answers(router.timer(at: deadline)) == 1)
        #expect(router.state == .active)
    }
}
