// SPDX-License-Identifier: Apache-2.0
//
// One admin connection: collects a request, sends the answer, closes. Knows bytes, not commands.

internal import EventLoop
internal import LinuxIO
internal import WireCore

/// What a protocol makes of the bytes received so far.
enum AdminAnswer {
    /// The request is not complete.
    case needMore
    /// Send this and close.
    case reply([UInt8])
    /// Close without a word.
    case close
}

/// One client of the admin socket or page.
final class AdminConnection: EventHandler {
    /// Longest request taken.
    static let requestByteCountMax = 16_384
    /// A client must ask and listen within this time.
    static let lifetimeMax = TimeSpan.seconds(10)

    private enum Phase {
        case reading
        case writing(reply: [UInt8], sent: Int)
        case closed
    }

    private let loop: EventLoop
    private let socket: FileDescriptor
    private let answer: ([UInt8], Bool) -> AdminAnswer
    private let didClose: (AdminConnection) -> Void
    private var source: EventSource?
    private var deadline: TimerID?
    private var request: [UInt8] = []
    private var phase = Phase.reading

    /// Serves `socket`; `answer` is asked after each piece, with whether the client has ended.
    init(
        socket: consuming FileDescriptor, loop: EventLoop,
        answer: @escaping ([UInt8], Bool) -> AdminAnswer,
        didClose: @escaping (AdminConnection) -> Void
    ) {
        self.socket = socket
        self.loop = loop
        self.answer = answer
        self.didClose = didClose
    }

    func start() throws(Errno) {
        source = try loop.add(socket, .readable, handler: self)
        deadline = loop.schedule(after: Self.lifetimeMax) { [unowned self] in close() }
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        do throws(Errno) {
            switch phase {
            case .reading: try receive()
            case .writing: try send()
            case .closed: return
            }
        } catch {
            // The client went away; there is nobody left to tell.
            close()
        }
    }

    private func receive() throws(Errno) {
        guard let piece = try socket.read(upTo: 4_096) else { return }
        request += piece
        guard request.count <= Self.requestByteCountMax else { return close() }
        switch answer(request, piece.isEmpty) {
        case .needMore:
            if piece.isEmpty { close() }
        case .reply(let reply):
            phase = .writing(reply: reply, sent: 0)
            if let source { try loop.modify(source, of: socket, .writable) }
            try send()
        case .close:
            close()
        }
    }

    private func send() throws(Errno) {
        guard case .writing(let reply, var sent) = phase else { return }
        while sent < reply.count {
            let piece = Array(reply[sent..<min(sent + 65_536, reply.count)])
            guard case .bytes(let count) = try StreamSocket.send(socket, piece) else {
                phase = .writing(reply: reply, sent: sent)
                return
            }
            sent += count
        }
        StreamSocket.shutdownWrite(socket)
        close()
    }

    func close() {
        if case .closed = phase { return }
        phase = .closed
        if let source { loop.remove(source, of: socket) }
        if let deadline { loop.cancel(deadline) }
        source = nil
        didClose(self)
    }
}
