// SPDX-License-Identifier: Apache-2.0
//
// Which routes can match a host, found by hashing the host once from its end: a listener with a
// thousand hosts looks at the few routes that name the host, one of its domains, or no host.

internal import HTTPCore

/// An index from hosts to routes in file order.
///
/// `www.example.org` is looked up as a whole and, for routes with `*.`, as `.example.org` and
/// `.org`. Colliding hashes cost a comparison; only the configuration can make them.
struct HostIndex: ~Copyable {
    /// Lists that are looked through side by side for one host.
    static let listMax = 8

    private struct Slot {
        var hash: UInt64
        var text: UnsafeRawBufferPointer
        var list: Range<UInt32>
    }

    /// Lists of route numbers, each ascending, one behind the other.
    private let numbers: UnsafeMutablePointer<UInt32>
    /// A power of two of slots; an empty one has an empty list.
    private let slots: UnsafeMutablePointer<Slot>
    private let slotMask: Int
    /// The routes without a host.
    private let hostless: Range<UInt32>
    private let hasSuffixes: Bool

    /// Indexes routes by the text of their host; a suffix begins with a dot, a route without a
    /// host has no text.
    init(_ hosts: [UnsafeRawBufferPointer]) {
        var lists: [(text: UnsafeRawBufferPointer, members: [UInt32])] = []
        var places: [[UInt8]: Int] = [:]
        var free: [UInt32] = []
        for (number, host) in hosts.enumerated() {
            guard !host.isEmpty else {
                free.append(UInt32(number))
                continue
            }
            if let place = places[Array(host)] {
                lists[place].members.append(UInt32(number))
            } else {
                places[Array(host)] = lists.count
                lists.append((host, [UInt32(number)]))
            }
        }
        var slotCount = 8
        while slotCount < lists.count * 2 { slotCount *= 2 }
        slotMask = slotCount - 1
        slots = .allocate(capacity: slotCount)
        slots.initialize(
            repeating: Slot(
                hash: 0, text: UnsafeRawBufferPointer(start: nil, count: 0), list: 0..<0),
            count: slotCount)
        numbers = .allocate(capacity: max(1, hosts.count))
        hasSuffixes = lists.contains { $0.text.first == 0x2E }
        var end = 0
        for number in free {
            (numbers + end).initialize(to: number)
            end += 1
        }
        hostless = 0..<UInt32(end)
        for list in lists {
            let start = end
            for number in list.members {
                (numbers + end).initialize(to: number)
                end += 1
            }
            let hash = Self.hash(list.text)
            var place = Int(truncatingIfNeeded: hash) & slotMask
            while !slots[place].list.isEmpty { place = (place + 1) & slotMask }
            slots[place] = Slot(hash: hash, text: list.text, list: UInt32(start)..<UInt32(end))
        }
    }

    deinit {
        numbers.deallocate()
        slots.deallocate()
    }

    /// The routes that may match a host, from the first to the last.
    struct Candidates {
        fileprivate var lists = InlineArray<8, Range<UInt32>>(repeating: 0..<0)
        fileprivate var count = 0
        /// More lists than fit: look at every route.
        fileprivate(set) var isOverflowing = false

        fileprivate mutating func add(_ list: Range<UInt32>) {
            guard !list.isEmpty else { return }
            guard count < HostIndex.listMax else {
                isOverflowing = true
                return
            }
            lists[count] = list
            count &+= 1
        }
    }

    /// Looks a host up; letters compare without case.
    func candidates(for host: UnsafeRawBufferPointer) -> Candidates {
        var candidates = Candidates()
        candidates.add(hostless)
        var hash = Self.hashSeed
        var at = host.count
        while at > 0 {
            at &-= 1
            let byte = Self.lowercased(host[at])
            hash = Self.step(hash, byte)
            if byte == 0x2E, hasSuffixes, at > 0 {
                candidates.add(list(hash, UnsafeRawBufferPointer(rebasing: host[at...])))
            }
        }
        if !host.isEmpty { candidates.add(list(hash, host)) }
        return candidates
    }

    /// The next route in file order, or `nil` after the last.
    @inline(__always)
    func next(_ candidates: inout Candidates) -> Int? {
        var best = -1
        var bestNumber = UInt32.max
        for index in 0..<candidates.count {
            let list = candidates.lists[index]
            guard !list.isEmpty else { continue }
            let number = numbers[Int(list.lowerBound)]
            if number < bestNumber {
                bestNumber = number
                best = index
            }
        }
        guard best >= 0 else { return nil }
        let list = candidates.lists[best]
        candidates.lists[best] = list.lowerBound &+ 1..<list.upperBound
        return Int(bestNumber)
    }

    private func list(_ hash: UInt64, _ text: UnsafeRawBufferPointer) -> Range<UInt32> {
        var place = Int(truncatingIfNeeded: hash) & slotMask
        while true {
            let slot = slots[place]
            if slot.list.isEmpty { return 0..<0 }
            if slot.hash == hash, Self.equal(slot.text, text) { return slot.list }
            place = (place &+ 1) & slotMask
        }
    }

    private static func equal(
        _ pattern: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer
    ) -> Bool {
        guard pattern.count == text.count else { return false }
        for index in 0..<text.count where pattern[index] != lowercased(text[index]) {
            return false
        }
        return true
    }

    // FNV-1a, from the last byte to the first, folded so that low bits depend on all.
    private static let hashSeed: UInt64 = 0xCBF2_9CE4_8422_2325

    @inline(__always)
    private static func step(_ hash: UInt64, _ byte: UInt8) -> UInt64 {
        let mixed = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
        return mixed ^ mixed &>> 32
    }

    @inline(__always)
    private static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }

    private static func hash(_ text: UnsafeRawBufferPointer) -> UInt64 {
        var hash = hashSeed
        for byte in text.reversed() { hash = step(hash, byte) }
        return hash
    }
}
