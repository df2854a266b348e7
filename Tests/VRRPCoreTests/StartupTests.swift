// SPDX-License-Identifier: Apache-2.0
//
// Goal: a node that has just started, on a network that may carry nothing yet, does not take an
// address from a neighbour that lives. Method: routers with short intervals in virtual time.

import Testing
import VRRPCore
import WireCore

struct StartupTests {
    private static let patience = TimeSpan.seconds(1)

    private func started(
        interval: TimeSpan = ms(10), priority: UInt8 = 100
    ) throws -> RouterUnderTest {
        let router = try RouterUnderTest(
            priority: priority, interval: interval, startupSilence: Self.patience)
        router.startup(at: .zero)
        return router
    }

    @Test func silenceIsNotBelievedRightAfterStartup() throws {
        let router = try started()
        #expect(router.deadline == Self.patience)
        #expect(router.timer(at: ms(999)).effects == [])
        #expect(router.state == .backup)
        router.timer(at: Self.patience)
        #expect(router.state == .active)
    }

    @Test func aLongIntervalIsNotMadeLonger() throws {
        let router = try started(interval: .seconds(1))
        #expect(router.deadline == us(3_609_375))
    }

    @Test func theOwnerDoesNotListen() throws {
        #expect(try started(priority: 255).state == .active)
    }

    /// The network works: from here on silence means what it says.
    @Test func whoHeardTheActiveNeedsNoMorePatience() throws {
        let router = try started()
        let usual = try RouterUnderTest.started(interval: ms(10))
        for each in [router, usual] { each.hear(priority: 200, at: ms(3)) }
        let deadline = try #require(router.deadline)
        #expect(deadline == usual.deadline)
        #expect(deadline < ms(50))
        router.timer(at: deadline)
        #expect(router.state == .active)
    }

    @Test func anActiveThatGivesUpIsReplacedAtOnce() throws {
        let router = try started()
        router.hear(priority: 0, at: ms(3))
        #expect(try #require(router.deadline) < ms(50))
    }

    @Test func aProvenDeathIsBelievedAtOnce() throws {
        let router = try started()
        router.hear(priority: 200, at: ms(3))
        router.provePeerDeath(at: ms(4))
        #expect(router.state == .active)
    }

    /// A cable that was plugged in is as fresh as a start.
    @Test func backInServiceIsAStart() throws {
        let router = try started()
        router.fault(at: ms(100))
        router.recover(at: .seconds(5))
        #expect(router.state == .backup)
        #expect(router.deadline == .seconds(6))
    }
}
