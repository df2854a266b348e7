// SPDX-License-Identifier: Apache-2.0
//
// A weighted choice among pools, drawn for each request. A pool whose backends are all down keeps
// its share, whose requests are answered 503: a canary that dies must be seen, not hidden.

internal import WireCore

/// Pools and where their shares end in a row of all weights; owns nothing.
struct PoolSplit {
    private struct Share: BitwiseCopyable {
        /// The sum of the weights up to and with this one.
        var end: UInt64
        var place: Int
    }

    private let shares: UnsafeBufferPointer<Share>
    private let total: UInt64

    /// Lays out weights; at least one is not 0, and those of 0 are never drawn.
    init(_ weights: [Int], texts: inout TextArena) {
        var end: UInt64 = 0
        var shares: [Share] = []
        for (place, weight) in weights.enumerated() where weight > 0 {
            end += UInt64(weight)
            shares.append(Share(end: end, place: place))
        }
        precondition(end > 0, "a split without any weight")
        total = end
        self.shares = texts.keep(shares)
    }

    /// The place of the weight that a random number falls on.
    @inline(__always)
    func draw(_ generator: inout SeededGenerator) -> Int {
        // The high half of the product is uniform below `total` to one part in 2^40.
        let point = generator.next().multipliedFullWidth(by: total).high
        var index = 0
        while shares[index].end <= point { index &+= 1 }
        return shares[index].place
    }
}
