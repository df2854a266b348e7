// SPDX-License-Identifier: Apache-2.0
//
// Drives the machine that judges the peer's life: runs its probes and its deadline.

import EventLoop
import LinuxIO
import ReplicationCore
import WireCore

/// What the watch reports.
enum PeerWatchEvent: Hashable {
    case linkUp
    case linkDown(LinkDownReason)
    case died
    case left
    case alive
    case noVerdict
    case probing
}

/// Feeds events to the liveness machine and performs what it asks for.
final class PeerWatch {
    private let loop: EventLoop
    private let settings: PairLinkSettings
    private let report: (PeerWatchEvent) -> Void
    private let readWaitingFrames: () -> Void
    private var machine: PeerLivenessStateMachine
    private var probe: PeerProbe?
    private var timer: (id: TimerID, deadline: Instant)?

    /// Makes a watch that has seen no link yet.
    ///
    /// - Parameters:
    ///   - loop: the loop to run on.
    ///   - settings: where to probe, and how often the peer beats.
    ///   - readWaitingFrames: takes what waits in the socket, before silence is judged.
    ///   - report: hears what was found out.
    init(
        loop: EventLoop, settings: PairLinkSettings,
        readWaitingFrames: @escaping () -> Void, report: @escaping (PeerWatchEvent) -> Void
    ) {
        self.loop = loop
        self.settings = settings
        self.readWaitingFrames = readWaitingFrames
        self.report = report
        machine = PeerLivenessStateMachine(heartbeatInterval: settings.heartbeatInterval)
    }

    var downReason: LinkDownReason? { machine.downReason }

    func established(_ link: LinkGeneration) {
        perform(machine.linkEstablished(link, now: loop.now))
    }

    func heartbeat(on link: LinkGeneration) {
        perform(machine.heartbeatReceived(on: link, now: loop.now))
    }

    func goodbye(on link: LinkGeneration) {
        machine.goodbyeReceived(on: link)
    }

    func ended(_ link: LinkGeneration, _ ending: LinkEnding) {
        perform(machine.linkEnded(link, ending, now: loop.now))
    }

    func stop() {
        probe?.cancel()
        probe = nil
        if let timer { loop.cancel(timer.id) }
        timer = nil
    }

    private func perform(_ action: PeerLivenessAction) {
        scheduleDeadline()
        switch action {
        case .none:
            break
        case .reportLinkUp:
            report(.linkUp)
        case .reportLinkDown(let reason):
            report(.linkDown(reason))
        case .probeAndReportLinkDown:
            startProbe()
            report(.linkDown(.endOfStream))
        case .probe:
            startProbe()
        case .certifyDeath:
            endProbe()
            report(.died)
        case .reportPeerLeft:
            report(.left)
        case .reportPeerAlive:
            endProbe()
            report(.alive)
        case .reportNoVerdict:
            endProbe()
            report(.noVerdict)
        }
    }

    private func startProbe() {
        endProbe()
        report(.probing)
        let probe = PeerProbe(on: loop) { [weak self] result in
            guard let self else { return }
            perform(machine.probeEnded(result, now: loop.now))
        }
        self.probe = probe
        probe.start(settings: settings)
    }

    private func endProbe() {
        probe?.cancel()
        probe = nil
    }

    /// One timer; it is left alone while it fires early enough, so that a heartbeat costs none.
    private func scheduleDeadline() {
        guard let deadline = machine.nextDeadline else { return }
        if let timer {
            guard deadline < timer.deadline else { return }
            loop.cancel(timer.id)
        }
        let id = loop.schedule(at: deadline) { [weak self] in self?.timerFired() }
        timer = (id, deadline)
    }

    private func timerFired() {
        timer = nil
        readWaitingFrames()
        perform(machine.deadlinePassed(now: loop.now))
    }
}
