// SPDX-License-Identifier: Apache-2.0
//
// One probe over UDP: sends the bytes, sends them again while nothing comes, judges the first
// answer.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import WireCore

/// A running probe over UDP; reports once and closes its socket then.
///
/// A network may lose a datagram without anybody's fault, so the question is put three times
/// within the time limit: at once, after a third of it and after two thirds. The first datagram
/// that comes back decides. A host that says by ICMP that nobody listens fails the probe at once.
final class DatagramProbe: Probe, EventHandler {
    /// How often the question is put within one probe.
    static let sendCount = 3
    /// Bytes of an answer that are looked at.
    static let answerByteCountMax = 65_536

    private let target: ProbeTarget
    private let payload: PayloadProbe
    private let pause: TimeSpan
    private let loop: EventLoop
    private let report: (ProbeOutcome) -> Void
    private var socket: DatagramRegistration?
    private var timer: TimerID?
    private var sentCount = 0
    private var hasEnded = false

    /// Prepares a probe; `report` is called exactly once unless the probe is cancelled.
    init(
        _ target: ProbeTarget, _ payload: PayloadProbe, timeout: TimeSpan, on loop: EventLoop,
        report: @escaping (ProbeOutcome) -> Void
    ) {
        self.target = target
        self.payload = payload
        pause = timeout.divided(by: UInt64(Self.sendCount))
        self.loop = loop
        self.report = report
    }

    func start() {
        do {
            let descriptor = try DatagramSocket.connect(to: target.address)
            let source = try loop.add(descriptor, .readable, handler: self)
            socket = DatagramRegistration(descriptor, source)
            try send()
        } catch {
            end(StreamProbe.outcome(of: error))
        }
    }

    func abandon() {
        receive()
        end(.failed(.timedOut))
    }

    func cancel() {
        hasEnded = true
        close()
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        receive()
    }

    private func send() throws(Errno) {
        guard let socket else { return }
        // A full buffer is as good as a lost datagram.
        _ = try DatagramSocket.send(socket.descriptor, payload.send)
        sentCount += 1
        guard sentCount < Self.sendCount else { return }
        timer = loop.schedule(after: pause) { [weak self] in self?.sendAgain() }
    }

    private func sendAgain() {
        timer = nil
        do {
            try send()
        } catch {
            end(StreamProbe.outcome(of: error))
        }
    }

    private func receive() {
        guard let socket else { return }
        do {
            guard
                let bytes = try DatagramSocket.receive(
                    socket.descriptor, upTo: Self.answerByteCountMax)
            else { return }
            var matcher = ByteMatcher(payload.expect)
            bytes.withUnsafeBytes { matcher.look(at: $0) }
            end(matcher.isFound ? .passed : .failed(.unexpectedAnswer))
        } catch {
            end(StreamProbe.outcome(of: error))
        }
    }

    private func end(_ outcome: ProbeOutcome) {
        guard !hasEnded else { return }
        hasEnded = true
        close()
        report(outcome)
    }

    private func close() {
        if let timer { loop.cancel(timer) }
        timer = nil
        guard let socket else { return }
        loop.remove(socket.source, of: socket.descriptor)
        self.socket = nil
    }
}

/// The socket of a probe and its registration, gained and lost together.
private final class DatagramRegistration {
    let descriptor: FileDescriptor
    let source: EventSource

    init(_ descriptor: consuming FileDescriptor, _ source: EventSource) {
        self.descriptor = descriptor
        self.source = source
    }
}
