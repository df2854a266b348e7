// SPDX-License-Identifier: Apache-2.0
//
// A small HTTP/1.1 server to stand behind a balancer in tests and drills. Not for production.

public import EventLoop
internal import HTTPCore
public import LinuxIO
public import WireCore

/// What a test backend listens on and how it calls itself.
public struct TestBackendOptions: Hashable, Sendable {
    /// Where to listen; port 0 takes a free one.
    public var listen: [Endpoint]
    /// The name in the body of `GET /`.
    public var name: String
    /// While this file exists, `/healthz` fails.
    public var failFilePath: String?

    /// Makes options.
    public init(listen: [Endpoint], name: String = "backend", failFilePath: String? = nil) {
        self.listen = listen
        self.name = name
        self.failFilePath = failFilePath
    }
}

/// The server: `/`, `/healthz`, `/control/health/{ok|fail}`, `/bytes/N`, `/chunked/N`,
/// `/delay/MS`, `/status/CODE`, `/echo`.
public final class TestBackend {
    /// Connections served at once; further ones are reset.
    public static let connectionCountMax = 16_384
    /// Connections accepted per wake-up.
    static let acceptsPerWakeUpMax = 64

    let loop: EventLoop
    /// What every request is parsed with; one for all, as its slots are large.
    var requestHead = RequestHead()
    private let failFilePath: String?
    private(set) var state: BackendState
    private var listeners: [BackendListener] = []
    private var connections: [ObjectIdentifier: BackendConnection] = [:]

    /// Opens the listeners on `loop`.
    ///
    /// - Throws: what bind and listen report.
    public init(_ options: TestBackendOptions, on loop: EventLoop) throws(Errno) {
        self.loop = loop
        failFilePath = options.failFilePath
        state = BackendState(name: options.name)
        for endpoint in options.listen {
            let listener = BackendListener(
                socket: try StreamSocket.listen(on: endpoint), backend: self)
            try listener.start()
            listeners.append(listener)
        }
    }

    /// Where it listens, with the ports that were taken.
    public var endpoints: [Endpoint] {
        listeners.compactMap { $0.endpoint }
    }

    /// Connections that are open.
    public var connectionCount: Int { connections.count }

    /// Closes the listeners, and every connection with a FIN or, if `abruptly`, with a reset.
    public func stop(abruptly: Bool = false) {
        for listener in listeners { listener.close() }
        listeners = []
        for connection in Array(connections.values) { connection.close(abruptly: abruptly) }
    }

    func accept(_ socket: consuming FileDescriptor) {
        guard connections.count < Self.connectionCountMax else {
            StreamSocket.resetOnClose(socket)
            return
        }
        let connection = BackendConnection(socket: socket, backend: self)
        connections[ObjectIdentifier(connection)] = connection
        do throws(Errno) {
            try connection.start()
        } catch {
            connections[ObjectIdentifier(connection)] = nil
        }
    }

    func forget(_ connection: BackendConnection) {
        connections[ObjectIdentifier(connection)] = nil
    }

    func answer(path: [UInt8], head: [UInt8], body: [UInt8]) -> BackendResponse {
        var seen = state
        if let failFilePath, (try? FileSystem.permissions(path: failFilePath)) != nil {
            seen.isHealthy = false
        }
        let before = seen
        let response = BackendRoute.answer(
            path: path, requestHead: head, requestBody: body, state: &seen)
        if seen != before { state = seen }
        return response
    }
}

/// One listening socket of the backend.
private final class BackendListener: EventHandler {
    private let socket: FileDescriptor
    private unowned let backend: TestBackend
    private var source: EventSource?

    init(socket: consuming FileDescriptor, backend: TestBackend) {
        self.socket = socket
        self.backend = backend
    }

    var endpoint: Endpoint? {
        (try? StreamSocket.localEndpoint(socket)) ?? nil
    }

    func start() throws(Errno) {
        source = try backend.loop.add(socket, .readable, handler: self)
    }

    func close() {
        guard let source else { return }
        self.source = nil
        backend.loop.remove(source, of: socket)
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        for _ in 0..<TestBackend.acceptsPerWakeUpMax {
            do throws(Errno) {
                guard let connection = try StreamSocket.accept(from: socket) else { return }
                backend.accept(connection.takeSocket())
            } catch {
                // Out of descriptors or memory: wait for a connection to end.
                pauseAccepting()
                return
            }
        }
    }

    private func pauseAccepting() {
        close()
        backend.loop.schedule(after: .milliseconds(100)) { [weak self] in
            guard let self, source == nil else { return }
            try? start()
        }
    }
}
