// SPDX-License-Identifier: Apache-2.0
//
// The names of everything the pair link counts.

/// One thing the pair link counts; the raw value is the name in metrics.
public enum LinkCounter: String, Hashable, Sendable, CaseIterable {
    /// Heartbeats sent.
    case heartbeatsSent = "heartbeats_sent"
    /// Heartbeats not sent because the peer reads too slowly.
    case heartbeatsSkipped = "heartbeats_skipped"
    /// Heartbeats received and authenticated.
    case heartbeatsReceived = "heartbeats_received"
    /// Authenticated frames of types this version does not know.
    case unknownFramesSkipped = "unknown_frames_skipped"
    /// Times the link from the peer came up.
    case linkUps = "link_ups"
    /// Times the link from the peer went down.
    case linkDowns = "link_downs"
    /// Death certificates issued.
    case deathCertificates = "death_certificates"
    /// Times the peer left on purpose.
    case goodbyes
    /// Probes of the peer's listener after the end of its link.
    case probes
    /// Ended links after which the peer proved alive.
    case probesAlive = "probes_alive"
    /// Ended links after which probing gave no verdict.
    case probesWithoutVerdict = "probes_without_verdict"
    /// Dial attempts.
    case dials
    /// Dial attempts that failed before the handshake.
    case dialsFailed = "dials_failed"
    /// Handshakes the peer refused.
    case refusedByPeer = "refused_by_peer"
    /// Connections from an address that is not the peer's.
    case rejectedAddress = "rejected_address"
    /// Connections beyond the limit of unfinished handshakes.
    case rejectedPending = "rejected_pending"
    /// Connections that ended before a whole first frame: probes of the peer, port scans.
    case endedBeforeHello = "ended_before_hello"
    /// Connections that ended between the first frame and the last of the handshake.
    case endedInHandshake = "ended_in_handshake"
    /// Handshakes refused: protocol version.
    case refusedVersion = "refused_version"
    /// Handshakes refused: node name.
    case refusedName = "refused_name"
    /// Handshakes refused: wrong secret.
    case refusedSecret = "refused_secret"
    /// Handshakes refused: a secret on one side only.
    case refusedOneSidedSecret = "refused_one_sided_secret"
    /// Handshakes that took too long.
    case refusedDeadline = "refused_deadline"
    /// Connections closed: bytes that are no frame.
    case malformedFrames = "malformed_frames"
    /// Connections closed: a frame out of place.
    case unexpectedFrames = "unexpected_frames"
    /// Connections closed: a tag or number that the peer did not make.
    case forgedFrames = "forged_frames"
    /// Connections closed: bytes sent by a side that has nothing to say.
    case unexpectedBytes = "unexpected_bytes"

    /// The counter of a refused handshake.
    public init(_ refusal: LinkRefusal) {
        switch refusal {
        case .protocolVersion: self = .refusedVersion
        case .unknownNode, .sameNodeName: self = .refusedName
        case .wrongSecret: self = .refusedSecret
        case .diallerHasNoSecret, .acceptorHasNoSecret: self = .refusedOneSidedSecret
        case .malformedFrame: self = .malformedFrames
        case .unexpectedFrame, .unspecified: self = .unexpectedFrames
        case .tooManyPending: self = .rejectedPending
        case .deadline: self = .refusedDeadline
        }
    }
}
