// SPDX-License-Identifier: Apache-2.0
//
// Transfers that report numbers: every outcome over a real connection.

import LinuxIO
import Testing
import WireCore

struct SocketTransferTests {
    /// One end of a connection.
    private final class End {
        let socket: FileDescriptor

        init(_ socket: consuming FileDescriptor) {
            self.socket = socket
        }
    }

    /// Two ends of one loopback connection.
    private func connect() throws -> (near: End, far: End) {
        let listener = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
        let endpoint = try #require(try StreamSocket.localEndpoint(listener))
        let near = End(try StreamSocket.connect(to: endpoint))
        let epoll = try Epoll()
        try epoll.add(listener, .readable, token: 1)
        while try epoll.wait(timeout: .seconds(5)) == 0 {}
        guard let accepted = try StreamSocket.accept(from: listener) else {
            throw Errno.timedOut
        }
        return (near, End(accepted.takeSocket()))
    }

    private func receive(_ socket: borrowing FileDescriptor, _ count: Int) -> ([UInt8], Int) {
        var outcome = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            guard let base = buffer.baseAddress else { return }
            let result = SocketTransfer.receive(socket, into: base, count: count)
            initialized = max(0, result.byteCount)
            outcome = result.rawValue
        }
        return (bytes, outcome)
    }

    private func waitUntilReadable(_ socket: borrowing FileDescriptor) throws {
        let epoll = try Epoll()
        try epoll.add(socket, [.readable, .peerClosed], token: 1)
        #expect(try epoll.wait(timeout: .seconds(5)) == 1)
    }

    @Test func bytesArriveInTheOrderOfBothRuns() throws {
        let (near, far) = try connect()
        let wasQuiet = SocketTransfer.isQuiet(far.socket)
        #expect(wasQuiet)
        let head = Array("head ".utf8)
        let body = Array("body".utf8)
        let sent = head.withUnsafeBytes { first in
            body.withUnsafeBytes { second in
                SocketTransfer.send(near.socket, first, then: second)
            }
        }
        #expect(sent.byteCount == 9)
        try waitUntilReadable(far.socket)
        let isQuiet = SocketTransfer.isQuiet(far.socket)
        #expect(!isQuiet)
        let received = receive(far.socket, 100)
        #expect(received.0 == head + body)
    }

    @Test func nothingToReceiveIsNoError() throws {
        let (near, far) = try connect()
        var byte: UInt8 = 0
        let outcome = SocketTransfer.receive(near.socket, into: &byte, count: 1)
        #expect(outcome.wouldBlock)
        #expect(!outcome.isEndOfStream)
        #expect(outcome.error == .wouldBlock)
        _ = far
    }

    @Test func theEndOfTheStreamIsZeroBytes() throws {
        let (near, far) = try connect()
        StreamSocket.shutdownWrite(near.socket)
        try waitUntilReadable(far.socket)
        let isQuiet = SocketTransfer.isQuiet(far.socket)
        #expect(!isQuiet)
        let received = receive(far.socket, 10)
        #expect(received.1 == 0)
    }

    @Test func sendingIntoAResetConnectionIsAnErrorAndNoSignal() throws {
        let near = try connectToReset()
        try waitUntilReadable(near.socket)
        let bytes: [UInt8] = [1, 2, 3]
        let outcomes = (0..<2).map { _ in
            bytes.withUnsafeBytes { buffer in
                SocketTransfer.send(near.socket, buffer, then: buffer).byteCount
            }
        }
        #expect(outcomes.allSatisfy { $0 < 0 })
        #expect(outcomes.contains(-Int(Errno.brokenPipe.code)))
    }

    /// The near end of a connection whose far end was reset.
    private func connectToReset() throws -> End {
        let (near, far) = try connect()
        StreamSocket.resetOnClose(far.socket)
        return near
    }
}
