// SPDX-License-Identifier: Apache-2.0
//
// The reasons for which a node does not serve, as values and in words.

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
    /// A tracker whose penalty is a fault says no.
    case trackerFailed = "tracker_failed"
    /// Another virtual router of the same group cannot serve.
    case groupFaulty = "group_faulty"
    /// The owner of the speaker holds it back.
    case heldBack = "held_back"

    /// The fault in plain words.
    public var explanation: String {
        switch self {
        case .interfaceDown: "the interface is down"
        case .ownAddressMissing: "the node's own address is gone"
        case .addressRefused: "a virtual address could not be added"
        case .dataPlaneStalled: "the data plane stalled"
        case .trackerFailed: "a tracker failed"
        case .groupFaulty: "another virtual router of the group cannot serve"
        case .heldBack: "held back"
        }
    }
}
