// SPDX-License-Identifier: Apache-2.0
//
// A planned switchover as the node that gives up tells it: how far it is and what it cost.

internal import ReplicationCore
internal import Telemetry
internal import VRRPService
internal import WireCore

/// What the pair thread says about a switchover of this node's addresses.
enum SwitchoverNews: Sendable {
    /// It was not begun, or given up; the text says why.
    case refused(String)
    /// The other node serves; nobody did for so long.
    case moved(gap: TimeSpan, isForwarding: Bool)
    /// The last connection is gone; `nil` when they could not be kept.
    case finished(HandoverConnections?, took: TimeSpan)
    /// Clients are to be told to come back on a new connection.
    case partFromClients
    /// The connections of these addresses are to end by then, or to move to the other node.
    case drain([IPAddress], until: Instant, isMoving: Bool)
    /// They are to end now.
    case cutDrain
    /// The addresses are here again.
    case stopDrain
}

/// Switchovers since the start.
struct SwitchoverTotals {
    private(set) var finished: UInt64 = 0
    private(set) var refused: UInt64 = 0
    private(set) var connectionsFinished: UInt64 = 0
    private(set) var connectionsCut: UInt64 = 0
    private(set) var connectionsMoved: UInt64 = 0

    /// Something happened.
    mutating func hear(_ news: SwitchoverNews) {
        switch news {
        case .refused: refused &+= 1
        case .finished(let connections, _):
            finished &+= 1
            connectionsFinished &+= UInt64(connections?.ended ?? 0)
            connectionsCut &+= UInt64(connections?.cut ?? 0)
            connectionsMoved &+= UInt64(connections?.moved ?? 0)
        case .moved, .partFromClients, .drain, .cutDrain, .stopDrain: break
        }
    }
}

/// How far a switchover has come.
struct Switchover {
    /// Its steps.
    enum Stage {
        /// Nobody asked.
        case none
        /// The pair thread was told.
        case asked
        /// It did not happen.
        case refused(String)
        /// The other node serves; connections end here.
        case moved
        /// Nothing of it is left.
        case finished(HandoverConnections?, took: TimeSpan)
    }

    /// First words of the text while it is not decided; the command line waits for others.
    static let pendingMark = "pending:"

    private(set) var stage = Stage.none
    /// How long nobody served.
    private(set) var gap: TimeSpan?
    private(set) var isForwarding = false

    /// True when the node did not give up.
    var isRefused: Bool {
        if case .refused = stage { return true }
        return false
    }

    /// True while it goes on.
    var isPending: Bool {
        switch stage {
        case .asked, .moved: true
        case .none, .refused, .finished: false
        }
    }

    /// Somebody asked.
    mutating func ask() {
        self = Switchover()
        stage = .asked
    }

    /// Something happened.
    mutating func hear(_ news: SwitchoverNews) {
        switch news {
        case .refused(let reason): stage = .refused(reason)
        case .moved(let gap, let isForwarding):
            self.gap = gap
            self.isForwarding = isForwarding
            stage = .moved
        case .finished(let connections, let took): stage = .finished(connections, took: took)
        case .partFromClients, .drain, .cutDrain, .stopDrain: break
        }
    }

    /// What `show switchover` answers.
    func text(peer: String) -> String {
        switch stage {
        case .none: return "no switchover since this node started\n"
        case .asked: return "\(Self.pendingMark) waiting for \(peer)\n"
        case .refused(let reason): return "failed: \(reason)\n"
        case .moved: return "\(Self.pendingMark) \(peer) is active, connections end here\n"
        case .finished(let connections, let took):
            return "\(peer) is active; nobody held the addresses for at most "
                + "\(gap?.microseconds ?? took.microseconds) microseconds\n"
                + Self.text(connections, took: took, isForwarding: isForwarding)
        }
    }

    private static func text(
        _ connections: HandoverConnections?, took: TimeSpan, isForwarding: Bool
    ) -> String {
        guard isForwarding, let connections else {
            return "connections of this node were closed between requests: "
                + "packets cannot be passed on (see 'tandem status')\n"
        }
        return
            "\(connections.ended) connections finished here, \(connections.moved) went on there, "
            + "\(connections.cut) were cut; \(took.milliseconds) ms in all\n"
    }

    /// The last switchover as JSON.
    var json: JSONValue {
        let word: String
        var reason = JSONValue.null
        var ended = JSONValue.null
        var cut = JSONValue.null
        var moved = JSONValue.null
        var duration = JSONValue.null
        switch stage {
        case .none: return .null
        case .asked: word = "asked"
        case .refused(let text):
            word = "refused"
            reason = .string(text)
        case .moved: word = "moved"
        case .finished(let connections, let took):
            word = "finished"
            duration = .unsigned(took.microseconds)
            if let connections {
                ended = .unsigned(UInt64(connections.ended))
                cut = .unsigned(UInt64(connections.cut))
                moved = .unsigned(UInt64(connections.moved))
            }
        }
        return .object([
            ("state", .string(word)), ("reason", reason),
            ("gap_us", gap.map { .unsigned($0.microseconds) } ?? .null),
            ("forwarding", .bool(isForwarding)), ("connections_finished", ended),
            ("connections_cut", cut), ("connections_moved", moved), ("duration_us", duration),
        ])
    }
}
