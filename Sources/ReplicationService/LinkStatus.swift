// SPDX-License-Identifier: Apache-2.0
//
// The pair link as the operator sees it: a value that may leave the loop's thread.

public import ReplicationCore
public import WireCore

/// The state of the pair link.
public struct LinkStatus: Hashable, Sendable {
    /// How far this node's own connection to the peer has come.
    public enum Dial: Hashable, Sendable {
        /// Not started, or this node is leaving.
        case idle
        /// Waiting before the next attempt.
        case waiting
        /// Connecting or shaking hands.
        case dialling
        /// Heartbeats are being sent.
        case established
        /// The last attempt ended in a refusal; the next one follows after a wait.
        case refused(LinkHandshakeFailure)
    }

    /// The peer's node name.
    public var peerName: String
    /// Whether frames are authenticated with a shared secret.
    public var isAuthenticated: Bool
    /// Why heartbeats do not arrive, or `nil` while they do.
    public var downReason: LinkDownReason?
    /// When the peer was last heard, on this node's monotonic clock.
    public var lastHeardAt: Instant?
    /// What the peer last said.
    public var lastHeartbeat: Heartbeat?
    /// Whether both nodes run from the same configuration; `nil` until the peer was heard.
    public var isConfigurationEqual: Bool?
    /// This node's own connection to the peer.
    public var dial: Dial
    /// Why a connection of the peer was refused most recently, if it was since the last good one.
    public var lastInboundRefusal: LinkRefusal?

    /// Whether heartbeats arrive.
    public var isUp: Bool { downReason == nil }
}

extension LinkStatus.Dial: CustomStringConvertible {
    /// The state in words.
    public var description: String {
        switch self {
        case .idle: "idle"
        case .waiting: "waiting to dial"
        case .dialling: "dialling"
        case .established: "established"
        case .refused(let failure): "refused (\(failure))"
        }
    }
}
