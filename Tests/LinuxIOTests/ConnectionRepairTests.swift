// SPDX-License-Identifier: Apache-2.0
//
// Goal: a connection that is captured does not notice; one that is re-created elsewhere goes on.
// Method: real connections between two network namespaces. The re-created end is made in the same
// namespace after the first was closed without a word.

internal import Glibc
import LinuxIO
import NamespaceLaboratory
import Testing
import WireCore

@Suite(.enabled(if: Laboratory.isRoot && ConnectionRepair.isPermitted(), "needs TCP_REPAIR"))
struct ConnectionRepairTests {
    private static let look = CInt(MSG_PEEK) | CInt(MSG_DONTWAIT)

    private static func endpoints() throws -> [Endpoint] {
        [try #require(ConnectedHosts.server), try #require(ConnectedHosts.serverIPv6)]
    }

    /// What fits one segment at the moment.
    private static func segmentByteCount(_ socket: borrowing FileDescriptor) -> CInt {
        var count: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        _ = getsockopt(socket.rawValue, CInt(IPPROTO_TCP), TCP_MAXSEG, &count, &size)
        return count
    }

    @Test func capturedConnectionGoesOn() throws {
        try ConnectedHosts.run { pair in
            for endpoint in try Self.endpoints() {
                let (_, client, server, _) = try pair.connect(to: endpoint)
                let first = try ConnectionRepair.capture(server.descriptor)
                for turn in 0..<20 {
                    try client.send("question \(turn % 10)")
                    #expect(try server.receive(10) == "question \(turn % 10)")
                    _ = try ConnectionRepair.capture(server.descriptor)
                    try server.send("answer")
                    #expect(try client.receive(6) == "answer")
                }
                let last = try ConnectionRepair.capture(server.descriptor)
                #expect(last.receiveSequence &- first.receiveSequence == 200)
                #expect(last.sendSequence &- first.sendSequence == 120)
                #expect(last.options == [.windowScale, .timestamps, .selectiveAcknowledgement])
                #expect(last.segmentByteCountMax > 1_000)
            }
        }
    }

    @Test func unreadBytesAreNotCounted() throws {
        try ConnectedHosts.run { pair in
            let (_, client, server, _) = try pair.connect(to: try Self.endpoints()[0])
            let first = try ConnectionRepair.capture(server.descriptor)
            try client.send("unread")
            var waiting = first
            try untilTrue {
                waiting = try ConnectionRepair.capture(server.descriptor)
                var byte: UInt8 = 0
                return recv(server.descriptor.rawValue, &byte, 1, Self.look) == 1
            }
            waiting = try ConnectionRepair.capture(server.descriptor)
            #expect(waiting.receiveSequence == first.receiveSequence)
            #expect(try server.receive(6) == "unread")
            let read = try ConnectionRepair.capture(server.descriptor)
            #expect(read.receiveSequence == first.receiveSequence &+ 6)
        }
    }

    @Test func halfClosedConnectionIsNotCaptured() throws {
        try ConnectedHosts.run { pair in
            let (_, client, server, _) = try pair.connect(to: try Self.endpoints()[0])
            StreamSocket.shutdownWrite(client.descriptor)
            try untilTrue { try server.hasInput() }
            #expect(throws: Errno(code: ENOTCONN)) {
                try ConnectionRepair.capture(server.descriptor)
            }
            try server.send("still here")
            #expect(try client.receive(10) == "still here")
        }
    }

    @Test func recreatedConnectionGoesOnInBothDirections() throws {
        try ConnectedHosts.run { pair in
            for endpoint in try Self.endpoints() {
                let (listener, client, server, remote) = try pair.connect(to: endpoint)
                var state = try ConnectionRepair.capture(server.descriptor)
                // Only counts are told after the beginning.
                for _ in 0..<10 {
                    try client.send("question")
                    #expect(try server.receive(8) == "question")
                    try server.send("answer")
                    #expect(try client.receive(6) == "answer")
                }
                state.receiveSequence &+= 80
                state.sendSequence &+= 60
                state.advanceTimestamp(by: .zero, marginMilliseconds: 1_001)
                let segment = Self.segmentByteCount(server.descriptor)
                server.closeSilently()
                let again = TestSocket(
                    try ConnectionRepair.recreate(local: endpoint, remote: remote, state))
                #expect(Self.segmentByteCount(again.descriptor) == segment && segment > 1_000)
                let long = String(repeating: "x", count: 50_000)
                try client.send(long)
                #expect(try again.receive(50_000) == long)
                try again.send(long)
                #expect(try client.receive(50_000) == long)
                let last = try ConnectionRepair.capture(again.descriptor)
                #expect(last.receiveSequence == state.receiveSequence &+ 50_000)
                #expect(last.options == state.options)
                #expect(last.receiveWindowScale == state.receiveWindowScale)
                #expect(last.sendWindowScale == state.sendWindowScale)
                listener.close()
            }
        }
    }

    @Test func listenerBesideRecreatedConnectionsGoesOn() throws {
        try ConnectedHosts.run { pair in
            let endpoint = try Self.endpoints()[0]
            let (listener, client, server, remote) = try pair.connect(to: endpoint)
            let state = try ConnectionRepair.capture(server.descriptor)
            server.closeSilently()
            let again = TestSocket(
                try ConnectionRepair.recreate(local: endpoint, remote: remote, state))
            #expect(throws: Errno.addressNotAvailable) {
                _ = try ConnectionRepair.recreate(local: endpoint, remote: remote, state)
            }
            listener.close()
            let (_, other, accepted, _) = try pair.connect(to: endpoint)
            try other.send("new")
            #expect(try accepted.receive(3) == "new")
            try again.send("old")
            #expect(try client.receive(3) == "old")
        }
    }

    @Test func silentCloseDoesNotWaitForOtherCopies() throws {
        try ConnectedHosts.run { pair in
            let endpoint = try Self.endpoints()[0]
            let (_, client, server, remote) = try pair.connect(to: endpoint)
            let state = try ConnectionRepair.capture(server.descriptor)
            let copy = TestSocket(try FileDescriptor(duplicating: server.descriptor.rawValue))
            server.closeSilently()
            let again = TestSocket(
                try ConnectionRepair.recreate(local: endpoint, remote: remote, state))
            try again.send("here")
            #expect(try client.receive(4) == "here")
            copy.close()
        }
    }

    @Test func requestNobodyHeardIsRepeatedByTheClient() throws {
        try ConnectedHosts.run { pair in
            let endpoint = try Self.endpoints()[0]
            let (_, client, server, remote) = try pair.connect(to: endpoint)
            try ConnectionRepair.deafen(server.descriptor)
            try client.send("question")
            let state = try #require(try ConnectionRepair.freeze(server.descriptor))
            server.close()
            let again = TestSocket(
                try ConnectionRepair.recreate(local: endpoint, remote: remote, state))
            #expect(try again.receive(8) == "question")
            try again.send("answer")
            #expect(try client.receive(6) == "answer")
        }
    }

    @Test func nothingIsFrozenBeforeItIsDrained() throws {
        try ConnectedHosts.run { pair in
            let (_, client, server, _) = try pair.connect(to: try Self.endpoints()[0])
            try client.send("waits")
            var byte: UInt8 = 0
            let number = server.descriptor.rawValue
            try untilTrue { recv(number, &byte, 1, Self.look) == 1 }
            try ConnectionRepair.deafen(server.descriptor)
            #expect(try ConnectionRepair.freeze(server.descriptor) == nil)
            #expect(try server.receive(5) == "waits")
            // Deaf, it does not hear that this arrives.
            try server.send("unheard")
            #expect(try client.receive(7) == "unheard")
            #expect(try ConnectionRepair.freeze(server.descriptor) == nil)
            ConnectionRepair.undeafen(server.descriptor)
            try client.send("again")
            #expect(try server.receive(5) == "again")
            #expect(try ConnectionRepair.freeze(server.descriptor) != nil)
        }
    }

    @Test func listenerPassesLateAcknowledgementsOn() throws {
        try ConnectedHosts.run { pair in
            let (_, client, server, _) = try pair.connect(to: try Self.endpoints()[0])
            try client.send("first")
            #expect(try server.receive(5) == "first")
            // Unacknowledged still: the client's kernel holds what it may have to send again.
            var waiting: CInt = 0
            let number = client.descriptor.rawValue
            #expect(ioctl(number, UInt(TIOCOUTQ), &waiting) == 0)
            #expect(waiting == 5)
            try server.send("answer")
            #expect(try client.receive(6) == "answer")
            #expect(ioctl(number, UInt(TIOCOUTQ), &waiting) == 0)
            #expect(waiting == 0)
        }
    }
}
