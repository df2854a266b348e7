// SPDX-License-Identifier: Apache-2.0
//
// Who is called when room is given back: everybody who waits, in turn, and once for each release.

import LinuxIO
import Synchronization
import Testing

@testable import ProxyService

struct SharedLineTests {
    @Test func workersAreCalledInTurn() {
        let line = SharedLine(workerCount: 4)
        for seat in [0, 1, 3] { _ = line.join(seat: seat) }
        var called: [Int] = []
        for _ in 0..<6 {
            guard let seat = line.callAfterRelease() else { continue }
            called.append(seat)
            line.look(seat: seat)
        }
        #expect(called == [1, 3, 0, 1, 3, 0])
    }

    @Test func eachIsCalledOnceForOneRelease() {
        let line = SharedLine(workerCount: 3)
        for seat in 0..<3 { _ = line.join(seat: seat) }
        var called: Set<Int> = []
        var next = line.callAfterRelease()
        while let seat = next {
            #expect(called.insert(seat).inserted)
            line.look(seat: seat)
            next = line.callNext()
        }
        #expect(called == [0, 1, 2])
    }

    @Test func oneThatWasCalledIsNotCalledAgainBeforeItLooks() {
        let line = SharedLine(workerCount: 2)
        _ = line.join(seat: 0)
        let answer1 = line.callAfterRelease()
        #expect(answer1 == 0)
        let answer2 = line.callAfterRelease()
        #expect(answer2 == nil)
        let answer3 = line.isCalled(seat: 0)
        #expect(answer3)
        line.look(seat: 0)
        let answer4 = line.isCalled(seat: 0)
        #expect(!answer4)
        let answer5 = line.callAfterRelease()
        #expect(answer5 == 0)
    }

    @Test func oneThatJoinsIsLeftToWhoWasCalled() {
        let line = SharedLine(workerCount: 2)
        let answer6 = line.join(seat: 0)
        #expect(answer6)
        let answer7 = line.callAfterRelease()
        #expect(answer7 == 0)
        // Worker 0 was called and looks first: it calls worker 1 then.
        let answer8 = line.join(seat: 1)
        #expect(!answer8)
        line.look(seat: 0)
        let answer9 = line.callNext()
        #expect(answer9 == 1)
    }

    @Test func nobodyIsCalledWhenNobodyWaits() {
        let line = SharedLine(workerCount: 2)
        let answer10 = line.isJoined
        #expect(!answer10)
        _ = line.join(seat: 1)
        let answer11 = line.isJoined
        #expect(answer11)
        line.leave(seat: 1)
        let answer12 = line.isJoined
        #expect(!answer12)
        let answer13 = line.callAfterRelease()
        #expect(answer13 == nil)
    }

    @Test func workersBeyondTheSeatsAreNeverTakenOut() {
        let line = SharedLine(workerCount: SharedLine.seatCount + 1)
        let seat = SharedLine.seat(ofWorker: SharedLine.seatCount)
        #expect(seat == 0)
        _ = line.join(seat: seat)
        line.leave(seat: 0)
        let answer14 = line.callAfterRelease()
        #expect(answer14 == 0)
    }
}
