// SPDX-License-Identifier: Apache-2.0
//
// What nodes tell each other on the pair link about one virtual router, as a value.

public import VRRPCore
public import WireCore

/// One virtual router as a node reports it on the pair link.
public struct PeerRouterHeard: Hashable, Sendable {
    /// VRID, 1-255.
    public var virtualRouterID: UInt8
    /// The family of its addresses.
    public var family: AddressFamily
    /// The node's state.
    public var state: VirtualRouterState
    /// The priority in force; `nil` from a node that does not say.
    public var priority: UInt8?
    /// Whether the node cannot serve.
    public var isFaulty: Bool
    /// Whether something keeps the node from becoming Active by silence.
    public var isHeld: Bool
    /// Whether the node keeps the addresses quietly until connections have ended.
    public var isLingering: Bool
    /// Whether the node ran late and asks if it is still Active, as which it stands here.
    public var isDoubtful: Bool
    /// Another number after each time the node became Active; `nil` from one that does not say.
    public var claimMark: UInt32?

    /// Describes a virtual router.
    public init(
        virtualRouterID: UInt8, family: AddressFamily = .ipv4, state: VirtualRouterState,
        priority: UInt8? = nil, isFaulty: Bool = false, isHeld: Bool = false,
        isLingering: Bool = false, isDoubtful: Bool = false, claimMark: UInt32? = nil
    ) {
        self.virtualRouterID = virtualRouterID
        self.family = family
        self.state = state
        self.priority = priority
        self.isFaulty = isFaulty
        self.isHeld = isHeld
        self.isLingering = isLingering
        self.isDoubtful = isDoubtful
        self.claimMark = claimMark
    }
}
