// SPDX-License-Identifier: Apache-2.0
//
// One client of the test backend: reads requests one after the other, writes answers with
// back-pressure. Memory is bounded whatever the bodies are.

internal import EventLoop
internal import HTTPCore
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
        case body(BackendRequest)
        case delayed
        case sending(BackendBodySender)
    }

    private unowned let backend: TestBackend
    private let socket: FileDescriptor
    private var source: EventSource?
    private var phase = Phase.head
    private var received: [UInt8] = []
    private var headProgress = HeadProgress()
    private var closesAfterResponse = false

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
        case .body(let request): return readBody(request)
        case .delayed: return false
        case .sending(let sender): return send(sender)
        }
    }

    private func readHead() -> Bool {
        var request: BackendRequest?
        let outcome = received.withUnsafeBytes { bytes in
            let outcome = backend.requestHead.parse(bytes, progress: &headProgress)
            if case .complete = outcome {
                request = BackendRequest(backend.requestHead, in: bytes)
            }
            return outcome
        }
        switch outcome {
        case .needMore: return receive()
        case .malformed: refuse(400)
        case .complete(let headByteCount):
            received.removeFirst(headByteCount)
            headProgress = HeadProgress()
            // RFC 9110 §9.3.6: an answer of 200 would make a tunnel.
            guard let request, request.method != .connect else {
                refuse(405)
                return true
            }
            if request.expectsContinue {
                _ = try? StreamSocket.send(
                    socket, LocalResponse.continueResponse.withUTF8Buffer { Array($0) })
            }
            phase = .body(request)
        }
        return true
    }

    private func readBody(_ request: BackendRequest) -> Bool {
        let count = request.take(received, keepMax: Self.echoByteCountMax)
        received.removeFirst(count)
        if request.isMalformed {
            refuse(400)
            return true
        }
        guard request.isComplete else { return receive() }
        answer(request)
        return true
    }

    private func refuse(_ statusCode: Int) {
        closesAfterResponse = true
        respond(BackendResponse(statusCode: statusCode, closesConnection: true), isHead: false)
    }

    private func answer(_ request: BackendRequest) {
        closesAfterResponse = !request.keepsAlive
        var response = backend.answer(
            path: request.path, head: request.headBytes, body: request.keptBody)
        if request.isBodyTooLarge, request.path.starts(with: "/echo".utf8) {
            response = BackendResponse(statusCode: 413)
        }
        response.closesConnection = closesAfterResponse
        let isHead = request.method == .head
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
        if isChunked, count == 0 {
            pending = ChunkFramer.lastChunk.withUTF8Buffer { Array($0) }
            lastChunkSent = true
        } else if isChunked {
            pending = Self.sizeLine(count)
            pending += Self.filler.prefix(count)
            ChunkFramer.chunkEnd.withUTF8Buffer { pending += $0 }
        } else {
            pending = Array(Self.filler.prefix(count))
        }
        return pending
    }

    private static func sizeLine(_ payloadByteCount: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: ChunkFramer.sizeLineByteCountMax) { buffer, count in
            count =
                ChunkFramer.writeSizeLine(
                    payloadByteCount: payloadByteCount, into: UnsafeMutableRawBufferPointer(buffer))
                ?? 0
        }
    }

    /// So many bytes of the last piece left.
    func sent(_ count: Int) {
        pendingOffset += count
    }
}
