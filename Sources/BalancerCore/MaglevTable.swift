// SPDX-License-Identifier: Apache-2.0
//
// How a Maglev table is filled (Eisenbud et al., NSDI 2016, section 3.4), with weights.

/// The filling of a Maglev table.
enum MaglevTable {
    /// Slots of a table: a prime, so that each backend's preferences visit all of them.
    static let slotCount = 65_537

    /// The backend of each slot; empty without backends.
    ///
    /// Backends take turns in the order of their names' hashes, whatever their order in the
    /// file. In each round the heaviest claims one slot and the others as often as their weights
    /// allow; everybody claims one in the first round, so none is without a slot.
    static func slots(nameHashes: [UInt64], skips: [UInt64], weights: [Int]) -> [UInt16] {
        let count = min(nameHashes.count, HashTable.backendsMax)
        guard count > 0 else { return [] }
        let order = (0..<count).sorted { (nameHashes[$0], $0) < (nameHashes[$1], $1) }
        var positions = order.map { Int(nameHashes[$0] % UInt64(slotCount)) }
        let steps = order.map { Int(skips[$0] % UInt64(slotCount - 1)) + 1 }
        let shares = order.map { weights[$0] }
        let heaviest = shares.max() ?? 1
        var credits = shares.map { heaviest - $0 }
        let free = UInt16.max
        var slots = [UInt16](repeating: free, count: slotCount)
        var filledCount = 0
        while true {
            for turn in 0..<count {
                credits[turn] += shares[turn]
                guard credits[turn] >= heaviest else { continue }
                credits[turn] -= heaviest
                var position = positions[turn]
                while slots[position] != free {
                    position += steps[turn]
                    if position >= slotCount { position -= slotCount }
                }
                positions[turn] = position
                slots[position] = UInt16(order[turn])
                filledCount += 1
                if filledCount == slotCount { return slots }
            }
        }
    }
}
