// SPDX-License-Identifier: Apache-2.0
//
// One probe over TCP: connects or goes on with a kept connection, sends the question, hands the
// answer to its dialogue. It keeps no time; whoever started it abandons it.

import BalancerCore
import EventLoop
import LinuxIO
import WireCore

/// A running probe over a stream; reports once, with the connection when it may be used again.
final class StreamProbe: Probe, EventHandler {
    /// Bytes read at a time: the bound on what one wake-up costs.
    private static let readByteCountMax = 8_192

    private enum Phase {
        case connecting, exchanging, ended
    }

    private let target: ProbeTarget
    private let loop: EventLoop
    private let report: (ProbeOutcome, ProbeConnection?) -> Void
    private var phase = Phase.connecting
    private var connection: ProbeConnection?
    private var isReused = false
    private var unsent: [UInt8] = []

    /// Prepares a probe; `report` is called exactly once unless the probe is cancelled.
    init(
        _ target: ProbeTarget, on loop: EventLoop, reusing kept: ProbeConnection?,
        report: @escaping (ProbeOutcome, ProbeConnection?) -> Void
    ) {
        self.target = target
        self.loop = loop
        self.report = report
        connection = kept
    }

    func start() {
        guard let connection, connection.isReady() else { return connect() }
        do {
            isReused = true
            unsent = connection.ask(mayBeKept: true)
            try connection.watch(.readable, on: loop, handler: self)
            phase = .exchanging
        } catch {
            return end(Self.outcome(of: error))
        }
        advance()
    }

    func abandon() {
        advance()
        end(.failed(.timedOut))
    }

    func cancel() {
        phase = .ended
        drop()
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        advance()
    }

    private func connect() {
        drop()
        isReused = false
        unsent = []
        phase = .connecting
        guard let dialogue = target.makeDialogue() else {
            preconditionFailure("a probe without a connection")
        }
        do {
            let descriptor = try StreamSocket.connect(to: target.address)
            let connection = ProbeConnection(descriptor, dialogue)
            self.connection = connection
            try connection.watch(.writable, on: loop, handler: self)
        } catch {
            end(Self.outcome(of: error))
        }
    }

    private func advance() {
        guard let connection else { return }
        do {
            if phase == .connecting { try finishConnecting(connection) }
            if phase == .exchanging { try send(connection) }
            if phase == .exchanging { try receive(connection) }
            if phase == .exchanging {
                let interest: EpollInterest = unsent.isEmpty ? .readable : [.readable, .writable]
                try connection.watch(interest, on: loop, handler: self)
            }
        } catch {
            lost(Self.outcome(of: error), connection)
        }
    }

    private func finishConnecting(_ connection: ProbeConnection) throws(Errno) {
        if let error = StreamSocket.pendingError(connection.descriptor) { throw error }
        // Without an error and without a peer the handshake is still under way.
        guard let remote = try? StreamSocket.remoteEndpoint(connection.descriptor) else { return }
        let local = try StreamSocket.localEndpoint(connection.descriptor)
        unsent = target.header(
            for: local.map { ProxyHeader.Connection(source: $0, destination: remote) })
        unsent += connection.ask(mayBeKept: target.reusesConnection)
        phase = .exchanging
    }

    private func send(_ connection: ProbeConnection) throws(Errno) {
        if !unsent.isEmpty {
            guard case .bytes(let count) = try StreamSocket.send(connection.descriptor, unsent)
            else { return }
            unsent.removeFirst(count)
        }
        if unsent.isEmpty, connection.dialogue.isAnsweredBySending { end(.passed) }
    }

    private func receive(_ connection: ProbeConnection) throws(Errno) {
        guard let bytes = try connection.descriptor.read(upTo: Self.readByteCountMax) else {
            return
        }
        if bytes.isEmpty { return lost(connection.dialogue.inputEnded(), connection) }
        switch connection.dialogue.receive(bytes) {
        case .goOn(let output): unsent += output
        case .ended(let outcome): end(outcome)
        case .declined: lost(.failed(.connectionClosed), connection)
        }
    }

    /// The connection is gone; one that was kept says nothing about the backend by that.
    ///
    /// RFC 9112 §9.3.1: either side may close an idle connection, and the question may meet it on
    /// its way. It is put once more, over a connection of its own and within the same time.
    private func lost(_ outcome: ProbeOutcome, _ connection: ProbeConnection) {
        if isReused, !connection.dialogue.hasAnswerBegun { return connect() }
        end(outcome)
    }

    private func end(_ outcome: ProbeOutcome) {
        guard phase != .ended else { return }
        phase = .ended
        let connection = connection
        drop()
        let isKept =
            outcome == .passed && target.reusesConnection && unsent.isEmpty
            && connection?.isWorthKeeping == true
        report(outcome, isKept ? connection : nil)
    }

    private func drop() {
        connection?.unwatch(on: loop)
        connection = nil
    }

    static func outcome(of error: Errno) -> ProbeOutcome {
        switch error {
        case .connectionRefused: .failed(.connectionRefused)
        case .connectionReset, .brokenPipe: .failed(.connectionClosed)
        case .timedOut: .failed(.timedOut)
        case .tooManyFiles, .tooManyFilesInSystem, .noBufferSpace, .addressNotAvailable,
            .outOfMemory:
            .notMade(error)
        default: .failed(.system(error.description))
        }
    }
}
