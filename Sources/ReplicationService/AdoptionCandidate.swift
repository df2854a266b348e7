// SPDX-License-Identifier: Apache-2.0
//
// One connection that a campaign makes again, from its shadow to its socket.

import LinuxIO
import ReplicationCore
import WireCore

/// What the kernel said when it was to make a connection.
enum MakingOutcome {
    /// There it is.
    case made
    /// This host has a connection with these ends already.
    case exists
    /// It cannot be made.
    case refused

    /// Makes a connection into `socket`.
    static func make(
        _ key: ClientKey, _ transport: TransportState, into socket: inout FileDescriptor?
    ) -> MakingOutcome {
        do throws(Errno) {
            socket = try ConnectionRepair.recreate(
                local: key.localEndpoint, remote: key.remoteEndpoint, transport)
            return .made
        } catch .addressNotAvailable {
            return .exists
        } catch {
            return .refused
        }
    }
}

/// A connection that may go on.
final class AdoptionCandidate {
    let shadow: ConnectionShadow
    /// A worker of this node has, or had, a connection with the same ends from an earlier time.
    var isHeldHere: Bool
    var socket: FileDescriptor?
    private(set) var position: StreamPosition

    init(_ shadow: ConnectionShadow, at position: StreamPosition, isHeldHere: Bool) {
        self.shadow = shadow
        self.position = position
        self.isHeldHere = isHeldHere
    }

    var key: ClientKey { shadow.key }

    /// Makes the connection where it most likely stands.
    func make() -> MakingOutcome { make(at: position) }

    /// Makes it stand elsewhere, without a word about where it stood.
    func move(to position: StreamPosition) {
        guard position != self.position else { return }
        closeSilently()
        _ = make(at: position)
    }

    private func make(at position: StreamPosition) -> MakingOutcome {
        self.position = position
        return .make(
            key, shadow.transport(at: position, now: Clock.now()), into: &socket)
    }

    /// What its client is asked.
    func question(isFirst: Bool) -> TickleQuestion {
        let transport = shadow.transport(at: position, now: Clock.now())
        return isFirst
            ? TickleQuestion(first: transport, sent: shadow.deliveredSequence)
            : TickleQuestion(further: transport, sent: shadow.deliveredSequence)
    }

    func closeSilently() {
        if let socket = socket.take() { ConnectionRepair.closeSilently(socket) }
    }
}

extension ClientKey {
    var localEndpoint: Endpoint { Endpoint(address: localAddress, port: localPort) }
    var remoteEndpoint: Endpoint { Endpoint(address: remoteAddress, port: remotePort) }
}
