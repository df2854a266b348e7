// SPDX-License-Identifier: Apache-2.0
//
// Parting from clients whose address has moved to the peer: nobody is cut off in the middle, and
// no request that is on its way meets a closing connection. Whoever can go to the peer goes there;
// the others are told to come back on a new connection.

internal import LinuxIO
internal import WireCore

/// A parting that goes on.
struct Parting {
    /// How long clients may still use their connections before idle ones are closed, and how long
    /// a connection must have been idle then.
    static let grace = TimeSpan.seconds(1)
    /// How often idle connections are looked for.
    static let sweepInterval = TimeSpan.milliseconds(100)

    /// When connections are looked for that idle.
    var nextSweep: Instant
    /// When the peer takes connections; then those that may move stay until they do.
    var moves: MovingStage
}

/// Whether connections go to the peer.
enum MovingStage {
    /// They do not.
    case never
    /// As soon as the peer has the addresses, which has to be before this moment.
    case soon(until: Instant)
    /// They do now; the walk over all of them is at this slot, and rests until this moment.
    case now(slot: Int, rest: Instant)
}

extension Worker {
    /// Each client's next answer is its last on this connection, or on this node.
    mutating func beginParting(moving: Bool) {
        guard parting == nil else { return }
        parting = Parting(
            nextSweep: now + Parting.grace,
            moves: moving ? .soon(until: now + Parting.grace) : .never)
    }

    /// The present answer to a client has to be the last one on its connection.
    @inline(__always)
    func endsWithAnswer(_ client: ClientConnection.Pointer) -> Bool {
        isParting && !staysForMove(client)
    }

    /// Looks after those who are to leave; called at the end of each turn while there are any.
    mutating func tendParting() {
        if parting != nil {
            advanceMoves()
            closePatientClients()
        }
        if !frozen.isEmpty {
            commitShadows()
            endMoves()
        }
    }

    /// Closes connections on which nobody has asked anything for a while.
    private mutating func closePatientClients() {
        guard let parting, now >= parting.nextSweep else { return }
        self.parting?.nextSweep = now + Parting.sweepInterval
        for slot in 0..<clients.slotEnd {
            guard let client = clients.record(slot: slot),
                client.pointee.phase == .readingHead, client.pointee.input.isEmpty,
                now - client.pointee.requestBegan >= Parting.grace, !staysForMove(client),
                SocketTransfer.isQuiet(client.pointee.socket)
            else { continue }
            closeGracefully(client, mayReceiveMore: true)
        }
    }
}
