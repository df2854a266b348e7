// SPDX-License-Identifier: Apache-2.0
//
// One client of the test backend: reads requests one after the other, writes answers with
// back-pressure. Memory is bounded whatever the bodies are.

internal import EventLoop
internal import LinuxIO
internal import WireCore

/// A connection to the test backend; closes with its last reference.
final class BackendConnection: EventHandler {
    /// Bytes of a request body that `/echo` keeps; more is answered 413.
    static let echoByteCountMax = 1 << 20
    /// Bytes asked for at once, and the size of a filler piece.
    static let pieceByteCount = 65_536
    /// Reads and writes per wake-up, so that one connection cannot starve others.
    static let turnsPerWakeUpMax = 16

    private enum Phase {
        case head
        case body(BackendResponseContext)
        case delayed
        case sending(BackendBodySender)
    }

    private unowned let backend: TestBackend
    private let socket: FileDescriptor
    private var source: EventSource?
    private var phase = Phase.head
    private var received: [UInt8] = []
    private var closesAfterResponse = false
    private var peerEnded = false

    init(socket: consuming FileDescriptor, backend: TestBackend) {
        self.socket = socket
        self.backend = backend
    }

    func start() throws(Errno) {
        source = try backend.loop.add(
            socket, [.readable, .writable, .peerClosed, .edgeTriggered], handler: self)
    }

    /// Stops watching; with `abruptly` the peer gets a reset.
    func close(abruptly: Bool = false) {
        guard let source else { return }
        self.source = nil
        if abruptly { StreamSocket.resetOnClose(socket) }
        backend.loop.remove(source, of: socket)
        backend.forget(self)
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        progress()
    }

    /// Does whatever can be done now, up to the bound on work per wake-up.
    private func progress() {
        for _ in 0..<Self.turnsPerWakeUpMax {
            guard source != nil, step() else { return }
        }
        // Edge-triggered: nothing will wake us for what is left, so come back by ourselves.
        backend.loop.schedule(after: .zero) { [weak self] in self?.progress() }
    }

    /// One read or write; false when nothing more can be done now.
    private func step() -> Bool {
        switch phase {
        case .head: return readHead()
        case .body(let context): return readBody(context)
        case .delayed: return false
        case .sending(let sender): return send(sender)
        }
    }

    private func readHead() -> Bool {
        switch MessageHead.read(received) {
        case .needsMore: return receive()
        case .malformed:
            closesAfterResponse = true
            respond(BackendResponse(statusCode: 400, closesConnection: true), isHead: false)
        case .head(let head):
            let headBytes = Array(received.prefix(head.byteCount))
            received.removeFirst(head.byteCount)
            let reader =
                head.isChunked ? .chunked : MessageBodyReader(length: head.contentLength ?? 0)
            if head.expectsContinue {
                _ = try? StreamSocket.send(socket, Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
            }
            phase = .body(BackendResponseContext(head: head, headBytes: headBytes, reader: reader))
        }
        return true
    }

    private func readBody(_ context: BackendResponseContext) -> Bool {
        let count = context.take(received[...], keepMax: Self.echoByteCountMax)
        received.removeFirst(count)
        if context.reader.isMalformed {
            closesAfterResponse = true
            respond(BackendResponse(statusCode: 400, closesConnection: true), isHead: false)
            return true
        }
        guard context.reader.isComplete else { return receive() }
        answer(context)
        return true
    }

    private func answer(_ context: BackendResponseContext) {
        let parts = context.head.startLineParts
        guard parts.count == 3, parts[2].starts(with: "HTTP/1.".utf8) else {
            closesAfterResponse = true
            respond(BackendResponse(statusCode: 400, closesConnection: true), isHead: false)
            return
        }
        let isVersion10 = parts[2].elementsEqual("HTTP/1.0".utf8)
        closesAfterResponse = context.head.asksToClose || (isVersion10 && !context.head.asksToKeep)
        var response = backend.answer(
            path: parts[1], head: context.headBytes, body: context.keptBody)
        if context.isBodyTooLarge, parts[1].starts(with: "/echo".utf8) {
            response = BackendResponse(statusCode: 413)
        }
        response.closesConnection = closesAfterResponse
        let isHead = parts[0].elementsEqual("HEAD".utf8)
        guard response.delay > .zero else { return respond(response, isHead: isHead) }
        phase = .delayed
        backend.loop.schedule(after: response.delay) { [weak self] in
            guard let self, source != nil else { return }
            respond(response, isHead: isHead)
            progress()
        }
    }

    private func respond(_ response: BackendResponse, isHead: Bool) {
        phase = .sending(
            BackendBodySender(
                head: response.head(name: backend.state.name),
                body: isHead ? .bytes([]) : response.body))
    }

    private func send(_ sender: BackendBodySender) -> Bool {
        guard let piece = sender.nextPiece(byteCountMax: Self.pieceByteCount) else {
            if closesAfterResponse {
                close()
                return false
            }
            phase = .head
            return true
        }
        do throws(Errno) {
            guard case .bytes(let count) = try StreamSocket.send(socket, piece) else {
                return false
            }
            sender.sent(count)
            return true
        } catch {
            close()
            return false
        }
    }

    /// Reads more; closes at the end of the stream.
    private func receive() -> Bool {
        do throws(Errno) {
            guard let bytes = try socket.read(upTo: Self.pieceByteCount) else { return false }
            if bytes.isEmpty {
                close()
                return false
            }
            received += bytes
            return true
        } catch {
            close()
            return false
        }
    }
}

/// A request whose body is still arriving.
final class BackendResponseContext {
    let head: MessageHead
    let headBytes: [UInt8]
    private(set) var reader: MessageBodyReader
    private(set) var keptBody: [UInt8] = []
    private(set) var isBodyTooLarge = false

    init(head: MessageHead, headBytes: [UInt8], reader: MessageBodyReader) {
        self.head = head
        self.headBytes = headBytes
        self.reader = reader
    }

    /// Takes body bytes, keeping at most `keepMax` of them.
    func take(_ bytes: ArraySlice<UInt8>, keepMax: Int) -> Int {
        reader.take(bytes) { piece in
            if keptBody.count + piece.count > keepMax {
                isBodyTooLarge = true
            } else {
                keptBody += piece
            }
        }
    }
}

/// The bytes of one response, made as the socket takes them.
final class BackendBodySender {
    private static let filler = [UInt8](repeating: 0x78, count: BackendConnection.pieceByteCount)

    private var pending: [UInt8]
    private var pendingOffset = 0
    private var remaining: UInt64 = 0
    private let isChunked: Bool
    private var lastChunkSent = false

    init(head: [UInt8], body: BackendBody) {
        pending = head
        switch body {
        case .bytes(let bytes):
            pending += bytes
            isChunked = false
        case .filler(let count):
            remaining = count
            isChunked = false
        case .chunkedFiller(let count):
            remaining = count
            isChunked = true
        }
    }

    /// What to send next, or `nil` when the response is complete.
    func nextPiece(byteCountMax: Int) -> [UInt8]? {
        if pendingOffset < pending.count {
            return pendingOffset == 0 ? pending : Array(pending[pendingOffset...])
        }
        guard remaining > 0 || (isChunked && !lastChunkSent) else { return nil }
        let count = Int(min(remaining, UInt64(byteCountMax)))
        remaining -= UInt64(count)
        pendingOffset = 0
        if isChunked {
            pending = Array((String(count, radix: 16) + "\r\n").utf8)
            pending += Self.filler.prefix(count)
            pending += Array("\r\n".utf8)
            if count == 0 { lastChunkSent = true }
        } else {
            pending = Array(Self.filler.prefix(count))
        }
        return pending
    }

    /// So many bytes of the last piece left.
    func sent(_ count: Int) {
        pendingOffset += count
    }
}
