// SPDX-License-Identifier: Apache-2.0
//
// What a worker does that may have been stopped together with the whole process: nothing, until it
// knows whose its connections are.
//
// A request that came while the process was stopped was not acknowledged, so the client has sent it
// to the node that took over as well, and it was executed there. When no node took over, because
// the other one is stopped or dead, the connections are still this node's, and go on.

internal import LinuxIO
internal import WireCore

extension Worker {
    /// How long it waits for the threads that know; they come before all others.
    ///
    /// An election with adverts of 10 ms takes 40 ms. A node that takes longer to know has to do
    /// without its connections: other clients wait as well.
    private static let lifePatience = TimeSpan.milliseconds(200)

    /// Waits for a sign of life when there was none for long, and lets go of connections that are
    /// another node's by now; costs two loads when all is well.
    mutating func heedLife() {
        if setup.life.isStale(at: now) { awaitLife() }
        let doubtedAt = setup.life.doubtedAt
        guard doubtedAt != heededDoubt else { return }
        heededDoubt = doubtedAt
        if awaitVerdict(on: doubtedAt) == .restored {
            // Those that another node had after all must be gone before one of them is served.
            obeyMailbox()
        } else {
            surrenderEverybody()
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

    private mutating func awaitVerdict(on doubt: UInt64) -> LifeClock.Verdict {
        let start = Clock.now()
        now = start
        while true {
            let verdict = setup.life.verdict(on: doubt)
            guard verdict == .open, now - start < Self.lifePatience else { return verdict }
            KernelThread.pause(milliseconds: 1)
            now = Clock.now()
        }
    }
}
