// SPDX-License-Identifier: Apache-2.0
//
// What one worker counts about connections that came from the other node or went there.

internal import Synchronization

/// Connections carried over, and what became of them.
final class CarryTallies: Sendable {
    /// Connections of the other node that go on here.
    let adopted = Tally()
    /// Requests of theirs that were issued again.
    let reissued = Tally()
    /// Connections of the other node that found no listener or no room here, and were reset.
    let refused = Tally()
    /// Connections reset because what the client had sent did not come again.
    let expired = Tally()
    /// Connections of an earlier owner of the same addresses and ports, reset for the new one.
    let superseded = Tally()
    /// Connections that were given to the other node.
    let moved = Tally()
    /// Connections that the kernel did not let go yet, each time it was tried.
    let unmovable = Tally()
    /// Connections that were to be given to the other node when the way there broke, and were
    /// reset.
    let stranded = Tally()
}
