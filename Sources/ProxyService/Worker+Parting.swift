// SPDX-License-Identifier: Apache-2.0
//
// Parting from clients whose address has moved to the peer: nobody is cut off in the middle, and
// no request that is on its way meets a closing connection.

internal import LinuxIO
internal import WireCore

/// A parting that goes on.
struct Parting {
    /// How long clients may still use their connections before idle ones are closed, and how long
    /// a connection must have been idle then.
    static let grace = TimeSpan.seconds(1)
    /// How often idle connections are looked for.
    static let sweepInterval = TimeSpan.milliseconds(100)

    var nextSweep: Instant
}

extension Worker {
    /// Each client's next answer is its last on this connection.
    mutating func beginParting() {
        guard parting == nil else { return }
        parting = Parting(nextSweep: now + Parting.grace)
    }

    /// Closes connections on which nobody has asked anything for a while.
    mutating func closePatientClients() {
        guard let parting, now >= parting.nextSweep else { return }
        self.parting?.nextSweep = now + Parting.sweepInterval
        for slot in 0..<clients.slotEnd {
            guard let client = clients.record(slot: slot),
                client.pointee.phase == .readingHead, client.pointee.input.isEmpty,
                now - client.pointee.requestBegan >= Parting.grace,
                SocketTransfer.isQuiet(client.pointee.socket)
            else { continue }
            closeGracefully(client, mayReceiveMore: true)
        }
    }
}
