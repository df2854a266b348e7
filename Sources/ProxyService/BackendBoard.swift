// SPDX-License-Identifier: Apache-2.0
//
// What all workers and the control thread know about backends and listeners in common: a few
// atomics and one row of counters for each worker. Lives as long as someone refers to it, so an
// unchanged backend keeps its health and its numbers over a reload.

internal import ConfigurationCore
internal import LinuxIO
internal import Synchronization
internal import WireCore

/// What makes a backend the same one after a reload.
struct BackendIdentity: Hashable, Sendable {
    let pool: String
    let name: String
    let address: Endpoint
    /// Key `send_proxy_protocol` of its pool: a connection that began without the header is none
    /// for a pool that wants it.
    let proxyHeader: ProxyHeaderVersion?
}

/// A backend as all threads see it.
final class SharedBackend: Sendable {
    let identity: BackendIdentity
    /// The verdict of the health checks; without any it stays true.
    let isUp = Atomic<Bool>(true)
    /// Idle connections that a worker does not need at the moment.
    let exchange = DescriptorExchange()
    /// Requests of all workers in flight, connecting ones included.
    let requestsInFlight = Atomic<Int>(0)
    /// One row for each worker.
    let tallies: [BackendTallies]

    init(identity: BackendIdentity, workerCount: Int) {
        self.identity = identity
        tallies = (0..<workerCount).map { _ in BackendTallies() }
    }
}

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
