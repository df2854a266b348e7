// SPDX-License-Identifier: Apache-2.0
//
// One connection the peer dialled: handshake, then frames. Writes nothing after the handshake, so
// that no unread byte can turn the peer's last FIN into a reset.

import EventLoop
import LinuxIO
import ReplicationCore
import WireCore

/// What an accepted connection tells the pair link.
protocol InboundLinkOwner: AnyObject {
    /// The first authenticated frame came.
    func inboundEstablished(_ link: InboundLink)
    /// An authenticated frame came.
    ///
    /// - Returns: false when it makes no sense; the link ends then.
    func inboundReceived(_ frame: OpenedLinkFrame, on link: InboundLink) -> Bool
    /// An established link ended; the socket is closed.
    func inboundEnded(_ link: InboundLink, _ ending: LinkEnding)
    /// A connection ended before it was established; the socket is closed.
    func inboundFailed(_ link: InboundLink, _ failure: InboundLink.Failure)
}

/// Reads one accepted connection.
final class InboundLink: EventHandler {
    /// Why a connection never became a link.
    enum Failure: Hashable {
        /// It was refused.
        case refused(LinkRefusal)
        /// It ended, by itself or with an error, before a whole first frame.
        case endedBeforeHello
        /// It ended later in the handshake.
        case endedInHandshake
        /// Its first sealed frame was not made by the peer.
        case forged
    }

    /// Frames taken per event: the bound on work; what is left is taken in the next turn.
    static let framesPerEventMax = 64
    /// Bytes of frames taken per event, after which no further frame is begun.
    static let bytesPerEventMax: UInt64 = 256 * 1024
    /// Bytes of frames taken by ``readAll()``: more than a kernel keeps for one connection.
    static let bytesAtOnceMax: UInt64 = 16 * 1024 * 1024
    /// Hello, proof and first sealed frame must all be there within.
    static let handshakeTimeout = TimeSpan.seconds(2)

    private enum Phase {
        case handshaking(AcceptorHandshakeStateMachine, hasHello: Bool)
        case proven(LinkReceiver)
        case established(LinkReceiver)
        case closed
    }

    let generation: LinkGeneration
    /// What the connection is for, where the owner tells connections apart.
    var channel: ReplicationChannel?
    private let loop: EventLoop
    private let identity: LinkIdentity
    private let socket: LinkSocket
    private var phase: Phase
    private var deadline: TimerID?
    private var isContinuing = false
    private weak var owner: (any InboundLinkOwner)?

    init(
        _ descriptor: consuming FileDescriptor, generation: LinkGeneration, loop: EventLoop,
        identity: LinkIdentity, traffic: LinkTraffic, nonce: [UInt8],
        owner: any InboundLinkOwner
    ) {
        self.generation = generation
        self.loop = loop
        self.identity = identity
        self.owner = owner
        socket = LinkSocket(
            consume descriptor, on: loop, frameByteCountMax: traffic.frameByteCountMax)
        phase = .handshaking(
            AcceptorHandshakeStateMachine(identity: identity, nonce: nonce), hasHello: false)
    }

    var isEstablished: Bool {
        switch phase {
        case .established: true
        case .handshaking, .proven, .closed: false
        }
    }

    /// Watches the socket and starts the deadline.
    func start() throws(Errno) {
        try socket.watch([.readable], handler: self)
        deadline = loop.schedule(after: Self.handshakeTimeout) { [weak self] in
            self?.refuse(.deadline)
        }
    }

    /// Closes without telling anyone.
    func close() {
        phase = .closed
        deadline.map(loop.cancel)
        deadline = nil
        socket.close(.orderly)
    }

    /// Refuses an unfinished handshake, and says so to the other end.
    func refuse(_ refusal: LinkRefusal) {
        guard socket.isOpen else { return }
        // Best effort: the reason helps the other node's operator, nothing depends on it.
        _ = try? socket.send(LinkFrameEncoder.encode(.refused(refusal)))
        fail(.refused(refusal))
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        readFrames()
    }

    /// Takes what has arrived, at most ``framesPerEventMax`` frames.
    func readFrames() {
        let start = socket.byteCount
        for _ in 0..<Self.framesPerEventMax {
            guard takeNextFrame() else { return }
            if socket.byteCount &- start >= Self.bytesPerEventMax { break }
        }
        continueSoon()
    }

    /// Takes everything that has arrived, because the next decision depends on it.
    func readAll() {
        let start = socket.byteCount
        while socket.byteCount &- start < Self.bytesAtOnceMax {
            guard takeNextFrame() else { return }
        }
        continueSoon()
    }

    /// Frames may be left in memory, where readiness does not show them.
    private func continueSoon() {
        guard !isContinuing else { return }
        isContinuing = true
        loop.schedule(after: .zero) { [weak self] in
            self?.isContinuing = false
            self?.readFrames()
        }
    }

    /// - Returns: whether there may be more.
    private func takeNextFrame() -> Bool {
        switch phase {
        case .closed:
            return false
        case .handshaking(let machine, let hasHello):
            return takeHandshakeFrame(machine, hasHello: hasHello)
        case .proven(let receiver), .established(let receiver):
            return takeSealedFrame(receiver)
        }
    }

    private func takeHandshakeFrame(
        _ machine: AcceptorHandshakeStateMachine, hasHello: Bool
    ) -> Bool {
        var machine = machine
        switch socket.nextFrame() {
        case .frame(let frame):
            let action = machine.frameReceived(frame)
            return perform(action, machine)
        case .malformed(let fault):
            let action = machine.malformedReceived(fault)
            return perform(action, machine)
        case .nothing:
            return false
        case .endOfStream, .failed:
            fail(hasHello ? .endedInHandshake : .endedBeforeHello)
            return false
        }
    }

    private func perform(
        _ action: AcceptorHandshakeStateMachine.Action, _ machine: AcceptorHandshakeStateMachine
    ) -> Bool {
        switch action {
        case .send(let frame):
            phase = .handshaking(machine, hasHello: true)
            return answer(frame)
        case .accept(let frame, let key):
            phase = .proven(LinkReceiver(key: key, cryptography: identity.cryptography))
            return answer(frame)
        case .refuse(let refusal):
            refuse(refusal)
            return false
        }
    }

    private func answer(_ frame: LinkFrame) -> Bool {
        do throws(Errno) {
            _ = try socket.send(LinkFrameEncoder.encode(frame))
            return true
        } catch {
            fail(.endedInHandshake)
            return false
        }
    }

    private func takeSealedFrame(_ receiver: LinkReceiver) -> Bool {
        switch socket.nextFrame() {
        case .frame(.sealed(let frame)):
            return open(frame, receiver)
        case .frame, .malformed:
            end(.fault, orFail: .refused(.unexpectedFrame))
            return false
        case .nothing:
            return false
        case .endOfStream:
            end(.endOfStream, orFail: .endedInHandshake)
            return false
        case .failed:
            end(.reset, orFail: .endedInHandshake)
            return false
        }
    }

    private func open(_ frame: SealedLinkFrame, _ receiver: LinkReceiver) -> Bool {
        var receiver = receiver
        do throws(LinkSessionFault) {
            let opened = try receiver.openFrame(frame)
            let isFirst = !isEstablished
            phase = .established(receiver)
            if isFirst {
                deadline.map(loop.cancel)
                deadline = nil
                owner?.inboundEstablished(self)
            }
            // The owner may have closed this link in answer to the call above.
            guard isEstablished else { return false }
            guard owner?.inboundReceived(opened, on: self) ?? true else {
                if isEstablished { end(.fault, orFail: .forged) }
                return false
            }
            return isEstablished
        } catch {
            end(.fault, orFail: .forged)
            return false
        }
    }

    private func end(_ ending: LinkEnding, orFail failure: Failure) {
        guard isEstablished else {
            fail(failure)
            return
        }
        close()
        owner?.inboundEnded(self, ending)
    }

    private func fail(_ failure: Failure) {
        close()
        owner?.inboundFailed(self, failure)
    }
}
