// SPDX-License-Identifier: Apache-2.0
//
// Goal: a switchover takes its steps in the one order that loses nothing, and every failure leaves
// a node with everything or nothing of it. Method: one machine, the other side and the driver
// played by the test.

import Testing
import WireCore

@testable import ReplicationCore

private let oldSeat = HandoverSeat(
    routerID: 7, address: IPAddress(10, 0, 0, 1), hardwareAddress: [1, 1, 1, 1, 1, 1])
private let newSeat = HandoverSeat(
    routerID: 7, address: IPAddress(10, 0, 0, 2), hardwareAddress: [2, 2, 2, 2, 2, 2])
private let start = Instant(nanoseconds: 1_000_000_000)
private let drainSpan = TimeSpan.seconds(30)

private func after(_ milliseconds: UInt64) -> Instant { start + .milliseconds(milliseconds) }

private func message(_ content: HandoverMessage.Content, token: UInt64 = 9) -> HandoverMessage {
    HandoverMessage(token: token, content)
}

private func asking(
    canForward: Bool = true, peerUnderstands: Bool = true
) -> HandoverStateMachine {
    var machine = HandoverStateMachine()
    let actions = machine.begin(
        token: 9, seats: [oldSeat], drain: drainSpan, canForward: canForward,
        peerUnderstands: peerUnderstands, now: start)
    if peerUnderstands {
        #expect(
            actions == [
                .send(
                    message(.prepare(seats: [oldSeat], drain: drainSpan, canForward: canForward)))
            ])
    }
    return machine
}

private func going() -> HandoverStateMachine {
    var machine = asking()
    _ = machine.messageReceived(message(.ready(seats: [newSeat], canForward: true)), now: after(1))
    _ = machine.tablesInstalled(now: after(2))
    #expect(machine.phase == .going)
    return machine
}

private func draining() -> HandoverStateMachine {
    var machine = going()
    _ = machine.messageReceived(message(.taken(after: .zero)), now: after(3))
    #expect(machine.phase == .draining)
    return machine
}

private func prepared(canForward: Bool = true) -> HandoverStateMachine {
    var machine = HandoverStateMachine()
    _ = machine.prepareReceived(
        token: 9, seats: [oldSeat], drain: drainSpan, canForward: canForward,
        standing: .init(refusal: nil, seats: [newSeat], canForward: true), now: start)
    if canForward {
        _ = machine.tablesInstalled(now: start)
        _ = machine.addressesPrepared(now: start)
    }
    #expect(machine.phase == .prepared)
    return machine
}

private func serving() -> HandoverStateMachine {
    var machine = prepared()
    _ = machine.messageReceived(message(.go), now: after(1))
    _ = machine.becameActive(now: after(2))
    #expect(machine.phase == .serving)
    return machine
}

struct HandoverOldNodeTests {
    @Test func nothingMovesBeforeBothNodesPassPacketsOn() {
        var machine = asking()
        #expect(
            machine.messageReceived(
                message(.ready(seats: [newSeat], canForward: true)), now: after(1))
                == [.installOldTables(toward: [newSeat])])
        #expect(
            machine.tablesInstalled(now: after(2)) == [
                .yield(isLingering: true), .send(message(.go)),
                .drain(until: after(2) + drainSpan),
            ])
        #expect(
            machine.messageReceived(message(.taken(after: .microseconds(300))), now: after(3))
                == [.report(.moved(gap: .milliseconds(1), isForwarding: true))])
        let connections = HandoverConnections(ended: 20, cut: 0)
        #expect(
            machine.drained(connections, now: after(3_000)) == [
                .endLingering, .removeTables, .send(message(.done(ended: 20, cut: 0))),
                .report(.finished(connections: connections, took: .milliseconds(3_000))),
            ])
        #expect(machine.phase == .idle && machine.nextDeadline == nil)
    }

    @Test func aDrainThatEndsEarlyWaitsForTheOtherNode() {
        var machine = going()
        #expect(machine.drained(HandoverConnections(ended: 0, cut: 0), now: after(3)) == [])
        let actions = machine.messageReceived(message(.taken(after: .zero)), now: after(4))
        #expect(actions.contains(.endLingering))
        #expect(machine.phase == .idle)
    }

    @Test func refusalChangesNothing() {
        var machine = asking()
        #expect(
            machine.messageReceived(message(.refuse(.faulty)), now: after(1))
                == [.report(.refused(.faulty))])
        #expect(machine.phase == .idle)
    }

    @Test func silenceIsGivenUp() {
        var machine = asking()
        // A busy core over there is no reason.
        #expect(machine.linkWentDown(now: after(300)) == [])
        #expect(machine.deadlinePassed(now: after(1_999)) == [])
        #expect(
            machine.deadlinePassed(now: after(2_000)) == [
                .removeTables, .send(message(.abort(.timeout))), .report(.failed(.timeout)),
            ])
    }

    @Test func withoutForwardingClientsArePartedFromFirst() {
        var machine = asking()
        #expect(
            machine.messageReceived(
                message(.ready(seats: [newSeat], canForward: false)), now: after(1))
                == [.partFromClients])
        #expect(
            machine.deadlinePassed(now: after(501)) == [
                .yield(isLingering: false), .send(message(.go)),
            ])
        #expect(
            machine.messageReceived(message(.taken(after: .zero)), now: after(503)) == [
                .report(.moved(gap: .milliseconds(2), isForwarding: false)),
                .report(.finished(connections: nil, took: .milliseconds(503))),
            ])
    }

    @Test func anOlderPeerIsHandedOverToInItsOwnWay() {
        var machine = asking(peerUnderstands: false)
        #expect(machine.phase == .parting)
        _ = machine.deadlinePassed(now: after(500))
        #expect(machine.phase == .going)
        #expect(
            machine.peerIsActive(now: after(502)).first
                == .report(.moved(gap: .milliseconds(2), isForwarding: false)))
        #expect(machine.phase == .idle)
    }

    @Test func refusedTablesAreGivenUpBeforeAnythingMoved() {
        var machine = asking()
        _ = machine.messageReceived(
            message(.ready(seats: [newSeat], canForward: true)), now: after(1))
        #expect(
            machine.tablesRefused(now: after(2)) == [
                .removeTables, .send(message(.abort(.tablesRefused))),
                .report(.failed(.tablesRefused)),
            ])
    }

    @Test(arguments: [true, false])
    func whoeverClaimsAgainTakesTheTablesAway(_ isTaken: Bool) {
        var machine = isTaken ? draining() : going()
        #expect(
            machine.becameActive(now: after(100)) == [
                .removeTables, .stopDrain, .send(message(.abort(.claimedAgain))),
                .report(.failed(.claimedAgain)),
            ])
        #expect(machine.phase == .idle)
    }

    @Test func aNewNodeThatCannotGivesItBack() {
        var machine = going()
        #expect(
            machine.messageReceived(message(.abort(.timeout)), now: after(4)) == [.takeOver])
    }

    @Test func aBrokenLinkEndsTheDrainAfterAGrace() {
        var machine = draining()
        #expect(machine.linkWentDown(now: after(100)) == [])
        #expect(machine.deadlinePassed(now: after(2_099)) == [])
        #expect(machine.deadlinePassed(now: after(2_100)) == [.cutDrain])
        let actions = machine.drained(HandoverConnections(ended: 1, cut: 2), now: after(2_101))
        #expect(actions.prefix(2) == [.endLingering, .removeTables])
    }

    @Test func aLinkThatComesBackInTimeChangesNothing() {
        var machine = draining()
        _ = machine.linkWentDown(now: after(100))
        machine.linkCameUp(now: after(1_000))
        #expect(machine.deadlinePassed(now: after(5_000)) == [])
        #expect(machine.phase == .draining)
    }

    @Test func aDrainThatNobodyReportsEndsAnyway() {
        var machine = draining()
        let late = after(2) + drainSpan + HandoverStateMachine.drainMargin
        #expect(machine.deadlinePassed(now: late).contains(.endLingering))
        #expect(machine.phase == .idle)
    }

    @Test func asksOnceMoreOnlyWhenTheLastOneIsOver() {
        #expect(HandoverStateMachine().refusal == nil)
        #expect(asking().refusal == .busy)
        #expect(draining().refusal == .draining)
        #expect(serving().refusal == .draining)
    }

    @Test func cutShortEndsTheWaiting() {
        var machine = draining()
        #expect(machine.cutShort(now: after(10)) == [.cutDrain])
        var early = asking()
        #expect(early.cutShort(now: after(10)).last == .report(.failed(.timeout)))
    }
}

struct HandoverNewNodeTests {
    @Test func getsReadyTakesAndCleansUp() {
        var machine = HandoverStateMachine()
        let standing = HandoverStateMachine.Standing(
            refusal: nil, seats: [newSeat], canForward: true)
        #expect(
            machine.prepareReceived(
                token: 9, seats: [oldSeat], drain: drainSpan, canForward: true,
                standing: standing, now: start) == [.installNewTables(toward: [oldSeat])])
        #expect(machine.tablesInstalled(now: start) == [.prepareAddresses])
        #expect(
            machine.addressesPrepared(now: start)
                == [.send(message(.ready(seats: [newSeat], canForward: true)))])
        #expect(machine.messageReceived(message(.go), now: after(1)) == [.takeOver])
        #expect(
            machine.becameActive(now: after(2))
                == [.send(message(.taken(after: .milliseconds(1))))])
        #expect(
            machine.messageReceived(message(.done(ended: 1, cut: 0)), now: after(9))
                == [.removeTables])
        #expect(machine.phase == .idle)
    }

    @Test(arguments: [false, true], [false, true])
    func connectionsMoveWhenTheNewNodeSaysSo(canForward: Bool, takesConnections: Bool) {
        var new = HandoverStateMachine()
        let standing = HandoverStateMachine.Standing(
            refusal: nil, seats: [newSeat], canForward: canForward,
            takesConnections: takesConnections)
        _ = new.prepareReceived(
            token: 9, seats: [oldSeat], drain: drainSpan, canForward: true, standing: standing,
            now: start)
        #expect(new.isMoving == (canForward && takesConnections))
        var old = asking()
        let ready = HandoverMessage.Content.ready(
            seats: [newSeat], canForward: canForward, takesConnections: takesConnections)
        _ = old.messageReceived(message(ready), now: after(1))
        #expect(old.isMoving == (canForward && takesConnections))
    }

    @Test func whoHasNoTablesTakesNoConnections() {
        var machine = HandoverStateMachine()
        let standing = HandoverStateMachine.Standing(
            refusal: nil, seats: [newSeat], canForward: true, takesConnections: true)
        _ = machine.prepareReceived(
            token: 9, seats: [oldSeat], drain: drainSpan, canForward: true, standing: standing,
            now: start)
        #expect(
            machine.tablesRefused(now: start)
                == [.send(message(.ready(seats: [newSeat], canForward: false)))])
        #expect(!machine.isMoving)
    }

    @Test(arguments: HandoverRefusal.allCases)
    func refusesInItsOwnWords(_ refusal: HandoverRefusal) {
        var machine = HandoverStateMachine()
        #expect(
            machine.prepareReceived(
                token: 3, seats: [], drain: drainSpan, canForward: true,
                standing: .init(refusal: refusal, seats: [], canForward: true), now: start)
                == [.send(message(.refuse(refusal), token: 3))])
        #expect(machine.phase == .idle)
        #expect(!refusal.description.isEmpty)
    }

    @Test func bothAskingAtOnceRefuseEachOther() {
        var machine = asking()
        #expect(
            machine.prepareReceived(
                token: 4, seats: [newSeat], drain: drainSpan, canForward: true,
                standing: .init(refusal: nil, seats: [oldSeat], canForward: true), now: after(1))
                == [.send(message(.refuse(.busy), token: 4))])
        #expect(machine.phase == .asking)
    }

    @Test func aSecondQuestionReplacesTheFirst() {
        var machine = prepared()
        let actions = machine.prepareReceived(
            token: 10, seats: [oldSeat], drain: drainSpan, canForward: true,
            standing: .init(refusal: nil, seats: [newSeat], canForward: true), now: after(5))
        #expect(
            actions == [
                .cancelPrepared, .removeTables, .installNewTables(toward: [oldSeat]),
            ])
        // The old question's word means nothing any more.
        #expect(machine.messageReceived(message(.go), now: after(6)) == [])
    }

    @Test func withoutTablesItIsReadyInTheOlderWay() {
        var machine = HandoverStateMachine()
        _ = machine.prepareReceived(
            token: 9, seats: [oldSeat], drain: drainSpan, canForward: true,
            standing: .init(refusal: nil, seats: [newSeat], canForward: true), now: start)
        #expect(
            machine.tablesRefused(now: start)
                == [.send(message(.ready(seats: [newSeat], canForward: false)))])
        #expect(machine.messageReceived(message(.go), now: after(1)) == [.takeOver])
        _ = machine.becameActive(now: after(2))
        #expect(machine.phase == .idle)
    }

    @Test func refusedAddressesAreSaid() {
        var machine = HandoverStateMachine()
        _ = machine.prepareReceived(
            token: 9, seats: [oldSeat], drain: drainSpan, canForward: true,
            standing: .init(refusal: nil, seats: [newSeat], canForward: true), now: start)
        _ = machine.tablesInstalled(now: start)
        #expect(
            machine.addressesRefused(now: start)
                == [.removeTables, .send(message(.refuse(.addressRefused)))])
        #expect(machine.phase == .idle)
    }

    @Test func preparedAddressesDoNotStayForEver() {
        var machine = prepared()
        #expect(machine.deadlinePassed(now: after(4_000)) == [.cancelPrepared, .removeTables])
        #expect(machine.phase == .idle)
    }

    @Test func advertsMayBeFasterThanTheWord() {
        var machine = prepared()
        #expect(machine.becameActive(now: after(1)) == [.send(message(.taken(after: .zero)))])
        #expect(machine.phase == .serving)
        #expect(machine.messageReceived(message(.go), now: after(1)) == [])
        #expect(machine.peerEnded(now: after(2)) == [.removeTables])
    }

    @Test func aDeadOldNodeLeavesNothingToPassOn() {
        var machine = serving()
        #expect(machine.peerEnded(now: after(10)) == [.removeTables])
        #expect(machine.phase == .idle)
    }

    @Test func aLostLinkIsAMatterOfTime() {
        var machine = serving()
        #expect(machine.linkWentDown(now: after(10)) == [])
        #expect(machine.deadlinePassed(now: after(2_010)) == [.removeTables])
    }

    @Test func whoCannotBecomeActiveSaysSo() {
        var machine = prepared()
        _ = machine.messageReceived(message(.go), now: after(1))
        #expect(
            machine.deadlinePassed(now: after(1_001)) == [
                .cancelPrepared, .removeTables, .send(message(.abort(.timeout))),
            ])
    }

    @Test func whoIsActiveNoMorePassesNothingOn() {
        var machine = serving()
        #expect(machine.ceasedActive(now: after(10)) == [.removeTables])
        #expect(machine.phase == .idle)
    }

    @Test func otherTokensMeanNothing() {
        var machine = serving()
        #expect(
            machine.messageReceived(message(.done(ended: 0, cut: 0), token: 8), now: start) == [])
        #expect(machine.phase == .serving)
    }
}
