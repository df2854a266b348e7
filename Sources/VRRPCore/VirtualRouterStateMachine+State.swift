// SPDX-License-Identifier: Apache-2.0
//
// The states of a virtual router with their data, what the outside may know of them, and what
// must always hold. The transitions are in VirtualRouterStateMachine+Transitions.swift.

import WireCore

extension VirtualRouterStateMachine {
    /// The state with its data; each event is one method, one arm per state.
    enum State: ~Copyable {
        case initialize(Initialize)
        case backup(Backup)
        case active(Active)

        /// A healed split, and an address that somebody else claims, are announced at most once in
        /// this time.
        static var announcementLimit: TimeSpan { .seconds(1) }
        /// Other routers' adverts are answered at most once in this time, the shortest
        /// Advertisement_Interval there is: what comes more often is no router's.
        static var answerLimit: TimeSpan { .milliseconds(10) }
        /// How long what a router said before it was gone may still be under way.
        static var quarantineInterval: TimeSpan { .milliseconds(100) }
        /// A split brain that is seen by adverts lasts at least so long after the last one.
        static var splitQuietMin: TimeSpan { .seconds(1) }
        /// A timer that is later than this may have slept through a heartbeat.
        static var latenessMax: TimeSpan { .milliseconds(5) }
        /// The shortest time for which a late Backup looks at the pair link before it believes in
        /// silence: the link is read in the next turn of the driver's loop.
        static var linkReadingTime: TimeSpan { .milliseconds(2) }
        /// The driver probes for other holders after each announcement: how late an answer may be.
        static var probeDelayMax: TimeSpan { .seconds(2) }

        init() {
            self = .initialize(Initialize())
        }

        /// Out of service.
        struct Initialize {
            var isStarted = false
            var isFaulty = false
        }

        /// Watching the Active.
        struct Backup {
            /// What the timer waits for.
            enum Wait {
                /// Active_Down_Interval.
                case silence
                /// Skew_Time, after a priority-0 advert.
                case betterBackups
                /// It is over: the group decides.
                case group(Ready)
            }

            /// When Active_Down_Timer was armed.
            var armedAt: Instant
            var wait = Wait.silence
            /// The timer was late: when the link must have been read.
            var linkReadAt: Instant?
            /// The node ran late: silence is not believed before.
            var patienceEnd: Instant?
            /// Just started, and nobody was heard: silence is not believed before.
            var listeningEnd: Instant?
            /// Active_Adver_Interval.
            var interval: TimeSpan
            /// Preempt_Mode counts as false before this instant.
            var preemptionAllowedAt: Instant
            /// The Active as last heard, by advert or on the link.
            var followedAddress: IPAddress?
            /// Its priority as last heard.
            var followedPriority: UInt8 = 0
            /// Until when it is expected to be heard again: so long no worse one is followed.
            var followedEnd = Instant(nanoseconds: 0)
            /// A switchover brought us here: leave the addresses to the peer.
            var hasYielded = false
            /// The addresses are still here, quietly.
            var isLingering = false
            /// A takeover is due but held.
            var heldBack: HeldClaim?
            /// When adverts were last heard; at first, since when they could have been.
            var advertHeardAt: Instant
            /// The link alone keeps the timer from firing.
            var isHeardOnLinkOnly = false
            /// The link made us leave Active: it counts like adverts until one is heard.
            var followsLink = false
            /// Who gave up by priority 0, and until when its earlier words may come on the link.
            var gaveUp: Quarantine?
            /// The least wait for better Backups, beside Skew_Time.
            var farewellWaitMin = TimeSpan.zero
            /// A worse Active whose adverts were discarded, and until when it counts as preempted.
            var discarded: Quarantine?
        }

        /// Ready to become Active as soon as the group is.
        struct Ready {
            var claim: Claim
            var since: Instant
        }

        /// A takeover and its reason.
        struct Claim {
            var cause: VirtualRouterTransition.Cause
            /// The Active is known to be gone, not only silent.
            var isProof: Bool
            /// The Active that is gone: what it said before may still be under way.
            var gone: IPAddress?
        }

        /// Answering for the addresses.
        struct Active {
            /// Adver_Timer.
            var advertisementDeadline: Instant
            /// When peers heard from us last, as far as we know.
            var advertisedAt: Instant
            var announcedAt: Instant
            /// The next announcement: the periodic one, or an earlier one for a reason.
            var announcementDeadline: Instant
            /// Handed on to the next Backup.
            var preemptionAllowedAt: Instant
            var quarantine: Quarantine?
            /// Who was preempted: its answer to our advert shows no split brain.
            var preempted: Quarantine?
            /// The former Active's kernel may answer for the addresses until then.
            var conflictsExpectedUntil: Instant
            /// Others' adverts are answered by Adver_Timer until then.
            var answerAllowedAt: Instant
            var split: Split?
            /// A better Active that the group's deciding member is to settle with.
            var deferral: Deferral?
            /// It ran late and asked the peer whether it was replaced.
            var doubt: Doubt?
        }

        /// A router that is gone, and until when its last words may arrive.
        struct Quarantine {
            var address: IPAddress
            var end: Instant
            /// Whether adverts are meant as well as the link, which may be slower.
            var coversAdvertisements = true

            func covers(_ source: IPAddress, now: Instant) -> Bool {
                source == address && now < end
            }
        }
    }
}

// MARK: - What the outside may know

extension VirtualRouterStateMachine.State {
    var name: VirtualRouterState {
        switch self {
        case .initialize: .initialize
        case .backup: .backup
        case .active: .active
        }
    }

    func nextDeadline(_ terms: VirtualRouterTerms) -> Instant? {
        switch self {
        case .initialize: nil
        case .backup(let backup): backup.activeDownDeadline(terms)
        case .active(let active): active.nextDeadline
        }
    }

    /// The data of Backup; `nil` in other states.
    var backup: Backup? {
        switch self {
        case .initialize: nil
        case .active: nil
        case .backup(let backup): backup
        }
    }

    /// The split brain that is going on.
    var split: SplitEpisode? {
        switch self {
        case .initialize: nil
        case .backup: nil
        case .active(let active): active.split?.episode
        }
    }
}

// MARK: - Invariants

extension VirtualRouterStateMachine.State {
    func checkInvariants(_ terms: VirtualRouterTerms) {
        terms.checkInvariants()
        switch self {
        case .initialize(let idle):
            assert(!idle.isStarted || idle.isFaulty, "a started, healthy router is in service")
        case .backup(let backup): backup.checkInvariants(terms)
        case .active(let active): active.checkInvariants(terms)
        }
    }
}

extension VirtualRouterStateMachine.State.Backup {
    fileprivate func checkInvariants(_ terms: VirtualRouterTerms) {
        let range = VirtualRouterSettings.advertisementIntervalRange
        assert(range.contains(interval))
        assert(
            terms.settings.version == .version3 || interval == terms.interval,
            "version 2 learns no interval")
        switch wait {
        case .silence: break
        case .betterBackups: assert(followedAddress != nil && gaveUp != nil)
        case .group(let ready):
            assert(terms.settings.isGrouped, "only a group keeps a router waiting")
            assert(activeDownDeadline(terms) == nil)
            assert(
                terms.hold(
                    isProof: ready.claim.isProof, replacesActive: followedAddress != nil) == nil,
                "who is held is not ready")
        }
        if let heldBack {
            assert(
                terms.holds.contains { $0.hold == heldBack.hold },
                "nothing is held back without a hold")
        }
        assert(linkReadAt == nil || terms.settings.silenceRule == .advertsAndLink || followsLink)
        assert(patienceEnd == nil || terms.settings.silenceRule == .advertsAndLink || followsLink)
        assert(!followsLink || followedAddress != nil)
        assert(!isHeardOnLinkOnly || followedAddress != nil)
    }
}

extension VirtualRouterStateMachine.State.Active {
    fileprivate func checkInvariants(_ terms: VirtualRouterTerms) {
        assert(doubt != nil || nextDeadline <= advertisementDeadline)
        assert(
            advertisementDeadline <= advertisedAt + terms.interval,
            "an Active never plans a longer silence than one interval")
        assert(
            announcementDeadline <= announcedAt + terms.settings.announcementInterval,
            "an Active never plans to go unannounced for longer")
        guard let split else { return }
        assert(split.episode.evidence.contains(split.episode.first))
        assert(split.episode.since <= split.episode.lastSeenAt)
        assert(
            split.isOnLink || split.advertisementEnd != nil || split.conflictEnd != nil,
            "a split brain without evidence has ended")
    }
}
