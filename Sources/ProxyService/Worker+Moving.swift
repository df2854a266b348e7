// SPDX-License-Identifier: Apache-2.0
//
// Giving connections to the other node while both nodes live. A connection between two requests is
// made deaf, so that the client repeats to the other node whatever it sends from now on; then its
// exact place in both streams is told, with the bytes nobody has looked at; and when that is
// written, it ends here without a word. Until then it is in nobody's hands but the kernel's.
//
//     readingHead --deaf, drained, frozen, told--> moving --written--> closed silently
//          ^                |                         |
//          +---- not now ---+                         +--- channel lost --> reset

internal import EventLoop
internal import LinuxIO
internal import ReplicationCore
internal import Synchronization
internal import WireCore

extension Worker {
    /// Connections frozen at a time: what the slowest of them waits for the others.
    static let movesPerCommitMax = 64
    /// The shortest rest between two walks over all connections.
    static let moveRestMin = TimeSpan.milliseconds(2)
    /// The rest is this many times what a walk takes, up to a limit: on a busy machine most of that
    /// time may have been another program's.
    static let moveRestFactor: UInt64 = 4
    static let moveRestMax = TimeSpan.milliseconds(20)
    /// How long a frozen connection waits for the channel before it is reset.
    static let moveSpanMax = TimeSpan.seconds(1)
    /// What a time stamp is ahead, because the other node's clock of milliseconds may tick later
    /// (RFC 7323 §5.3 lets the client drop segments whose stamps go back).
    static let moveStampMarginMilliseconds = 2

    /// The other node has the addresses: connections may go.
    mutating func moveClients() {
        guard case .soon = parting?.moves else { return }
        parting?.moves = .now(slot: 0, rest: now)
    }

    /// True for a client that need not be told to come back: it will be moved.
    func staysForMove(_ client: ClientConnection.Pointer) -> Bool {
        guard let parting, !isDraining, !isSayingFarewell, isShadowed(client) else { return false }
        return switch parting.moves {
        case .never: false
        case .soon(let until): now < until
        case .now: true
        }
    }

    /// True while connections go to the other node.
    @inline(__always)
    var isMoving: Bool {
        guard case .now = parting?.moves else { return false }
        return true
    }

    /// How soon the worker has to turn again for those who are to leave.
    func moveTurnSpan(limit: TimeSpan) -> TimeSpan {
        if !frozen.isEmpty { return min(limit, Self.moveRestMin) }
        guard case .now(_, let rest) = parting?.moves else { return limit }
        return rest > now ? min(limit, rest - now) : .zero
    }

    /// Freezes a few more of those who idle, and tells of them.
    mutating func advanceMoves() {
        guard case .now(let first, let rest) = parting?.moves, now >= rest else { return }
        let began = Clock.now()
        var slot = first
        while slot < clients.slotEnd, frozen.count < Self.movesPerCommitMax {
            defer { slot &+= 1 }
            guard let client = clients.record(slot: slot) else { continue }
            if client.pointee.phase == .tunnelling {
                beginTunnelMove(client)
            } else {
                _ = beginMove(client)
            }
        }
        let isWhole = slot >= clients.slotEnd
        let effort = Clock.now() - began
        let pause = min(
            max(Self.moveRestMin, effort.multiplied(by: Self.moveRestFactor)), Self.moveRestMax)
        parting?.moves = .now(slot: isWhole ? 0 : slot, rest: isWhole ? now + pause : now)
    }

    /// Freezes a client between requests and tells the other node; false when it is not the moment.
    ///
    /// What it has sent is in `input` afterwards either way; the caller looks at it when the answer
    /// is false and it called for a reason of its own.
    mutating func beginMove(_ client: ClientConnection.Pointer) -> Bool {
        guard client.pointee.phase == .readingHead, mayMove(client),
            client.pointee.readiness.isDisjoint(with: [.peerEnded, .broken]),
            client.pointee.output.isEmpty,
            client.pointee.input.message.count <= ShadowRecord.contentByteCountMax,
            // Deaf, it would not hear the acknowledgement.
            SocketTransfer.unacknowledgedByteCount(client.pointee.socket) == 0
        else { return false }
        do throws(Errno) {
            try ConnectionRepair.deafen(client.pointee.socket)
            if drainInput(client),
                let state = try ConnectionRepair.freeze(client.pointee.socket)
            {
                noteFrozen(client, state)
                return true
            }
        } catch {
            count { $0.carry.unmovable.add() }
        }
        ConnectionRepair.undeafen(client.pointee.socket)
        enqueue(client)
        return false
    }

    /// Reads all that a deaf connection received; false when that is too much to tell, or the
    /// client is gone.
    private mutating func drainInput(_ client: ClientConnection.Pointer) -> Bool {
        while true {
            if !client.pointee.input.isAttached {
                guard !SocketTransfer.isQuiet(client.pointee.socket) else { return true }
                guard !buffers.isOverLimit else { return false }
                client.pointee.input = buffers.takeSmall()
            } else if client.pointee.input.room == 0 {
                client.pointee.input.compact()
                if client.pointee.input.room == 0 { return false }
            }
            let isFirst = client.pointee.input.isEmpty
            let progress = receive(
                into: &client.pointee.input, from: client.pointee.socket,
                &client.pointee.readiness)
            switch progress {
            case .bytes(let byteCount):
                if isFirst { noteFirstByte(client) }
                client.pointee.shadow.noteReceived(byteCount)
                client.pointee.listener.pointee.count {
                    $0.bytesReceived.add(UInt64(truncatingIfNeeded: byteCount))
                }
                guard client.pointee.input.message.count <= ShadowRecord.contentByteCountMax
                else { return false }
            case .nothing:
                if client.pointee.input.isEmpty { buffers.giveBack(&client.pointee.input) }
                return true
            case .ended, .failed:
                // Whoever reads next meets it again.
                client.pointee.readiness.insert([.readable, .peerEnded])
                return false
            }
        }
    }

    private mutating func noteFrozen(
        _ client: ClientConnection.Pointer, _ state: TransportState
    ) {
        var state = state
        state.advanceTimestamp(
            by: .zero, marginMilliseconds: Self.moveStampMarginMilliseconds)
        tellMoved(client, state, unread: client.pointee.input.message)
        client.pointee.phase = .moving
        awaitMove(client)
    }

    /// The client is gone as soon as that was written.
    mutating func awaitMove(_ client: ClientConnection.Pointer) {
        arm(client, after: Self.moveSpanMax)
        frozen.append(
            EventToken(
                .client, slot: clients.slot(of: client),
                generation: clients.generation(of: client)
            ).rawValue)
    }

    /// Ends a connection whose place the other node has been told; false when that is to come.
    private mutating func finishMove(_ client: ClientConnection.Pointer) -> Bool {
        switch shadowCommit(of: client) {
        case .written:
            count { $0.carry.moved.add() }
            // The socket is frozen, and the backend's of a tunnel: the kernel says nothing.
            abandon(client, byReset: false)
        case .waiting:
            return false
        case .lost:
            strand(client)
        }
        return true
    }

    /// Ends what is written, and resets whom the other node may not have heard of.
    mutating func endMoves() {
        let tokens = frozen
        frozen = []
        for rawValue in tokens {
            let token = EventToken(rawValue: rawValue)
            guard let client = clients.record(slot: token.slot, generation: token.generation)
            else { continue }
            if !finishMove(client) { frozen.append(rawValue) }
        }
    }

    /// The worker ends: what was written goes, and whom the other node may not have heard of is
    /// reset.
    mutating func settleMoves() {
        guard !frozen.isEmpty else { return }
        commitShadows()
        endMoves()
        for rawValue in frozen {
            let token = EventToken(rawValue: rawValue)
            guard let client = clients.record(slot: token.slot, generation: token.generation)
            else { continue }
            strand(client)
        }
        frozen = []
    }

    /// The other node may have it or not: only the client can tell, so it is told.
    mutating func strand(_ client: ClientConnection.Pointer) {
        count { $0.carry.stranded.add() }
        ConnectionRepair.thaw(client.pointee.socket)
        if let upstream = client.pointee.upstream {
            ConnectionRepair.thaw(upstream.pointee.socket)
        }
        abandon(client, byReset: true)
    }
}
