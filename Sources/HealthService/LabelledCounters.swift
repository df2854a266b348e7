// SPDX-License-Identifier: Apache-2.0
//
// Counters by a word, made when the word first comes: thousands of backends cost what happened.

internal import Synchronization
import Telemetry

/// One counter for each word; words come from the program, never from a peer.
final class LabelledCounters: Sendable {
    private let counters = Mutex<[(label: String, counter: Counter)]>([])

    /// The counter of a word.
    subscript(_ label: String) -> Counter {
        counters.withLock { counters in
            if let known = counters.first(where: { $0.label == label }) { return known.counter }
            let counter = Counter()
            counters.append((label, counter))
            return counter
        }
    }

    /// Every word that came, with its count.
    var all: [(label: String, count: UInt64)] {
        counters.withLock { $0.map { ($0.label, $0.counter.value) } }
    }
}
