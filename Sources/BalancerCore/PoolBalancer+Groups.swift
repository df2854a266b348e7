// SPDX-License-Identifier: Apache-2.0
//
// Which group a choice is made in: drawn by share; when nobody there has room, the next one.

public import WireCore

extension PoolBalancer {
    @inlinable
    mutating func choose(
        inGroup position: Int, now: Instant, loads: borrowing some BackendLoads & ~Copyable,
        excluding attempted: AttemptedBackends, key: UInt64?
    ) -> BackendChoice {
        if hashTable != nil {
            return chooseByHash(
                position, loads: loads, excluding: attempted, key: key ?? generator.next())
        }
        guard groups[position].count <= Self.fullScanBackendsMax else {
            return chooseFromLargeGroup(position, now: now, loads: loads, excluding: attempted)
        }
        return chooseFromSmallGroup(position, now: now, loads: loads, excluding: attempted)
    }

    /// Groups are few, so they are looked through in order.
    @inlinable
    mutating func chooseAmongGroups(
        now: Instant, loads: borrowing some BackendLoads & ~Copyable,
        excluding attempted: AttemptedBackends, key: UInt64?
    ) -> BackendChoice {
        spillNumber &+= 1
        let place = hashTable != nil ? key : nil
        var position = drawGroup(place)
        var isAnyAtLimit = false
        while position >= 0 {
            switch choose(
                inGroup: position, now: now, loads: loads, excluding: attempted, key: key)
            {
            case .chosen(let index): return .chosen(index)
            case .allAtLimit: isAnyAtLimit = true
            case .noneAvailable: break
            }
            groups[position].spillNumber = spillNumber
            position = drawSpill(place)
        }
        return isAnyAtLimit ? .allAtLimit : .noneAvailable
    }

    /// A number below `bound`: random, or the same one for the same key.
    ///
    /// Keys stay in their zone as long as the shares stay.
    private mutating func ticket(_ key: UInt64?, jump: Int, below bound: UInt64) -> UInt64 {
        guard let key else { return generator.number(below: bound) }
        return HashMixer.place(of: key, jump: jump).multipliedFullWidth(by: bound).high
    }

    /// A group drawn by its share.
    @usableFromInline
    mutating func drawGroup(_ key: UInt64?) -> Int {
        var ticket = ticket(
            key, jump: Self.groupJump, below: UInt64(PoolView.wholeBasisPoints))
        for position in groups.indices {
            if ticket < groups[position].shareBasisPoints { return position }
            ticket &-= groups[position].shareBasisPoints
        }
        // Shares add up to the whole, unless nobody has any.
        return 0
    }

    /// A group not tried by this choice, -1 when there is none: of the first level that has one,
    /// drawn by weight.
    @usableFromInline
    mutating func drawSpill(_ key: UInt64?) -> Int {
        guard let first = groups.firstIndex(where: { $0.spillNumber != spillNumber }) else {
            return -1
        }
        let priority = groups[first].priority
        var total = 0
        for group in groups where group.priority == priority && group.spillNumber != spillNumber {
            total &+= group.weight
        }
        var ticket = Int(
            ticket(key, jump: Self.groupJump &+ 1, below: UInt64(max(total, 1))))
        var last = first
        for position in first..<groups.count
        where groups[position].priority == priority && groups[position].spillNumber != spillNumber {
            last = position
            ticket &-= groups[position].weight
            if ticket < 0 { break }
        }
        return last
    }

    /// Keys draw their group by jumps that no choice inside a group makes.
    private static var groupJump: Int { 1 << 20 }
}
