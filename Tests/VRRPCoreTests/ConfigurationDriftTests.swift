// SPDX-License-Identifier: Apache-2.0
//
// When a different configuration keeps a node from taking over, and when it must not.

import Testing
import VRRPCore
import WireCore

@Suite struct ConfigurationDriftTests {
    @Test func nothingIsKnownBeforeThePeerIsHeard() {
        let drift = ConfigurationDrift(ownHash: 1, mayHold: true)
        #expect(drift.isDifferent == nil)
        #expect(!drift.isHeld)
    }

    /// Peer's hash, whether it is Active, whether we are; then: different, held.
    @Test(
        arguments: [
            (1, true, false, false, false), (2, true, false, true, true),
            (2, false, false, true, false), (2, false, true, true, false),
        ] as [(UInt64, Bool, Bool, Bool, Bool)])
    func oneHeartbeatDecides(
        hash: UInt64, isPeerActive: Bool, isOwnActive: Bool, isDifferent: Bool, isHeld: Bool
    ) {
        var drift = ConfigurationDrift(ownHash: 1, mayHold: true)
        drift.peerHeard(hash: hash, isPeerActive: isPeerActive, isOwnActive: isOwnActive)
        #expect(drift.isDifferent == isDifferent)
        #expect(drift.isHeld == isHeld)
        var warning = ConfigurationDrift(ownHash: 1, mayHold: false)
        warning.peerHeard(hash: hash, isPeerActive: isPeerActive, isOwnActive: isOwnActive)
        #expect(warning.isDifferent == isDifferent)
        #expect(!warning.isHeld)
    }

    @Test func theHoldOutlivesTheActive() {
        var drift = ConfigurationDrift(ownHash: 1, mayHold: true)
        drift.peerHeard(hash: 2, isPeerActive: true, isOwnActive: false)
        drift.peerHeard(hash: 2, isPeerActive: false, isOwnActive: false)
        #expect(drift.isHeld, "it was the last one to be Active")
    }

    @Test func theSameConfigurationEndsTheHold() {
        var drift = ConfigurationDrift(ownHash: 1, mayHold: true)
        drift.peerHeard(hash: 2, isPeerActive: true, isOwnActive: false)
        drift.ownHashChanged(to: 2)
        #expect(!drift.isHeld)
        #expect(drift.isDifferent == false)
        drift.ownHashChanged(to: 3)
        #expect(drift.isHeld)
        drift.peerHeard(hash: 3, isPeerActive: true, isOwnActive: false)
        #expect(!drift.isHeld)
    }

    @Test func whoeverBecameActiveSinceIsNotHeld() {
        var drift = ConfigurationDrift(ownHash: 1, mayHold: true)
        drift.peerHeard(hash: 2, isPeerActive: true, isOwnActive: false)
        drift.becameActive(isPeerActive: true)
        #expect(drift.isHeld, "the peer is Active for another virtual router")
        drift.becameActive(isPeerActive: false)
        #expect(!drift.isHeld)
        drift.peerHeard(hash: 2, isPeerActive: false, isOwnActive: true)
        #expect(!drift.isHeld)
    }
}
