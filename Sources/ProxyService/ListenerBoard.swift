// SPDX-License-Identifier: Apache-2.0
//
// What all workers and the control thread know about listeners in common: what their limits count
// and one row of counters for each worker. Lives as long as someone refers to it, so an unchanged
// listener keeps its numbers over a reload.

internal import ConfigurationCore
internal import LinuxIO
internal import Synchronization
internal import WireCore

/// What makes a listener the same one after a reload.
struct ListenerIdentity: Hashable, Sendable {
    let name: String
    let bind: Endpoint
}

/// A listener as all threads see it.
final class SharedListener: Sendable {
    let identity: ListenerIdentity
    /// One row for each worker.
    let tallies: [ListenerTallies]
    /// What its limits count.
    let admission = ListenerAdmission()

    init(identity: ListenerIdentity, workerCount: Int) {
        self.identity = identity
        tallies = (0..<workerCount).map { _ in ListenerTallies() }
    }

    /// Makes what limits need before workers see them; what is there stays.
    func prepare(for limits: ListenerLimits) {
        guard limits.connectionsPerClient != nil, admission.addresses.load() == nil else { return }
        let counts = ClientAddressCounts(seed: (RandomBytes.seed(), RandomBytes.seed()))
        _ = admission.addresses.storeIfNil(counts)
    }
}
