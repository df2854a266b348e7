// SPDX-License-Identifier: Apache-2.0
//
// Tunnels that began at the other node: the client's connection and the backend's are joined here
// as if the backend had just answered 101, and count like any others.

internal import LinuxIO
internal import ReplicationCore
internal import WireCore

extension Worker {
    /// Goes on with a tunnel; false when nobody here serves it, and the client is reset.
    ///
    /// Limits of requests and connections do not end what is there already: they bind those who
    /// come next.
    mutating func resumeTunnel(
        _ client: ClientConnection.Pointer, _ adopted: AdoptedClient, _ tunnel: AdoptedTunnel
    ) -> Bool {
        guard let place = tunnelPlace(tunnel),
            clients.count &+ upstreams.count < setup.connectionMax,
            let socket = tunnel.takeDescriptor()
        else {
            reset(client)
            return false
        }
        let backend = place.pool.pointee.backends[place.index]
        backend.pointee.connectionBegins()
        guard let upstream = try? register(socket, backend) else {
            reset(client)
            return false
        }
        backend.pointee.requestBegins()
        client.pointee.pool = place.pool
        place.pool.pointee.useCount &+= 1
        client.pointee.backendIndex = place.index
        client.pointee.asksWebSocket = true
        client.pointee.headBegan = false
        join(client, upstream)
        upstream.pointee.tunnel.isMovable = true
        upstream.pointee.tunnel.settle(tunnel.transport)
        beginShadow(client, known: adopted.transport)
        if isShadowed(client) { tellBusy(client) }
        beginTunnel(client, upstream)
        return true
    }

    /// The pool and backend of a tunnel, when both are in force here.
    private func tunnelPlace(
        _ tunnel: AdoptedTunnel
    ) -> (pool: UnsafeMutablePointer<WorkerPool>, index: Int)? {
        guard let pool = pools.first(where: { $0.pointee.name == tunnel.pool }) else {
            return nil
        }
        for index in 0..<pool.pointee.backendCount
        where pool.pointee.backends[index].pointee.endpoint == tunnel.remote {
            return (pool, index)
        }
        return nil
    }
}
