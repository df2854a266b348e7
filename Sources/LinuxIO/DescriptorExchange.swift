// SPDX-License-Identifier: Apache-2.0
//
// Descriptors that one thread does not need at the moment and another may have: offered, taken
// back, or taken over, without a lock and without a message.

internal import CLinux
internal import Synchronization

/// A few places where threads offer descriptors that their epoll instances go on watching.
///
/// A descriptor belongs to whoever made the offer until `take` gives it to somebody else; from then
/// on the former owner may only `relinquish` it. Each offer is a word of its own that is never
/// repeated within millions of offers, so an old one cannot be mistaken for a new one that happens
/// to be about the same descriptor number.
public final class DescriptorExchange: Sendable {
    /// Offers at a time: one cache line.
    public static let capacity = 8

    /// A descriptor that was offered.
    public struct Offer: Equatable, Sendable {
        /// Nothing is offered.
        public static let none = Offer(place: 0, word: 0)

        fileprivate let place: UInt8
        fileprivate let word: UInt64
    }

    private static let descriptorBits: UInt64 = 24
    private static let instanceBits: UInt64 = 16

    private let words = InlineArray<8, Atomic<UInt64>> { _ in Atomic(0) }

    /// Makes an exchange without offers.
    public init() {}

    /// Offers a descriptor; `nil` when all places are in use or a number is too large.
    ///
    /// - Parameters:
    ///   - descriptor: what is offered; the owner keeps it open.
    ///   - epoll: the instance that watches it.
    ///   - ticket: differs from offer to offer of one owner.
    /// - Returns: what `withdraw` wants.
    public func offer(
        _ descriptor: borrowing FileDescriptor, watchedBy epoll: borrowing Epoll, ticket: UInt32
    ) -> Offer? {
        let number = UInt64(descriptor.rawValue)
        let instance = UInt64(epoll.number)
        guard number >> Self.descriptorBits == 0, instance >> Self.instanceBits == 0 else {
            return nil
        }
        let unique = UInt64(ticket & 0x7F_FFFF) << 1 | 1
        let word =
            unique << (Self.descriptorBits + Self.instanceBits)
            | instance << Self.descriptorBits | number
        for place in 0..<Self.capacity {
            guard words[place].load(ordering: .relaxed) == 0 else { continue }
            let (isDone, _) = words[place].compareExchange(
                expected: 0, desired: word, ordering: .acquiringAndReleasing)
            if isDone { return Offer(place: UInt8(place), word: word) }
        }
        return nil
    }

    /// True while nobody has taken an offer.
    public func isOpen(_ offer: Offer) -> Bool {
        words[Int(offer.place)].load(ordering: .relaxed) == offer.word
    }

    /// Takes an offer back; false when somebody has taken the descriptor, which is gone then.
    public func withdraw(_ offer: Offer) -> Bool {
        words[Int(offer.place)].compareExchange(
            expected: offer.word, desired: 0, ordering: .acquiringAndReleasing
        ).exchanged
    }

    /// Takes a descriptor over that is watched by another instance than `epoll`, which no longer
    /// watches it then; `nil` when there is none.
    public func take(for epoll: borrowing Epoll) -> FileDescriptor? {
        for place in 0..<Self.capacity {
            let word = words[place].load(ordering: .relaxed)
            guard word != 0 else { continue }
            let instance = word >> Self.descriptorBits & (1 << Self.instanceBits - 1)
            guard instance != UInt64(epoll.number) else { continue }
            let (isDone, _) = words[place].compareExchange(
                expected: word, desired: 0, ordering: .acquiringAndReleasing)
            guard isDone else { continue }
            let number = CInt(truncatingIfNeeded: word & (1 << Self.descriptorBits - 1))
            // The other instance may have ended since: then it watches nothing any more.
            var event = epoll_event()
            _ = epoll_ctl(CInt(truncatingIfNeeded: instance), EPOLL_CTL_DEL, number, &event)
            return FileDescriptor(owning: number)
        }
        return nil
    }
}

extension FileDescriptor {
    /// Gives up a descriptor that has another owner now, without closing it.
    public consuming func relinquish() {
        discard self
    }
}
