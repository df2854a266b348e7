// SPDX-License-Identifier: Apache-2.0
//
// One client that makes a request on the same connection again and again, at fixed times.

internal import EventLoop
internal import HTTPCore
internal import LinuxIO
internal import WireCore

/// A keep-alive client; never reconnects.
final class KeepAliveClient: EventHandler {
    private enum Phase {
        case connecting
        case idle
        /// A request is open since it was due.
        case waiting(due: Instant)
        case lost(KeepAliveFate)
    }

    private var observationStart: Instant?
    private var lastAnswer: Instant?
    private var longestSilence = TimeSpan.zero
    private var slowCount = 0
    /// When the latest answered request was due.
    private var lastAnsweredDue: Instant?

    private let socket: FileDescriptor
    private var source: EventSource?
    private var timer: TimerID?
    private var phase = Phase.connecting
    private var nextDue: Instant
    private var reader = ResponseReader()
    private unowned let load: LoadGenerator

    /// Begins to connect; the first request is due at `firstDue`.
    init(firstDue: Instant, load: LoadGenerator) throws(Errno) {
        nextDue = firstDue
        self.load = load
        socket = try StreamSocket.connect(to: load.target.endpoint)
        source = try load.loop.add(
            socket, [.readable, .writable, .edgeTriggered], handler: self)
        arm()
    }

    /// The connection is open and has answered at least once.
    var isReady: Bool {
        switch phase {
        case .connecting, .lost: false
        case .idle, .waiting: lastAnswer != nil
        }
    }

    /// The connection's fate is known: a request due after the fault was answered, or it is lost.
    func isResolved(since fault: Instant) -> Bool {
        isLost || hasAnswered(since: fault)
    }

    private func hasAnswered(since fault: Instant) -> Bool {
        lastAnsweredDue.map { $0 >= fault } ?? false
    }

    var isLost: Bool {
        if case .lost = phase { return true }
        return false
    }

    /// Silence counts from here on.
    func beginObservation(at start: Instant) {
        observationStart = start
        longestSilence = .zero
        slowCount = 0
    }

    /// What became of it since the fault, as of `now`.
    func record(fault: Instant, now: Instant) -> KeepAliveRecord {
        switch phase {
        case .lost(let fate):
            return KeepAliveRecord(
                fate: fate, longestSilence: longestSilence, slowCount: slowCount)
        case .connecting, .idle, .waiting:
            let fate: KeepAliveFate = hasAnswered(since: fault) ? .kept : .hung
            var silence = longestSilence
            if case .waiting = phase, let lastAnswer { silence = max(silence, now - lastAnswer) }
            return KeepAliveRecord(fate: fate, longestSilence: silence, slowCount: slowCount)
        }
    }

    func close() {
        if let timer { load.loop.cancel(timer) }
        timer = nil
        guard let source else { return }
        self.source = nil
        load.loop.remove(source, of: socket)
        StreamSocket.resetOnClose(socket)
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        if case .connecting = phase {
            if let error = StreamSocket.pendingError(socket) { return lose(error) }
            guard events.contains(.writable) else { return }
            phase = .idle
        }
        while self.source != nil {
            do throws(Errno) {
                guard let bytes = try socket.read(upTo: 16_384) else { return }
                take(bytes)
            } catch {
                return lose(error)
            }
        }
    }

    private func arm() {
        timer = load.loop.schedule(at: nextDue) { [weak self] in self?.due() }
    }

    /// Sends the request that is due, unless an earlier one is open: then the time it costs is
    /// counted when that answer comes.
    private func due() {
        let due = nextDue
        nextDue = due + load.keepAliveInterval
        switch phase {
        case .connecting:
            if Clock.now() - due > load.probeTimeout { return lose(.timedOut) }
        case .waiting(let since):
            if Clock.now() - since > load.probeTimeout { return lose(as: .hung) }
        case .idle:
            do throws(Errno) {
                _ = try StreamSocket.send(socket, load.keepAliveRequest)
                phase = .waiting(due: due)
            } catch {
                return lose(error)
            }
        case .lost: return
        }
        arm()
    }

    private func take(_ bytes: [UInt8]) {
        guard case .waiting(let due) = phase else {
            // Nothing was asked: the end of the stream, or bytes that belong to no request.
            return lose(as: bytes.isEmpty ? .closed : .failed)
        }
        let isEnd = bytes.isEmpty
        switch isEnd ? reader.connectionEnded() : reader.take(bytes, parser: &load.responseHead) {
        case .needsMore: break
        case .malformed: lose(as: isEnd ? .closed : .failed)
        case .complete(let statusCode, let keeps):
            answered(due: due)
            guard statusCode < 400 else { return lose(as: .failed) }
            guard keeps, !isEnd else { return lose(as: .closed) }
            reader = ResponseReader()
            phase = .idle
        }
    }

    private func answered(due: Instant) {
        let now = Clock.now()
        noteSilence(until: now)
        lastAnswer = now
        lastAnsweredDue = due
        guard observationStart != nil else { return }
        // This request and those that were due behind it.
        var owed = due
        while now - owed > ProbeRecord.slowLimit {
            slowCount += 1
            owed = owed + load.keepAliveInterval
        }
    }

    private func noteSilence(until now: Instant) {
        guard let observationStart, let lastAnswer, now > observationStart else { return }
        longestSilence = max(longestSilence, now - lastAnswer)
    }

    private func lose(_ error: Errno) {
        switch error {
        case .connectionReset, .brokenPipe, .connectionRefused: lose(as: .reset)
        case .timedOut: lose(as: .hung)
        default: lose(as: .failed)
        }
    }

    private func lose(as fate: KeepAliveFate) {
        noteSilence(until: Clock.now())
        phase = .lost(fate)
        close()
    }
}
