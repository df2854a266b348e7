// SPDX-License-Identifier: Apache-2.0
//
// Requests that must not be repeated and were told: they wait until the other node's kernel has
// that. What is only on its way may be lost with this node, and the other one would take the
// client's repetition for a request that nobody has heard of.

internal import WireCore

/// Clients whose request was told, in the order in which that was written.
struct SentRequests {
    private struct Waiting {
        var token: UInt64
        /// Bytes written on the channel up to the end of what was told; `nil` when the channel is
        /// gone and there is nothing to wait for.
        var end: UInt64?
        var since: Instant

        func isOver(_ acknowledged: UInt64) -> Bool {
            // The counts wrap around; they are never far apart.
            end.map { Int64(bitPattern: acknowledged &- $0) >= 0 } ?? true
        }
    }

    private var waiting: [Waiting] = []

    var isEmpty: Bool { waiting.isEmpty }
    var count: Int { waiting.count }

    /// Since when the first of them waits.
    var since: Instant? { waiting.first?.since }

    /// What was told of these clients ends so many bytes from the beginning of the channel; `nil`
    /// without one.
    mutating func add(_ tokens: [UInt64], end: UInt64?, now: Instant) {
        waiting += tokens.map { Waiting(token: $0, end: end, since: now) }
    }

    /// Those that need not wait when so many bytes have arrived.
    mutating func take(acknowledged: UInt64) -> [UInt64] {
        let count = waiting.firstIndex { !$0.isOver(acknowledged) } ?? waiting.count
        defer { waiting.removeFirst(count) }
        return waiting.prefix(count).map(\.token)
    }

    /// The channel is gone.
    mutating func giveUp() {
        for index in waiting.indices { waiting[index].end = nil }
    }
}
