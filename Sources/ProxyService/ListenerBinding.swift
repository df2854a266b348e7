// SPDX-License-Identifier: Apache-2.0
//
// Binding listeners before anything is started, with one plain sentence for each that fails.

internal import LinuxIO
internal import WireCore

/// The sockets of listeners, one for each worker.
struct ListenerBinding {
    /// For each worker, its socket of each listener.
    private(set) var sockets: [[ListenerSocket]]
    /// Where each listener is bound; differs from what was asked for port 0.
    private(set) var endpoints: [(name: String, endpoint: Endpoint)] = []

    /// Descriptor numbers that are still free for sockets, see `DescriptorPlan`.
    private var numbers: Range<CInt>

    /// Binds `listeners` once for each worker, or says what is wrong with any of them.
    init(
        _ listeners: [ListenerIdentity], workerCount: Int, numbers: Range<CInt> = 0..<0
    ) throws(DataPlaneError) {
        self.numbers = numbers
        sockets = Array(repeating: [], count: workerCount)
        var problems: [String] = []
        for listener in listeners {
            do throws(Errno) {
                try bind(listener, workerCount: workerCount)
            } catch {
                problems.append(Self.problem(listener, error))
            }
        }
        guard problems.isEmpty else { throw DataPlaneError(problems: problems) }
    }

    private mutating func bind(_ listener: ListenerIdentity, workerCount: Int) throws(Errno) {
        var options = StreamSocket.ListenOptions()
        // A virtual address is bound on the node that does not hold it, too.
        options.freeBind = true
        // Sharing the port would let a second process take a part of our connections silently;
        // a first bind without sharing fails when anybody listens there. The kernel never chooses
        // a port that is in use, so port 0 needs no such bind; it would be given up again.
        var endpoint = listener.bind
        if endpoint.port != 0 { _ = try StreamSocket.listen(on: endpoint, options: options) }
        options.reusePort = true
        for worker in 0..<workerCount {
            var socket = try StreamSocket.listen(on: endpoint, options: options)
            if worker == 0, let bound = try StreamSocket.localEndpoint(socket) { endpoint = bound }
            if let number = numbers.popFirst() { socket = try socket.moved(to: number) }
            sockets[worker].append(
                ListenerSocket(identity: listener, descriptor: socket))
        }
        endpoints.append((listener.name, endpoint))
    }

    private static func problem(_ listener: ListenerIdentity, _ error: Errno) -> String {
        let subject = "listener \(listener.name): cannot listen on \(listener.bind)"
        switch error {
        case .addressInUse:
            return "\(subject): another program, or another listener, uses this port"
        case .accessDenied, .notPermitted:
            return "\(subject): ports below 1024 need CAP_NET_BIND_SERVICE"
        default:
            return "\(subject): \(error)"
        }
    }
}
