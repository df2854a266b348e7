// SPDX-License-Identifier: Apache-2.0
//
// Goal: the system calls do what their names say, on a real kernel. Method: loopback sockets with
// ports the kernel chooses.

import Glibc
import LinuxIO
import Testing
import WireCore

@Suite struct StreamSocketTests {
    private static let anyPort = Endpoint(address: .v4(.loopback), port: 0)

    /// Waits, with a deadline, until `body` gives a value.
    private func poll<Value>(_ body: () throws -> Value?) throws -> Value? {
        let deadline = Clock.now() + .seconds(5)
        while Clock.now() < deadline {
            if let value = try body() { return value }
            KernelThread.pause(milliseconds: 1)
        }
        return nil
    }

    @Test func acceptedConnectionCarriesBytesAndEnds() throws {
        let listener = try StreamSocket.listen(on: Self.anyPort)
        let endpoint = try #require(try StreamSocket.localEndpoint(listener))
        let client = try StreamSocket.connect(to: endpoint)
        var accepted: FileDescriptor?
        let isAccepted = try poll { () -> Bool? in
            guard let connection = try StreamSocket.accept(from: listener) else { return nil }
            accepted = connection.takeSocket()
            return true
        }
        #expect(isAccepted == true)
        let clientEndpoint = try StreamSocket.localEndpoint(client)
        guard let server = accepted.take() else {
            Issue.record("no connection")
            return
        }
        #expect(try StreamSocket.remoteEndpoint(server) == clientEndpoint)
        #expect(try StreamSocket.send(client, [1, 2, 3]) == .bytes(3))
        let received = try poll { try server.read(upTo: 16) }
        #expect(received == [1, 2, 3])
        StreamSocket.shutdownWrite(client)
        let end = try poll { try server.read(upTo: 16) }
        #expect(end == [])
    }

    /// The least time before a retransmission in microseconds; `nil` on a kernel that does not say.
    private func retransmissionMin(_ socket: borrowing FileDescriptor) -> CInt? {
        var (microseconds, size) = (CInt(0), socklen_t(MemoryLayout<CInt>.size))
        // TCP_RTO_MIN_US, since Linux 6.15.
        let result = getsockopt(socket.rawValue, CInt(IPPROTO_TCP), 45, &microseconds, &size)
        return result == 0 ? microseconds : nil
    }

    @Test func connectionsOfALocalNetworkRepeatSoonAtBothEnds() throws {
        var listening = StreamSocket.ListenOptions()
        listening.retransmissionMin = .milliseconds(10)
        let listener = try StreamSocket.listen(on: Self.anyPort, options: listening)
        let endpoint = try #require(try StreamSocket.localEndpoint(listener))
        var connecting = StreamSocket.ConnectOptions()
        connecting.retransmissionMin = .milliseconds(10)
        let client = try StreamSocket.connect(to: endpoint, options: connecting)
        let other = try StreamSocket.connect(to: endpoint)
        let usual = retransmissionMin(other)
        // The kernel counts in its own ticks, of 10 ms at most.
        let wanted: ClosedRange<CInt> = 1...20_000
        let isClient = retransmissionMin(client).map(wanted.contains)
        let isServer = try poll { () -> Bool?? in
            guard let connection = try StreamSocket.accept(from: listener) else { return nil }
            return .some(retransmissionMin(connection.takeSocket()).map(wanted.contains))
        }
        #expect(isClient == usual.map { _ in true })
        #expect(isServer == .some(usual.map { _ in true }))
        #expect(usual.map { $0 > 20_000 } ?? true)
    }

    @Test func readingWithNothingToReadSaysSo() throws {
        let listener = try StreamSocket.listen(on: Self.anyPort)
        let endpoint = try #require(try StreamSocket.localEndpoint(listener))
        let client = try StreamSocket.connect(to: endpoint)
        #expect(try client.read(upTo: 1) == nil)
    }

    @Test func refusedConnectionReportsItsError() throws {
        // Bind a port, learn its number, give it back: nobody listens there.
        let endpoint = try {
            let listener = try StreamSocket.listen(on: Self.anyPort)
            return try StreamSocket.localEndpoint(listener)
        }()
        #expect(try connectionError(to: #require(endpoint)) == .connectionRefused)
    }

    /// The error that connecting ends with, whether at once or later.
    private func connectionError(to endpoint: Endpoint) throws -> Errno? {
        do {
            let client = try StreamSocket.connect(to: endpoint)
            return try poll { StreamSocket.pendingError(client) }
        } catch let error as Errno {
            return error
        }
    }

    @Test func portInUseIsAnError() throws {
        let listener = try StreamSocket.listen(on: Self.anyPort)
        let endpoint = try #require(try StreamSocket.localEndpoint(listener))
        #expect(throws: Errno.addressInUse) {
            let second = try StreamSocket.listen(on: endpoint)
            _ = consume second
        }
    }

    @Test func freeBindAcceptsAnAddressTheHostDoesNotHave() throws {
        let foreign = Endpoint(address: .v4(IPv4Address(192, 0, 2, 77)), port: 0)
        #expect(throws: Errno.addressNotAvailable) {
            let socket = try StreamSocket.listen(on: foreign)
            _ = consume socket
        }
        var options = StreamSocket.ListenOptions()
        options.freeBind = true
        let socket = try StreamSocket.listen(on: foreign, options: options)
        #expect(try StreamSocket.localEndpoint(socket)?.address == foreign.address)
    }

    @Test func ipv6EndpointsSurviveTheKernel() throws {
        let any = Endpoint(address: .v6(.loopback), port: 0)
        let listener = try StreamSocket.listen(on: any)
        let endpoint = try #require(try StreamSocket.localEndpoint(listener))
        #expect(endpoint.address == .v6(.loopback))
        #expect(endpoint.port != 0)
    }

    @Test func unixSocketPathThatDoesNotFitIsAnError() {
        #expect(throws: Errno.self) {
            let path = "/" + String(repeating: "x", count: 200)
            let socket = try StreamSocket.listen(unixPath: path)
            _ = consume socket
        }
    }
}
