// SPDX-License-Identifier: Apache-2.0
//
// Connections that workers are to end because the other node had them in the meantime, and how many
// workers have done so. The kernel makes no connection again that it still has.

internal import ReplicationCore
internal import Synchronization

/// An order to all workers; any thread may ask how far it is.
public final class SurrenderOrder: Sendable {
    let keys: Set<ClientKey>
    private let remaining: Atomic<Int>

    init(_ keys: Set<ClientKey>, workerCount: Int) {
        self.keys = keys
        remaining = Atomic(workerCount)
    }

    /// Whether no worker has any of the connections.
    public var isDone: Bool { remaining.load(ordering: .acquiring) <= 0 }

    /// A worker has none of them.
    func noteDone() {
        remaining.subtract(1, ordering: .releasing)
    }
}
