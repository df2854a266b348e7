// SPDX-License-Identifier: Apache-2.0
//
// Whether this node knows what the peer knows, as the election needs it: a node that does not must
// preempt nobody. Decides; asks nobody.

internal import ReplicationService
internal import WireCore

/// Follows the replication stream from the node's start.
struct SynchronizationWatch {
    /// How long a node that has just started waits for a peer to take its call: that takes
    /// milliseconds, and another program never does.
    static let dialPatience = TimeSpan.milliseconds(200)
    /// How long it waits for a peer that took its call to tell it something.
    static let patience = TimeSpan.seconds(3)

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

    init(startedAt: Instant) {
        self.startedAt = startedAt
    }

    /// Looks at the stream; what changed since the last time, if anything.
    ///
    /// Before the first news the node counts as behind.
    mutating func look(at status: ReplicationStatus, now: Instant) -> News? {
        var news = News.alone
        if status.isReceiving {
            news = status.isInSync ? .inSync : .behind
        } else if last == nil {
            let patience = status.isSending ? Self.patience : Self.dialPatience
            guard now >= startedAt + patience else { return nil }
        }
        guard news != last else { return nil }
        last = news
        return news
    }
}
