// SPDX-License-Identifier: Apache-2.0
//
// One check of one backend on the loop: performs what its health machine decides, one probe at a
// time, and says what became of it.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import Telemetry
import WireCore

/// Keeps one backend under observation until it is stopped.
final class BackendMonitor: ProbeSlots.Waiter {
    /// What a monitor needs besides its target.
    struct Surroundings {
        let loop: EventLoop
        let slots: ProbeSlots
        let kept: KeptConnections
        let counters: HealthMetrics.CheckCounters
        let logger: Logger
        /// Hears each change of the verdict, and of the reason while it is bad; `nil` when it
        /// is good.
        let announce: (ProbeFailure?) -> Void
        /// Hears each pass that changes nothing.
        let passedAgain: () -> Void
    }

    /// The backend and the check: `[pool web] backend be1 readiness`.
    let name: String
    let target: ProbeTarget
    private(set) var machine: HealthStateMachine
    private let around: Surroundings
    private var generator: SeededGenerator
    private var timer: TimerID?
    private var probe: (any Probe)?
    private var connection: ProbeConnection?
    private var slotTicket: ProbeSlots.Ticket?
    private var holdsSlot = false
    private var isStopped = false
    /// Why the backend is down, as announced.
    private var announced: ProbeFailure?
    private var localFaultLines = LogRateLimiter()

    /// Prepares the checks; `start` begins them.
    init(
        _ name: String, target: ProbeTarget, plan: HealthCheckPlan,
        generator: SeededGenerator, around: Surroundings
    ) {
        self.name = name
        self.target = target
        self.generator = generator
        self.around = around
        machine = HealthStateMachine(plan: plan, now: Clock.now(), using: &self.generator)
        around.counters.isPassing.set(1)
    }

    func start() {
        arm()
    }

    /// Ends the checks; a running probe is dropped without a result.
    func stop() {
        isStopped = true
        disarm()
        if let slotTicket { around.slots.forget(slotTicket) }
        slotTicket = nil
        probe?.cancel()
        probe = nil
        keep(nil)
        releaseSlot()
    }

    /// Takes over a reloaded plan.
    func replacePlan(_ plan: HealthCheckPlan) {
        guard plan != machine.plan else { return }
        machine.replacePlan(plan, now: Clock.now())
        if slotTicket == nil { arm() }
    }

    func slotGranted() {
        slotTicket = nil
        // Another grant of the same batch may have led to a reload that stopped this one.
        guard !isStopped else { return around.slots.release() }
        holdsSlot = true
        timerFired()
    }

    private func arm() {
        disarm()
        guard !isStopped else { return }
        timer = around.loop.schedule(at: machine.nextDeadline) { [weak self] in
            self?.timerFired()
        }
    }

    private func disarm() {
        if let timer { around.loop.cancel(timer) }
        timer = nil
    }

    private func timerFired() {
        disarm()
        if !machine.isProbing, !holdsSlot {
            switch around.slots.acquire(for: self) {
            case .granted: holdsSlot = true
            case .waits(let ticket): slotTicket = ticket
            }
        }
        if slotTicket != nil { return }
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
            around.counters.isPassing.set(1)
            around.counters.becameUp.add()
            announced = nil
            around.announce(nil)
        case .becameDown(_, let reason):
            around.counters.isPassing.set(0)
            around.counters.becameDown.add()
            announced = reason
            around.announce(reason)
        case nil:
            announceOtherReason()
        }
    }

    /// A backend that hung and is refused now is worse off than before, and the other way round.
    private func announceOtherReason() {
        guard machine.verdict == .down, let announced, let reason = machine.lastFailure,
            reason.token != announced.token
        else { return }
        self.announced = reason
        around.announce(reason)
    }

    private func startProbe() {
        let kept = connection
        connection = nil
        if kept != nil { around.kept.release() }
        if case .udp(let payload) = target.probe {
            probe = DatagramProbe(
                target, payload, timeout: machine.plan.timeout, on: around.loop
            ) { [weak self] outcome in self?.probeEnded(outcome, nil) }
        } else {
            probe = StreamProbe(target, on: around.loop, reusing: kept) {
                [weak self] outcome, connection in self?.probeEnded(outcome, connection)
            }
        }
        probe?.start()
    }

    private func probeEnded(_ outcome: ProbeOutcome, _ connection: ProbeConnection?) {
        probe = nil
        keep(connection)
        let now = Clock.now()
        let action: HealthStateMachine.Action?
        switch outcome {
        case .passed:
            around.counters.passed.add()
            action = machine.probeSucceeded(now: now, using: &generator)
        case .failed(let reason):
            around.counters.failed(reason).add()
            action = machine.probeFailed(reason, now: now, using: &generator)
        case .notMade(let error):
            around.counters.notMade.add()
            machine.probeSkipped(now: now, using: &generator)
            reportLocalFault(error, now: now)
            action = nil
        }
        if action != nil || machine.lastProbeEndedAt == now {
            around.counters.probeTook(machine.lastProbeLatency)
        }
        releaseSlot()
        arm()
        perform(action)
        if action == nil, outcome == .passed { around.passedAgain() }
    }

    /// Holds a connection for the next probe as long as there is room for one.
    private func keep(_ new: ProbeConnection?) {
        if connection != nil { around.kept.release() }
        connection = nil
        guard let new, around.kept.admit() else { return }
        connection = new
    }

    private func releaseSlot() {
        guard holdsSlot else { return }
        holdsSlot = false
        around.slots.release()
    }

    private func reportLocalFault(_ error: Errno, now: Instant) {
        guard let held = localFaultLines.admit(now: now) else { return }
        around.logger.warning("\(name) not checked: \(error)", ["held_back": String(held)])
    }
}
