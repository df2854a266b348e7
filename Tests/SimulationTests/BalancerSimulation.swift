// SPDX-License-Identifier: Apache-2.0
//
// A pool in virtual time: two workers with their balancers and retry budgets, the control thread
// with health machines and governor, a mailbox between them that is late and loses things.

import BalancerCore
import WireCore

/// Shared counters as a balancer reads them; no limits.
struct SimulatedLoads: BackendLoads {
    var inFlight: [Int]

    func requestsInFlight(at index: Int) -> Int { inFlight[index] }
    func isAtLimit(at index: Int) -> Bool { false }
}

/// Runs a plan and collects what broke a promise.
final class BalancerSimulation {
    struct Request {
        var worker: Int
        var backend: Int
        var sentAt: Instant
        var attempted: AttemptedBackends
        var isTrial: Bool
        var outcome: TrafficOutcome
    }

    enum Message {
        case trafficFailed(Int, EjectionCause)
        case trialBegan(Int)
        case trialEnded(Int, TrialOutcome)
    }

    enum Event {
        case arrival
        case finished(Request)
        case check(Int)
        case checkPassed(Int)
        case checkFailed(Int, ProbeFailure)
        case governorTimer
        case message(Message)
        case fault(Int, isBegin: Bool)
        case deed(Int)
        case second
    }

    struct Worker {
        var balancer: PoolBalancer
        var budget: RetryBudget
        var epoch = 0
    }

    let plan: BalancerPlan
    let isTracing: Bool
    var generator: SeededGenerator
    var queue = EventQueue<Event>()
    var now = BalancerPlan.start
    var governor: PoolGovernor
    var machines: [HealthStateMachine] = []
    var told: [ProbeFailure?]
    var modes: [[BackendMode]]
    var workers: [Worker] = []
    var loads: SimulatedLoads
    /// The words that workers read, and their epoch.
    var words: [UInt32]
    var epoch = 1
    var streaks: [UInt64]
    var isTicketFree: [Bool]
    var trialsInFlight: [Int]
    var admin: [AdminState]
    var tallies: [BackendTally]
    var timerDue = Instant.distantFuture
    var violations: [String] = []
    /// Requests by backend since everything was well.
    var servedInCalm: [Int]
    var failedInCalm = 0
    var requestCount = 0
    var failedCount = 0

    init(_ plan: BalancerPlan, isTracing: Bool = false) {
        self.plan = plan
        self.isTracing = isTracing
        let count = plan.weights.count
        generator = SeededGenerator(seed: plan.seed)
        let backends = Self.backends(plan)
        governor = PoolGovernor(
            backends: backends, settings: plan.settings, seed: plan.seed ^ 5, now: now)
        told = [ProbeFailure?](repeating: nil, count: count)
        modes = [[BackendMode]](repeating: [], count: count)
        loads = SimulatedLoads(inFlight: [Int](repeating: 0, count: count))
        words = (0..<count).map { _ in 0 }
        streaks = [UInt64](repeating: 0, count: count)
        isTicketFree = [Bool](repeating: false, count: count)
        trialsInFlight = [Int](repeating: 0, count: count)
        admin = [AdminState](repeating: .ready, count: count)
        tallies = [BackendTally](repeating: BackendTally(), count: count)
        servedInCalm = [Int](repeating: 0, count: count)
        let shape = PoolShape(policy: plan.policy, weights: plan.weights, sharing: plan.sharing)
        for worker in 0..<2 {
            workers.append(
                Worker(
                    balancer: PoolBalancer(shape, seed: plan.seed &+ UInt64(worker)),
                    budget: RetryBudget(
                        percent: plan.budgetPercent, floorPerSecond: plan.floorPerSecond,
                        workerCount: 2)))
        }
        for index in 0..<count {
            words[index] = governor.standing(at: index).rawValue
            machines.append(HealthStateMachine(plan: plan.check, now: now, using: &generator))
            queue.schedule(.check(index), at: machines[index].nextDeadline)
        }
    }

    static func backends(_ plan: BalancerPlan) -> [GovernedBackend] {
        plan.weights.enumerated().map { GovernedBackend(name: "b\($0.offset)", weight: $0.element) }
    }

    func run() -> [String] {
        queue.schedule(.arrival, at: now)
        queue.schedule(.second, at: now + .seconds(1))
        for (index, fault) in plan.faults.enumerated() {
            queue.schedule(.fault(index, isBegin: true), at: fault.begin)
            queue.schedule(.fault(index, isBegin: false), at: fault.end)
        }
        for (index, deed) in plan.deeds.enumerated() {
            queue.schedule(.deed(index), at: deed.at)
        }
        while let next = queue.popNext(), next.time < plan.end, violations.count < 5 {
            now = next.time
            handle(next.event)
        }
        if violations.isEmpty { checkTheEnd() }
        return violations
    }

    private func handle(_ event: Event) {
        switch event {
        case .arrival: arrive()
        case .finished(let request): finish(request)
        case .check(let index): check(index)
        case .checkPassed(let index):
            perform(index, machines[index].probeSucceeded(now: now, using: &generator))
        case .checkFailed(let index, let reason):
            perform(index, machines[index].probeFailed(reason, now: now, using: &generator))
        case .governorTimer:
            guard now >= governor.nextDeadline else { return }
            apply(governor.timerFired(now: now))
            if governor.nextDeadline <= now { violate("a timer that is due for ever") }
        case .message(let message): deliver(message)
        case .fault(let index, let isBegin): fault(plan.faults[index], isBegin)
        case .deed(let index): perform(plan.deeds[index].deed)
        case .second:
            apply(governor.sweep(tallies, now: now))
            for index in governor.draining {
                apply(
                    governor.inFlight(
                        index, exchanges: loads.inFlight[index], tunnels: 0, now: now))
            }
            queue.schedule(.second, at: now + .seconds(1))
        }
    }

    func violate(_ text: String) {
        violations.append("at \((now - BalancerPlan.start).secondsAsDouble)s: \(text)")
    }

    func trace(_ text: @autoclosure () -> String) {
        guard isTracing else { return }
        print("\((now - BalancerPlan.start).milliseconds)ms \(text())")
    }

    // MARK: What happens to backends

    func mode(_ index: Int) -> BackendMode { modes[index].last ?? .healthy }

    private func fault(_ fault: BalancerPlan.Fault, _ isBegin: Bool) {
        trace("\(isBegin ? "begins" : "ends"): \(fault.mode) of \(fault.backends)")
        for index in fault.backends {
            if isBegin {
                modes[index].append(fault.mode)
            } else if let place = modes[index].firstIndex(of: fault.mode) {
                modes[index].remove(at: place)
            }
            guard fault.mode == .notReady else { continue }
            let fails = modes[index].contains(.notReady)
            apply(
                governor.checkVerdict(
                    index, .readiness, failure: fails ? .unexpectedStatus(503) : nil, now: now))
        }
    }

    private func perform(_ deed: BalancerPlan.Deed) {
        trace("\(deed)")
        switch deed {
        case .admin(let index, let state):
            admin[index] = state
            apply(governor.setAdminState(index, state, now: now))
        case .weight(let index, let weight):
            apply(governor.setWeight(index, weight, now: now))
        case .forced(let index, let isUp):
            apply(governor.setForcedHealth(index, isUp.map { $0 ? .up : .down }, now: now))
        case .reload:
            apply(
                governor.reconfigure(
                    backends: Self.backends(plan), settings: plan.settings, now: now))
        }
    }

    // MARK: Checks

    private func check(_ index: Int) {
        guard now >= machines[index].nextDeadline else { return scheduleCheck(index) }
        switch machines[index].timerFired(now: now) {
        case .startProbe:
            switch mode(index) {
            case .healthy, .lying, .slow, .notReady:
                queue.schedule(.checkPassed(index), at: now + .milliseconds(5))
            case .crashed:
                queue.schedule(.checkFailed(index, .connectionRefused), at: now + .milliseconds(1))
            case .failing:
                queue.schedule(
                    .checkFailed(index, .unexpectedStatus(500)), at: now + .milliseconds(5))
            case .hung:
                scheduleCheck(index)
            }
        case .abandonProbe:
            perform(index, machines[index].probeFailed(.timedOut, now: now, using: &generator))
        case .becameUp, .becameDown, nil:
            scheduleCheck(index)
        }
    }

    private func scheduleCheck(_ index: Int) {
        queue.schedule(.check(index), at: machines[index].nextDeadline)
    }

    private func perform(_ index: Int, _ action: HealthStateMachine.Action?) {
        let machine = machines[index]
        switch action {
        case .becameUp:
            told[index] = nil
            apply(governor.checkVerdict(index, .liveness, failure: nil, now: now))
        case .becameDown(_, let reason):
            told[index] = reason
            apply(governor.checkVerdict(index, .liveness, failure: reason, now: now))
        case .startProbe, .abandonProbe, nil:
            if machine.verdict == .down, let reason = machine.lastFailure, reason != told[index] {
                told[index] = reason
                apply(governor.checkVerdict(index, .liveness, failure: reason, now: now))
            }
        }
        scheduleCheck(index)
    }

    // MARK: The mailbox

    func post(_ message: Message) {
        // The mailbox is bounded: now and then a message finds no place.
        guard Int.random(in: 0..<100, using: &generator) > 0 else { return }
        queue.schedule(.message(message), at: now + generator.span(upTo: .milliseconds(20)))
    }

    private func deliver(_ message: Message) {
        switch message {
        case .trafficFailed(let index, let cause):
            apply(governor.trafficFailed(index, cause, now: now))
        case .trialBegan(let index):
            apply(governor.trialBegan(index, now: now))
        case .trialEnded(let index, let outcome):
            apply(governor.trialEnded(index, outcome, now: now))
        }
    }

    // MARK: The governor's actions

    func apply(_ actions: [GovernorAction]) {
        for action in actions {
            switch action {
            case .standing(let index, let standing):
                let before = BackendStanding(rawValue: words[index])
                if standing.admission == .trial { isTicketFree[index] = true }
                if standing.admission == .serving, before.admission != .serving {
                    streaks[index] = 0
                }
                words[index] = standing.rawValue
                epoch += 1
            case .report(let event):
                trace("\(event.backend ?? "pool"): \(event)")
            case .closeIdle, .forceClose:
                break
            }
        }
        if !actions.isEmpty { checkPromises(actions) }
        guard governor.nextDeadline != timerDue, governor.nextDeadline != .distantFuture else {
            return
        }
        timerDue = governor.nextDeadline
        queue.schedule(.governorTimer, at: max(timerDue, now))
    }
}
