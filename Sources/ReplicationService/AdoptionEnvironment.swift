// SPDX-License-Identifier: Apache-2.0
//
// What a campaign is given by whoever begins it, and asks of it.

import EventLoop
import LinuxIO
import ReplicationCore
import Telemetry
import WireCore

extension AdoptionCampaign {
    /// What a campaign needs of its owner.
    struct Environment {
        var loop: EventLoop
        var sender: any SegmentSending
        var report: AdoptionReport
        var logger: Logger
        /// How long bytes may take that a client must send again.
        var expectationSpan: TimeSpan
        /// Serves connections.
        var handOn: ([AdoptedClient]) -> Void
        /// All connections are made that will be: the kernel may refuse again what it does not
        /// know.
        var allMade: (Set<IPAddress>) -> Void
        /// What this node's workers say of connections with the same ends.
        var holding: (ClientKey) -> OwnHolding
        /// Makes workers end such connections; what it returns says whether they have.
        var surrender: (Set<ClientKey>) -> (() -> Bool)
        /// Ends what the kernel has of such connections.
        var endExisting: (Set<ClientKey>, Set<IPAddress>) -> Void
        /// Whether a connection without a shadow is to be reset.
        var isDoomed: (ClientKey) -> Bool
    }
}
