// SPDX-License-Identifier: Apache-2.0
//
// Whether this node knows what the peer knows, as the election needs it: a node that does not must
// preempt nobody. Decides; asks nobody.

internal import ReplicationService
internal import WireCore

/// Follows the replication stream from the node's start.
struct SynchronizationWatch {
    /// What the node knows about its peer at one moment.
    struct Look {
        /// The replication stream.
        var status: ReplicationStatus
        /// Heartbeats of the peer arrive: it lives and is of our kind.
        var isLinkUp: Bool
    }

    /// How long a node that has just started waits for a peer of which nothing is heard at all.
    static let strangerPatience = TimeSpan.milliseconds(200)
    /// How long it waits for the stream of a peer that is heard on the pair link, and after that
    /// stream broke: longer than two lost segments take.
    static let patience = TimeSpan.seconds(5)
    /// How long connections must have been told completely: the channels of the peer's workers
    /// come one after the other.
    static let settlingTime = TimeSpan.milliseconds(300)
    /// How long the tables alone do when no worker of the peer tells of connections.
    static let connectionPatience = TimeSpan.seconds(5)

    /// What changed.
    enum News: Hashable {
        /// The node has everything the peer had.
        case inSync
        /// The peer has something that this node lacks.
        case behind
        /// There is nobody to hear anything from.
        case alone
    }

    private let startedAt: Instant
    private var last: News?
    private var heardAt: Instant?
    private var tablesWholeSince: Instant?
    private var allWholeSince: Instant?

    init(startedAt: Instant) {
        self.startedAt = startedAt
    }

    /// Looks at the stream; what changed since the last time, if anything.
    ///
    /// Before the first news the node counts as behind.
    mutating func look(_ look: Look, now: Instant) -> News? {
        guard let news = judge(look, now: now), news != last else { return nil }
        last = news
        return news
    }

    /// `nil` while it cannot be told.
    private mutating func judge(_ look: Look, now: Instant) -> News? {
        guard look.status.isReceiving else {
            tablesWholeSince = nil
            allWholeSince = nil
            // What was known stays known for a while, and what was lacking is lacking still.
            let isExpected = look.isLinkUp || look.status.isSending || heardAt != nil
            let patience = isExpected ? Self.patience : Self.strangerPatience
            return now < (heardAt ?? startedAt) + patience ? nil : .alone
        }
        heardAt = now
        guard look.status.isInSync else {
            tablesWholeSince = nil
            allWholeSince = nil
            return .behind
        }
        let tablesSince = tablesWholeSince ?? now
        tablesWholeSince = tablesSince
        let status = look.status
        let isWhole =
            status.shadowChannelsIn > 0 && status.shadowChannelsWhole >= status.shadowChannelsIn
        allWholeSince = isWhole ? allWholeSince ?? now : nil
        if let allWholeSince, now >= allWholeSince + Self.settlingTime { return .inSync }
        // A worker that cannot tell does not keep the node from its work for ever.
        if now >= tablesSince + Self.connectionPatience { return .inSync }
        return last == .inSync ? .inSync : .behind
    }
}
