// SPDX-License-Identifier: Apache-2.0
//
// The checks of one backend on the loop: performs what its health machine decides, one probe at a
// time, and says what became of it.

import BalancerCore
import EventLoop
import LinuxIO
import Telemetry
import WireCore

/// Keeps one backend under observation until it is stopped.
final class BackendMonitor: ProbeSlots.Waiter {
    let identity: BackendIdentity
    let target: ProbeTarget
    private(set) var machine: HealthStateMachine
    private let loop: EventLoop
    private let slots: ProbeSlots
    private let counters: HealthMetrics.BackendCounters
    private let logger: Logger
    private let announce: (BackendVerdict) -> Void
    private var generator: SeededGenerator
    private var timer: TimerID?
    private var probe: HealthProbe?
    private var holdsSlot = false
    private var waitsForSlot = false
    private var isStopped = false
    private var localFaultLines = LogRateLimiter()

    /// Prepares the checks; `start` begins them.
    init(
        _ identity: BackendIdentity, target: ProbeTarget, plan: HealthCheckPlan,
        generator: SeededGenerator, loop: EventLoop, slots: ProbeSlots,
        counters: HealthMetrics.BackendCounters, logger: Logger,
        announce: @escaping (BackendVerdict) -> Void
    ) {
        self.identity = identity
        self.target = target
        self.generator = generator
        self.loop = loop
        self.slots = slots
        self.counters = counters
        self.logger = logger
        self.announce = announce
        machine = HealthStateMachine(plan: plan, now: Clock.now(), using: &self.generator)
        counters.up.set(1)
    }

    func start() {
        arm()
    }

    /// Ends the checks; a running probe is dropped without a result.
    func stop() {
        isStopped = true
        disarm()
        if waitsForSlot { slots.forget(self) }
        waitsForSlot = false
        probe?.cancel()
        probe = nil
        releaseSlot()
    }

    /// Takes over a reloaded plan.
    func replacePlan(_ plan: HealthCheckPlan) {
        guard plan != machine.plan else { return }
        machine.replacePlan(plan, now: Clock.now())
        if !waitsForSlot { arm() }
    }

    func slotGranted() {
        waitsForSlot = false
        // Another grant of the same batch may have led to a reload that stopped this one.
        guard !isStopped else { return slots.release() }
        holdsSlot = true
        timerFired()
    }

    private func arm() {
        disarm()
        guard !isStopped else { return }
        timer = loop.schedule(at: machine.nextDeadline) { [weak self] in self?.timerFired() }
    }

    private func disarm() {
        if let timer { loop.cancel(timer) }
        timer = nil
    }

    private func timerFired() {
        disarm()
        if !machine.isProbing, !holdsSlot {
            holdsSlot = slots.acquire(for: self)
            waitsForSlot = !holdsSlot
        }
        if waitsForSlot { return }
        perform(machine.timerFired(now: Clock.now()))
        // A wait that was prolonged meanwhile, or a probe whose time limit starts to run.
        if !machine.isProbing { releaseSlot() }
        if timer == nil { arm() }
    }

    /// The one place where decisions become deeds.
    private func perform(_ action: HealthStateMachine.Action?) {
        switch action {
        case .startProbe:
            startProbe()
        case .abandonProbe:
            probe?.abandon()
        case .becameUp:
            counters.up.set(1)
            counters.becameUp.add()
            let count = machine.consecutivePasses
            say(isServing: true, "\(count) \(count == 1 ? "check" : "checks") passed")
        case .becameDown(let failures, let reason):
            counters.up.set(0)
            counters.becameDown.add()
            say(
                isServing: false,
                "\(failures) \(failures == 1 ? "check" : "checks") failed: \(reason)")
        case nil:
            break
        }
    }

    private func startProbe() {
        let probe = HealthProbe(target, on: loop) { [weak self] outcome in
            self?.probeEnded(outcome)
        }
        self.probe = probe
        probe.start()
    }

    private func probeEnded(_ outcome: ProbeOutcome) {
        probe = nil
        let now = Clock.now()
        let action: HealthStateMachine.Action?
        switch outcome {
        case .passed:
            counters.passed.add()
            action = machine.probeSucceeded(now: now, using: &generator)
        case .failed(let reason):
            counters.failed(reason).add()
            action = machine.probeFailed(reason, now: now, using: &generator)
        case .notMade(let error):
            counters.notMade.add()
            machine.probeSkipped(now: now, using: &generator)
            reportLocalFault(error, now: now)
            action = nil
        }
        counters.latencyNanoseconds.set(Int64(clamping: machine.lastProbeLatency.nanoseconds))
        releaseSlot()
        arm()
        perform(action)
    }

    private func releaseSlot() {
        guard holdsSlot else { return }
        holdsSlot = false
        slots.release()
    }

    private func say(isServing: Bool, _ reason: String) {
        let word = isServing ? "up" : "down"
        logger.log(
            isServing ? .info : .warning,
            "[pool \(identity.pool)] backend \(identity.backend) \(word): \(reason)",
            ["address": target.address.description])
        announce(
            BackendVerdict(
                pool: identity.pool, backend: identity.backend, isServing: isServing,
                reason: reason))
    }

    private func reportLocalFault(_ error: Errno, now: Instant) {
        guard let held = localFaultLines.admit(now: now) else { return }
        logger.warning(
            "[pool \(identity.pool)] backend \(identity.backend) not checked: \(error)",
            ["held_back": String(held)])
    }
}
