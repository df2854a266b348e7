// SPDX-License-Identifier: Apache-2.0
//
// A time in which somebody else answers for our addresses while we do, as values.

public import WireCore

/// What shows that we are not alone.
public enum SplitEvidence: String, Hashable, Sendable, CaseIterable {
    /// An advert of another Active.
    case advertisement
    /// The other node says on the pair link that it is Active.
    case link
    /// An ARP or neighbour advertisement that gives one of our addresses another MAC.
    case addressConflict = "address_conflict"
}

/// Who the other one is.
public enum SplitParty: Hashable, Sendable {
    /// A VRRP router, by its primary address.
    case router(IPAddress)
    /// Somebody who answers for an address, by MAC.
    case stranger(HardwareAddress)
}

/// A split brain, from its first evidence to its last.
public struct SplitEpisode: Hashable, Sendable {
    /// When it was first seen.
    public internal(set) var since: Instant
    /// What showed it first.
    public internal(set) var first: SplitEvidence
    /// All that showed it.
    public internal(set) var evidence: Set<SplitEvidence>
    /// Who was seen first.
    public internal(set) var party: SplitParty
    /// When it was last seen.
    public internal(set) var lastSeenAt: Instant

    init(since: Instant, first: SplitEvidence, party: SplitParty) {
        self.since = since
        self.first = first
        evidence = [first]
        self.party = party
        lastSeenAt = since
    }
}

/// Something to say about a split brain.
public struct SplitReport: Hashable, Sendable {
    /// What happened.
    public var event: Event
    /// The episode as it stands.
    public var episode: SplitEpisode

    /// What can happen to an episode.
    public enum Event: Hashable, Sendable {
        /// It was noticed.
        case began
        /// Another kind of evidence joined.
        case spread(SplitEvidence)
        /// It is over.
        case ended(Outcome)
    }

    /// How an episode ends.
    public enum Outcome: String, Hashable, Sendable, CaseIterable {
        /// We left the addresses to the other one.
        case yielded
        /// The other one gave up, or nothing was seen of it any more; we announce again.
        case healed
        /// We went out of service.
        case outOfService = "out_of_service"
    }

    /// Makes a report.
    public init(_ event: Event, _ episode: SplitEpisode) {
        self.event = event
        self.episode = episode
    }
}

extension SplitParty: CustomStringConvertible {
    /// `10.0.0.2` or a MAC address.
    public var description: String {
        switch self {
        case .router(let address): address.description
        case .stranger(let mac): mac.description
        }
    }
}

extension SplitReport: CustomStringConvertible {
    /// `split brain with 10.0.0.2 seen by advertisement`.
    public var description: String {
        switch event {
        case .began:
            return "split brain with \(episode.party), seen by \(episode.first.rawValue)"
        case .spread(let evidence):
            return "split brain with \(episode.party), seen by \(evidence.rawValue) as well"
        case .ended(let outcome):
            let length = (episode.lastSeenAt - episode.since).milliseconds
            return "split brain with \(episode.party) over after \(length)ms: \(outcome.rawValue)"
        }
    }
}
