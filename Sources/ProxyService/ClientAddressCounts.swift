// SPDX-License-Identifier: Apache-2.0
//
// How many connections a listener has on all workers together, and how many each client address
// has: fixed tables of atomics, so that a limit for the node needs neither a lock nor a thread.

internal import Synchronization
internal import WireCore

/// What all workers count together for the limits of one listener.
final class ListenerAdmission: Sendable {
    /// Client connections counted for `limits.connections`.
    let clientCount = Atomic<Int>(0)
    /// Made when `limits.connections_per_client` is first configured, then kept: connections find
    /// their entries again after any reload.
    let addresses = AtomicLazyReference<ClientAddressCounts>()
}

/// The place of one client in `ClientAddressCounts`.
struct ClientAddressTicket: Equatable {
    /// Not counted.
    static let none = ClientAddressTicket(rawValue: .max)

    let rawValue: UInt32
}

/// Connections of each client address, IPv6 by /64.
///
/// A hash table of words that hold a fingerprint of the address and a count. The hash is seeded,
/// so nobody can choose addresses that meet in one place. An address that finds no place (its
/// whole neighbourhood is in use) is admitted uncounted: that limit is against few addresses with
/// many connections.
///
/// Unchecked, because pointers are not `Sendable`: the memory lives as long as the object, and all
/// that happens to it between `init` and `deinit` is atomic.
final class ClientAddressCounts: @unchecked Sendable {
    /// Addresses that can be counted at a time.
    static let capacity = 1 << 16
    /// Words that one address may be in: two cache lines.
    static let neighbourhood = 16
    /// The low bits of a word are the count; the rest is the fingerprint, never 0.
    private static let countBits: UInt64 = 20
    private static let countMask: UInt64 = 1 << countBits - 1

    /// What became of a connection.
    enum Outcome: Equatable {
        case admitted(ClientAddressTicket)
        case overLimit
    }

    private let words: UnsafeMutablePointer<Atomic<UInt64>>
    private let seed: (UInt64, UInt64)

    /// Makes an empty table whose hash nobody knows.
    init(seed: (UInt64, UInt64)) {
        self.seed = seed
        words = .allocate(capacity: Self.capacity)
        for index in 0..<Self.capacity { (words + index).initialize(to: Atomic(0)) }
    }

    deinit {
        words.deinitialize(count: Self.capacity)
        words.deallocate()
    }

    /// Counts a connection of `address` unless it has `limit` already.
    func admit(_ address: IPAddress, limit: Int) -> Outcome {
        let hash = hash(address)
        let fingerprint = (hash | 1 << 63) & ~Self.countMask
        let first = Int(truncatingIfNeeded: hash & UInt64(Self.capacity - 1))
        // Whoever loses a race looks again; as many races in a row do not happen.
        for _ in 0..<8 {
            switch look(fingerprint, from: first, limit: limit) {
            case .found(let outcome): return outcome
            case .raced: continue
            case .full: return .admitted(.none)
            }
        }
        return .admitted(.none)
    }

    /// Counts the end of a connection.
    func release(_ ticket: ClientAddressTicket) {
        guard ticket != .none else { return }
        let index = Int(ticket.rawValue)
        var value = words[index].load(ordering: .relaxed)
        while true {
            let next = value & Self.countMask <= 1 ? 0 : value &- 1
            let (isDone, seen) = words[index].weakCompareExchange(
                expected: value, desired: next, ordering: .relaxed)
            if isDone { return }
            value = seen
        }
    }

    private enum Look {
        case found(Outcome)
        case raced
        case full
    }

    private func look(_ fingerprint: UInt64, from first: Int, limit: Int) -> Look {
        var free: Int?
        for step in 0..<Self.neighbourhood {
            let index = (first &+ step) & (Self.capacity - 1)
            let value = words[index].load(ordering: .relaxed)
            if value == 0 {
                if free == nil { free = index }
                continue
            }
            guard value & ~Self.countMask == fingerprint else { continue }
            let count = value & Self.countMask
            guard count < UInt64(limit), count < Self.countMask else { return .found(.overLimit) }
            return place(index, value, value &+ 1)
        }
        guard let free else { return .full }
        return place(free, 0, fingerprint | 1)
    }

    private func place(_ index: Int, _ expected: UInt64, _ desired: UInt64) -> Look {
        let (isDone, _) = words[index].compareExchange(
            expected: expected, desired: desired, ordering: .relaxed)
        guard isDone else { return .raced }
        return .found(
            .admitted(ClientAddressTicket(rawValue: UInt32(truncatingIfNeeded: index))))
    }

    private func hash(_ address: IPAddress) -> UInt64 {
        let key: UInt64
        switch address {
        case .v4(let v4): key = UInt64(v4.rawValue)
        // A household or a customer has a whole /64.
        case .v6(let v6): key = v6.high ^ 1 << 63
        }
        let first = Self.mix(key ^ seed.0, 0x9E37_79B9_7F4A_7C15)
        return Self.mix(first ^ seed.1, 0xD6E8_FEB8_6659_FD93)
    }

    private static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }
}
