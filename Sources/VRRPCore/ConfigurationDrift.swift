// SPDX-License-Identifier: Apache-2.0
//
// Whether both nodes run from the same configuration, and whether a difference keeps this node from
// taking over. Compares hashes; knows no file and no link.

/// Watches the peer's configuration hash.
///
/// With the policy "hold" a node does not take over from an Active that runs another configuration:
/// the operator is in the middle of a change, and a takeover would put it in force by accident. The
/// hold lasts while the peer is Active, and after it ceased to be for as long as nobody else became
/// Active; it ends when the hashes agree. A node that never heard an Active peer is not held, so a
/// pair that starts cold always gets an Active.
public struct ConfigurationDrift: Sendable {
    private let mayHold: Bool
    private var ownHash: UInt64
    private var peerHash: UInt64?
    private var wasPeerLastActive = false

    /// Starts without word from the peer.
    ///
    /// - Parameters:
    ///   - ownHash: hash of the configuration in force here.
    ///   - mayHold: whether a difference may keep this node from taking over.
    public init(ownHash: UInt64, mayHold: Bool) {
        self.ownHash = ownHash
        self.mayHold = mayHold
    }

    /// Whether the peer runs another configuration; `nil` until it was heard.
    public var isDifferent: Bool? { peerHash.map { $0 != ownHash } }

    /// Whether this node may not take over.
    public var isHeld: Bool { mayHold && wasPeerLastActive && isDifferent == true }

    /// A reload changed the configuration in force here.
    public mutating func ownHashChanged(to hash: UInt64) {
        ownHash = hash
    }

    /// A heartbeat of the peer came.
    ///
    /// - Parameters:
    ///   - hash: of the configuration in force there.
    ///   - isPeerActive: whether the peer is Active for any virtual router.
    ///   - isOwnActive: whether this node is.
    public mutating func peerHeard(hash: UInt64, isPeerActive: Bool, isOwnActive: Bool) {
        peerHash = hash
        if isPeerActive {
            wasPeerLastActive = true
        } else if isOwnActive {
            wasPeerLastActive = false
        }
    }

    /// This node became Active for all that the peer had, or by a proof that no hold concerns.
    ///
    /// - Parameter isPeerActive: whether the peer still is for another virtual router.
    public mutating func becameActive(isPeerActive: Bool) {
        if !isPeerActive { wasPeerLastActive = false }
    }
}
