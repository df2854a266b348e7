// SPDX-License-Identifier: Apache-2.0
//
// Giving tunnels to the other node while both nodes live: both connections are made deaf and frozen
// while no byte is on its way in either direction, and told as one. A side that is not ready lets
// the other go on.

internal import LinuxIO
internal import ReplicationCore
internal import WireCore

extension Worker {
    /// Freezes both connections of a tunnel and tells the other node, unless it is not the moment.
    mutating func beginTunnelMove(_ client: ClientConnection.Pointer) {
        guard let upstream = client.pointee.upstream, mayMove(client, upstream) else { return }
        do throws(Errno) {
            try ConnectionRepair.deafen(client.pointee.socket)
            try ConnectionRepair.deafen(upstream.pointee.socket)
            if try freezeTunnel(client, upstream) { return }
        } catch {
            count { $0.carry.unmovable.add() }
        }
        ConnectionRepair.undeafen(client.pointee.socket)
        ConnectionRepair.undeafen(upstream.pointee.socket)
        // What came before they were deaf passes now.
        client.pointee.readiness.insert(.readable)
        upstream.pointee.readiness.insert(.readable)
        enqueue(client)
    }

    /// The other node knows the tunnel, and nothing is in this worker's or the kernel's hands.
    private func mayMove(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) -> Bool {
        let isOver: Readiness = [.peerEnded, .broken]
        return mayMove(client) && upstream.pointee.tunnel.channel == shadows.channel
            && isAtRest(client, upstream) && client.pointee.readiness.isDisjoint(with: isOver)
            && upstream.pointee.readiness.isDisjoint(with: isOver)
            && SocketTransfer.unacknowledgedByteCount(client.pointee.socket) == 0
            && SocketTransfer.unacknowledgedByteCount(upstream.pointee.socket) == 0
    }

    /// Freezes both sockets, which are deaf; false when one of them holds bytes, and then neither
    /// is frozen.
    private mutating func freezeTunnel(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) throws(Errno) -> Bool {
        guard let clientState = try ConnectionRepair.freeze(client.pointee.socket) else {
            return false
        }
        do throws(Errno) {
            guard let backendState = try ConnectionRepair.freeze(upstream.pointee.socket) else {
                ConnectionRepair.thaw(client.pointee.socket)
                return false
            }
            noteFrozen(client, clientState, backendState)
            return true
        } catch {
            ConnectionRepair.thaw(client.pointee.socket)
            throw error
        }
    }

    private mutating func noteFrozen(
        _ client: ClientConnection.Pointer, _ clientState: TransportState,
        _ backendState: TransportState
    ) {
        var (near, far) = (clientState, backendState)
        let margin = Self.moveStampMarginMilliseconds
        near.advanceTimestamp(by: .zero, marginMilliseconds: margin)
        far.advanceTimestamp(by: .zero, marginMilliseconds: margin)
        let id = shadowIdentifier(of: client)
        client.pointee.shadow.movedLink = shadows.link
        forgetShadow(client)
        client.pointee.tunnel.insert(.isMoving)
        let record = ShadowRecord.movedTunnel(client: near, backend: far)
        tell { $0.write(record, of: id) }
        awaitMove(client)
    }
}
