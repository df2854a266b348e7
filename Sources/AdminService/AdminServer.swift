// SPDX-License-Identifier: Apache-2.0
//
// The listening side of administration: a Unix socket for commands, an HTTP address for pages.

public import EventLoop
public import LinuxIO
public import Telemetry
public import WireCore

/// Serves an `AdminRegistry` on the control thread.
public final class AdminServer {
    /// Connections served at once; further ones are closed.
    public static let connectionCountMax = 64

    private let loop: EventLoop
    private let registry: AdminRegistry
    private let logger: Logger
    private var listeners: [AdminListener] = []
    private var connections: [ObjectIdentifier: AdminConnection] = [:]
    private var socketPath: String?
    /// Connections closed because too many were open.
    public private(set) var refusedCount: UInt64 = 0

    /// Makes a server that does not listen yet.
    public init(loop: EventLoop, registry: AdminRegistry, logger: Logger) {
        self.loop = loop
        self.registry = registry
        self.logger = logger
    }

    /// Listens for commands on a Unix socket, replacing a stale one.
    ///
    /// - Throws: when the path cannot be bound.
    public func listen(socketPath path: String) throws(Errno) {
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try? FileSystem.makeDirectory(path: String(path[..<slash]))
        }
        try FileSystem.remove(path: path)
        let socket = try StreamSocket.listen(unixPath: path)
        socketPath = path
        try add(socket) { [unowned self] request, isEnd in
            CommandProtocol.answer(request, isEnd: isEnd, registry: registry)
        }
    }

    /// Listens for HTTP.
    ///
    /// - Returns: the address bound, with the port the kernel chose when `endpoint` has none.
    /// - Throws: when the address cannot be bound.
    @discardableResult
    public func listen(http endpoint: Endpoint) throws(Errno) -> Endpoint {
        let socket = try StreamSocket.listen(on: endpoint)
        let bound = try StreamSocket.localEndpoint(socket) ?? endpoint
        try add(socket) { [unowned self] request, _ in
            PageProtocol.answer(request, registry: registry)
        }
        return bound
    }

    /// Stops listening, closes every connection and removes the socket file.
    public func stop() {
        for listener in listeners { listener.close() }
        listeners = []
        for connection in Array(connections.values) { connection.close() }
        if let socketPath { try? FileSystem.remove(path: socketPath) }
        socketPath = nil
    }

    private func add(
        _ socket: consuming FileDescriptor, answer: @escaping ([UInt8], Bool) -> AdminAnswer
    ) throws(Errno) {
        let listener = AdminListener(socket: socket, loop: loop) { [unowned self] accepted in
            serve(accepted, answer)
        }
        try listener.start()
        listeners.append(listener)
    }

    private func serve(
        _ socket: consuming FileDescriptor, _ answer: @escaping ([UInt8], Bool) -> AdminAnswer
    ) {
        guard connections.count < Self.connectionCountMax else {
            refusedCount &+= 1
            return
        }
        let connection = AdminConnection(
            socket: socket, loop: loop, answer: answer,
            didClose: { [unowned self] in connections[ObjectIdentifier($0)] = nil })
        do throws(Errno) {
            try connection.start()
            connections[ObjectIdentifier(connection)] = connection
        } catch {
            logger.warning("cannot serve an admin connection", ["error": error.description])
        }
    }
}

/// A listening socket that hands connections to a closure.
private final class AdminListener: EventHandler {
    /// Connections accepted per wake-up.
    static let acceptsPerWakeUpMax = 16

    private let socket: FileDescriptor
    private let loop: EventLoop
    private let accepted: (consuming FileDescriptor) -> Void
    private var source: EventSource?

    init(
        socket: consuming FileDescriptor, loop: EventLoop,
        accepted: @escaping (consuming FileDescriptor) -> Void
    ) {
        self.socket = socket
        self.loop = loop
        self.accepted = accepted
    }

    func start() throws(Errno) {
        source = try loop.add(socket, .readable, handler: self)
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        for _ in 0..<Self.acceptsPerWakeUpMax {
            // Out of descriptors: the connection waits in the backlog until one is free.
            guard let connection = try? StreamSocket.accept(from: socket) else { return }
            accepted(connection.takeSocket())
        }
    }

    func close() {
        if let source { loop.remove(source, of: socket) }
        source = nil
    }
}
