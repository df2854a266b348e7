// SPDX-License-Identifier: Apache-2.0
//
// The pair link between two simulated nodes: one TCP connection each way, in order and without
// loss as long as both kernels live, and each process's half of it.

import ReplicationCore
import VRRPCore
import WireCore

/// What a heartbeat says of one router.
struct LinkReport {
    var family: AddressFamily
    var role: VirtualRouterState
    var priority: UInt8
    var isHeld: Bool
    var isLingering: Bool
    var isDoubtful: Bool
    var claimMark: UInt32
}

/// What travels on a connection.
enum LinkMessage {
    /// When it was sent, on the sender's clock, and which of the other node's it answers.
    case heartbeat([LinkReport], sentAt: Instant, answered: Instant?)
    case goodbye
}

/// What the link's sockets tell a process.
enum LinkArrival {
    /// Its own connection to the peer is up, under this name.
    case dialled(UInt64)
    case dialFailed
    /// Its own connection to the peer is gone.
    case lost
    /// The peer's connection to it.
    case established(LinkGeneration)
    case message(LinkMessage, LinkGeneration)
    case ended(LinkGeneration, LinkEnding)
    case probed(ProbeResult)
}

/// What a process keeps for the link.
struct SimulatedLinkEnd {
    var liveness: PeerLivenessStateMachine
    private(set) var connection: UInt64?
    private var backoff: RedialBackoff
    var dialTime: Instant?
    var beatTime: Instant?
    var peerRoles: [Int: VirtualRouterState] = [:]
    /// The peer's last heartbeat that was acted on, by the peer's clock.
    var answered: Instant?

    init(heartbeatInterval: TimeSpan, seed: UInt64) {
        liveness = PeerLivenessStateMachine(heartbeatInterval: heartbeatInterval)
        backoff = RedialBackoff(seed: seed)
    }

    var nextWake: Instant? {
        [dialTime, connection == nil ? nil : beatTime, liveness.nextDeadline]
            .compactMap { $0 }.min()
    }

    mutating func dialled(_ connection: UInt64) {
        self.connection = connection
        backoff.reset()
    }

    mutating func redial(at now: Instant) {
        connection = nil
        dialTime = now + backoff.next()
    }
}

/// One direction: the node that dialled speaks, the other listens.
struct SimulatedConnection {
    enum Segment {
        case message(LinkMessage)
        case end
    }

    let name: UInt64
    let from: Int
    let to: Int
    /// Which process of the listener accepted it.
    let listener: Int
    private(set) var segments: [(arrival: Instant, Segment)] = []
    private(set) var lastArrival = Instant(nanoseconds: 0)
    /// Since when the first segment fails to arrive.
    var stuckSince: Instant?
    var isDelivering = false
    /// The process that dialled is gone: its kernel says the rest.
    var isOrphan = false

    /// What TCP waits before it repeats a segment.
    static let retransmissionTimeout = TimeSpan.milliseconds(200)
    /// How long data may stay unacknowledged before the sender gives the connection up.
    static let userTimeout = TimeSpan.seconds(1)
    /// How long connecting may take.
    static let attemptTimeout = TimeSpan.seconds(2)

    init(name: UInt64, from: Int, to: Int, listener: Int) {
        self.name = name
        self.from = from
        self.to = to
        self.listener = listener
    }

    mutating func append(_ segment: Segment, arrivingAt arrival: Instant) {
        lastArrival = max(lastArrival, arrival)
        segments.append((lastArrival, segment))
    }

    mutating func removeFirst() -> Segment { segments.removeFirst().1 }

    var nextArrival: Instant? { segments.first?.arrival }
}
