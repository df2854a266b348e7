// SPDX-License-Identifier: Apache-2.0
//
// The states of a virtual router and the only code that changes them. Row names (I1..O1) are those
// of the state table in the tests. Knows no driver.

import WireCore

extension VirtualRouterStateMachine {
    /// The state with its data; each event is one method, one arm per state.
    enum State: ~Copyable {
        case initialize(Initialize)
        case backup(Backup)
        case active(Active)

        /// A healed split is announced at most once in this time.
        static var announcementLimit: TimeSpan { .seconds(1) }
        /// How long adverts of a router that is proven dead may still be under way.
        static var quarantineInterval: TimeSpan { .milliseconds(100) }

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
            /// Active_Down_Timer.
            var activeDownDeadline: Instant
            /// Active_Adver_Interval.
            var interval: TimeSpan
            /// Preempt_Mode counts as false before this instant.
            var preemptionAllowedAt: Instant
            /// The source of the last advert.
            var followedAddress: IPAddress?
            /// The last advert heard had priority 0.
            var activeGaveUp = false
            /// A switchover brought us here: leave the addresses to the peer.
            var hasYielded = false
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
        }

        /// A router that is proven dead, and until when its last words may arrive.
        struct Quarantine {
            var address: IPAddress
            var end: Instant
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

    var nextDeadline: Instant? {
        switch self {
        case .initialize: nil
        case .backup(let backup): backup.activeDownDeadline
        case .active(let active): active.nextDeadline
        }
    }

    var learnedInterval: TimeSpan? {
        switch self {
        case .initialize: nil
        case .active: nil
        case .backup(let backup): backup.interval
        }
    }

    var followedAddress: IPAddress? {
        switch self {
        case .initialize: nil
        case .active: nil
        case .backup(let backup): backup.followedAddress
        }
    }

    func checkInvariants(settings: VirtualRouterSettings) {
        switch self {
        case .initialize(let idle):
            assert(!idle.isStarted || idle.isFaulty, "a started, healthy router is in service")
        case .backup(let backup):
            assert(backup.interval >= VirtualRouterSettings.advertisementIntervalRange.lowerBound)
            assert(backup.interval <= VirtualRouterSettings.advertisementIntervalRange.upperBound)
            assert(!backup.activeGaveUp || backup.followedAddress != nil)
        case .active(let active):
            assert(active.nextDeadline <= active.advertisementDeadline)
            assert(
                active.advertisementDeadline
                    <= active.advertisedAt + settings.advertisementInterval,
                "an Active never plans a longer silence than one interval")
            assert(
                active.announcementDeadline <= active.announcedAt + settings.announcementInterval,
                "an Active never plans to go unannounced for longer")
        }
    }
}

// MARK: - Events

extension VirtualRouterStateMachine.State {
    mutating func startupRequested(
        now: Instant, settings: VirtualRouterSettings, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(var idle):
            idle.isStarted = true
            self = Self.started(idle, now: now, settings: settings, output: &output)
        case .backup(let backup): self = .backup(backup)
        case .active(let active): self = .active(active)
        }
    }

    mutating func shutdownRequested(output: inout VirtualRouterOutput) {
        switch consume self {
        case .initialize(var idle):
            idle.isStarted = false
            self = .initialize(idle)
        case .backup:
            // B1: send nothing.
            output.transition(from: .backup, to: .initialize, cause: .shutdown)
            self = .initialize(Initialize())
        case .active:
            // A1: RFC 9568 §6.4.3: send an ADVERTISEMENT with Priority = 0.
            Self.giveUp(to: .initialize, cause: .shutdown, output: &output)
            self = .initialize(Initialize())
        }
    }

    mutating func localFaultDetected(output: inout VirtualRouterOutput) {
        switch consume self {
        case .initialize(var idle):
            idle.isFaulty = true
            self = .initialize(idle)
        case .backup:
            output.transition(from: .backup, to: .initialize, cause: .localFault)
            self = .initialize(Initialize(isStarted: true, isFaulty: true))
        case .active:
            Self.giveUp(to: .initialize, cause: .localFault, output: &output)
            self = .initialize(Initialize(isStarted: true, isFaulty: true))
        }
    }

    mutating func localFaultCleared(
        now: Instant, settings: VirtualRouterSettings, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(var idle):
            idle.isFaulty = false
            self = Self.started(idle, now: now, settings: settings, output: &output)
        case .backup(let backup): self = .backup(backup)
        case .active(let active): self = .active(active)
        }
    }

    mutating func switchoverRequested(
        now: Instant, settings: VirtualRouterSettings, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(let backup): self = .backup(backup)
        case .active(let active):
            Self.giveUp(to: .backup, cause: .switchoverRequested, output: &output)
            var backup = Backup(
                now: now, interval: settings.advertisementInterval, settings: settings,
                preemptionAllowedAt: active.preemptionAllowedAt)
            backup.hasYielded = true
            self = .backup(backup)
        }
    }

    /// The router at `address` released the addresses or lost them with its life.
    mutating func activeIsGone(
        address: IPAddress, cause: VirtualRouterTransition.Cause, now: Instant,
        settings: VirtualRouterSettings, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .active(var active):
            // It may have been the Active of a split that just healed.
            active.announceSoon(now: now, settings: settings, output: &output)
            self = .active(active)
        case .backup(let backup):
            guard backup.followedAddress ?? address == address else {
                self = .backup(backup)
                return
            }
            var active = Active(
                from: .backup, cause: cause, now: now, settings: settings,
                preemptionAllowedAt: backup.preemptionAllowedAt, output: &output)
            active.quarantine = Quarantine(address: address, end: now + Self.quarantineInterval)
            self = .active(active)
        }
    }

    /// Extension: an Active that was silent for as long as a peer waits was replaced.
    ///
    /// Comes before every other event, because answering that event could mean to send.
    mutating func yieldIfOverslept(
        now: Instant, settings: VirtualRouterSettings, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(let backup): self = .backup(backup)
        case .active(let active):
            let silence = now - active.advertisedAt
            guard silence >= settings.silenceMax else {
                self = .active(active)
                return
            }
            output.append(.releaseAddresses)
            output.transition(from: .active, to: .backup, cause: .overslept)
            output.notice(
                VirtualRouterNotice(
                    .overslept, source: settings.primaryAddress, got: silence.milliseconds,
                    wanted: settings.silenceMax.milliseconds),
                now: now)
            self = .backup(
                Backup(
                    now: now, interval: settings.advertisementInterval, settings: settings,
                    preemptionAllowedAt: active.preemptionAllowedAt))
        }
    }

    mutating func timerFired(
        now: Instant, settings: VirtualRouterSettings, output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(let backup):
            guard now >= backup.activeDownDeadline else {
                self = .backup(backup)
                return
            }
            // B2
            var active = Active(
                from: .backup,
                cause: backup.activeGaveUp ? .activeGaveUp : .activeDownTimerFired, now: now,
                settings: settings, preemptionAllowedAt: backup.preemptionAllowedAt,
                output: &output)
            if !backup.activeGaveUp {
                // Silence may be a frozen process whose kernel still answers ARP.
                active.announce(by: now + settings.addressLease)
            }
            self = .active(active)
        case .active(var active):
            active.timerFired(now: now, settings: settings, output: &output)
            self = .active(active)
        }
    }

    mutating func advertisementReceived(
        _ received: ReceivedAdvertisement, now: Instant, settings: VirtualRouterSettings,
        output: inout VirtualRouterOutput
    ) {
        switch consume self {
        case .initialize(let idle): self = .initialize(idle)
        case .backup(var backup):
            backup.advertisementReceived(received, now: now, settings: settings)
            self = .backup(backup)
        case .active(var active):
            switch active.verdict(on: received, now: now, settings: settings) {
            case .stay(let reaction):
                active.perform(
                    reaction, on: received, now: now, settings: settings, output: &output)
                self = .active(active)
            case .stepDown:
                // A4. One last advert, which the RFC does not ask for, makes the winner see
                // that a split healed (A5) and announce the addresses again.
                output.append(.releaseAddresses)
                output.append(.sendAdvertisement(priority: settings.priority))
                output.transition(from: .active, to: .backup, cause: .higherPriorityHeard)
                var backup = Backup(
                    now: now, interval: received.advertisement.interval, settings: settings,
                    preemptionAllowedAt: active.preemptionAllowedAt)
                backup.followedAddress = received.source
                self = .backup(backup)
            }
        }
    }
}

// MARK: - Shared transitions

extension VirtualRouterStateMachine.State {
    /// Initialize, left when the router is started and healthy.
    private static func started(
        _ idle: Initialize, now: Instant, settings: VirtualRouterSettings,
        output: inout VirtualRouterOutput
    ) -> Self {
        guard idle.isStarted, !idle.isFaulty else { return .initialize(idle) }
        let preemptionAllowedAt = now + settings.preemptDelay
        if settings.isOwner {
            // I1
            return .active(
                Active(
                    from: .initialize, cause: .startup, now: now, settings: settings,
                    preemptionAllowedAt: preemptionAllowedAt, output: &output))
        }
        // I2
        output.transition(from: .initialize, to: .backup, cause: .startup)
        return .backup(
            Backup(
                now: now, interval: settings.advertisementInterval, settings: settings,
                preemptionAllowedAt: preemptionAllowedAt))
    }

    private static func giveUp(
        to state: VirtualRouterState, cause: VirtualRouterTransition.Cause,
        output: inout VirtualRouterOutput
    ) {
        output.append(.releaseAddresses)
        output.append(.sendAdvertisement(priority: 0))
        output.transition(from: .active, to: state, cause: cause)
    }
}
