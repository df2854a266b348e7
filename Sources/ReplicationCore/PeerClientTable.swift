// SPDX-License-Identifier: Apache-2.0
//
// The receiving end of the replication stream: the client connections of the peer, as far as this
// node knows them. What is done with them at a takeover is the service's.

public import WireCore

/// The peer's client connections.
///
/// A snapshot is collected beside the table in force and takes its place when it is complete, so
/// that a peer that dies in the middle of one leaves more behind rather than less.
public struct PeerClientTable: Sendable {
    /// Connections kept; further ones are left out and counted.
    public static let clientCountMax = ReplicationFeed.clientCountMax

    private let clientCountMax: Int
    private var current: Set<ClientKey> = []
    private var arriving: Set<ClientKey>?
    /// Something was forgotten since the last snapshot: the peer may count more.
    private var isPartial = false
    /// Complete snapshots taken in.
    public private(set) var snapshotCount: UInt64 = 0
    /// Connections that this node left out because the table was full.
    public private(set) var omittedHereCount: UInt64 = 0
    /// Connections that the peer said it left out.
    public private(set) var omittedByPeerCount: UInt64 = 0
    /// Times the peer counted other connections than this node holds: an error in the stream.
    public private(set) var mismatchCount: UInt64 = 0

    /// Makes an empty table; another limit than the normal one is for tests.
    public init(clientCountMax: Int = Self.clientCountMax) {
        self.clientCountMax = clientCountMax
    }

    /// Connections known.
    public var count: Int { max(current.count, arriving?.count ?? 0) }

    /// Takes a message of the peer.
    public mutating func apply(_ message: ReplicationMessage) {
        switch message {
        case .snapshotBegan:
            arriving = []
        case .changes(let changes):
            for change in changes { apply(change) }
        case .snapshotEnded(let open):
            guard let arrived = arriving else { return }
            current = arrived
            arriving = nil
            isPartial = false
            snapshotCount += 1
            check(open)
        case .standing(let open, let omittedCount):
            omittedByPeerCount = omittedCount
            check(open)
        }
    }

    /// The connection from the peer is gone, or a new one begins: a snapshot that was on its way
    /// will not be finished.
    public mutating func streamBegan() {
        guard let arrived = arriving else { return }
        current.formUnion(arrived)
        arriving = nil
    }

    /// Every connection known on one of `addresses`.
    public func clients(of addresses: Set<IPAddress>) -> [ClientKey] {
        var result = current.filter { addresses.contains($0.localAddress) }
        if let arriving {
            result.formUnion(arriving.lazy.filter { addresses.contains($0.localAddress) })
        }
        return Array(result)
    }

    /// Forgets the connections on `addresses`: they are this node's business now.
    public mutating func forget(_ addresses: Set<IPAddress>) {
        isPartial = true
        current = current.filter { !addresses.contains($0.localAddress) }
        arriving = arriving.map { $0.filter { !addresses.contains($0.localAddress) } }
    }

    /// Takes back what was forgotten too early.
    ///
    /// What the peer told in a snapshot since then counts more, and nothing is taken back.
    ///
    /// - Parameters:
    ///   - clients: the forgotten connections.
    ///   - count: `snapshotCount` when they were forgotten.
    public mutating func remember(_ clients: [ClientKey], knownAt count: UInt64) {
        guard count == snapshotCount else { return }
        for client in clients {
            Self.apply(
                ClientChange(client, isOpen: true), to: &current, limit: clientCountMax,
                &omittedHereCount)
        }
    }

    private mutating func apply(_ change: ClientChange) {
        // Taken out while it is changed, so that it is not copied.
        guard var arrived = arriving.take() else {
            Self.apply(change, to: &current, limit: clientCountMax, &omittedHereCount)
            return
        }
        Self.apply(change, to: &arrived, limit: clientCountMax, &omittedHereCount)
        arriving = arrived
    }

    private static func apply(
        _ change: ClientChange, to set: inout Set<ClientKey>, limit: Int, _ omitted: inout UInt64
    ) {
        if !change.isOpen {
            set.remove(change.key)
        } else if set.count < limit {
            set.insert(change.key)
        } else if !set.contains(change.key) {
            omitted += 1
        }
    }

    private mutating func check(_ open: OpenClientCount) {
        guard !isPartial, arriving == nil, omittedHereCount == 0 else { return }
        if open.total != current.count { mismatchCount += 1 }
    }
}
