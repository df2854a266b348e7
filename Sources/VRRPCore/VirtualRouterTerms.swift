// SPDX-License-Identifier: Apache-2.0
//
// What is in force for a virtual router whatever its state: settings, priority, holds, the peer.

import WireCore

/// The terms under which the states act; the network changes `farewells` alone.
struct VirtualRouterTerms {
    private(set) var settings: VirtualRouterSettings
    /// The priority as it stands, penalties counted: what is sent and compared.
    private(set) var priority: UInt8
    /// The holds in force, in the order of `ClaimHold.allCases`.
    private(set) var holds: [HeldClaim] = []
    /// What the other node said last on the pair link; `nil` while that is silent.
    var peerOnLink: PeerOnLink?
    /// The priority-0 adverts heard lately, in whatever state.
    var farewells = FarewellPace()

    init(settings: VirtualRouterSettings) {
        self.settings = settings
        priority = settings.priority
    }

    var interval: TimeSpan { settings.advertisementInterval }

    func skewTime(interval: TimeSpan) -> TimeSpan {
        AdvertisementTimers.skewTime(
            priority: priority, interval: interval, version: settings.version)
    }

    /// The least wait after the priority-0 advert just heard, beside Skew_Time.
    ///
    /// Who says 255 and 0 in turns would else move the addresses here and away every few
    /// milliseconds.
    var farewellWaitMin: TimeSpan {
        farewells.isFlood ? max(interval, FarewellPace.waitMin) : .zero
    }

    func activeDownInterval(interval: TimeSpan) -> TimeSpan {
        AdvertisementTimers.activeDownInterval(
            priority: priority, interval: interval, version: settings.version)
    }

    /// Whether somebody with this priority and address is the better Active (RFC 9568 §6.4.3).
    ///
    /// Addresses compare unsigned, in network order.
    func isBetter(priority other: UInt8, address: IPAddress) -> Bool {
        other > priority || other == priority && address > settings.primaryAddress
    }

    /// The hold that forbids a claim; `nil` when it is free.
    ///
    /// - Parameters:
    ///   - isProof: the Active is known to be gone, not only silent.
    ///   - replacesActive: an Active was heard, so that the claim replaces it.
    /// - Returns: the first in the order of `ClaimHold.allCases`.
    func hold(isProof: Bool, replacesActive: Bool) -> HeldClaim? {
        holds.first { held in
            switch held.hold {
            case .witnessUnreachable: !isProof
            case .differentConfiguration: replacesActive
            case .synchronizing: false
            }
        }
    }

    /// Whether an Active that lives may be replaced by this node, as far as holds go.
    var mayPreempt: Bool { !holds.contains { $0.hold == .synchronizing } }

    /// The node's own address is another one from now on.
    mutating func setPrimaryAddress(_ address: IPAddress) {
        precondition(address.family == settings.family, "one family per virtual router")
        settings.primaryAddress = address
    }

    /// Whether a peer is there that knows the question of an Active that ran late, and whose answer
    /// binds it.
    var canAskPeer: Bool {
        guard let peerOnLink, settings.silenceRule == .advertsAndLink else { return false }
        return peerOnLink.role != .active && peerOnLink.claimMark != nil
    }

    /// Sets the current priority: an owner is never lowered (RFC 9568 §5.2.4), nobody below 1.
    mutating func setPriority(_ wanted: UInt8) {
        priority = settings.isOwner ? 255 : min(max(wanted, 1), settings.priority)
    }

    mutating func setHolds(_ wanted: Set<ClaimHold>, now: Instant) {
        holds = ClaimHold.allCases.filter(wanted.contains).map { hold in
            holds.first { $0.hold == hold } ?? HeldClaim(hold: hold, since: now)
        }
    }

    func checkInvariants() {
        assert((1...settings.priority).contains(priority), "penalties only lower a priority")
        assert(!settings.isOwner || priority == 255, "an owner is never lowered")
        assert(
            holds.map(\.hold)
                == ClaimHold.allCases.filter { hold in
                    holds.contains { $0.hold == hold }
                }, "each hold once, in order")
    }
}
