// SPDX-License-Identifier: Apache-2.0
//
// Room that the control thread makes: a backend that comes back, a limit that grows. Requests that
// wait are told, as they are by other requests that end.

internal import EventLoop
internal import Synchronization

extension DataPlane {
    /// Sets how many requests of a pool may be in flight beside what `limits.requests` says.
    ///
    /// `Int.max` takes that limit away. With `adaptive_concurrency` the workers set it anew.
    ///
    /// - Returns: false when there is no such pool.
    @discardableResult
    public func setAdaptiveLimit(pool: String, requests: Int) -> Bool {
        guard let plan = currentSnapshot.pools.first(where: { $0.name == pool }) else {
            return false
        }
        let before = plan.shared.adaptive.limit.exchange(
            max(1, requests), ordering: .sequentiallyConsistent)
        if requests > before { announceRoom(in: plan.shared) }
        return true
    }

    /// Makes the workers look whether requests that wait find room now.
    func announceRoom(in pool: SharedPool) {
        guard pool.line.isJoined else { return }
        for mailbox in mailboxes { mailbox.post(.lookForRoom) }
    }
}
