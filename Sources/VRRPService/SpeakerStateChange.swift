// SPDX-License-Identifier: Apache-2.0
//
// What the owner of a speaker hears of each change of state.

public import VRRPCore
public import WireCore

/// A change of state as the owner of a speaker sees it; the effects have happened already.
public struct SpeakerStateChange: Hashable, Sendable {
    /// The virtual router.
    public var instance: VirtualRouterInstance
    /// The states and the cause.
    public var transition: VirtualRouterTransition
    /// The virtual addresses.
    public var addresses: [IPAddress]
    /// Whether the addresses stay here quietly, so that connections can end.
    public var isLingering: Bool
    /// The takeover's steps, when the new state is Active.
    public var failover: FailoverRecord?
}
