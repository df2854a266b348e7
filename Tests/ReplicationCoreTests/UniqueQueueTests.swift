// SPDX-License-Identifier: Apache-2.0
//
// Goal: what waits comes out once and in order, and the queue is never much longer than what waits
// in it, however long it is used without becoming empty.

import Testing

@testable import ReplicationCore

@Suite struct UniqueQueueTests {
    @Test func eachWaitsOnceAndInOrder() {
        var queue = UniqueQueue<Int>()
        for change in [3, 1, 3, 2, 1] { queue.insert(change) }
        queue.remove(1)
        queue.insert(1)
        #expect(queue.count == 3)
        var order: [Int] = []
        while let change = queue.first {
            order.append(change)
            queue.removeFirst()
        }
        #expect(order.sorted() == [1, 2, 3] && order.first == 3)
    }

    @Test func aQueueThatIsNeverEmptyDoesNotGrow() {
        var queue = UniqueQueue<Int>()
        for change in 0..<100 { queue.insert(change) }
        for change in 100..<20_000 {
            queue.insert(change)
            queue.removeFirst()
            #expect(queue.placeCount <= 4 * queue.count + 64)
        }
        #expect(queue.count == 100)
        #expect(queue.first == 19_900)
    }

    @Test func whatIsRemovedAndComesAgainTakesNoMoreRoom() {
        var queue = UniqueQueue<Int>()
        queue.insert(-1)
        for change in 0..<20_000 {
            queue.insert(change % 7)
            queue.remove(change % 7)
        }
        #expect(queue.count == 1 && queue.first == -1)
        #expect(queue.placeCount <= 100)
    }
}
