// SPDX-License-Identifier: Apache-2.0
//
// Everything about one simulated run that is decided before it starts. Where plans come from is in
// SimulationPlan+Seeds.swift.

import VRRPCore
import WireCore

/// One fault of a plan.
struct PlannedFault {
    var kind: Kind
    var start: Instant
    var end: Instant

    /// A fault of the network lasts from `start` to `end`, one of a node is repaired at `end`.
    enum Kind {
        // The network between the nodes; clients reach all of them.
        /// These nodes and the others do not hear each other, neither adverts nor link.
        case split(NodeSet)
        /// Nothing from one node reaches the other.
        case oneWay(from: Int, to: Int)
        /// Adverts of one node do not arrive: a broken multicast group. `nil` is any, any family.
        case adverts(from: Int, to: Int?, family: AddressFamily?)
        /// No pair link, neither way.
        case link
        /// Adverts and announcements are lost at random, segments of the link come late.
        case loss(percent: Int)
        /// Packets take up to this much longer, and overtake each other.
        case slow(extra: TimeSpan)
        /// Adverts arrive with a wrong byte.
        case corrupt(percent: Int)

        // One node.
        /// The cable is out: neither nodes nor clients are reached, and the node sees no carrier.
        case unplug(node: Int)
        /// SIGSTOP, then SIGCONT.
        case pause(node: Int)
        /// Every wake-up of the process is up to this late.
        case busy(node: Int, lateness: TimeSpan)
        /// SIGKILL, then a new process.
        case kill(node: Int)
        /// The host dies with its kernel, then boots.
        case powerOff(node: Int)
        /// The data plane stalls.
        case localFault(node: Int)
        /// SIGTERM, then a new process.
        case shutdown(node: Int)
        /// The witness is out of reach: the node may not claim because of silence.
        case hold(node: Int)
        /// A tracker lowers the priority.
        case penalty(node: Int, points: UInt8)
        /// The TCP connection of the pair link breaks; both processes live.
        case linkReset(node: Int)

        // The operator.
        /// The Active hands over; the addresses go at once or linger while connections drain.
        case switchover(lingering: Bool)
    }

    /// Whether adverts or the link may not arrive while it lasts.
    var isOfTheNetwork: Bool {
        switch kind {
        case .split, .oneWay, .adverts, .link, .loss, .slow, .corrupt, .unplug: true
        case .pause, .busy, .kill, .powerOff, .localFault, .shutdown, .hold, .penalty, .linkReset,
            .switchover:
            false
        }
    }

    /// Whether what it does while it lasts is left to chance, so that nothing is promised then.
    var isRandom: Bool {
        switch kind {
        case .loss, .slow, .corrupt, .busy: true
        default: false
        }
    }
}

/// Some of at most eight nodes.
struct NodeSet: Hashable {
    var bits: UInt8

    func contains(_ node: Int) -> Bool { bits & (1 << UInt8(node)) != 0 }
}

/// One run: nodes, network, faults.
struct SimulationPlan {
    var seed: UInt64
    var priorities: [UInt8]
    var interval: TimeSpan
    var lease: TimeSpan
    var preempts = true
    var preemptDelay = TimeSpan.zero
    var silenceRule = SilenceRule.advertsAndLink
    /// IPv4 alone, or IPv4 and IPv6 as one group.
    var families: [AddressFamily] = [.ipv4]
    /// The greater IPv4 address may be on the node with the smaller IPv6 address.
    var isIPv6OrderReversed = false
    /// Exactly two nodes may have a pair link; others have VRRP alone.
    var hasLink: Bool
    var heartbeatInterval = TimeSpan.milliseconds(100)
    /// Parts per million that each node's clock runs fast.
    var driftPartsPerMillion: [Int]
    var startTimes: [Instant]
    var delayMin = TimeSpan.microseconds(50)
    var delayMax = TimeSpan.microseconds(500)
    /// How late a process wakes up at most.
    var latencyMax = TimeSpan.microseconds(200)
    var duplicatePercent = 0
    /// IPv4 adverts travel as bytes and are decoded; slower.
    var usesCodec = false
    /// How often an Active announces itself for no reason.
    var announcementInterval = TimeSpan.seconds(2)
    /// How long the old node of a lingering switchover keeps the addresses.
    var drainTime = TimeSpan.milliseconds(500)
    /// A driver that breaks a rule, to see that it is found.
    var defect: DriverDefect?
    /// When a client forgets who has the address and asks anew.
    var resolutionTimes: [Instant] = []
    var faults: [PlannedFault] = []
    var end: Instant

    /// Clients with a neighbour cache of their own.
    static let clientCount = 3

    var nodeCount: Int { priorities.count }

    /// A node's own address of a family.
    func address(of node: Int, _ family: AddressFamily) -> IPAddress {
        switch family {
        case .ipv4: IPAddress(10, 77, 0, UInt8(11 + node))
        case .ipv6:
            .v6(
                IPv6Address(
                    high: 0xFE80 << 48,
                    low: UInt64(0x11 + (isIPv6OrderReversed ? nodeCount - node : node))))
        }
    }

    /// No fault happens after this.
    var lastFaultEnd: Instant {
        faults.map(\.end).max() ?? startTimes.max() ?? Instant(nanoseconds: 0)
    }

    /// How long it may take until one node is Active and nothing changes any more.
    var settlingTime: TimeSpan {
        // Preempt delay, Active_Down_Intervals of a failed and of a good attempt, a lease, the
        // longest redial of the link, the announcement limit, repeats.
        preemptDelay + interval.multiplied(by: 12) + lease
            + (hasLink ? .milliseconds(2_500) : .zero) + .milliseconds(2_500)
    }

    /// An Active_Down_Interval on a clock that runs slow.
    func activeDownInterval(of node: Int, priority: UInt8? = nil) -> TimeSpan {
        drifted(
            AdvertisementTimers.activeDownInterval(
                priority: priority ?? priorities[node], interval: interval))
    }

    /// The longest Active_Down_Interval of any node at any priority.
    var activeDownIntervalMax: TimeSpan {
        drifted(AdvertisementTimers.activeDownInterval(priority: 1, interval: interval))
    }

    /// 400 ppm, twice what one clock may be wrong.
    func drifted(_ span: TimeSpan) -> TimeSpan { span + span.divided(by: 2_500) }

    /// A turn around the network and through two processes.
    var turn: TimeSpan { delayMax.multiplied(by: 2) + latencyMax.multiplied(by: 3) }

    /// valid_lft was seen to last up to 1.035 of its time.
    var leaseMax: TimeSpan { lease.multiplied(by: 1_035).divided(by: 1_000) }
}
