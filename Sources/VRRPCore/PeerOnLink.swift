// SPDX-License-Identifier: Apache-2.0
//
// What the other node says on the pair link about its half of a virtual router. Not in the RFC.

public import WireCore

/// One virtual router of the other node as a heartbeat describes it.
public struct PeerOnLink: Hashable, Sendable {
    /// The other node's own address, of the router's family: where its adverts come from.
    public var address: IPAddress
    /// Its state.
    public var role: VirtualRouterState
    /// Its priority as it stands, penalties counted.
    public var priority: UInt8
    /// Whether it is out of service for a fault.
    public var isFaulty: Bool
    /// Whether it may not claim the addresses at present.
    public var isHeld: Bool
    /// Whether it still holds the addresses quietly while old connections end.
    public var isLingering: Bool
    /// Whether it ran late and asks if it is still Active, which it says it is.
    public var isDoubtful: Bool
    /// Whether it said this after it had heard our last question.
    public var isAnswer: Bool
    /// Another number after each time it became Active, in this and other lives of its process;
    /// `nil` from a version that neither says so nor answers questions.
    public var claimMark: UInt32?

    /// Describes the other node.
    public init(
        address: IPAddress, role: VirtualRouterState, priority: UInt8, isFaulty: Bool = false,
        isHeld: Bool = false, isLingering: Bool = false, isDoubtful: Bool = false,
        isAnswer: Bool = false, claimMark: UInt32? = nil
    ) {
        self.address = address
        self.role = role
        self.priority = priority
        self.isFaulty = isFaulty
        self.isHeld = isHeld
        self.isLingering = isLingering
        self.isDoubtful = isDoubtful
        self.isAnswer = isAnswer
        self.claimMark = claimMark
    }
}

/// What silence is enough to take over.
public enum SilenceRule: String, Hashable, Sendable, CaseIterable {
    /// That of the adverts, as RFC 9568 §6.4.2 says (`takeover: fast`).
    case adverts
    /// That of the adverts and of the pair link (`takeover: safe`): a busy peer is no dead peer.
    case advertsAndLink
}
