// SPDX-License-Identifier: Apache-2.0
//
// What a speaker tells other threads about itself, as values.

public import VRRPCore
public import WireCore

/// Why this node cannot serve for now; the raw value serves in logs and metrics.
public enum LocalFault: String, Hashable, Sendable, CaseIterable {
    /// The interface is off or its cable is out.
    case interfaceDown = "interface_down"
    /// The node's own address is not on the interface.
    case ownAddressMissing = "own_address_missing"
    /// The kernel refused a virtual address.
    case addressRefused = "address_refused"
    /// The workers make no progress.
    case dataPlaneStalled = "data_plane_stalled"
    /// The owner of the speaker holds it back.
    case heldBack = "held_back"

    /// The fault in plain words.
    public var explanation: String {
        switch self {
        case .interfaceDown: "the interface is down"
        case .ownAddressMissing: "the node's own address is gone"
        case .addressRefused: "a virtual address could not be added"
        case .dataPlaneStalled: "the data plane stalled"
        case .heldBack: "held back"
        }
    }
}

/// A change of state as the owner of a speaker sees it; the effects have happened already.
public struct SpeakerStateChange: Hashable, Sendable {
    /// The virtual router.
    public var virtualRouterID: UInt8
    /// The states and the cause.
    public var transition: VirtualRouterTransition
    /// The takeover's steps, when the new state is Active.
    public var failover: FailoverRecord?
}

/// Another router that says it is the Active.
public struct HeardActive: Hashable, Sendable {
    /// Its own address.
    public var address: IPAddress
    /// Its priority.
    public var priority: UInt8
    /// Its advert interval.
    public var interval: TimeSpan
    /// When it was heard last.
    public var heardAt: Instant
}

/// A virtual router as `tandem status` shows it.
public struct SpeakerStatus: Hashable, Sendable {
    /// The virtual router.
    public var virtualRouterID: UInt8
    /// The state.
    public var state: VirtualRouterState = .initialize
    /// Since when.
    public var since: Moment
    /// What brought it there; `nil` before the start.
    public var cause: VirtualRouterTransition.Cause?
    /// The node's priority.
    public var priority: UInt8
    /// The node's own advert interval.
    public var interval: TimeSpan
    /// The virtual addresses, held or not.
    public var addresses: [IPAddress]
    /// The virtual addresses on this node now.
    public var heldAddresses: [IPAddress] = []
    /// Why the node does not serve.
    public var faults: [LocalFault] = []
    /// The router that was heard last.
    public var heardActive: HeardActive?
    /// This node's last takeover.
    public var lastFailover: FailoverRecord?
    /// What the state machine counted.
    public var counters: VirtualRouterCounters
}
