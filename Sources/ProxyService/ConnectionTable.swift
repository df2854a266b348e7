// SPDX-License-Identifier: Apache-2.0
//
// Records of connections at addresses that never change, found by slot number, with a generation
// for each slot so that an event of an earlier connection in it is recognised.

/// A fixed number of slots for records of one type.
///
/// Memory is reserved once and touched slot by slot; a freed slot is the next one taken.
struct ConnectionTable<Record: ~Copyable>: ~Copyable {
    private let records: UnsafeMutablePointer<Record>
    /// Odd while the slot is in use.
    private let generations: UnsafeMutablePointer<UInt32>
    private let freeSlots: UnsafeMutablePointer<UInt32>
    private var freeCount = 0
    /// Slots that were ever in use.
    private var touchedCount = 0
    let capacity: Int

    init(capacity: Int) {
        precondition(capacity > 0 && capacity <= EventToken.slotMax, "slots must fit a token")
        self.capacity = capacity
        records = .allocate(capacity: capacity)
        generations = .allocate(capacity: capacity)
        freeSlots = .allocate(capacity: capacity)
    }

    deinit {
        records.deallocate()
        generations.deallocate()
        freeSlots.deallocate()
    }

    /// Slots in use.
    var count: Int { touchedCount &- freeCount }

    /// Puts a record into a free slot; the caller has made sure that there is one.
    mutating func insert(_ record: consuming Record) -> UnsafeMutablePointer<Record> {
        let slot: Int
        if freeCount > 0 {
            freeCount &-= 1
            slot = Int(freeSlots[freeCount])
        } else {
            precondition(touchedCount < capacity, "connection table overflow")
            slot = touchedCount
            touchedCount &+= 1
            (generations + slot).initialize(to: 0)
        }
        generations[slot] &+= 1
        (records + slot).initialize(to: record)
        return records + slot
    }

    /// Destroys the record and frees its slot.
    mutating func remove(_ record: UnsafeMutablePointer<Record>) {
        let slot = slot(of: record)
        precondition(generations[slot] & 1 == 1, "a connection was removed twice")
        generations[slot] &+= 1
        record.deinitialize(count: 1)
        freeSlots[freeCount] = UInt32(truncatingIfNeeded: slot)
        freeCount &+= 1
    }

    /// Frees the slot of a record and hands it out.
    mutating func take(_ record: UnsafeMutablePointer<Record>) -> Record {
        let slot = slot(of: record)
        precondition(generations[slot] & 1 == 1, "a connection was removed twice")
        generations[slot] &+= 1
        freeSlots[freeCount] = UInt32(truncatingIfNeeded: slot)
        freeCount &+= 1
        return record.move()
    }

    @inline(__always)
    func slot(of record: UnsafeMutablePointer<Record>) -> Int {
        record - records
    }

    @inline(__always)
    func generation(of record: UnsafeMutablePointer<Record>) -> UInt32 {
        generations[record - records]
    }

    /// The record in a slot if it is still the one of that generation.
    @inline(__always)
    func record(slot: Int, generation: UInt32) -> UnsafeMutablePointer<Record>? {
        guard slot < touchedCount, generations[slot] == generation else { return nil }
        return records + slot
    }

    /// The record in a slot in use, for timers, which end with their connection.
    @inline(__always)
    func record(slot: Int) -> UnsafeMutablePointer<Record>? {
        guard slot < touchedCount, generations[slot] & 1 == 1 else { return nil }
        return records + slot
    }

    /// One past the highest slot that may be in use, for walks over all records.
    var slotEnd: Int { touchedCount }
}

/// What an epoll event belongs to: kind, slot and generation in one number.
struct EventToken {
    enum Kind: UInt64 {
        case mailbox
        case listener
        case client
        case upstream
    }

    static let slotMax = 1 << 30
    /// The connection to the other node that tells it about clients.
    static let shadowChannel = EventToken(.mailbox, slot: 1, generation: 0)

    let rawValue: UInt64

    @inline(__always)
    init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    @inline(__always)
    init(_ kind: Kind, slot: Int, generation: UInt32) {
        rawValue = UInt64(generation) &<< 32 | kind.rawValue &<< 30 | UInt64(slot)
    }

    @inline(__always) var kind: Kind {
        switch rawValue &>> 30 & 3 {
        case 0: .mailbox
        case 1: .listener
        case 2: .client
        default: .upstream
        }
    }

    @inline(__always) var slot: Int { Int(rawValue & UInt64(Self.slotMax - 1)) }
    @inline(__always) var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue &>> 32) }
}
