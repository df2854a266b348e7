// SPDX-License-Identifier: Apache-2.0
//
// The sending end of the replication stream: which client connections this node has, and what the
// peer has to be told next. Owns no socket and no clock.
//
//     disconnected --connected--> beginning --> sending (the snapshot) --> tailing
//          ^                          ^                                       |
//          |                          +---- too many changes wait, resumed ---+
//          +--- disconnected ---- any                     held: nothing is sent

import WireCore

/// Keeps this node's client connections and makes the messages that tell the peer.
public struct ReplicationFeed: Sendable {
    /// Connections kept; further ones are left out and counted.
    public static let clientCountMax = 262_144
    /// Changes that may wait for a slow peer; beyond that the peer gets a fresh snapshot.
    public static let waitingChangeCountMax = 65_536

    private enum Phase: Sendable {
        case disconnected
        case beginning
        /// Keys of IPv4 come first; a message has one family.
        case sending(keys: [ClientKey], next: Int)
        case tailing
    }

    private let clientCountMax: Int
    private let waitingChangeCountMax: Int
    private struct Owner: Sendable {
        var worker: UInt16
        var era: UInt32
    }

    private var owners: [ClientKey: Owner] = [:]
    /// How many of `owners` are of IPv6.
    private var ipv6Count = 0
    private var phase = Phase.disconnected
    // Apart, because a message has one family; between families the order means nothing.
    private var waiting = ChangeQueue()
    private var waitingIPv6 = ChangeQueue()
    private var isIPv6Next = false
    private var isHeld = false
    /// Tells connections that were opened before something from those opened since.
    public private(set) var era: UInt32 = 0
    /// Connections that were left out because the table was full.
    public private(set) var omittedCount: UInt64 = 0
    /// Snapshots begun.
    public private(set) var snapshotCount: UInt64 = 0

    /// Makes an empty feed; other limits than the normal ones are for tests.
    public init(
        clientCountMax: Int = Self.clientCountMax,
        waitingChangeCountMax: Int = Self.waitingChangeCountMax
    ) {
        self.clientCountMax = clientCountMax
        self.waitingChangeCountMax = waitingChangeCountMax
    }

    /// Client connections of this node.
    public var openCount: Int { owners.count }

    /// Changes that wait to be sent.
    public var waitingChangeCount: Int { waiting.count + waitingIPv6.count }

    /// Client connections of this node by family.
    private var openCounts: OpenClientCount {
        OpenClientCount(
            ipv4: UInt32(clamping: owners.count - ipv6Count), ipv6: UInt32(clamping: ipv6Count))
    }

    /// Whether this node has the connection.
    public func contains(_ key: ClientKey) -> Bool { owners[key] != nil }

    /// In which era this node opened the connection; `nil` when it does not have it.
    public func era(of key: ClientKey) -> UInt32? { owners[key]?.era }

    /// What is opened from now on belongs to the next era.
    public mutating func beginEra() { era &+= 1 }

    /// A connection to the peer is up: it knows nothing.
    public mutating func connected() {
        startSnapshot()
    }

    /// The connection to the peer is gone.
    public mutating func disconnected() {
        phase = .disconnected
        dropWaiting()
    }

    /// From now on the peer must remember what it knows: the addresses went to it, and what this
    /// node closes now are the very connections that the peer has to reset.
    public mutating func hold() {
        isHeld = true
        dropWaiting()
    }

    /// The peer has had time to use what it knew: it gets the present state.
    public mutating func resume() {
        guard isHeld else { return }
        isHeld = false
        if case .disconnected = phase { return }
        startSnapshot()
    }

    /// A worker reported.
    public mutating func apply(_ batch: ClientChangeBatch) {
        if batch.isComplete {
            replace(batch)
            return
        }
        for change in batch.changes {
            if change.isOpen {
                open(change.key, worker: batch.worker)
            } else if owners[change.key]?.worker == batch.worker {
                // Another worker may have opened the same tuple before this report came.
                owners[change.key] = nil
                if change.key.family == .ipv6 { ipv6Count -= 1 }
                enqueue(change)
            }
        }
    }

    /// The next message for the peer; `nil` when it knows everything or nothing may be sent.
    public mutating func nextMessage() -> ReplicationMessage? {
        guard !isHeld else { return nextWhileHeld() }
        switch phase {
        case .disconnected:
            return nil
        case .beginning:
            phase = .sending(keys: sortedKeys(), next: 0)
            return .snapshotBegan
        case .sending(let keys, let next):
            guard next < keys.count else {
                phase = .tailing
                return .snapshotEnded(open: Self.count(keys))
            }
            let family = keys[next].family
            let countMax = ReplicationMessage.changeCountMax(family)
            let part = keys[next...].prefix(countMax).prefix { $0.family == family }
            phase = .sending(keys: keys, next: part.endIndex)
            return .changes(part.map { ClientChange($0, isOpen: true) })
        case .tailing:
            return nextChanges()
        }
    }

    /// What tells the peer that the stream lives; `nil` when there is something better to say.
    public func standing() -> ReplicationMessage? {
        guard case .tailing = phase, !isHeld, waitingChangeCount == 0 else { return nil }
        return .standing(open: openCounts, omittedCount: omittedCount)
    }

    private func sortedKeys() -> [ClientKey] {
        var keys = Array(owners.keys)
        // Most nodes have clients of one family.
        if ipv6Count > 0 { _ = keys.partition { $0.family == .ipv6 } }
        return keys
    }

    /// Of keys in the order of a snapshot.
    private static func count(_ keys: [ClientKey]) -> OpenClientCount {
        let ipv4 = keys.firstIndex { $0.family == .ipv6 } ?? keys.count
        return OpenClientCount(
            ipv4: UInt32(clamping: ipv4), ipv6: UInt32(clamping: keys.count - ipv4))
    }

    private mutating func startSnapshot() {
        phase = .beginning
        snapshotCount += 1
        dropWaiting()
    }

    private mutating func dropWaiting() {
        waiting = ChangeQueue()
        waitingIPv6 = ChangeQueue()
    }

    /// A new connection is greeted, so that the peer takes it for alive; what the peer knew stays
    /// in force because this snapshot is never finished.
    private mutating func nextWhileHeld() -> ReplicationMessage? {
        guard case .beginning = phase else { return nil }
        phase = .sending(keys: [], next: 0)
        return .snapshotBegan
    }

    private mutating func nextChanges() -> ReplicationMessage? {
        // In turn, so that neither family waits for the other.
        let isIPv6 = waiting.count == 0 || (isIPv6Next && waitingIPv6.count > 0)
        isIPv6Next = !isIPv6
        let changes =
            isIPv6
            ? waitingIPv6.take(ReplicationMessage.changeCountMax(.ipv6))
            : waiting.take(ReplicationMessage.changeCountMax(.ipv4))
        return changes.isEmpty ? nil : .changes(changes)
    }

    private mutating func open(_ key: ClientKey, worker: UInt16) {
        let owner = Owner(worker: worker, era: era)
        guard owners[key] == nil else {
            owners[key] = owner
            return
        }
        guard owners.count < clientCountMax else {
            omittedCount += 1
            return
        }
        owners[key] = owner
        if key.family == .ipv6 { ipv6Count += 1 }
        enqueue(ClientChange(key, isOpen: true))
    }

    private mutating func replace(_ batch: ClientChangeBatch) {
        let former = owners
        owners = owners.filter { $0.value.worker != batch.worker }
        for change in batch.changes where change.isOpen {
            guard owners.count < clientCountMax || owners[change.key] != nil else {
                omittedCount += 1
                continue
            }
            // Told once more; it was opened when it was.
            owners[change.key] = Owner(
                worker: batch.worker, era: former[change.key]?.era ?? era)
        }
        ipv6Count = owners.keys.count { $0.family == .ipv6 }
        if case .disconnected = phase { return }
        startSnapshot()
    }

    private mutating func enqueue(_ change: ClientChange) {
        guard !isHeld else { return }
        switch phase {
        case .disconnected, .beginning:
            // The snapshot will say it.
            return
        case .sending, .tailing:
            guard waitingChangeCount < waitingChangeCountMax else {
                startSnapshot()
                return
            }
            if change.key.family == .ipv6 {
                waitingIPv6.append(change)
            } else {
                waiting.append(change)
            }
        }
    }
}

/// Changes that wait, first in first out.
private struct ChangeQueue: Sendable {
    private var changes: [ClientChange] = []
    private var start = 0

    var count: Int { changes.count - start }

    mutating func append(_ change: ClientChange) {
        changes.append(change)
    }

    /// Takes the first ones, at most `countMax`.
    mutating func take(_ countMax: Int) -> [ClientChange] {
        let end = min(start + countMax, changes.count)
        let taken = Array(changes[start..<end])
        if end == changes.count {
            changes.removeAll(keepingCapacity: true)
            start = 0
        } else {
            start = end
            if start > changes.count / 2 {
                changes.removeFirst(start)
                start = 0
            }
        }
        return taken
    }
}
