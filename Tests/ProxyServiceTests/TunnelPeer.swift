// SPDX-License-Identifier: Apache-2.0
//
// One end of a byte stream that a test drives by hand, and a listener that hands such ends out.
// Nothing here waits but the functions that say so.

import Glibc
import LinuxIO
import Testing
import WireCore

/// Bytes of a stream that both ends know, so that none is kept.
///
/// They repeat after a prime number of bytes, so that a lost or doubled buffer shows.
struct StreamPattern {
    private static let period = 65_521
    /// Two periods, so that a piece is always in one place.
    private static let block: [UInt8] = {
        var random = SeededGenerator(seed: 1)
        let bytes = (0..<period).map { _ in UInt8(truncatingIfNeeded: random.next() >> 16) }
        return bytes + bytes
    }()

    private let shift: Int
    private(set) var offset = 0

    init(seed: UInt64) {
        shift = Int(seed % UInt64(Self.period))
    }

    /// Up to `count` bytes from here on.
    func upcoming(_ count: Int) -> ArraySlice<UInt8> {
        let start = (shift + offset) % Self.period
        return Self.block[start..<start + min(count, Self.period)]
    }

    mutating func advance(_ count: Int) { offset += count }

    /// Takes bytes that arrived; false when one differs.
    mutating func matches(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let wanted = upcoming(rest.count)
            let isSame = rest.withUnsafeBytes { left in
                wanted.withUnsafeBytes { right in
                    guard let left = left.baseAddress, let right = right.baseAddress else {
                        return false
                    }
                    return memcmp(left, right, wanted.count) == 0
                }
            }
            guard isSame else { return false }
            advance(wanted.count)
            rest = rest.dropFirst(wanted.count)
        }
        return true
    }
}

/// How a stream ended.
enum StreamEnd: Equatable {
    case open
    case ended
    case reset
}

/// A connected socket of a test.
final class TunnelPeer {
    static let patience = TimeSpan.seconds(15)

    private var box: SocketBox?

    init(_ socket: consuming FileDescriptor) {
        box = SocketBox(socket)
    }

    private var open: SocketBox {
        get throws { try #require(box) }
    }

    /// Connects and waits until the connection is up.
    convenience init(connectingTo endpoint: Endpoint) throws {
        self.init(try StreamSocket.connect(to: endpoint))
        let box = try open
        let isUp = try eventually {
            if let error = StreamSocket.pendingError(box.descriptor) { throw error }
            return (try? StreamSocket.remoteEndpoint(box.descriptor)) != nil
        }
        #expect(isUp)
    }

    /// Its own port.
    var port: UInt16 {
        get throws { try #require(try StreamSocket.localEndpoint(open.descriptor)).port }
    }

    /// Where its kernel is in the connection.
    func transport() throws -> TransportState { try ConnectionRepair.capture(open.descriptor) }

    /// Hands its socket to somebody else.
    func takeSocket() throws -> FileDescriptor {
        try FileDescriptor(duplicating: open.descriptor.rawValue)
    }

    /// Sends what goes at once; returns how much went.
    func trySend(_ bytes: [UInt8]) throws -> Int {
        guard case .bytes(let count) = try StreamSocket.send(open.descriptor, bytes) else {
            return 0
        }
        return count
    }

    /// Receives what is there; `nil` when nothing is, empty at the end of the stream.
    func tryReceive(upTo count: Int = 262_144) throws -> [UInt8]? {
        try open.descriptor.read(upTo: count)
    }

    /// Sends everything, waiting.
    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        let isDone = try eventually {
            while sent < bytes.count {
                let count = try trySend(Array(bytes[sent...].prefix(262_144)))
                if count == 0 { return false }
                sent += count
            }
            return true
        }
        #expect(isDone)
    }

    /// Waits for exactly these bytes.
    func expect(_ text: String) throws { try expect(Array(text.utf8)) }

    func expect(_ wanted: [UInt8]) throws {
        let received = try take(wanted.count)
        #expect(received == wanted)
    }

    /// Waits for so many bytes, or the end of the stream.
    func take(_ count: Int) throws -> [UInt8] {
        var received: [UInt8] = []
        _ = try eventually {
            while received.count < count {
                guard let piece = try tryReceive(upTo: count - received.count) else {
                    return false
                }
                if piece.isEmpty { return true }
                received += piece
            }
            return true
        }
        return received
    }

    /// Waits for a text that ends with `end`.
    func take(until end: String) throws -> String {
        let end = Array(end.utf8)
        var received: [UInt8] = []
        _ = try eventually {
            while !received.suffix(end.count).elementsEqual(end) {
                guard let piece = try tryReceive(upTo: 1) else { return false }
                if piece.isEmpty { return true }
                received += piece
            }
            return true
        }
        return String(decoding: received, as: UTF8.self)
    }

    /// True when nothing arrives while something else would have.
    func isQuiet(for span: TimeSpan = .milliseconds(100)) throws -> Bool {
        let deadline = Clock.now() + span
        while Clock.now() < deadline {
            if try tryReceive() != nil { return false }
            KernelThread.pause(milliseconds: 5)
        }
        return true
    }

    /// Waits for the end of the stream; bytes before it are dropped.
    func end(within span: TimeSpan = patience) throws -> StreamEnd {
        var end = StreamEnd.open
        _ = try eventually(within: span) {
            do {
                while let piece = try tryReceive() {
                    guard piece.isEmpty else { continue }
                    end = .ended
                    return true
                }
                return false
            } catch let error as Errno where error == .connectionReset {
                end = .reset
                return true
            }
        }
        return end
    }

    /// Ends sending.
    func finishSending() throws { StreamSocket.shutdownWrite(try open.descriptor) }

    /// Goes away, as after a crash of its host or without bytes of its own on the way.
    func close(byReset: Bool) throws {
        if byReset { StreamSocket.resetOnClose(try open.descriptor) }
        box = nil
    }
}

/// A listener whose connections a test takes one by one.
final class TunnelListener {
    private var socket: SocketBox?
    let endpoint: Endpoint

    init() throws {
        let box = SocketBox(
            try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0)))
        endpoint = try #require(try StreamSocket.localEndpoint(box.descriptor))
        socket = box
    }

    /// The next connection if there is one.
    func tryAccept() throws -> TunnelPeer? {
        guard let socket, let accepted = try StreamSocket.accept(from: socket.descriptor) else {
            return nil
        }
        return TunnelPeer(accepted.takeSocket())
    }

    /// Waits for the next connection.
    func accept() throws -> TunnelPeer {
        var peer: TunnelPeer?
        _ = try eventually {
            peer = try tryAccept()
            return peer != nil
        }
        return try #require(peer)
    }

    /// Refuses connections from now on.
    func stop() { socket = nil }
}
