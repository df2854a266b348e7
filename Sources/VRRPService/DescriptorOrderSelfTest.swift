// SPDX-License-Identifier: Apache-2.0
//
// Proves on the running kernel that a killed process loses its descriptors from the highest number
// down, which DescriptorPlan relies on and no document promises. Starts and kills a child.

internal import LinuxIO
public import WireCore

/// The start-up test of the order in which the kernel closes descriptors.
///
/// A child connects a few TCP sockets over loopback, puts them on known descriptor numbers in an
/// order unlike that of the numbers, and is killed with SIGKILL. An edge-triggered epoll instance
/// lists the ends of the streams in the order in which they came.
public enum DescriptorOrderSelfTest {
    /// How many descriptors are compared.
    public static let descriptorCount = 8
    /// The child's lowest compared descriptor; all fit in a byte.
    static let firstNumber: CInt = 64
    /// How long a child lives when nobody kills it.
    static let childLifetime = TimeSpan.seconds(10)

    /// What the kernel was seen to do.
    public enum Verdict: Hashable, Sendable {
        /// From the highest number down, as planned.
        case proven
        /// In this order; the plan does not work on this kernel.
        case refuted(order: [CInt])
        /// The test itself failed, for the reason given.
        case inconclusive(String)
    }

    /// Runs the test; waits for it, at most `timeout`.
    ///
    /// - Parameters:
    ///   - timeout: how long a busy host may take.
    ///   - childCommand: the shell command that ends in `runChild` with this port in a process of
    ///     its own, such as `exec /proc/PID/exe hidden-word PORT`.
    /// - Returns: what was seen.
    public static func run(
        timeout: TimeSpan = .seconds(5), childCommand: (UInt16) -> String
    ) -> Verdict {
        do throws(Errno) {
            return try observe(until: Clock.now() + timeout, childCommand)
        } catch {
            return .inconclusive("\(error)")
        }
    }

    /// What the child does: connects, reports its numbers, waits for its death.
    public static func runChild(port: UInt16) {
        runChild(port: port, firstNumber: firstNumber, lifetime: childLifetime)
    }

    static func runChild(port: UInt16, firstNumber: CInt, lifetime: TimeSpan) {
        var sockets: [Connection] = []
        // Neither rising nor falling: 3 and 8 have no common divisor.
        for step in 0..<descriptorCount {
            let number = firstNumber + CInt(step * 3 % descriptorCount)
            guard let socket = try? connected(port: port, number: number) else { return }
            sockets.append(socket)
        }
        guard let epoll = try? Epoll(), let first = sockets.first,
            (try? epoll.add(first.socket, .peerClosed, token: 0)) != nil
        else { return }
        _ = try? epoll.wait(timeout: lifetime)
    }

    /// An owner that fits in an array.
    private final class Connection {
        let socket: FileDescriptor
        var number: CInt = 0

        init(_ socket: consuming FileDescriptor) {
            self.socket = socket
        }
    }

    private static func connected(port: UInt16, number: CInt) throws(Errno) -> Connection {
        let loopback = Endpoint(address: .v4(.loopback), port: port)
        let socket = try StreamSocket.connect(to: loopback).moved(to: number)
        let epoll = try Epoll()
        try epoll.add(socket, .writable, token: 0)
        _ = try epoll.wait(timeout: .seconds(5))
        _ = try StreamSocket.send(socket, [UInt8(truncatingIfNeeded: number)])
        return Connection(socket)
    }

    private static func observe(
        until deadline: Instant, _ childCommand: (UInt16) -> String
    ) throws(Errno) -> Verdict {
        let listener = try StreamSocket.listen(
            on: Endpoint(address: .v4(.loopback), port: 0))
        let port = try StreamSocket.localEndpoint(listener)?.port ?? 0
        let child = try ChildProcess.start(shellCommand: childCommand(port))
        let verdict: Verdict
        do throws(Errno) {
            verdict = try observe(listener, child, until: deadline)
        } catch {
            verdict = .inconclusive("\(error)")
        }
        child.killGroup()
        let epoll = try Epoll()
        try epoll.add(child.ending, .readable, token: 0)
        while child.reap() == nil, Clock.now() < deadline + .seconds(1) {
            _ = try epoll.wait(timeout: .milliseconds(100))
        }
        return verdict
    }

    private static func observe(
        _ listener: borrowing FileDescriptor, _ child: borrowing ChildProcess,
        until deadline: Instant
    ) throws(Errno) -> Verdict {
        let connections = try accept(from: listener, until: deadline)
        guard connections.count == descriptorCount else {
            return .inconclusive("the child made \(connections.count) connections")
        }
        let epoll = try Epoll()
        for (index, connection) in connections.enumerated() {
            try epoll.add(
                connection.socket, [.peerClosed, .edgeTriggered], token: UInt64(index))
        }
        child.killGroup()
        var order: [CInt] = []
        while order.count < connections.count, Clock.now() < deadline {
            for index in 0..<(try epoll.wait(timeout: deadline - Clock.now())) {
                let number = connections[Int(epoll.event(at: index).token)].number
                if !order.contains(number) { order.append(number) }
            }
        }
        guard order.count == connections.count else {
            return .inconclusive("only \(order.count) streams ended in time")
        }
        return judge(order)
    }

    static func judge(_ order: [CInt]) -> Verdict {
        zip(order, order.dropFirst()).allSatisfy { $0 > $1 } ? .proven : .refuted(order: order)
    }

    private static func accept(
        from listener: borrowing FileDescriptor, until deadline: Instant
    ) throws(Errno) -> [Connection] {
        let epoll = try Epoll()
        try epoll.add(listener, .readable, token: 0)
        var connections: [Connection] = []
        while connections.count < descriptorCount, Clock.now() < deadline {
            _ = try epoll.wait(timeout: deadline - Clock.now())
            while let accepted = try StreamSocket.accept(from: listener) {
                connections.append(Connection(accepted.takeSocket()))
            }
        }
        for connection in connections {
            connection.number = try number(of: connection, until: deadline)
        }
        return connections
    }

    private static func number(
        of connection: Connection, until deadline: Instant
    ) throws(Errno) -> CInt {
        let epoll = try Epoll()
        try epoll.add(connection.socket, .readable, token: 0)
        _ = try epoll.wait(timeout: deadline - Clock.now())
        guard let byte = try connection.socket.read(upTo: 1)?.first else {
            throw .connectionReset
        }
        return CInt(byte)
    }
}
