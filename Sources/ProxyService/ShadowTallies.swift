// SPDX-License-Identifier: Apache-2.0
//
// What one worker counts about the shadows of its connections.

internal import Synchronization
internal import WireCore

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
    /// Records of the turns since the channel took everything; 0 when nothing waits.
    private let lagRecords = Tally()
    /// Since when, in nanoseconds of the monotonic clock; 0 when nothing waits.
    private let lagBegan = Tally()
    /// Connections whose state the kernel does not tell: not permitted, and any other reason.
    let notPermitted = Tally()
    let notCaptured = Tally()
    /// Requests that may be repeated, with a head too long to be told.
    let longHeads = Tally()
    let congestedChannels = Tally()
    let brokenChannels = Tally()
    let replacedChannels = Tally()

    /// Some records more wait for the channel, or nothing does any more.
    @inline(__always)
    func noteLag(of records: UInt64, since began: Instant?) {
        guard let began else {
            if lagBegan.value != 0 {
                lagBegan.reset()
                lagRecords.reset()
            }
            return
        }
        if lagBegan.value == 0 { lagBegan.add(began.nanoseconds) }
        lagRecords.add(records)
    }

    /// What the other node was not told, and since when; `nil` when it was told everything.
    var lag: (records: UInt64, began: Instant)? {
        let began = lagBegan.value
        return began == 0 ? nil : (lagRecords.value, Instant(nanoseconds: began))
    }

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
