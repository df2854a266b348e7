// SPDX-License-Identifier: Apache-2.0
//
// A backend that does what a test says, byte for byte: on a thread of its own, with one loop.

import EventLoop
import LinuxIO
import Synchronization
import WireCore

/// A request as the backend received it.
struct ReceivedRequest: Sendable {
    var method = ""
    var target = ""
    /// The head as text, from the request line to the empty line.
    var head = ""
    var body: [UInt8] = []
    /// Which connection it came on, from 0.
    var connection = 0
    /// Which request on that connection it is, from 0.
    var number = 0

    /// The value of a field, or `nil`.
    func field(_ name: String) -> String? {
        for line in head.split(separator: "\r\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            guard line[..<colon].lowercased() == name.lowercased() else { continue }
            return String(line[line.index(after: colon)...].drop { $0 == " " })
        }
        return nil
    }
}

/// One thing a backend does in answer to a request.
enum ReplyStep: Sendable {
    case send([UInt8])
    /// A body of so many bytes, made while it is sent.
    case fill(byteCount: Int)
    case wait(TimeSpan)
    case close
    case reset

    static func text(_ text: String) -> ReplyStep { .send(Array(text.utf8)) }

    static func ok(_ body: String) -> [ReplyStep] {
        [.text("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")]
    }
}

/// A running backend.
final class TestBackend: Sendable {
    typealias Script = @Sendable (ReceivedRequest) -> [ReplyStep]

    struct Log: Sendable {
        var connectionCount = 0
        var endedConnections = 0
        /// Connections that ended in the middle of a request.
        var brokenRequests = 0
        var requests: [ReceivedRequest] = []
        var byteCountSent = 0
    }

    let endpoint: Endpoint
    private let logBox: LogBox
    private let stopping: Mailbox<Void>
    private let thread: KernelThread.Handle

    /// Starts listening on a free port of the loopback address.
    ///
    /// - Parameters:
    ///   - answersHead: reply as soon as the head is complete, the body is not awaited.
    ///   - script: what to do for each request.
    /// - Throws: when a descriptor or a thread cannot be had.
    init(answersHead: Bool = false, _ script: @escaping Script) throws {
        let socket = try StreamSocket.listen(
            on: Endpoint(address: .v4(.loopback), port: 0))
        guard let bound = try StreamSocket.localEndpoint(socket) else { throw Errno(code: 22) }
        endpoint = bound
        stopping = try Mailbox<Void>()
        let box = SocketBox(socket)
        let log = LogBox()
        logBox = log
        let stopping = stopping
        thread = try KernelThread.start(name: "backend") {
            do {
                let loop = try EventLoop()
                try loop.attach(stopping) { _ in loop.stop() }
                let acceptor = try BackendAcceptor(
                    box, loop: loop, log: log, answersHead: answersHead, script: script)
                withExtendedLifetime(acceptor) { loop.run() }
            } catch {
                fatalError("test backend: \(error)")
            }
        }
    }

    deinit {
        stopping.post(())
        thread.join()
    }

    var log: Log { logBox.value }
}

/// The log that the loop's thread writes and tests read.
final class LogBox: Sendable {
    private let state = Mutex(TestBackend.Log())

    var value: TestBackend.Log { state.withLock { $0 } }

    func update(_ body: (inout TestBackend.Log) -> Void) {
        state.withLock { body(&$0) }
    }
}

final class SocketBox: Sendable {
    let descriptor: FileDescriptor

    init(_ descriptor: consuming FileDescriptor) {
        self.descriptor = descriptor
    }
}

private final class BackendAcceptor: EventHandler {
    private let listener: SocketBox
    private let loop: EventLoop
    private let log: LogBox
    private let answersHead: Bool
    private let script: TestBackend.Script
    private var connections: [Int: BackendConnection] = [:]
    private var nextNumber = 0

    init(
        _ listener: SocketBox, loop: EventLoop, log: LogBox, answersHead: Bool,
        script: @escaping TestBackend.Script
    ) throws {
        self.listener = listener
        self.loop = loop
        self.log = log
        self.answersHead = answersHead
        self.script = script
        _ = try loop.add(listener.descriptor, .readable, handler: self)
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        while let accepted = try? StreamSocket.accept(from: listener.descriptor) {
            let number = nextNumber
            nextNumber += 1
            log.update { $0.connectionCount += 1 }
            let connection = BackendConnection(
                SocketBox(accepted.takeSocket()), number: number, loop: loop, log: log,
                answersHead: answersHead, script: script
            ) { [weak self] in self?.connections[number] = nil }
            connections[number] = connection
            connection.start()
        }
    }
}

private final class BackendConnection: EventHandler {
    private let socket: SocketBox
    private let number: Int
    private let loop: EventLoop
    private let log: LogBox
    private let answersHead: Bool
    private let script: TestBackend.Script
    private let onEnd: () -> Void
    private var source: EventSource?
    private var received: [UInt8] = []
    private var steps: [ReplyStep] = []
    private var isWaiting = false
    private var requestCount = 0

    init(
        _ socket: SocketBox, number: Int, loop: EventLoop, log: LogBox, answersHead: Bool,
        script: @escaping TestBackend.Script, onEnd: @escaping () -> Void
    ) {
        self.socket = socket
        self.number = number
        self.loop = loop
        self.log = log
        self.answersHead = answersHead
        self.script = script
        self.onEnd = onEnd
    }

    func start() {
        source = try? loop.add(
            socket.descriptor, [.readable, .writable, .edgeTriggered], handler: self)
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        while true {
            let piece: [UInt8]?
            do { piece = try socket.descriptor.read(upTo: 65_536) } catch { return end() }
            guard let piece else { break }
            if piece.isEmpty { return end() }
            received += piece
        }
        proceed()
    }

    private func proceed() {
        while source != nil {
            guard runSteps() else { return }
            guard var request = takeRequest() else { return }
            request.connection = number
            request.number = requestCount
            requestCount += 1
            log.update { $0.requests.append(request) }
            steps = script(request)
            if steps.isEmpty { return }
        }
    }

    /// Does what is left of a reply; false when it has to wait.
    private func runSteps() -> Bool {
        if isWaiting { return false }
        while let step = steps.first {
            switch step {
            case .send(let bytes):
                let sent = send(bytes)
                guard sent == bytes.count else {
                    steps[0] = .send(Array(bytes[sent...]))
                    return false
                }
            case .fill(let byteCount):
                let piece = [UInt8](repeating: 0x78, count: min(byteCount, 65_536))
                let sent = send(piece)
                if sent < byteCount {
                    steps[0] = .fill(byteCount: byteCount - sent)
                    guard sent == piece.count else { return false }
                    continue
                }
            case .wait(let span):
                steps.removeFirst()
                isWaiting = true
                loop.schedule(at: Clock.now() + span) { [weak self] in
                    self?.isWaiting = false
                    self?.proceed()
                }
                return false
            case .close:
                end()
                return false
            case .reset:
                StreamSocket.resetOnClose(socket.descriptor)
                end()
                return false
            }
            steps.removeFirst()
        }
        return true
    }

    private func send(_ bytes: [UInt8]) -> Int {
        guard case .bytes(let count)? = try? StreamSocket.send(socket.descriptor, bytes) else {
            return 0
        }
        log.update { $0.byteCountSent += count }
        return count
    }

    private func end() {
        guard let source else { return }
        loop.remove(source, of: socket.descriptor)
        self.source = nil
        log.update {
            $0.endedConnections += 1
            if !received.isEmpty { $0.brokenRequests += 1 }
        }
        onEnd()
    }

    private func takeRequest() -> ReceivedRequest? {
        guard let headEnd = received.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        var request = ReceivedRequest()
        request.head = String(decoding: received[..<headEnd.upperBound], as: UTF8.self)
        let words = request.head.split(separator: " ")
        guard words.count >= 2 else {
            received = []
            return nil
        }
        request.method = String(words[0])
        request.target = String(words[1])
        var rest = received[headEnd.upperBound...]
        if answersHead {
            received = []
            return request
        }
        if let length = request.field("content-length").flatMap({ Int($0) }) {
            guard rest.count >= length else { return nil }
            request.body = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
        } else if request.field("transfer-encoding") != nil {
            guard let body = Self.dechunk(&rest) else { return nil }
            request.body = body
        }
        received = Array(rest)
        return request
    }

    /// A decoder of its own: strict, and in one piece.
    private static func dechunk(_ bytes: inout ArraySlice<UInt8>) -> [UInt8]? {
        var body: [UInt8] = []
        var rest = bytes
        while true {
            guard let line = rest.firstRange(of: [0x0D, 0x0A]) else { return nil }
            let digits = String(decoding: rest[..<line.lowerBound], as: UTF8.self)
            guard let size = Int(digits, radix: 16) else { fatalError("chunk size \(digits)") }
            rest = rest[line.upperBound...]
            if size == 0 {
                // Trailers, up to an empty line.
                while let field = rest.firstRange(of: [0x0D, 0x0A]) {
                    let isLast = field.lowerBound == rest.startIndex
                    rest = rest[field.upperBound...]
                    guard isLast else { continue }
                    bytes = rest
                    return body
                }
                return nil
            }
            guard rest.count >= size + 2 else { return nil }
            body += rest.prefix(size)
            precondition(Array(rest.dropFirst(size).prefix(2)) == [0x0D, 0x0A], "chunk end")
            rest = rest.dropFirst(size + 2)
        }
    }
}
