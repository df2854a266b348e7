// SPDX-License-Identifier: Apache-2.0
//
// What traffic shows about backends: every attempt ends here with an answer, a failure or neither.
// The balancer learns from it, rows of failures are counted, trials end. On the path of an answer
// that is no failure this costs a few loads and the stores of the worker's own counters.

internal import BalancerCore
internal import EventLoop
internal import HTTPCore
internal import LinuxIO
internal import Synchronization
internal import WireCore

/// Why an attempt got no answer, or no whole one.
enum AttemptFailure: UInt8, CaseIterable {
    /// Not connected: refused, unreachable.
    case refused
    /// Not connected in time.
    case connectTimeout
    /// The connection broke before an answer began.
    case reset
    /// No answer began in time.
    case timeout
    /// The answer breaks a rule.
    case malformed
    /// The answer broke off.
    case truncated
    /// Ours: nothing is said about the backend.
    case ours
}

extension Worker {
    // MARK: Answers

    /// Books the head of a final response, or of a switch of protocols.
    mutating func bookResponse(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer
    ) {
        let status = response.status
        client.pointee.listener.pointee.count { $0.statuses.add(status: status) }
        bookAnswer(upstream, client)
    }

    /// Books the head of an answer for its backend, whether or not the client gets it.
    mutating func bookAnswer(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer
    ) {
        if !upstream.pointee.isReused { learnPatience(upstream) }
        let status = response.status
        let latency = now - client.pointee.attemptBegan
        let backend = upstream.pointee.backend
        backend.pointee.count {
            $0.statuses.add(status: status)
            $0.latencyMicroseconds.add(latency.microseconds)
            $0.latencyCount.add()
        }
        backend.pointee.noteLatency(latency)
        var retryAfter = TimeSpan.zero
        if status < 500 {
            backend.pointee.endStreak()
            client.pointee.pool?.pointee.learnLimit(latency: latency, now: now)
        } else {
            retryAfter = noteServerError(status, upstream, client)
        }
        endTrial(client, status < 500 ? .succeeded : .failed)
        client.pointee.pool?.pointee.balancer.finished(
            index: client.pointee.backendIndex, latency: latency, failed: status >= 500,
            retryAfter: retryAfter, now: now)
    }

    /// A backend took the connection of a TCP client: that is all the answer there is.
    mutating func bookConnected(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer
    ) {
        upstream.pointee.backend.pointee.endStreak()
        endTrial(client, .succeeded)
        client.pointee.pool?.pointee.balancer.finished(
            index: client.pointee.backendIndex, latency: now - client.pointee.attemptBegan,
            failed: false, now: now)
    }

    /// Counts an answer 5xx; returns how long the backend asks not to be asked.
    private mutating func noteServerError(
        _ status: UInt16, _ upstream: UpstreamConnection.Pointer,
        _ client: ClientConnection.Pointer
    ) -> TimeSpan {
        let isGateway = (502...504).contains(status)
        let backend = upstream.pointee.backend
        if isGateway { backend.pointee.count { $0.gatewayErrors.add() } }
        note(.answered(status: Int(status)), backend, client)
        return retryAfter(in: upstream.pointee.input.message)
    }

    // MARK: Failures

    /// Books an attempt that got no answer, or a broken one; the client still has its pool.
    mutating func judge(
        _ client: ClientConnection.Pointer, _ failure: AttemptFailure
    ) {
        guard let pool = client.pointee.pool else { return }
        let index = client.pointee.backendIndex
        let backend = pool.pointee.backends[index]
        guard failure != .ours, !backend.pointee.isBeingCut else {
            endTrial(client, .abandoned)
            return
        }
        backend.pointee.count {
            $0.failures.add()
            $0.localFailures.add(failure)
        }
        note(failure == .refused ? .refused : .brokenOff, backend, client)
        endTrial(client, .failed)
        // An answer that broke off was booked when it began.
        guard failure != .truncated else { return }
        pool.pointee.balancer.finished(
            index: index, latency: now - client.pointee.attemptBegan, failed: true, now: now)
    }

    /// Counts a failure in a row and reports one too many, unless that was done and not read yet.
    private mutating func note(
        _ outcome: TrafficOutcome, _ backend: WorkerBackend.Pointer,
        _ client: ClientConnection.Pointer
    ) {
        guard let settings = client.pointee.pool?.pointee.outlierSettings else { return }
        let cause = backend.pointee.shared._withUnsafeGuaranteedRef {
            $0.streak.count(outcome, settings: settings)
        }
        guard let cause else { return }
        let object = backend.pointee.object
        guard !object.isReported.exchange(true, ordering: .acquiringAndReleasing) else { return }
        if !setup.reports.post(TrafficReport(backend: object, finding: .failedInARow(cause))) {
            object.isReported.store(false, ordering: .releasing)
        }
    }

    // MARK: Trials

    /// The backend for the next attempt of a request.
    ///
    /// That is one on trial if the request may be its trial, otherwise it is as the policy has it.
    /// A trial ends with the attempt.
    @inline(__always)
    mutating func choose(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) -> BackendChoice {
        pool.pointee.followStandings()
        if let index = stickyIndex(client, pool) { return .chosen(index) }
        if pool.pointee.hasTrials, let index = claimTrial(client, pool) { return .chosen(index) }
        return pool.pointee.choose(
            now: now, excluding: client.pointee.attempted, key: affinityKey(client))
    }

    private mutating func claimTrial(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) -> Int? {
        // A TCP client has lost nothing yet either: not a byte of it was read.
        let isHarmless =
            client.pointee.phase == .opening
            || client.pointee.method.isIdempotent && client.pointee.isRequestKept
                && client.pointee.body.isComplete
        guard client.pointee.attempted.isEmpty, client.pointee.trialTicket == 0, isHarmless,
            let trial = pool.pointee.claimTrial()
        else { return nil }
        client.pointee.trialTicket = trial.ticket
        let backend = pool.pointee.backends[trial.index].pointee.object
        setup.reports.post(TrafficReport(backend: backend, finding: .trialBegan))
        return trial.index
    }

    /// Ends the trial that the present attempt of a request is, if it is one; `backendIndex` is
    /// still that of the attempt.
    @inline(__always)
    mutating func endTrial(_ client: ClientConnection.Pointer, _ outcome: TrialOutcome) {
        if client.pointee.trialTicket != 0 { finishTrial(client, outcome) }
    }

    private mutating func finishTrial(_ client: ClientConnection.Pointer, _ outcome: TrialOutcome) {
        let ticket = client.pointee.trialTicket
        client.pointee.trialTicket = 0
        guard let pool = client.pointee.pool else { preconditionFailure("a trial without a pool") }
        let backend = pool.pointee.backends[client.pointee.backendIndex].pointee.object
        // A trial of an earlier time has no say.
        guard backend.trial.spend(ticket) else { return }
        let report = TrafficReport(backend: backend, finding: .trialEnded(outcome))
        // Nobody could be told: the next request is the trial instead.
        if !setup.reports.post(report) { backend.trial.reopen(ticket) }
    }

    /// How long the backend whose response was just parsed asks not to be asked.
    ///
    /// Zero when it says nothing. The balancer believes it for a while only.
    func retryAfter(in message: UnsafeRawBufferPointer) -> TimeSpan {
        let seconds = response.retryAfterSeconds(
            in: message, unixSeconds: Clock.wallNanoseconds() / 1_000_000_000)
        return .seconds(UInt64(seconds ?? 0))
    }
}
