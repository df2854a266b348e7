// SPDX-License-Identifier: Apache-2.0
//
// One probe over one socket: connect, ask, judge the head of the answer. It keeps no time; whoever
// started it abandons it.

import BalancerCore
import EventLoop
import HTTPCore
import LinuxIO
import WireCore

/// How a probe ended.
enum ProbeOutcome: Hashable {
    case passed
    case failed(ProbeFailure)
    /// This node could not ask (no descriptor, no port, no memory): nothing was learned.
    case notMade(Errno)
}

/// A running probe; reports once and closes its socket then.
final class HealthProbe: EventHandler {
    /// Bytes of an answer that are read: the head must end within them.
    static let responseByteCountMax = 8_192

    private enum Phase {
        case connecting, sending, receiving, ended
    }

    private let target: ProbeTarget
    private let loop: EventLoop
    private let report: (ProbeOutcome) -> Void
    private var phase = Phase.connecting
    private var socket: ProbeSocket?
    private var unsent: [UInt8] = []
    private var received: [UInt8] = []
    private var head: ResponseHead
    private var progress = HeadProgress()

    /// Prepares a probe; `report` is called exactly once unless the probe is cancelled.
    init(_ target: ProbeTarget, on loop: EventLoop, report: @escaping (ProbeOutcome) -> Void) {
        self.target = target
        self.loop = loop
        self.report = report
        var limits = HeadLimits()
        limits.headByteCountMax = Self.responseByteCountMax
        head = ResponseHead(limits: limits)
    }

    /// Begins to connect; a refusal may be reported before this returns.
    func start() {
        do {
            let descriptor = try StreamSocket.connect(to: target.address)
            let source = try loop.add(descriptor, .writable, handler: self)
            socket = ProbeSocket(descriptor, source)
        } catch {
            end(Self.outcome(of: error))
        }
    }

    /// Looks once more for an answer that arrived unnoticed, then gives up.
    func abandon() {
        advance()
        end(.failed(.timedOut))
    }

    /// Closes the socket without a report.
    func cancel() {
        phase = .ended
        close()
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        advance()
    }

    private func advance() {
        guard let socket else { return }
        do {
            if phase == .connecting { try finishConnecting(socket) }
            if phase == .sending { try send(socket) }
            if phase == .receiving { try receive(socket) }
        } catch {
            end(Self.outcome(of: error))
        }
    }

    private func finishConnecting(_ socket: ProbeSocket) throws(Errno) {
        if let error = StreamSocket.pendingError(socket.descriptor) { throw error }
        // Without an error and without a peer the handshake is still under way.
        guard let remote = try? StreamSocket.remoteEndpoint(socket.descriptor) else { return }
        let local = try StreamSocket.localEndpoint(socket.descriptor)
        unsent = target.header(
            for: local.map { ProxyHeader.Connection(source: $0, destination: remote) })
        unsent += target.request ?? []
        guard !unsent.isEmpty else { return end(.passed) }
        phase = .sending
    }

    private func send(_ socket: ProbeSocket) throws(Errno) {
        guard case .bytes(let count) = try StreamSocket.send(socket.descriptor, unsent) else {
            return
        }
        unsent.removeFirst(count)
        guard unsent.isEmpty else { return }
        guard target.request != nil else { return end(.passed) }
        phase = .receiving
        try loop.modify(socket.source, of: socket.descriptor, .readable)
    }

    private func receive(_ socket: ProbeSocket) throws(Errno) {
        let room = Self.responseByteCountMax - received.count
        guard let bytes = try socket.descriptor.read(upTo: room) else { return }
        if bytes.isEmpty { return end(.failed(.connectionClosed)) }
        received += bytes
        judge()
    }

    /// RFC 9110 §15: any 2xx or 3xx passes; interim answers are skipped (§15.2).
    private func judge() {
        while phase == .receiving {
            let outcome = received.withUnsafeBytes { bytes in
                head.parse(bytes, answering: .get, progress: &progress)
            }
            switch outcome {
            case .needMore:
                if received.count >= Self.responseByteCountMax { end(.failed(.responseTooLong)) }
                return
            case .malformed(.headTooLarge), .malformed(.tooManyFields):
                end(.failed(.responseTooLong))
            case .malformed:
                end(.failed(.malformedResponse))
            case .complete(let byteCount):
                if head.isInterim {
                    received.removeFirst(byteCount)
                    progress = HeadProgress()
                } else if (200..<400).contains(head.status) {
                    end(.passed)
                } else {
                    end(.failed(.unexpectedStatus(Int(head.status))))
                }
            }
        }
    }

    private func end(_ outcome: ProbeOutcome) {
        guard phase != .ended else { return }
        phase = .ended
        close()
        report(outcome)
    }

    private func close() {
        guard let socket else { return }
        loop.remove(socket.source, of: socket.descriptor)
        self.socket = nil
    }

    private static func outcome(of error: Errno) -> ProbeOutcome {
        switch error {
        case .connectionRefused: .failed(.connectionRefused)
        case .connectionReset, .brokenPipe: .failed(.connectionClosed)
        case .timedOut: .failed(.timedOut)
        case .tooManyFiles, .tooManyFilesInSystem, .noBufferSpace, .addressNotAvailable:
            .notMade(error)
        default: .failed(.system(error.description))
        }
    }
}

/// The socket of a probe and its registration, gained and lost together.
private final class ProbeSocket {
    let descriptor: FileDescriptor
    let source: EventSource

    init(_ descriptor: consuming FileDescriptor, _ source: EventSource) {
        self.descriptor = descriptor
        self.source = source
    }
}
