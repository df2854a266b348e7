// SPDX-License-Identifier: Apache-2.0
//
// The receiving end of the shadow channels: what is known here of the peer's client connections
// beyond their addresses. Every worker of the peer has a channel of its own, with names of its own
// for its connections. What is done with them at a takeover is the service's.

public import WireCore

/// The shadows of the peer's connections.
///
/// A channel tells everything after its beginning in order and without gaps, so what it said is
/// true until the peer says otherwise, also after its process died. A channel that the peer gave up
/// is no longer true, and is forgotten.
public struct PeerShadowTable: Sendable {
    /// Connections kept; further ones are left out and counted, and are reset at a takeover.
    public static let connectionCountMax = ReplicationFeed.clientCountMax
    /// Heads of requests and unread bytes kept in all; a request beyond cannot be issued again.
    public static let contentByteCountMax = 64 << 20
    /// Channels kept: workers of the peer.
    public static let channelCountMax = 1_024

    /// Why a channel ended.
    public enum Ending: Hashable, Sendable {
        /// Everything it said is true: the peer's process ended, or the connection did.
        case complete
        /// The peer may have changed things that it could not tell.
        case givenUp
    }

    private struct Entry: Sendable {
        var shadow: ConnectionShadow
        /// Counts openings over all channels, to know the newest of two with one key.
        var order: UInt64
    }

    private struct Channel: Sendable {
        var incarnation: UInt64
        var entries: [UInt32: Entry] = [:]
        /// Something was taken out or left out: the peer may count more.
        var isPartial = false
    }

    private let connectionCountMax: Int
    private let contentByteCountMax: Int
    private var channels: [Int: Channel] = [:]
    /// Connections that the peer's workers have left to this node: whatever they call by their
    /// names from now on, and whatever becomes of the process, these are nobody else's.
    private var moved: [Int: [Entry]] = [:]
    private var opened: UInt64 = 0
    private var contentByteCount = 0
    /// Entries looked at to take some out, since the start; for tests.
    public private(set) var visitCount = 0
    /// Connections known.
    public private(set) var count = 0
    /// Connections that the peer has left to this node and nobody has taken out yet.
    public private(set) var movedCount = 0
    /// Connections left out because the table was full.
    public private(set) var omittedCount: UInt64 = 0
    /// Heads left out because too much was kept.
    public private(set) var omittedHeadCount: UInt64 = 0
    /// Records about connections that are not known; normal after they were taken out.
    public private(set) var unknownCount: UInt64 = 0
    /// Times the peer counted other connections than this node holds.
    public private(set) var mismatchCount: UInt64 = 0

    private var isTrusted = true

    /// Makes an empty table; other limits than the normal ones are for tests.
    public init(
        connectionCountMax: Int = Self.connectionCountMax,
        contentByteCountMax: Int = Self.contentByteCountMax
    ) {
        self.connectionCountMax = connectionCountMax
        self.contentByteCountMax = contentByteCountMax
    }

    /// Believes nothing from now on that would make this node send what the peer says clients sent:
    /// the peer has no secret to prove that it is the peer.
    public mutating func distrustRequests() {
        isTrusted = false
    }

    // MARK: - Channels

    /// A channel of a worker begins: what the former one of that worker said, and what another
    /// process of the peer said, counts no more.
    ///
    /// - Returns: false when there are too many channels.
    public mutating func channelBegan(worker: Int, incarnation: UInt64) -> Bool {
        for other in channels.keys where channels[other]?.incarnation != incarnation {
            forget(worker: other)
        }
        forget(worker: worker)
        guard channels.count < Self.channelCountMax else { return false }
        channels[worker] = Channel(incarnation: incarnation)
        return true
    }

    /// A channel ended.
    public mutating func channelEnded(worker: Int, _ ending: Ending) {
        guard ending == .givenUp else { return }
        forget(worker: worker)
        // The peer resets those of which it does not know whether they were told.
        for entry in moved.removeValue(forKey: worker) ?? [] { discount(entry.shadow) }
    }

    /// The worker tells all of its connections from now on.
    public mutating func snapshotBegan(worker: Int) {
        guard let channel = channels[worker] else { return }
        forget(worker: worker)
        channels[worker] = Channel(incarnation: channel.incarnation)
    }

    /// The worker told all of its connections; it has `openCount`.
    public mutating func snapshotEnded(worker: Int, openCount: UInt32) {
        guard let channel = channels[worker], !channel.isPartial else { return }
        if channel.entries.count != Int(openCount) { mismatchCount += 1 }
    }

    // MARK: - Records

    /// Takes a record.
    public mutating func apply(
        _ record: ShadowRecord, of id: UInt32, worker: Int, now: Instant
    ) {
        guard channels[worker] != nil else { return }
        if case .opened(let key, let level, let transport, let client) = record {
            open(
                ConnectionShadow(
                    key: key, level: level, transport: transport, namedClient: client,
                    heardAt: now), id, worker)
            return
        }
        if case .closed = record {
            if remove(id, worker) == nil { unknownCount &+= 1 }
            return
        }
        guard var entry = channels[worker]?.entries[id] else {
            unknownCount &+= 1
            return
        }
        contentByteCount -= entry.shadow.contentByteCount
        switch record {
        case .opened, .closed:
            break
        case .asked(let receiveSequence, let head):
            guard isTrusted else {
                entry.shadow.becomeBusy()
                break
            }
            let hasRoom = contentByteCount + head.count <= contentByteCountMax
            if !hasRoom { omittedHeadCount &+= 1 }
            entry.shadow.ask(receiveSequence, hasRoom ? head : [])
        case .busy:
            entry.shadow.becomeBusy()
        case .answered(let receiveSequence, let sendSequence):
            entry.shadow.answer(receiveSequence, sendSequence)
        case .moved(let transport, let unread):
            let hasRoom =
                contentByteCount + unread.count <= contentByteCountMax
                && (isTrusted || unread.isEmpty)
            entry.shadow.move(transport, unread: hasRoom ? unread : nil, at: now)
        case .tunnelled(let tunnel):
            entry.shadow.becomeTunnel(tunnel, at: now)
        case .rested(let position):
            entry.shadow.rest(position)
        case .movedTunnel(let client, let backend):
            entry.shadow.moveTunnel(client: client, backend: backend, at: now)
        }
        contentByteCount += entry.shadow.contentByteCount
        guard entry.shadow.isMoved else {
            channels[worker]?.entries[id] = entry
            return
        }
        // After `moved` the connection is not the peer's any more.
        movedCount += 1
        channels[worker]?.entries[id] = nil
        moved[worker, default: []].append(entry)
    }

    private mutating func open(_ shadow: ConnectionShadow, _ id: UInt32, _ worker: Int) {
        remove(id, worker)
        guard count < connectionCountMax else {
            omittedCount &+= 1
            channels[worker]?.isPartial = true
            return
        }
        opened &+= 1
        count += 1
        channels[worker]?.entries[id] = Entry(shadow: shadow, order: opened)
    }

    @discardableResult
    private mutating func remove(_ id: UInt32, _ worker: Int) -> ConnectionShadow? {
        guard let entry = channels[worker]?.entries.removeValue(forKey: id) else { return nil }
        discount(entry.shadow)
        return entry.shadow
    }

    private mutating func forget(worker: Int) {
        guard let channel = channels.removeValue(forKey: worker) else { return }
        for entry in channel.entries.values { discount(entry.shadow) }
    }

    private mutating func discount(_ shadow: ConnectionShadow) {
        count -= 1
        contentByteCount -= shadow.contentByteCount
        if shadow.isMoved { movedCount -= 1 }
    }

    /// The connections on one of `addresses`.
    public func keys(_ addresses: Set<IPAddress>) -> [ClientKey] {
        (channels.values.map { Array($0.entries.values) } + moved.values).flatMap { entries in
            entries.lazy.flatMap { [$0.shadow.key] + $0.shadow.tunnelKeys }
                .filter { addresses.contains($0.localAddress) }
        }
    }

    // MARK: - Taking out

    /// Takes every connection on one of `addresses` out: they are this node's business now.
    ///
    /// Of two with the same ends, the one that was opened last counts.
    public mutating func take(_ addresses: Set<IPAddress>) -> [ConnectionShadow] {
        var taken = takeMovedEntries { addresses.contains($0.key.localAddress) }
        for worker in Array(channels.keys) {
            // Out of the table meanwhile: what is changed must not be shared.
            guard var channel = channels.updateValue(Channel(incarnation: 0), forKey: worker)
            else { continue }
            visitCount &+= channel.entries.count
            var kept: [UInt32: Entry] = [:]
            for (id, entry) in channel.entries {
                if addresses.contains(entry.shadow.key.localAddress) {
                    taken.append(entry)
                } else {
                    kept[id] = entry
                }
            }
            if kept.count != channel.entries.count { channel.isPartial = true }
            channel.entries = kept
            channels[worker] = channel
        }
        return newest(of: taken)
    }

    /// Takes the connections on one of `addresses` out that the peer has left to this node.
    ///
    /// Looks at those that were left and at no others: the peer leaves tens of thousands in some
    /// hundred frames, and they are taken after each of them.
    public mutating func takeMoved(_ addresses: Set<IPAddress>) -> [ConnectionShadow] {
        newest(of: takeMovedEntries { addresses.contains($0.key.localAddress) })
    }

    /// Forgets connections that the peer left to this node before `limit` and that this node could
    /// not take.
    ///
    /// - Returns: how many.
    public mutating func forgetMoved(before limit: Instant) -> Int {
        newest(of: takeMovedEntries { $0.heardAt < limit }).count
    }

    private mutating func takeMovedEntries(
        _ isWanted: (ConnectionShadow) -> Bool
    ) -> [Entry] {
        guard movedCount > 0 else { return [] }
        var taken: [Entry] = []
        for (worker, entries) in moved {
            visitCount &+= entries.count
            taken += entries.lazy.filter { isWanted($0.shadow) }
            let rest = entries.filter { !isWanted($0.shadow) }
            moved[worker] = rest.isEmpty ? nil : rest
        }
        return taken
    }

    /// Of several with the same ends, the one opened last; in the order of their opening.
    private mutating func newest(of taken: [Entry]) -> [ConnectionShadow] {
        var newest: [ClientKey: Entry] = [:]
        for entry in taken {
            discount(entry.shadow)
            if let known = newest[entry.shadow.key], known.order >= entry.order { continue }
            newest[entry.shadow.key] = entry
        }
        return newest.values.sorted { $0.order < $1.order }.map(\.shadow)
    }
}
