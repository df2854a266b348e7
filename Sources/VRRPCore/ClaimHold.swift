// SPDX-License-Identifier: Apache-2.0
//
// Why a Backup may not take over although nobody seems to be Active. Not in the RFC.

public import WireCore

/// A reason for which a Backup does not claim the addresses; an Active is never concerned.
public enum ClaimHold: String, Hashable, Sendable, CaseIterable {
    /// The witness on the LAN does not answer: the silence may be our own deafness.
    ///
    /// Proof that the Active is gone (its death on the pair link, a hand-over, priority 0) counts
    /// all the same.
    case witnessUnreachable = "witness_unreachable"
    /// The Active runs another configuration, and the operator said that this matters.
    ///
    /// No proof helps; but where no Active was ever known nobody is replaced and it says nothing.
    case differentConfiguration = "different_configuration"
    /// This node does not know yet what the Active knows: it preempts nobody, not even as owner.
    ///
    /// An Active that is silent or gone is replaced all the same.
    case synchronizing
}

extension ClaimHold {
    /// Whether it may keep this node from addresses that nobody serves any more.
    public var forbidsClaims: Bool {
        switch self {
        case .witnessUnreachable, .differentConfiguration: true
        case .synchronizing: false
        }
    }

    /// The hold in plain words.
    public var explanation: String {
        switch self {
        case .witnessUnreachable: "the gateway that is the witness does not answer"
        case .differentConfiguration: "the active node runs another configuration"
        case .synchronizing: "this node does not know yet what the active node knows"
        }
    }
}

/// A hold that is in force.
public struct HeldClaim: Hashable, Sendable {
    /// The reason.
    public var hold: ClaimHold
    /// Since when.
    public var since: Instant

    /// Makes a held claim.
    public init(hold: ClaimHold, since: Instant) {
        self.hold = hold
        self.since = since
    }
}
