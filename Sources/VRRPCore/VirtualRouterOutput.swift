// SPDX-License-Identifier: Apache-2.0
//
// Where a virtual router writes what one event caused: actions, counters, rate-limited notices.

import WireCore

/// What a virtual router has counted since it was made.
public struct VirtualRouterCounters: Hashable, Sendable {
    /// Advertisements asked to be sent, priority 0 included.
    public internal(set) var advertisementsSent: UInt64 = 0
    /// Advertisements with priority 0 asked to be sent.
    public internal(set) var priorityZeroSent: UInt64 = 0
    /// Advertisements received; those of `advertisementsDropped` are not among them.
    public internal(set) var advertisementsReceived: UInt64 = 0
    /// Advertisements with priority 0 received.
    public internal(set) var priorityZeroReceived: UInt64 = 0
    /// Advertisements received with the RFC 9568 checksum.
    public internal(set) var rfc9568ChecksumsReceived: UInt64 = 0
    /// Advertisements received with the RFC 5798 checksum.
    public internal(set) var rfc5798ChecksumsReceived: UInt64 = 0
    /// Advertisements for another VRID that the driver should not have passed on.
    public internal(set) var foreignAdvertisements: UInt64 = 0
    /// Times the router became Active.
    public internal(set) var becameActive: UInt64 = 0
    /// Announcements asked for.
    public internal(set) var announcements: UInt64 = 0
    /// Takeovers that a hold prevented; one however long it lasted.
    public internal(set) var heldTakeovers: UInt64 = 0
    /// Times the pair link kept a Backup from taking over; one however long adverts were silent.
    public internal(set) var linkRescues: UInt64 = 0
    /// Frames that gave one of our addresses another MAC while we were Active.
    public internal(set) var addressConflicts: UInt64 = 0
    /// Adverts of another protocol version, or with version 2 of another interval: dropped.
    public internal(set) var advertisementsDropped: UInt64 = 0
    private var splits = [UInt64](repeating: 0, count: SplitEvidence.allCases.count)
    private var notices = [UInt64](repeating: 0, count: VirtualRouterNotice.Kind.allCases.count)

    /// How often a condition was seen, reported or not.
    public func count(of kind: VirtualRouterNotice.Kind) -> UInt64 {
        notices[kind.index]
    }

    /// How many split brains were first seen by this evidence.
    public func splits(of evidence: SplitEvidence) -> UInt64 {
        splits[evidence.index]
    }

    /// How many split brains there were.
    public var splitCount: UInt64 { splits.reduce(0, +) }

    mutating func countSplit(_ evidence: SplitEvidence) {
        splits[evidence.index] += 1
    }

    mutating func countNotice(_ kind: VirtualRouterNotice.Kind) {
        notices[kind.index] += 1
    }
}

extension VirtualRouterNotice.Kind {
    /// The position among all kinds.
    fileprivate var index: Int {
        Self.allCases.firstIndex(of: self) ?? 0
    }
}

extension SplitEvidence {
    /// The position among all kinds.
    fileprivate var index: Int {
        Self.allCases.firstIndex(of: self) ?? 0
    }
}

/// Lets one notice of a kind through per interval and counts the rest.
struct NoticeLimiter {
    /// A peer can cause at most one log line per kind in this time.
    static let reportInterval = TimeSpan.seconds(10)

    private struct Entry {
        var nextReportAt = Instant(nanoseconds: 0)
        var suppressedCount: UInt64 = 0
    }
    private var entries = [Entry](
        repeating: Entry(), count: VirtualRouterNotice.Kind.allCases.count)

    /// How many were suppressed since the last one, or `nil` to suppress this one as well.
    mutating func admit(_ kind: VirtualRouterNotice.Kind, now: Instant) -> UInt64? {
        guard now >= entries[kind.index].nextReportAt else {
            entries[kind.index].suppressedCount += 1
            return nil
        }
        let suppressedCount = entries[kind.index].suppressedCount
        entries[kind.index] = Entry(nextReportAt: now + Self.reportInterval)
        return suppressedCount
    }
}

/// What one event causes, collected while the state changes.
struct VirtualRouterOutput {
    private(set) var actions: [VirtualRouterAction] = []
    private(set) var counters = VirtualRouterCounters()
    private var limiter = NoticeLimiter()
    /// One episode is reported per interval: somebody may forge them.
    private var splitReportAllowedAt = Instant(nanoseconds: 0)

    mutating func append(_ action: VirtualRouterAction) {
        switch action {
        case .sendAdvertisement(let priority):
            counters.advertisementsSent += 1
            if priority == 0 { counters.priorityZeroSent += 1 }
        case .recordTransition(let transition):
            if transition.to == .active { counters.becameActive += 1 }
        case .announceAddresses:
            counters.announcements += 1
        case .claimAddresses, .releaseAddresses, .report, .askPeer, .readyToClaim,
            .noLongerReady, .reportSplit:
            break
        }
        actions.append(action)
    }

    mutating func transition(
        from: VirtualRouterState, to: VirtualRouterState, cause: VirtualRouterTransition.Cause
    ) {
        append(.recordTransition(VirtualRouterTransition(from: from, to: to, cause: cause)))
    }

    mutating func notice(_ notice: VirtualRouterNotice, now: Instant) {
        counters.countNotice(notice.kind)
        guard let suppressedCount = limiter.admit(notice.kind, now: now) else { return }
        append(.report(notice, suppressedCount: suppressedCount))
    }

    mutating func countReceived(_ received: ReceivedAdvertisement) {
        counters.advertisementsReceived += 1
        if received.advertisement.priority == 0 { counters.priorityZeroReceived += 1 }
        switch received.checksumForm {
        case .rfc9568: counters.rfc9568ChecksumsReceived += 1
        case .rfc5798: counters.rfc5798ChecksumsReceived += 1
        }
    }

    mutating func count(_ counter: WritableKeyPath<VirtualRouterCounters, UInt64>) {
        counters[keyPath: counter] += 1
    }

    /// Counts a split brain; whether it may be reported.
    mutating func countSplit(_ evidence: SplitEvidence, now: Instant) -> Bool {
        counters.countSplit(evidence)
        guard now >= splitReportAllowedAt else { return false }
        splitReportAllowedAt = now + NoticeLimiter.reportInterval
        return true
    }

    /// Moves the actions to the caller's list.
    mutating func drain(into list: inout [VirtualRouterAction]) {
        list.append(contentsOf: actions)
        actions.removeAll(keepingCapacity: true)
    }
}
