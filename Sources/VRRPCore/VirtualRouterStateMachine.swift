// SPDX-License-Identifier: Apache-2.0
//
// One virtual router as its driver sees it: events in, actions out, one deadline.
// The transitions themselves are in VirtualRouterStateMachine+State.swift.

public import WireCore

/// The state machine of RFC 9568 §6.4 for IPv4, with Tandem's documented extensions.
///
/// ```
///                  startup, priority < 255
///   +------------+------------------------>+--------+
///   | Initialize |<------------------------| Backup |
///   +------------+   shutdown              +--------+
///     |        ^                             |    ^
///     | start- | shutdown: priority 0        |    | better advert, overslept,
///     | up,    |                             |    | switchover: priority 0
///     | 255    |   +--------+                |    |
///     |        +---| Active |<---------------+    |
///     +----------->|        |  Active_Down_Timer, |
///                  +--------+  peer proven dead   |
///                      |__________________________|
/// ```
///
/// The driver's duties, in this order on every wake-up:
/// 1. Read the clock afresh; every event takes that `now`.
/// 2. Read the VRRP sockets until they are empty and pass on each advertisement, before any timer
///    and before `peerDeathProven`: what was sent before a stall must be heard before a verdict.
/// 3. Call `timerFired` before renewing the lease of an address. Calling it early is harmless.
/// 4. Perform the actions in order, then arm one timer for `nextDeadline`.
///
/// Own multicast must not be looped back (`IP_MULTICAST_LOOP` off).
///
/// Extensions to the RFC, each at its method: preempt delay, proven death, hand-over, oversleeping,
/// local faults, switchover, announcements after a healed split. Accept_Mode is always true: a
/// balancer must answer on its virtual addresses (RFC 9568 §6.1 has it false by default).
public struct VirtualRouterStateMachine: ~Copyable {
    /// What the router was configured with.
    public let settings: VirtualRouterSettings
    private var machine = State()
    private var output = VirtualRouterOutput()

    /// Makes a router in Initialize.
    public init(settings: VirtualRouterSettings) {
        self.settings = settings
    }

    /// The current state.
    public var state: VirtualRouterState { machine.name }

    /// When `timerFired` is due; `nil` in Initialize.
    public var nextDeadline: Instant? { machine.nextDeadline }

    /// The Active_Adver_Interval in force: the own one, or in Backup the one learned.
    public var activeAdvertisementInterval: TimeSpan {
        machine.learnedInterval ?? settings.advertisementInterval
    }

    /// Whose advertisement was heard last while in Backup; `nil` when none was.
    public var followedAddress: IPAddress? { machine.followedAddress }

    /// What was counted since the router was made.
    public var counters: VirtualRouterCounters { output.counters }

    /// The driver starts the router (I1, I2); ignored when it is started.
    public mutating func startupRequested(
        now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.startupRequested(now: now, settings: settings, output: &output)
        finish(into: &actions)
    }

    /// The driver stops the router for good or for a while (B1, A1).
    public mutating func shutdownRequested(
        now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.yieldIfOverslept(now: now, settings: settings, output: &output)
        machine.shutdownRequested(output: &output)
        finish(into: &actions)
    }

    /// The deadline may have come; harmless when it has not.
    public mutating func timerFired(now: Instant, into actions: inout [VirtualRouterAction]) {
        machine.yieldIfOverslept(now: now, settings: settings, output: &output)
        machine.timerFired(now: now, settings: settings, output: &output)
        finish(into: &actions)
    }

    /// An advertisement passed the receive checks.
    ///
    /// One for another VRID is counted and ignored.
    public mutating func advertisementReceived(
        _ received: ReceivedAdvertisement, now: Instant,
        into actions: inout [VirtualRouterAction]
    ) {
        machine.yieldIfOverslept(now: now, settings: settings, output: &output)
        if received.advertisement.virtualRouterID == settings.virtualRouterID {
            output.countReceived(received)
            reportOddities(of: received, now: now)
            machine.advertisementReceived(
                received, now: now, settings: settings, output: &output)
        } else {
            output.countForeign()
        }
        finish(into: &actions)
    }

    /// The pair link proved that the process of the router at `address` is gone.
    ///
    /// Extension: in Backup, when that router is the one followed or none was heard yet, this
    /// counts as the Active_Down_Timer. An Active announces its addresses again, for the dead may
    /// have been the other half of a split. Adverts that the dead sent and that arrive within
    /// `State.quarantineInterval` do not depose us.
    public mutating func peerDeathProven(
        address: IPAddress, now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.yieldIfOverslept(now: now, settings: settings, output: &output)
        machine.activeIsGone(
            address: address, cause: .peerDeathProven, now: now, settings: settings,
            output: &output)
        finish(into: &actions)
    }

    /// The router at `address` said on the pair link that it has released the addresses.
    ///
    /// Extension: like `peerDeathProven`; it spares Skew_Time after a priority-0 advert.
    public mutating func peerHandedOver(
        address: IPAddress, now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.yieldIfOverslept(now: now, settings: settings, output: &output)
        machine.activeIsGone(
            address: address, cause: .peerHandedOver, now: now, settings: settings,
            output: &output)
        finish(into: &actions)
    }

    /// An operator wants the other node to be Active.
    ///
    /// Extension: the Active releases the addresses, sends priority 0 and goes to Backup with a
    /// full Active_Down_Interval, so that the peer takes over; should no one do so, it comes
    /// back. Until then it does not preempt, whatever Preempt_Mode and even as owner: the
    /// operator's wish would last for three adverts otherwise. Other states ignore it.
    public mutating func switchoverRequested(
        now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.yieldIfOverslept(now: now, settings: settings, output: &output)
        machine.switchoverRequested(now: now, settings: settings, output: &output)
        finish(into: &actions)
    }

    /// This node cannot serve: its data plane stalled or an address could not be added.
    ///
    /// Extension: like a shutdown, until `localFaultCleared`. Also remembered before startup.
    public mutating func localFaultDetected(
        now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.yieldIfOverslept(now: now, settings: settings, output: &output)
        machine.localFaultDetected(output: &output)
        finish(into: &actions)
    }

    /// This node can serve again: a started router goes through startup, preempt delay included.
    public mutating func localFaultCleared(
        now: Instant, into actions: inout [VirtualRouterAction]
    ) {
        machine.localFaultCleared(now: now, settings: settings, output: &output)
        finish(into: &actions)
    }

    /// The checks of RFC 9568 §7.1 and §8.3.2 that keep the packet and only report.
    private mutating func reportOddities(of received: ReceivedAdvertisement, now: Instant) {
        let advertisement = received.advertisement
        func report(_ kind: VirtualRouterNotice.Kind, got: Int, wanted: Int) {
            output.notice(
                VirtualRouterNotice(
                    kind, source: received.source, got: UInt64(got), wanted: UInt64(wanted)),
                now: now)
        }
        // RFC 9568 §7.1: interval differs from the own one: SHOULD log, keep.
        if advertisement.intervalCentiseconds != settings.advertisementIntervalCentiseconds {
            report(
                .intervalDiffers, got: Int(advertisement.intervalCentiseconds),
                wanted: Int(settings.advertisementIntervalCentiseconds))
        }
        // RFC 9568 §7.1: address list differs: SHOULD log, keep. The order says nothing.
        if advertisement.addresses != settings.addresses,
            advertisement.addresses.sorted() != settings.sortedAddresses
        {
            report(
                .addressesDiffer, got: advertisement.addresses.count,
                wanted: settings.addresses.count)
        }
        if received.checksumForm != settings.checksumForm {
            report(.checksumFormDiffers, got: 0, wanted: 0)
        }
        let priority = Int(advertisement.priority)
        let isOwnAddress = received.source == settings.primaryAddress
        if settings.isOwner {
            // RFC 9568 §7.1 with erratum 8298: log, do not drop, or two owners never resolve.
            report(.heardAsOwner, got: priority, wanted: Int(settings.priority))
        }
        if advertisement.priority == settings.priority, !isOwnAddress {
            // RFC 9568 §8.3.2: priorities should differ within one virtual router.
            report(
                settings.isOwner ? .secondOwner : .samePriority, got: priority,
                wanted: Int(settings.priority))
        }
    }

    private mutating func finish(into actions: inout [VirtualRouterAction]) {
        #if DEBUG
            machine.checkInvariants(settings: settings)
        #endif
        output.drain(into: &actions)
    }
}
