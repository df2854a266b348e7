// SPDX-License-Identifier: Apache-2.0
//
// The sending end of the replication stream: which client connections this node has, and what the
// peer has to be told next. Owns no socket and no clock.
//
//     disconnected --connected--> beginning --> sending (the snapshot) --> tailing
//          ^                          ^                                       |
//          |                          +---- too many changes wait, resumed ---+
//          +--- disconnected ---- any                     held: nothing is sent

/// Keeps this node's client connections and makes the messages that tell the peer.
public struct ReplicationFeed: Sendable {
    /// Connections kept; further ones are left out and counted.
    public static let clientCountMax = 262_144
    /// Changes that may wait for a slow peer; beyond that the peer gets a fresh snapshot.
    public static let waitingChangeCountMax = 65_536

    private enum Phase: Sendable {
        case disconnected
        case beginning
        case sending(keys: [ClientKey], next: Int)
        case tailing
    }

    private let clientCountMax: Int
    private let waitingChangeCountMax: Int
    private var owners: [ClientKey: UInt16] = [:]
    private var phase = Phase.disconnected
    private var waiting: [ClientChange] = []
    private var waitingStart = 0
    private var isHeld = false
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
    public var waitingChangeCount: Int { waiting.count - waitingStart }

    /// Whether this node has the connection.
    public func contains(_ key: ClientKey) -> Bool { owners[key] != nil }

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
            } else if owners[change.key] == batch.worker {
                // Another worker may have opened the same tuple before this report came.
                owners[change.key] = nil
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
            phase = .sending(keys: Array(owners.keys), next: 0)
            return .snapshotBegan
        case .sending(let keys, let next):
            let end = min(next + ReplicationMessage.changeCountMax, keys.count)
            guard next < end else {
                phase = .tailing
                return .snapshotEnded(openCount: UInt32(clamping: keys.count))
            }
            phase = .sending(keys: keys, next: end)
            return .changes(keys[next..<end].map { ClientChange($0, isOpen: true) })
        case .tailing:
            return nextChanges()
        }
    }

    /// What tells the peer that the stream lives; `nil` when there is something better to say.
    public func standing() -> ReplicationMessage? {
        guard case .tailing = phase, !isHeld, waitingChangeCount == 0 else { return nil }
        return .standing(openCount: UInt32(clamping: openCount), omittedCount: omittedCount)
    }

    private mutating func startSnapshot() {
        phase = .beginning
        snapshotCount += 1
        dropWaiting()
    }

    private mutating func dropWaiting() {
        waiting = []
        waitingStart = 0
    }

    /// A new connection is greeted, so that the peer takes it for alive; what the peer knew stays
    /// in force because this snapshot is never finished.
    private mutating func nextWhileHeld() -> ReplicationMessage? {
        guard case .beginning = phase else { return nil }
        phase = .sending(keys: [], next: 0)
        return .snapshotBegan
    }

    private mutating func nextChanges() -> ReplicationMessage? {
        let end = min(waitingStart + ReplicationMessage.changeCountMax, waiting.count)
        guard waitingStart < end else { return nil }
        let changes = Array(waiting[waitingStart..<end])
        if end == waiting.count {
            waiting.removeAll(keepingCapacity: true)
            waitingStart = 0
        } else {
            waitingStart = end
            if waitingStart > waiting.count / 2 {
                waiting.removeFirst(waitingStart)
                waitingStart = 0
            }
        }
        return .changes(changes)
    }

    private mutating func open(_ key: ClientKey, worker: UInt16) {
        guard owners[key] == nil else {
            owners[key] = worker
            return
        }
        guard owners.count < clientCountMax else {
            omittedCount += 1
            return
        }
        owners[key] = worker
        enqueue(ClientChange(key, isOpen: true))
    }

    private mutating func replace(_ batch: ClientChangeBatch) {
        owners = owners.filter { $0.value != batch.worker }
        for change in batch.changes where change.isOpen {
            guard owners.count < clientCountMax || owners[change.key] != nil else {
                omittedCount += 1
                continue
            }
            owners[change.key] = batch.worker
        }
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
            waiting.append(change)
        }
    }
}
