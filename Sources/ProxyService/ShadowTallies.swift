// SPDX-License-Identifier: Apache-2.0
//
// What one worker counts about the shadows of its connections.

internal import Synchronization

/// Why a shadow channel ended.
public enum ShadowChannelEnd: UInt8, CaseIterable, Sendable {
    /// The other node, or the way to it, was too slow.
    case congested
    /// The connection broke or the other node closed it.
    case broken
    /// A newer channel came.
    case replaced

    /// The word for logs and metrics.
    public var token: StaticString {
        switch self {
        case .congested: "congested"
        case .broken: "broken"
        case .replaced: "replaced"
        }
    }
}

/// Shadows of one worker, and what became of them.
final class ShadowTallies: Sendable {
    /// A channel to the other node is open.
    let channelsOpen = Tally()
    /// Connections that the other node knows at present.
    let open = Tally()
    /// Records written.
    let records = Tally()
    /// Frames sealed, and their bytes.
    let frames = Tally()
    let bytes = Tally()
    /// Snapshots of all connections.
    let snapshots = Tally()
    /// Ends of answers that waited for the end of their turn.
    let heldAnswers = Tally()
    /// Requests that did.
    let heldRequests = Tally()
    /// Turns that ended with bytes the channel did not take.
    let waits = Tally()
    /// Connections whose state the kernel does not tell: not permitted, and any other reason.
    let notPermitted = Tally()
    let notCaptured = Tally()
    /// Requests that may be repeated, with a head too long to be told.
    let longHeads = Tally()
    let congestedChannels = Tally()
    let brokenChannels = Tally()
    let replacedChannels = Tally()

    func ends(_ end: ShadowChannelEnd) -> UInt64 {
        switch end {
        case .congested: congestedChannels.value
        case .broken: brokenChannels.value
        case .replaced: replacedChannels.value
        }
    }

    func add(_ end: ShadowChannelEnd) {
        switch end {
        case .congested: congestedChannels.add()
        case .broken: brokenChannels.add()
        case .replaced: replacedChannels.add()
        }
    }
}
