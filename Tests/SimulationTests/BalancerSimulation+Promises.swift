// SPDX-License-Identifier: Apache-2.0
//
// What a pool promises at every moment and at the end.

import BalancerCore
import WireCore

extension BalancerSimulation {
    /// After every event of the governor.
    func checkPromises(_ actions: [GovernorAction]) {
        let standings = words.map(BackendStanding.init(rawValue:))
        for index in standings.indices where standings[index] != governor.standing(at: index) {
            violate("b\(index) was told \(standings[index]), not \(governor.standing(at: index))")
        }
        checkSomebodyServes(standings)
        for action in actions {
            guard case .report(.ejected(let name, let cause, _, _)) = action, cause != .failedTrial
            else { continue }
            checkEjection(of: name, standings)
        }
    }

    private func checkSomebodyServes(_ standings: [BackendStanding]) {
        guard !standings.contains(where: { $0.admission == .serving && $0.weight > 0 }) else {
            return
        }
        let couldServe = standings.indices.filter { index in
            guard let status = governor.status(of: index, now: now) else { return false }
            return status.admin == .ready && status.forced == nil && status.standing.weight > 0
        }
        if plan.settings.cascade != nil, !couldServe.isEmpty { violate("nobody serves") }
        // Without the guard checks may empty a pool, ejections never.
        for index in couldServe {
            switch governor.status(of: index, now: now)?.reason {
            case .ejected, .trial: violate("b\(index), the last one, is ejected")
            default: break
            }
        }
    }

    private func checkEjection(of name: String, _ standings: [BackendStanding]) {
        guard let outlier = plan.settings.outlier else { return }
        var total = 0
        var outCount = 0
        for index in standings.indices where admin[index] == .ready {
            total += 1
            if standings[index].admission != .serving { outCount += 1 }
        }
        let outMax = OutlierDetector(settings: outlier).outMax(of: total)
        if outCount > outMax {
            violate("\(name) was ejected: \(outCount) of \(total) are out, at most \(outMax)")
        }
        if !standings.contains(where: { $0.admission == .serving && $0.weight > 0 }) {
            violate("\(name) was ejected and was the last one")
        }
    }

    func checkChosen(_ index: Int, isTrial: Bool) {
        if admin[index] != .ready { violate("b\(index) was chosen although \(admin[index])") }
        let standing = governor.standing(at: index)
        if standing.weight == 0, !isTrial { violate("b\(index) was chosen without a weight") }
        if isTrial, standing.admission != .trial { violate("b\(index) is not on trial") }
        if standing.admission == .unhealthy, plan.sharing.panicPercent == 0 {
            violate("b\(index) was chosen without panic")
        }
    }

    /// A request found nobody: there must be nobody.
    func checkNobody(_ attempted: AttemptedBackends) {
        for index in words.indices where !attempted.contains(index) {
            let standing = governor.standing(at: index)
            if standing.admission == .serving, standing.weight > 0 {
                violate("nobody was chosen although b\(index) serves")
                return
            }
        }
    }

    func checkBudget(_ budget: RetryBudget) {
        let seconds = (now - BalancerPlan.start).nanoseconds / 1_000_000_000 + 1
        let floor = UInt64(plan.floorPerSecond) * seconds
        let allowed = budget.requestsTotal * UInt64(plan.budgetPercent) / 100 + floor
        if budget.retriesTotal > allowed {
            violate("\(budget.retriesTotal) retries, \(allowed) allowed")
        }
        if plan.floorPerSecond == 0, budget.ratio(now: now) > Double(plan.budgetPercent) / 100 {
            violate("a retry ratio of \(budget.ratio(now: now))")
        }
    }

    /// Everything has been well for a while.
    func checkTheEnd() {
        for index in plan.weights.indices {
            guard let status = governor.status(of: index, now: now) else { continue }
            if status.reason != .none || status.standing.admission != .serving {
                violate("b\(index) is well but has not returned: \(status.reason)")
            }
            if status.standing.rampPercent != 100 {
                violate("b\(index) still has \(status.standing.rampPercent)% of its share")
            }
        }
        let status = governor.status(now: now)
        if status.cascadeSince != nil || status.panicSince != nil { violate("no calm: \(status)") }
        if failedInCalm > 0 { violate("\(failedInCalm) requests failed in a pool that is well") }
        checkNobodyStarves()
        checkWeights()
    }

    private func checkNobodyStarves() {
        let total = servedInCalm.reduce(0, +)
        let weight = plan.weights.reduce(0, +)
        for index in plan.weights.indices {
            // A share of which none at all is out of the question.
            let expected = total * plan.weights[index] / weight
            if expected >= 40, servedInCalm[index] == 0 {
                violate("b\(index) is starved: 0 of some \(expected) requests")
            }
        }
    }

    /// Turns follow the weights; the other policies look at loads as well.
    private func checkWeights() {
        guard plan.policy == .roundRobin || plan.policy == .leastRequests else { return }
        refresh(0)
        let idle = SimulatedLoads(inFlight: [Int](repeating: 0, count: plan.weights.count))
        let weight = plan.weights.reduce(0, +)
        let rounds = max(2, min(200, 40_000 / weight))
        var counts = [Int](repeating: 0, count: plan.weights.count)
        for _ in 0..<rounds * weight {
            guard let index = workers[0].balancer.choose(now: now, loads: idle).index else {
                return violate("nobody is chosen in a pool that is well")
            }
            counts[index] += 1
        }
        // Whoever is looked at two by two shares only by and large.
        let isExact =
            plan.policy == .roundRobin || plan.weights.count <= PoolBalancer.fullScanBackendsMax
        guard isExact else { return }
        for index in counts.indices {
            let expected = rounds * plan.weights[index]
            if abs(counts[index] - expected) > max(2, expected / 50) {
                violate("b\(index) got \(counts[index]) of \(expected)")
            }
        }
    }
}
