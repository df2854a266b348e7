// SPDX-License-Identifier: Apache-2.0
//
// A planned switchover as the node that gives up sees it: from its release to the peer's word.

internal import VRRPService
internal import WireCore

/// How far a switchover has come.
enum Switchover {
    /// Nobody asked.
    case none
    /// The pair thread was told.
    case asked(at: Instant)
    /// The pair thread refused.
    case refused(String)
    /// The peer says that it is active.
    case done(took: TimeSpan)

    /// First words of the text while it is not decided; the command line waits for others.
    static let pendingMark = "pending:"

    /// True when the node did not give up.
    var isRefused: Bool {
        if case .refused = self { return true }
        return false
    }

    /// What `show switchover` answers.
    func text(peer: String) -> String {
        switch self {
        case .none: "no switchover since this node started\n"
        case .asked: "\(Self.pendingMark) waiting for \(peer)\n"
        case .refused(let reason): "failed: \(reason)\n"
        case .done(let took):
            "\(peer) is active; nobody held the addresses for at most "
                + "\(took.microseconds) microseconds\n"
        }
    }

    /// Looks whether the peer has taken over.
    mutating func observe(_ pair: PairSnapshot) {
        guard case .asked(let askedAt) = self, !pair.isActive,
            let released = pair.routers.map(\.since.instant).max(),
            let heardAt = pair.peerBecameActiveAt, heardAt >= askedAt
        else { return }
        self = .done(took: heardAt - released)
    }
}
