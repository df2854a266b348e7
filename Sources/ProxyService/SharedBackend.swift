// SPDX-License-Identifier: Apache-2.0
//
// A backend as all threads see it: what the control thread decided about it, what it has in flight,
// what it failed at. Lives as long as someone refers to it, so an unchanged backend keeps all of
// that over a reload.

internal import BalancerCore
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
    let pool: SharedPool
    /// Its address as text, for requests without a host, and its name for the access log.
    ///
    /// Written once, before anyone can see this object, and freed with it: sharing them is safe.
    nonisolated(unsafe) let hostText: UnsafeRawBufferPointer
    nonisolated(unsafe) let nameText: UnsafeRawBufferPointer
    /// `BackendStanding.rawValue`; only the control thread writes it.
    private let standingWord: Atomic<UInt32>
    /// The one request that an ejected backend is sent to see how it does.
    let trial = TrialTicket()
    /// Failures in a row.
    let streak = SharedStreak()
    /// Failures in a row were reported, and nobody has read it yet.
    let isReported = Atomic<Bool>(false)
    /// Idle connections that a worker does not need at the moment.
    let exchange = DescriptorExchange()
    /// Requests of all workers in flight, connecting ones, copies and tunnels included.
    let requestsInFlight = Atomic<Int>(0)
    /// How many of them are tunnels.
    let tunnelsInFlight = Atomic<Int>(0)
    /// Connections of all workers, whatever they do.
    let connections = Atomic<Int>(0)
    /// The latency that the other node's choices go by; see `PeerHint`.
    let peerLatency = Atomic<UInt64>(0)
    /// One row for each worker.
    let tallies: [BackendTallies]

    init(
        identity: BackendIdentity, pool: SharedPool, standing: BackendStanding, workerCount: Int
    ) {
        self.identity = identity
        self.pool = pool
        standingWord = Atomic(standing.rawValue)
        hostText = AccessDesk.copy(identity.address.description)
        nameText = AccessDesk.copy(identity.name)
        tallies = (0..<workerCount).map { _ in BackendTallies() }
        if standing.admission == .trial { trial.set(isOpen: true) }
    }

    deinit {
        hostText.deallocate()
        nameText.deallocate()
    }

    /// What it may be given now.
    @inline(__always)
    var standing: BackendStanding {
        BackendStanding(rawValue: standingWord.load(ordering: .relaxed))
    }

    /// True when connections to it are worth keeping.
    @inline(__always)
    var mayKeepIdle: Bool {
        let admission = standing.admission
        return admission != .draining && admission != .maintenance
    }

    /// Decides what it may be given; the pool's epoch has to move afterwards.
    ///
    /// Control thread only. Each decision for a trial lets one more request through, also when it
    /// repeats the last one.
    ///
    /// - Returns: true when workers have to look.
    func setStanding(_ standing: BackendStanding) -> Bool {
        let before = self.standing
        // What it failed at before it was taken out is paid for.
        if standing.admission == .serving, before.admission != .serving { streak.end() }
        if standing.admission == .trial || before.admission == .trial {
            trial.set(isOpen: standing.admission == .trial)
        }
        standingWord.store(standing.rawValue, ordering: .relaxed)
        return before != standing
    }
}
