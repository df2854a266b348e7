// SPDX-License-Identifier: Apache-2.0
//
// What a pool's governor tells the other node, and what it makes of what that one says.

import BalancerCore
import EventLoop
import LinuxIO
import WireCore

extension GovernorDriver {
    /// How often an ejection of the peer is tried again that could not be taken over.
    static let refusedInterval = TimeSpan.seconds(1)

    /// An ejection of the peer that would have left too few.
    struct RefusedEjection {
        let report: EjectionReport
        let heardAt: Instant
    }

    /// Hands what the peer has to hear to the port.
    func tellPeer() {
        guard let tell = ports.tellPeer else { return }
        for (backend, report) in takeReports() {
            guard let address = address(at: backend) else { continue }
            tell(
                BackendWord(
                    pool: pool, backend: name(at: backend), address: address, report: report))
        }
    }

    /// The peer said something about a backend; false when it is none of this pool.
    func hear(_ word: PeerWord) -> Bool {
        guard let index = index(of: word.backend),
            address(at: index)?.description == word.address
        else { return false }
        switch word.report {
        case .ejection(let report):
            refused[word.backend] = nil
            hear(report, of: index)
        case .check(let kind, let failure):
            perform(now: Clock.now()) {
                $0.peerChecked(index, kind, failure: failure, now: $1)
            }
        case .ramp(let elapsed?):
            perform(now: Clock.now()) { $0.peerRamps(index, elapsed: elapsed, now: $1) }
        case .ramp(nil):
            break
        }
        return true
    }

    private func hear(_ report: EjectionReport, of index: Int) {
        var isTaken = true
        perform(now: Clock.now()) { governor, now in
            let result = governor.peerEjected(index, report, now: now)
            isTaken = result.isTaken
            return result.actions
        }
        // A trial that is over soon is not worth waiting for.
        guard !isTaken, case .out = report.phase else { return }
        refused[name(at: index)] = RefusedEjection(report: report, heardAt: loop.now)
        tryRefusedLater()
    }

    private func tryRefusedLater() {
        guard refusedTimer == nil, !refused.isEmpty else { return }
        refusedTimer = loop.schedule(after: Self.refusedInterval) { [weak self] in
            guard let self else { return }
            refusedTimer = nil
            tryRefused()
        }
    }

    /// Who was the last one may not be by now.
    private func tryRefused() {
        let all = refused
        refused = [:]
        for (backend, refusal) in all {
            let report = refusal.report.later(by: loop.now - refusal.heardAt)
            // Over by now: whoever still fails will be found out here.
            if case .out(remaining: .zero) = report.phase { continue }
            guard let index = index(of: backend) else { continue }
            hear(report, of: index)
        }
        tryRefusedLater()
    }
}
