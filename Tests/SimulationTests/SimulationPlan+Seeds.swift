// SPDX-License-Identifier: Apache-2.0
//
// Plans from seeds: a cluster of some kind, and faults that overlap as they please.

import VRRPCore
import WireCore

extension SimulationPlan {
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
            // Three nodes and more have no link: it belongs to exactly two.
            hasLink: nodeCount == 2,
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
        plan.silenceRule = Int.random(in: 0..<3, using: &random) == 0 ? .adverts : .advertsAndLink
        if Int.random(in: 0..<3, using: &random) == 0 {
            plan.families = [.ipv4, .ipv6]
            plan.isIPv6OrderReversed = Bool.random(using: &random)
        }
        plan.end = plan.startTimes.reduce(zero) { max($0, $1) } + plan.settlingTime
        return plan
    }

    /// Nodes start, then one to five faults overlap as they please, then it is quiet again.
    ///
    /// Half of the clusters are pairs, the others have three to five nodes.
    static func chaotic(seed: UInt64, nodeCount: Int? = nil) -> SimulationPlan {
        var random = SeededGenerator(seed: seed)
        let count = nodeCount ?? [2, 2, 2, 3, 4, 5].randomElement(using: &random) ?? 2
        var plan = quiet(seed: seed, nodeCount: count, random: &random)
        let window = plan.interval.multiplied(by: .random(in: 10...40, using: &random))
        for _ in 0..<Int.random(in: 1...5, using: &random) {
            let start = Instant(nanoseconds: 0) + random.span(upTo: window)
            let longest = max(plan.interval.multiplied(by: 12), plan.lease)
            let end = start + .milliseconds(60) + random.span(upTo: longest)
            plan.faults.append(
                PlannedFault(kind: plan.randomFault(random: &random), start: start, end: end))
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
        plan.end =
            max(plan.lastFaultEnd, plan.end) + plan.settlingTime + plan.interval.multiplied(by: 8)
        return plan
    }

    private func randomFault(random: inout SeededGenerator) -> PlannedFault.Kind {
        let node = Int.random(in: 0..<nodeCount, using: &random)
        let other = (node + Int.random(in: 1..<nodeCount, using: &random)) % nodeCount
        switch Int.random(in: 0..<22, using: &random) {
        case 0: return .split(NodeSet(bits: 1 << UInt8(node)))
        case 1:
            return .split(NodeSet(bits: .random(in: 1..<(1 << UInt8(nodeCount)), using: &random)))
        case 2: return .oneWay(from: node, to: other)
        case 3, 4:
            return .adverts(
                from: node, to: Bool.random(using: &random) ? nil : other,
                family: Bool.random(using: &random) ? nil : families.randomElement(using: &random))
        case 5: return hasLink ? .link : .unplug(node: node)
        case 6: return .unplug(node: node)
        case 7: return .loss(percent: .random(in: 5...90, using: &random))
        case 8: return .slow(extra: random.span(upTo: interval.multiplied(by: 2)))
        case 9: return .corrupt(percent: .random(in: 5...100, using: &random))
        case 10, 11: return .pause(node: node)
        case 12:
            return .busy(node: node, lateness: random.span(upTo: interval.multiplied(by: 5)))
        case 13, 14: return .kill(node: node)
        case 15: return .powerOff(node: node)
        case 16: return .localFault(node: node)
        case 17: return .shutdown(node: node)
        case 18: return .hold(node: node)
        case 19: return .penalty(node: node, points: .random(in: 1...253, using: &random))
        case 20: return .switchover(lingering: Bool.random(using: &random))
        default: return hasLink ? .linkReset(node: node) : .kill(node: node)
        }
    }
}
