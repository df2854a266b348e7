// SPDX-License-Identifier: Apache-2.0
//
// What a worker does that may have been stopped together with the whole process: nothing, until it
// knows whose its connections are.
//
// A request that came while the process was stopped was not acknowledged, so the client has sent it
// to the node that took over as well, and it was executed there.

internal import LinuxIO
internal import WireCore

extension Worker {
    /// How long it waits for the thread that knows; that thread comes before all others.
    private static let lifePatience = TimeSpan.milliseconds(200)

    /// Waits for a sign of life when there was none for long, and lets go of connections that are
    /// another node's by now; costs two loads when all is well.
    mutating func heedLife() {
        if setup.life.isStale(at: now) { awaitLife() }
        let replacedAt = setup.life.replacedAt
        guard replacedAt != heededReplacement else { return }
        heededReplacement = replacedAt
        for slot in 0..<clients.slotEnd {
            guard let client = clients.record(slot: slot), client.pointee.journalKey != nil else {
                continue
            }
            abandon(client, byReset: true)
        }
    }

    private mutating func awaitLife() {
        let wokeAt = Clock.now()
        now = wokeAt
        while !setup.life.isShown(since: wokeAt), now - wokeAt < Self.lifePatience {
            KernelThread.pause(milliseconds: 1)
            now = Clock.now()
        }
    }
}
