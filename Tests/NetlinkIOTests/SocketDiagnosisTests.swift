// SPDX-License-Identifier: Apache-2.0
//
// Goal: connections that an address left behind are found and ended, silently and no others.
// Method: both ends in an own network namespace; the address is taken away under the server's end,
// so that nothing it sends can leave, just as after a process that held it was killed.

import Glibc
import LinuxIO
import NamespaceLaboratory
import Testing
import WireCore

@Suite(.enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct SocketDiagnosisTests {
    private static let connectionCount = 20
    private static let port: UInt16 = 8_080
    private let virtual = IPAddress(192, 0, 2, 10)
    private let other = IPAddress(192, 0, 2, 11)
    private let client = IPAddress(192, 0, 2, 1)
    private let virtualIPv6 = IPAddress.v6(IPv6Address(high: 0x2001_0DB8 << 32, low: 10))
    private let clientIPv6 = IPAddress.v6(IPv6Address(high: 0x2001_0DB8 << 32, low: 1))

    private func client(of server: IPAddress) -> IPAddress {
        server.family == .ipv4 ? client : clientIPv6
    }

    /// Both ends of some connections.
    private final class Connections {
        var clients: [Socket] = []
        var servers: [Socket] = []
    }

    /// A socket in an array.
    private final class Socket {
        let descriptor: FileDescriptor

        init(_ descriptor: consuming FileDescriptor) {
            self.descriptor = descriptor
        }

        /// Receives what waits.
        func receive() throws(Errno) -> IOOutcome {
            var byte: UInt8 = 0
            return try withUnsafeMutableBytes(of: &byte) { bytes throws(Errno) in
                try StreamSocket.receive(descriptor, into: bytes)
            }
        }
    }

    private func inFurnishedNamespace(_ body: () throws -> Void) throws {
        try Laboratory.inNewNamespace {
            for address in [virtual, other, client, virtualIPv6, clientIPv6] {
                try add(address)
            }
            try body()
        }
    }

    private func add(_ address: IPAddress) throws {
        let options = address.family == .ipv4 ? "" : " nodad"
        try Laboratory.ip("address add \(address)/\(address.bitWidth) dev lo\(options)")
    }

    private func remove(_ address: IPAddress) throws {
        try Laboratory.ip("address del \(address)/\(address.bitWidth) dev lo")
    }

    private func listen(on address: IPAddress) throws -> Socket {
        var options = StreamSocket.ListenOptions()
        options.freeBind = true
        return Socket(
            try StreamSocket.listen(
                on: Endpoint(address: address, port: Self.port), options: options))
    }

    /// Connects `count` times.
    private func connect(
        _ count: Int = connectionCount, to address: IPAddress, at listener: Socket,
        from sourcePort: UInt16 = 0
    ) throws -> Connections {
        let made = Connections()
        for _ in 0..<count {
            var options = StreamSocket.ConnectOptions()
            options.source = Endpoint(address: client(of: address), port: sourcePort)
            made.clients.append(
                Socket(
                    try StreamSocket.connect(
                        to: Endpoint(address: address, port: Self.port), options: options)))
            let deadline = Clock.now() + .seconds(5)
            while made.servers.count < made.clients.count, Clock.now() < deadline {
                guard let accepted = try StreamSocket.accept(from: listener.descriptor) else {
                    KernelThread.pause(milliseconds: 1)
                    continue
                }
                made.servers.append(Socket(accepted.takeSocket()))
            }
            guard made.servers.count == made.clients.count else {
                Issue.record("no connection arrived")
                break
            }
        }
        return made
    }

    private func count(_ addresses: IPAddress...) throws -> Int {
        try SocketDiagnosis().connections(of: Set(addresses)).count
    }

    /// - Returns: how many were ended.
    private func endAll(_ address: IPAddress) throws -> Int {
        let diagnosis = try SocketDiagnosis()
        let found = try diagnosis.connections(of: [address])
        for connection in found { try diagnosis.end(connection) }
        return found.count
    }

    @Test func orphansOfAnAbsentAddressEndWithoutAWordToTheirClients() throws {
        try inFurnishedNamespace {
            let listener = try listen(on: virtual)
            let connections = try connect(to: virtual, at: listener)
            try remove(virtual)
            // Nobody owns them any more, and their FIN cannot leave.
            connections.servers = []
            #expect(try count(virtual) == Self.connectionCount)
            #expect(try endAll(virtual) == Self.connectionCount)
            #expect(try count(virtual) == 0)
            for client in connections.clients {
                #expect(try client.receive() == .wouldBlock)
            }
        }
    }

    @Test func clientIsResetWhenTheAddressIsBackAndItsOrphanGone() throws {
        try inFurnishedNamespace {
            let listener = try listen(on: virtual)
            let connections = try connect(1, to: virtual, at: listener)
            try remove(virtual)
            connections.servers = []
            #expect(try endAll(virtual) == 1)
            try add(virtual)
            let client = try #require(connections.clients.first)
            _ = try StreamSocket.send(client.descriptor, [0x47])
            #expect(throws: Errno.connectionReset) { try client.receive() }
        }
    }

    @Test func listenersAndOtherAddressesSurvive() throws {
        try inFurnishedNamespace {
            let listener = try listen(on: virtual)
            let otherListener = try listen(on: other)
            let connections = try connect(to: virtual, at: listener)
            let others = try connect(3, to: other, at: otherListener)
            try remove(virtual)
            connections.servers = []
            #expect(try endAll(virtual) == Self.connectionCount)
            #expect(try count(other) == 3)
            // The clients' ends of all of them.
            #expect(try count(client) == Self.connectionCount + 3)
            for socket in others.clients + others.servers {
                #expect(try socket.receive() == .wouldBlock)
            }
            try add(virtual)
            let again = try connect(1, to: virtual, at: listener)
            #expect(again.servers.count == 1)
        }
    }

    @Test func ownerOfAnEndedConnectionReadsAnAbort() throws {
        try inFurnishedNamespace {
            let listener = try listen(on: virtual)
            let connections = try connect(1, to: virtual, at: listener)
            try remove(virtual)
            #expect(try endAll(virtual) == 1)
            let server = try #require(connections.servers.first)
            #expect(throws: Errno(code: ECONNABORTED)) { try server.receive() }
            let client = try #require(connections.clients.first)
            #expect(try client.receive() == .wouldBlock)
        }
    }

    @Test func connectionsOfBothFamiliesAreFoundAndClosedOnesAreSpent() throws {
        try Laboratory.inNewNamespace {
            try Laboratory.ip("address add fd00::10/128 dev lo nodad")
            try Laboratory.ip("address add \(virtual)/32 dev lo")
            let virtual6 = try #require(IPv6Address("fd00::10"))
            let listener = Socket(
                try StreamSocket.listen(
                    on: Endpoint(address: .v6(virtual6), port: Self.port),
                    options: StreamSocket.ListenOptions()))
            let client = Socket(
                try StreamSocket.connect(
                    to: Endpoint(address: .v6(virtual6), port: Self.port),
                    options: StreamSocket.ConnectOptions()))
            let connections = Connections()
            connections.clients = [client]
            if let accepted = try StreamSocket.accept(from: listener.descriptor) {
                connections.servers = [Socket(accepted.takeSocket())]
            }
            let diagnosis = try SocketDiagnosis()
            let wanted: Set<IPAddress> = [.v6(virtual6), virtual]
            // Both ends have the address.
            #expect(try diagnosis.connections(of: wanted).filter(\.isOpen).count == 2)
            connections.servers = []
            // The client's kernel may take its time to acknowledge the FIN.
            let deadline = Clock.now() + .seconds(5)
            var open = try diagnosis.connections(of: wanted).filter(\.isOpen)
            while open.count > 1, Clock.now() < deadline {
                KernelThread.pause(milliseconds: 5)
                open = try diagnosis.connections(of: wanted).filter(\.isOpen)
            }
            #expect(open.count == 1, "the client's end has not been closed")
            for connection in open { try diagnosis.end(connection) }
            #expect(try diagnosis.connections(of: wanted).filter(\.isOpen).isEmpty)
        }
    }

    @Test func endingTwiceSaysThatItIsGone() throws {
        try inFurnishedNamespace {
            let listener = try listen(on: virtual)
            let connections = try connect(1, to: virtual, at: listener)
            try remove(virtual)
            connections.servers = []
            let diagnosis = try SocketDiagnosis()
            let connection = try #require(try diagnosis.connections(of: [virtual]).first)
            try diagnosis.end(connection)
            #expect(throws: Errno.noSuchFile) { try diagnosis.end(connection) }
            // The refusal left nothing in the socket that a later answer is mistaken for.
            #expect(try diagnosis.connections(of: [client]).count == 1)
        }
    }

    /// Over IPv6 the kernel sends from an address that is not here any more, so unlike over IPv4 a
    /// client hears of the end.
    @Test func connectionsOverIPv6AreFoundAndEnded() throws {
        try inFurnishedNamespace {
            let listener = try listen(on: virtualIPv6)
            let ipv4Listener = try listen(on: virtual)
            let connections = try connect(3, to: virtualIPv6, at: listener)
            let others = try connect(2, to: virtual, at: ipv4Listener)
            #expect(try count(virtualIPv6, virtual) == 5)
            #expect(try endAll(virtualIPv6) == 3)
            #expect(try count(virtualIPv6) == 0)
            #expect(try count(virtual) == 2)
            for server in connections.servers {
                #expect(throws: Errno(code: ECONNABORTED)) { try server.receive() }
            }
            for client in connections.clients {
                #expect(throws: Errno.connectionReset) { try client.receive() }
            }
            for server in others.servers { #expect(try server.receive() == .wouldBlock) }
        }
    }
}
