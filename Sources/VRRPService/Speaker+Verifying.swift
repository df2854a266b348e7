// SPDX-License-Identifier: Apache-2.0
//
// After each announcement the LAN is asked who has the addresses: an announcement that nobody
// heard, or that somebody contradicts, is no takeover.

internal import EventLoop
internal import LinuxIO
internal import Telemetry
internal import VRRPCore
internal import WireCore

extension Speaker {
    /// When the LAN is asked after an announcement: after its first repeat, and after its last.
    static let probeDelays: [TimeSpan] = [.milliseconds(100), .milliseconds(1_050)]
    /// How long after a question its verdict is looked at: the time to answer is 50 ms.
    static let verdictDelay = TimeSpan.milliseconds(60)

    func scheduleProbes() {
        cancelProbes()
        guard ports.prober != nil else { return }
        let start = Clock.now()
        probeTimers = Self.probeDelays.flatMap { delay in
            [
                loop.schedule(at: start + delay) { [weak self] in self?.probe() },
                loop.schedule(at: start + delay + Self.verdictDelay) { [weak self] in
                    self?.noteVerdict()
                },
            ]
        }
    }

    func cancelProbes() {
        for timer in probeTimers { loop.cancel(timer) }
        probeTimers.removeAll()
    }

    /// The addresses go, or go quiet: nobody asks for them any more.
    func endVerifying() {
        cancelProbes()
        ports.prober?.watch([])
        status.verification = nil
    }

    private func probe() {
        guard machine.state == .active else { return }
        ports.prober?.probe()
        report.probes.add()
    }

    private func noteVerdict() {
        guard machine.state == .active, let verdict = ports.prober?.verdict else { return }
        status.verification = verdict
        if verdict.isVerified { report.verifiedAnnouncements.add() }
        publish()
    }
}
