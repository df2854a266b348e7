// SPDX-License-Identifier: Apache-2.0
//
// The connection this node dials: attempts, handshake, heartbeats. Its end says nothing about the
// peer's life; it is dialled again.

import ConfigurationCore
import EventLoop
import LinuxIO
import ReplicationCore
import TLSIO
import Telemetry
import WireCore

/// Keeps one connection to the peer open and sends on it.
final class OutboundLink: EventHandler {
    /// Connecting and shaking hands must be done within.
    static let attemptTimeout = TimeSpan.seconds(2)
    /// Heartbeats for which sent data may stay unacknowledged.
    static let unacknowledgedIntervals: UInt64 = 3
    /// A connection that lasted this long is dialled again without a longer wait than at first.
    static let goodAfter = TimeSpan.seconds(1)

    private enum Phase {
        case idle
        case waiting(TimerID)
        case connecting(LinkSocket, deadline: TimerID)
        case handshaking(LinkSocket, DiallerHandshakeStateMachine, deadline: TimerID)
        case established(LinkSocket, LinkSender)
        /// Somebody else has the socket.
        case lent
    }

    private let loop: EventLoop
    private let settings: PairLinkSettings
    private let identity: LinkIdentity
    private let counters: LinkCounters
    private let logger: Logger
    private var logLimiter = LogRateLimiter()
    private var backoff: RedialBackoff
    private var establishedAt: Instant?
    private var phase = Phase.idle
    private var lastRefusal: LinkHandshakeFailure?
    /// The first frame of every connection.
    private let opening: ChannelOpening?
    /// How loudly a peer that is not there is told.
    private let failureLevel: LogLevel
    /// Called when heartbeats can be sent; set by the link before `start`.
    var onEstablished: () -> Void = {}
    /// Called when the connection is gone; what was sent last may not have arrived.
    var onLost: () -> Void = {}

    init(
        loop: EventLoop, settings: PairLinkSettings, identity: LinkIdentity,
        counters: LinkCounters, logger: Logger, opening: ChannelOpening? = nil,
        failureLevel: LogLevel = .warning
    ) {
        self.opening = opening
        self.failureLevel = failureLevel
        self.loop = loop
        self.settings = settings
        self.identity = identity
        self.counters = counters
        self.logger = logger
        backoff = RedialBackoff(seed: settings.seed)
    }

    var status: LinkStatus.Dial {
        switch phase {
        case .idle: .idle
        case .waiting: lastRefusal.map(LinkStatus.Dial.refused) ?? .waiting
        case .connecting, .handshaking: lastRefusal.map(LinkStatus.Dial.refused) ?? .dialling
        case .established, .lent: .established
        }
    }

    /// Dials for the first time.
    func start() {
        guard case .idle = phase else { return }
        dial()
    }

    /// The peer just proved that it is there: do not wait any longer, unless it refuses us.
    func peerIsThere() {
        guard case .waiting(let timer) = phase, lastRefusal == nil else { return }
        loop.cancel(timer)
        backoff.reset()
        dial()
    }

    /// Sends a heartbeat, if the connection is up and takes it.
    func send(_ heartbeat: Heartbeat) {
        guard case .established(let socket, var sender) = phase else { return }
        do throws(Errno) {
            // Sealing takes a number, so a message that is not taken must not be sealed.
            try socket.flush()
            guard !socket.hasUnsent else {
                counters.count(.heartbeatsSkipped)
                return
            }
            _ = try socket.send(sender.seal(heartbeat))
            phase = .established(socket, sender)
            counters.count(.heartbeatsSent)
        } catch {
            lose("\(error)")
        }
    }

    /// Messages can be sent.
    var isEstablished: Bool {
        switch phase {
        case .established: true
        case .idle, .waiting, .connecting, .handshaking, .lent: false
        }
    }

    /// Gives the established connection away; the next one is dialled after ``lentIsLost()``.
    func lend() -> LentConnection? {
        guard case .established(let socket, let sender) = phase,
            let descriptor = socket.takeDescriptor()
        else { return nil }
        phase = .lent
        return LentConnection(
            descriptor: descriptor, key: sender.key, nextSequence: sender.nextSequence)
    }

    /// The connection that was given away is gone.
    ///
    /// - Returns: false when none was given away.
    func lentIsLost() -> Bool {
        guard case .lent = phase else { return false }
        waitAndDial()
        return true
    }

    /// Sends a message of the replication stream.
    ///
    /// - Returns: false when it was not taken: an earlier one still waits, or the connection is
    ///   gone.
    func send(_ message: ReplicationMessage) -> Bool {
        send { $0.seal(message) }
    }

    /// Sends a message about tables.
    ///
    /// - Returns: false when it was not taken: an earlier one still waits, or the connection is
    ///   gone.
    func send(_ message: StateMessage) -> Bool {
        send { $0.seal(message) }
    }

    /// Sends a message of a planned switchover.
    ///
    /// - Returns: false when it was not taken: an earlier one still waits, or the connection is
    ///   gone.
    func send(_ message: HandoverMessage) -> Bool {
        send { $0.seal(message) }
    }

    /// Sends a frame that is sealed when it can be taken.
    private func send(_ seal: (inout LinkSender) -> [UInt8]) -> Bool {
        guard case .established(let socket, var sender) = phase else { return false }
        do throws(Errno) {
            try socket.flush()
            guard !socket.hasUnsent else { return false }
            _ = try socket.send(seal(&sender))
            phase = .established(socket, sender)
            return true
        } catch {
            lose("\(error)")
            return false
        }
    }

    /// Sends what waits; true when nothing waits any more.
    func flush() -> Bool {
        guard case .established(let socket, _) = phase else { return true }
        do throws(Errno) {
            try socket.flush()
            return !socket.hasUnsent
        } catch {
            lose("\(error)")
            return true
        }
    }

    /// Says goodbye and closes in order; the peer may take over when it has read both.
    func leave() {
        if case .established(let socket, var sender) = phase {
            // When the kernel does not take it, the peer judges by refusal instead.
            try? socket.flush()
            if !socket.hasUnsent { _ = try? socket.send(sender.sealGoodbye()) }
            socket.close(.orderly)
            phase = .idle
        }
        stop()
    }

    /// Closes as a living process does, and dials no more.
    func stop() {
        abandon()
        phase = .idle
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        switch phase {
        case .idle, .waiting, .lent:
            break
        case .connecting(let socket, let deadline):
            connectingEnded(socket, deadline)
        case .handshaking:
            readAnswers()
        case .established(let socket, _):
            readUnexpected(socket)
        }
    }

    /// Ends an established connection as a broken network does; another one is dialled.
    func breakConnection() {
        guard isEstablished else { return }
        lose("given up here")
    }

    // MARK: - Attempts

    private func dial() {
        counters.count(.dials)
        var options = StreamSocket.ConnectOptions()
        options.source = settings.dialSource
        options.retransmissionMin = LinkTraffic.retransmissionMin
        options.userTimeout = max(
            settings.heartbeatInterval.multiplied(by: Self.unacknowledgedIntervals),
            settings.traffic.userTimeoutMin)
        do throws(Errno) {
            let socket = LinkSocket(
                try placed(StreamSocket.connect(to: settings.peerListener, options: options)),
                on: loop, frameByteCountMax: settings.traffic.frameByteCountMax)
            try socket.watch([.writable], handler: self)
            let deadline = loop.schedule(after: Self.attemptTimeout) { [weak self] in
                self?.deadlinePassed()
            }
            phase = .connecting(socket, deadline: deadline)
        } catch {
            dialFailed("\(error)")
        }
    }

    /// Every dialled link lies at the same number, right below the listener.
    private func placed(_ descriptor: consuming FileDescriptor) throws(Errno) -> FileDescriptor {
        guard let plan = settings.descriptors else { return descriptor }
        return try descriptor.moved(to: plan.link)
    }

    private func connectingEnded(_ socket: LinkSocket, _ deadline: TimerID) {
        if let error = socket.pendingError() {
            dialFailed("\(error)")
            return
        }
        var machine = DiallerHandshakeStateMachine(identity: identity)
        let action = machine.start(
            nonce: SecureRandom.bytes(count: LinkProtocol.nonceByteCount))
        phase = .handshaking(socket, machine, deadline: deadline)
        do throws(Errno) {
            try socket.watch([.readable], handler: self)
        } catch {
            dialFailed("\(error)")
            return
        }
        perform(action, socket, machine, deadline)
    }

    /// Ends after a few frames: each one takes the machine a step further or to its end.
    private func readAnswers() {
        while case .handshaking(let socket, var machine, let deadline) = phase {
            switch socket.nextFrame() {
            case .frame(let frame):
                let action = machine.frameReceived(frame)
                perform(action, socket, machine, deadline)
            case .malformed(let fault):
                let action = machine.malformedReceived(fault)
                perform(action, socket, machine, deadline)
            case .nothing:
                return
            case .endOfStream:
                dialFailed("the peer closed during the handshake")
            case .failed(let error):
                dialFailed("\(error)")
            }
        }
    }

    private func perform(
        _ action: DiallerHandshakeStateMachine.Action, _ socket: LinkSocket,
        _ machine: DiallerHandshakeStateMachine, _ deadline: TimerID
    ) {
        switch action {
        case .send(let frame):
            phase = .handshaking(socket, machine, deadline: deadline)
            do throws(Errno) {
                _ = try socket.send(LinkFrameEncoder.encode(frame))
            } catch {
                dialFailed("\(error)")
            }
        case .establish(let key):
            loop.cancel(deadline)
            established(socket, LinkSender(key: key, cryptography: identity.cryptography))
        case .fail(let failure):
            if case .refusedByPeer = failure { counters.count(.refusedByPeer) }
            if case .refusedHere(let refusal) = failure { counters.count(LinkCounter(refusal)) }
            dialFailed("\(failure)", refusal: failure)
        }
    }

    private func established(_ socket: LinkSocket, _ sender: LinkSender) {
        phase = .established(socket, sender)
        lastRefusal = nil
        establishedAt = loop.now
        if let opening {
            // It may be given up at once, again and again: the wait begins anew when it lasts.
            guard send({ $0.seal(opening) }) else { return }
        } else {
            backoff.reset()
        }
        logger.log(
            failureLevel == .warning ? .info : failureLevel,
            "connection to the peer established", ["peer": settings.peer.name])
        onEstablished()
    }

    private func deadlinePassed() {
        dialFailed("no answer within \(Self.attemptTimeout)")
    }

    private func dialFailed(_ reason: String, refusal: LinkHandshakeFailure? = nil) {
        counters.count(.dialsFailed)
        lose(reason, refusal: refusal)
    }

    // MARK: - Ends

    /// The acceptor only reads: anything that arrives here is the end, or not our peer.
    private func readUnexpected(_ socket: LinkSocket) {
        switch socket.nextFrame() {
        case .nothing:
            break
        case .frame, .malformed:
            counters.count(.unexpectedBytes)
            lose("the peer sent bytes on a connection it only reads")
        case .endOfStream:
            lose("closed by the peer")
        case .failed(let error):
            lose("\(error)")
        }
    }

    private func lose(_ reason: String, refusal: LinkHandshakeFailure? = nil) {
        let wasEstablished = isEstablished
        abandon()
        lastRefusal = refusal
        let wait = waitAndDial()
        if let heldBack = logLimiter.admit(now: loop.now) {
            logger.log(
                failureLevel, "no connection to the peer",
                [
                    "peer": "\(settings.peerListener)", "reason": reason,
                    "retry_after": "\(wait.milliseconds)ms", "held_back": "\(heldBack)",
                ])
        }
        if wasEstablished { onLost() }
    }

    @discardableResult
    private func waitAndDial() -> TimeSpan {
        if let establishedAt, loop.now - establishedAt >= Self.goodAfter { backoff.reset() }
        establishedAt = nil
        let wait = backoff.next()
        let timer = loop.schedule(after: wait) { [weak self] in self?.dial() }
        phase = .waiting(timer)
        return wait
    }

    private func abandon() {
        switch phase {
        case .idle, .lent:
            break
        case .waiting(let timer):
            loop.cancel(timer)
        case .connecting(let socket, let deadline), .handshaking(let socket, _, let deadline):
            loop.cancel(deadline)
            socket.close(.reset)
        case .established(let socket, _):
            socket.close(.reset)
        }
    }
}

/// An established connection that was given away.
struct LentConnection: ~Copyable {
    private let descriptor: FileDescriptor
    let key: LinkSessionKey
    let nextSequence: UInt64

    init(descriptor: consuming FileDescriptor, key: LinkSessionKey, nextSequence: UInt64) {
        self.descriptor = descriptor
        self.key = key
        self.nextSequence = nextSequence
    }

    /// The socket.
    consuming func takeDescriptor() -> FileDescriptor { descriptor }
}
