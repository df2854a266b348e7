// SPDX-License-Identifier: Apache-2.0
//
// One new connection with one request on it.

internal import EventLoop
internal import HTTPCore
internal import LinuxIO
internal import WireCore

/// Names the error numbers that decide a probe.
extension ProbeOutcome {
    init(_ error: Errno) {
        switch error {
        case .connectionRefused: self = .refused
        case .connectionReset, .brokenPipe: self = .reset
        case .hostUnreachable, .networkUnreachable: self = .unreachable
        case .timedOut: self = .timedOut
        default: self = .unsent
        }
    }
}

/// A probe in flight; closes with its last reference.
final class Probe: EventHandler {
    private enum Phase {
        case connecting
        case receiving
        /// Decided; waits for the other end to close first.
        case draining
    }

    let number: UInt64
    let scheduled: Instant
    /// How late the drill itself was.
    let ownLateness: TimeSpan
    private let socket: FileDescriptor
    private var source: EventSource?
    private var phase = Phase.connecting
    private var reader = ResponseReader()
    private var hasPeerClosed = false
    private unowned let load: LoadGenerator

    /// Begins to connect.
    init(number: UInt64, scheduled: Instant, load: LoadGenerator) throws(Errno) {
        self.number = number
        self.scheduled = scheduled
        ownLateness = Clock.now() - scheduled
        self.load = load
        socket = try StreamSocket.connect(to: load.target.endpoint)
        source = try load.loop.add(
            socket, [.readable, .writable, .edgeTriggered], handler: self)
    }

    /// Closes; unless the other end has closed, without a trace: TIME_WAIT would use up the ports,
    /// and a FIN to an address that moved helps nobody.
    func close() {
        guard let source else { return }
        self.source = nil
        load.loop.remove(source, of: socket)
        if !hasPeerClosed { StreamSocket.resetOnClose(socket) }
    }

    var isDecided: Bool {
        if case .draining = phase { return true }
        return false
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        if case .connecting = phase {
            if let error = StreamSocket.pendingError(socket) {
                return decide(ProbeOutcome(error))
            }
            guard events.contains(.writable) else { return }
            do throws(Errno) {
                // A request fits into the buffer of a fresh socket.
                _ = try StreamSocket.send(socket, load.probeRequest)
            } catch {
                return decide(ProbeOutcome(error))
            }
            phase = .receiving
        }
        receive()
    }

    private func receive() {
        while source != nil {
            do throws(Errno) {
                guard let bytes = try socket.read(upTo: 16_384) else { return }
                if bytes.isEmpty { hasPeerClosed = true }
                if case .draining = phase {
                    if bytes.isEmpty { return load.drained(self) }
                    continue
                }
                take(bytes)
            } catch {
                return isDecided ? load.drained(self) : decide(ProbeOutcome(error))
            }
        }
    }

    private func take(_ bytes: [UInt8]) {
        let isEnd = bytes.isEmpty
        switch isEnd ? reader.connectionEnded() : reader.take(bytes, parser: &load.responseHead) {
        case .needsMore: break
        case .malformed: decide(isEnd ? .closed : .malformed)
        case .complete(let statusCode, _):
            let outcome: ProbeOutcome = statusCode < 400 ? .answered : .errorStatus
            phase = .draining
            load.decided(self, outcome)
            if isEnd { load.drained(self) }
        }
    }

    private func decide(_ outcome: ProbeOutcome) {
        phase = .draining
        load.decided(self, outcome)
        load.drained(self)
    }
}
