// SPDX-License-Identifier: Apache-2.0
//
// Everything about one simulated run that is decided before it starts; all of it from one seed.

import WireCore

/// One fault of a plan.
struct PlannedFault {
    var kind: Kind
    var start: Instant
    var end: Instant

    enum Kind {
        /// The node and the others do not hear each other; clients hear both.
        case partition(node: Int)
        /// Nothing from one node reaches the other.
        case oneWay(from: Int, to: Int)
        /// The cable is out: neither nodes nor clients are reached.
        case unplug(node: Int)
        /// Adverts are lost at random.
        case loss(percent: Int)
        /// Packets take up to this much longer, and overtake each other.
        case slow(extra: TimeSpan)
        /// Adverts arrive with a wrong byte.
        case corrupt(percent: Int)
        /// SIGSTOP, then SIGCONT.
        case pause(node: Int)
        /// SIGKILL, then a new process.
        case kill(node: Int)
        /// The host dies with its kernel, then boots.
        case powerOff(node: Int)
        /// The data plane stalls.
        case localFault(node: Int)
        /// SIGTERM, then a new process.
        case shutdown(node: Int)
        /// The operator asks the Active to hand over.
        case switchover
        /// The TCP connection of the pair link breaks; both processes live.
        case linkReset(node: Int)
    }

    var isOfTheNetwork: Bool {
        switch kind {
        case .partition, .oneWay, .unplug, .loss, .slow, .corrupt: true
        case .pause, .kill, .powerOff, .localFault, .shutdown, .switchover, .linkReset: false
        }
    }
}

/// One run: nodes, network, faults.
struct SimulationPlan {
    var seed: UInt64
    var priorities: [UInt8]
    var interval: TimeSpan
    var lease: TimeSpan
    var preempts = true
    var preemptDelay = TimeSpan.zero
    /// Parts per million that each node's clock runs fast.
    var driftPartsPerMillion: [Int]
    var startTimes: [Instant]
    var delayMin = TimeSpan.microseconds(50)
    var delayMax = TimeSpan.microseconds(500)
    /// How late a process wakes up at most.
    var latencyMax = TimeSpan.microseconds(200)
    var duplicatePercent = 0
    /// Adverts travel as bytes and are decoded; slower.
    var usesCodec = false
    /// How often an Active announces itself for no reason.
    var announcementInterval = TimeSpan.seconds(2)
    /// When the client forgets who has the address and asks anew.
    var resolutionTimes: [Instant] = []
    var faults: [PlannedFault] = []
    var end: Instant

    var nodeCount: Int { priorities.count }

    /// No fault happens after this.
    var lastFaultEnd: Instant {
        faults.map(\.end).max() ?? startTimes.max() ?? Instant(nanoseconds: 0)
    }

    /// Nodes start within a few adverts, then nothing bad happens.
    static func quiet(
        seed: UInt64, nodeCount: Int, random: inout SeededGenerator
    ) -> SimulationPlan {
        let intervals: [TimeSpan] = [.milliseconds(10), .milliseconds(100), .seconds(1)]
        let interval = intervals.randomElement(using: &random) ?? .seconds(1)
        let zero = Instant(nanoseconds: 0)
        var priorities: [UInt8] = (0..<nodeCount).map { _ in .random(in: 1...254, using: &random) }
        if Int.random(in: 0..<5, using: &random) == 0 {
            priorities = priorities.map { _ in 100 }
        } else if Int.random(in: 0..<10, using: &random) == 0 {
            priorities[0] = 255
        }
        var plan = SimulationPlan(
            seed: seed, priorities: priorities, interval: interval,
            // The product's lease is at least 2 s; a shorter one keeps runs at 10 ms short.
            lease: interval == .milliseconds(10) ? .milliseconds(300) : .seconds(2),
            driftPartsPerMillion: (0..<nodeCount).map { _ in
                .random(in: -200...200, using: &random)
            },
            startTimes: (0..<nodeCount).map { _ in
                zero + random.span(upTo: interval.multiplied(by: 6))
            },
            end: zero)
        plan.preempts = Bool.random(using: &random)
        if Int.random(in: 0..<4, using: &random) == 0 {
            plan.preemptDelay = random.span(upTo: interval.multiplied(by: 5))
        }
        plan.duplicatePercent = Bool.random(using: &random) ? 0 : 5
        plan.usesCodec = seed % 4 == 0
        plan.end = plan.startTimes.reduce(zero) { max($0, $1) } + plan.settlingTime
        return plan
    }

    /// Nodes start, then one to five faults overlap as they please, then it is quiet again.
    static func chaotic(seed: UInt64, nodeCount: Int) -> SimulationPlan {
        var random = SeededGenerator(seed: seed)
        var plan = quiet(seed: seed, nodeCount: nodeCount, random: &random)
        let window = plan.interval.multiplied(by: .random(in: 10...40, using: &random))
        for _ in 0..<Int.random(in: 1...5, using: &random) {
            let start = Instant(nanoseconds: 0) + random.span(upTo: window)
            let longest = max(plan.interval.multiplied(by: 12), plan.lease)
            let end = start + .milliseconds(60) + random.span(upTo: longest)
            plan.faults.append(
                PlannedFault(
                    kind: plan.randomFault(random: &random), start: start, end: end))
        }
        plan.faults = plan.faults.map { fault in
            var fault = fault
            switch fault.kind {
            case .switchover, .linkReset: fault.end = fault.start
            default: break
            }
            return fault
        }
        plan.resolutionTimes = (0..<3).map { _ in
            Instant(nanoseconds: 0) + random.span(upTo: window + plan.lease)
        }
        plan.end = max(plan.lastFaultEnd, plan.end) + plan.settlingTime
        return plan
    }

    /// How long it may take until one node is Active and nothing changes any more.
    var settlingTime: TimeSpan {
        // Preempt delay, two Active_Down_Intervals, a lease, the announcement limit, repeats.
        preemptDelay + interval.multiplied(by: 12) + lease + .milliseconds(2_500)
    }

    private func randomFault(random: inout SeededGenerator) -> PlannedFault.Kind {
        let node = Int.random(in: 0..<nodeCount, using: &random)
        let other = (node + Int.random(in: 1..<nodeCount, using: &random)) % nodeCount
        switch Int.random(in: 0..<14, using: &random) {
        case 0: return .partition(node: node)
        case 1: return .oneWay(from: node, to: other)
        case 2: return .unplug(node: node)
        case 3: return .loss(percent: .random(in: 5...90, using: &random))
        case 4: return .slow(extra: random.span(upTo: interval.multiplied(by: 2)))
        case 5: return .corrupt(percent: .random(in: 5...100, using: &random))
        case 6, 7: return .pause(node: node)
        case 8, 9: return .kill(node: node)
        case 10: return .powerOff(node: node)
        case 11: return .localFault(node: node)
        case 12: return .shutdown(node: node)
        default: return Bool.random(using: &random) ? .switchover : .linkReset(node: node)
        }
    }
}
