// SPDX-License-Identifier: Apache-2.0
//
// The requests of the simulated pool: choice, trial, answer, retry.

import BalancerCore
import WireCore

extension BalancerSimulation {
    func arrive() {
        let draw = Double((generator.next() >> 11) + 1) / Double(1 << 53)
        let gap = min(20, 1 / draw - 1 < 1e-9 ? 0 : exponential(draw) / plan.requestsPerSecond)
        queue.schedule(.arrival, at: now + TimeSpan(nanoseconds: UInt64(gap * 1e9)))
        let worker = Int.random(in: workers.indices, using: &generator)
        workers[worker].budget.requestBegan(now: now)
        requestCount += 1
        send(worker, attempted: AttemptedBackends(), isRetry: false)
    }

    /// The negative logarithm of a number between 0 and 1, good enough for arrivals.
    private func exponential(_ draw: Double) -> Double {
        var value = draw
        var result = 0.0
        while value < 0.5 {
            value *= 2
            result += 0.693_147_180_559_945_3
        }
        let ratio = (1 - value) / (1 + value)
        return result + 2 * (ratio + ratio * ratio * ratio / 3)
    }

    private func send(_ worker: Int, attempted: AttemptedBackends, isRetry: Bool) {
        refresh(worker)
        var isTrial = false
        var chosen: Int?
        if !isRetry, workers[worker].balancer.trialCount > 0 {
            for position in 0..<workers[worker].balancer.trialCount {
                let index = workers[worker].balancer.trialIndex(at: position)
                guard isTicketFree[index] else { continue }
                isTicketFree[index] = false
                isTrial = true
                chosen = index
                break
            }
        }
        if chosen == nil {
            chosen =
                workers[worker].balancer.choose(
                    now: now, loads: loads, excluding: attempted
                ).index
        }
        guard let index = chosen else {
            checkNobody(attempted)
            if !isRetry { failedCount += 1 }
            return
        }
        checkChosen(index, isTrial: isTrial)
        if isTrial {
            trialsInFlight[index] += 1
            if trialsInFlight[index] > 1 { violate("two requests of one trial of b\(index)") }
            post(.trialBegan(index))
        }
        var tried = attempted
        tried.insert(index)
        let (outcome, latency) = answer(index)
        loads.inFlight[index] += 1
        if now >= plan.calmFrom + .seconds(60) { servedInCalm[index] += 1 }
        queue.schedule(
            .finished(
                Request(
                    worker: worker, backend: index, sentAt: now, attempted: tried,
                    isTrial: isTrial, outcome: outcome)), at: now + latency)
    }

    func refresh(_ worker: Int) {
        guard workers[worker].epoch != epoch else { return }
        workers[worker].epoch = epoch
        workers[worker].balancer.setStandings(words.map(BackendStanding.init(rawValue:)))
    }

    private func answer(_ index: Int) -> (TrafficOutcome, TimeSpan) {
        let service = TimeSpan.milliseconds(5) + generator.span(upTo: .milliseconds(30))
        switch mode(index) {
        case .healthy, .notReady: return (.answered(status: 200), service)
        case .slow: return (.answered(status: 200), service.multiplied(by: 10))
        case .crashed: return (.refused, .milliseconds(1))
        case .failing: return (.answered(status: 500), .milliseconds(2))
        case .lying: return (.answered(status: 503), .milliseconds(2))
        case .hung: return (.brokenOff, .seconds(10))
        }
    }

    func finish(_ request: Request) {
        let index = request.backend
        var outcome = request.outcome
        // Whoever crashed meanwhile does not answer.
        if mode(index) == .crashed, case .answered = outcome { outcome = .brokenOff }
        let isFailure: Bool
        switch outcome {
        case .answered(let status): isFailure = status >= 500
        case .refused, .brokenOff: isFailure = true
        }
        loads.inFlight[index] -= 1
        tallies[index].requests += 1
        if isFailure { tallies[index].failures += 1 }
        workers[request.worker].balancer.finished(
            index: index, latency: now - request.sentAt, failed: isFailure, now: now)
        countFailures(index, outcome)
        if request.isTrial {
            trialsInFlight[index] -= 1
            let isAbandoned = Int.random(in: 0..<20, using: &generator) == 0
            post(.trialEnded(index, isAbandoned ? .abandoned : isFailure ? .failed : .succeeded))
        }
        guard isFailure else { return }
        retry(request)
    }

    private func countFailures(_ index: Int, _ outcome: TrafficOutcome) {
        guard let outlier = plan.settings.outlier else { return }
        var streak = FailureStreak(rawValue: streaks[index])
        let cause = streak.count(outcome, settings: outlier)
        streaks[index] = streak.rawValue
        if let cause { post(.trafficFailed(index, cause)) }
    }

    private func retry(_ request: Request) {
        let worker = request.worker
        guard request.attempted.count < 2, workers[worker].budget.take(now: now) else {
            failedCount += 1
            if now >= plan.calmFrom + .seconds(600) { failedInCalm += 1 }
            return
        }
        checkBudget(workers[worker].budget)
        send(worker, attempted: request.attempted, isRetry: true)
    }
}
