// SPDX-License-Identifier: Apache-2.0
//
// The end of a turn for shadows: what was told leaves, then those who waited for that go on. A
// channel begins with a snapshot of all connections, in pieces, and ends when it does not take what
// is told: clients do not wait for the other node for long.

internal import ConfigurationCore
internal import EventLoop
internal import LinuxIO
internal import ReplicationCore
internal import Synchronization
internal import Telemetry
internal import WireCore

extension Worker {
    /// Rounds of telling and going on in one turn; each takes a request or an answer a step
    /// further, and the next request of a connection waits for the next turn.
    private static let shadowRoundsMax = 4

    /// Looks after the channel and those who wait for it; called while there is something to do.
    mutating func tendShadows() {
        if let due = shadows.newBeginning, now >= due { beginSnapshot() }
        continueSnapshot()
        releaseAcknowledged()
        // One frame costs as much as telling of fifty requests in it.
        shadows.isCollecting = shadows.mayCollect(now: now)
        guard !shadows.isCollecting else { return }
        var rounds = 0
        while rounds < Self.shadowRoundsMax, shadows.isDue(now: now) {
            guard commitShadows() else { break }
            rounds += 1
        }
        keepStanding()
        shadows.needsTending =
            shadows.isOpen || shadows.heldCount > 0 || !shadows.sentRequests.isEmpty
    }

    /// Lets requests go on that the other node knows of; when that takes too long, without it.
    private mutating func releaseAcknowledged() {
        if let since = shadows.sentRequests.since,
            now - since >= ShadowDesk.acknowledgementPatience
        {
            loseShadows(.congested)
        }
        let tokens = shadows.takeAcknowledgedRequests()
        guard !tokens.isEmpty else { return }
        // None of them may be repeated, and the process may have been stopped in this turn.
        now = Clock.now()
        heedLife()
        for token in tokens { release(token) }
    }

    /// Writes out what was told and lets those go on who waited for it; false when the channel has
    /// to take more first.
    @discardableResult
    mutating func commitShadows() -> Bool {
        shadows.noteCommit()
        if let writer = shadows.writer {
            switch writer.pointee.commit(now: now) {
            case .written:
                noteFrames(of: writer)
            case .waiting:
                noteFrames(of: writer)
                count { $0.shadows.waits.add() }
                let began = writer.pointee.waitBegan ?? now
                let isTooSlow =
                    writer.pointee.backlogByteCount > ShadowChannelWriter.backlogByteCountMax
                    || now - began >= ShadowDesk.patience
                guard isTooSlow else { return false }
                loseShadows(.congested)
            case .lost:
                loseShadows(.broken)
            }
        }
        releaseHeld()
        return true
    }

    private func noteFrames(of writer: ShadowChannelWriter.Pointer) {
        let sealed = writer.pointee.takeCounts()
        let waitBegan = writer.pointee.waitBegan
        count { $0.shadows.noteLag(of: sealed.recordCount, since: waitBegan) }
        guard sealed.frameCount > 0 else { return }
        count {
            $0.shadows.frames.add(sealed.frameCount)
            $0.shadows.records.add(sealed.recordCount)
            $0.shadows.bytes.add(sealed.byteCount)
        }
    }

    /// Lets those go on who waited; who has to wait again is in the lists afterwards.
    private mutating func releaseHeld() {
        let requestCount = shadows.heldRequests.count
        let answerCount = shadows.heldAnswers.count
        guard requestCount &+ answerCount > 0 else { return }
        count {
            $0.shadows.heldRequests.add(UInt64(truncatingIfNeeded: requestCount))
            $0.shadows.heldAnswers.add(UInt64(truncatingIfNeeded: answerCount))
        }
        shadows.noteReleased(answerCount: answerCount, now: now)
        shadows.noteRequestsWritten(now: now)
        // Answers first: their clients have waited longest.
        for index in 0..<answerCount { release(shadows.heldAnswers[index]) }
        shadows.heldAnswers.removeFirst(answerCount)
        // A kernel that acknowledges at once has done so.
        if requestCount > 0 { releaseAcknowledged() }
    }

    private mutating func release(_ rawValue: UInt64) {
        let token = EventToken(rawValue: rawValue)
        guard let client = clients.record(slot: token.slot, generation: token.generation) else {
            return
        }
        client.pointee.shadow.isHeld = false
        clientIsReady(client)
    }

    /// Says from time to time that nothing happened.
    private mutating func keepStanding() {
        guard let writer = shadows.writer,
            now - writer.pointee.lastSealed >= ShadowDesk.standingSpan,
            writer.pointee.isWritten
        else { return }
        _ = writer.pointee.seal(
            type: ShadowFrame.standingType, number: writer.pointee.recordCount, byteCount: 8)
        commitShadows()
    }

    // MARK: The channel

    /// Tells the other node on a new channel; one that is open ends.
    mutating func openShadowChannel(_ grant: ShadowChannelGrant) {
        loseShadows(.replaced)
        let writer = ShadowChannelWriter.Pointer.allocate(capacity: 1)
        guard let made = ShadowChannelWriter(grant, now: now) else {
            writer.deallocate()
            return
        }
        writer.initialize(to: made)
        do throws(Errno) {
            try epoll.add(
                writer.pointee.socket, [.readable, .writable, .peerClosed, .edgeTriggered],
                token: EventToken.shadowChannel.rawValue)
        } catch {
            StreamSocket.resetOnClose(writer.pointee.socket)
            writer.deinitialize(count: 1)
            writer.deallocate()
            setup.shadowChannelLost(setup.index)
            return
        }
        shadows.writer = writer
        shadows.isForbidden = false
        count { $0.shadows.channelsOpen.add() }
        beginSnapshot()
    }

    /// Something happened to the channel's connection: the other node never says anything.
    mutating func shadowChannelIsReady(_ events: EpollEvents) {
        let isOver: EpollEvents = [.readable, .peerClosed, .hungUp, .failed]
        guard shadows.isOpen, !events.isDisjoint(with: isOver) else { return }
        loseShadows(.broken)
    }

    /// Gives the channel up, if there is one.
    ///
    /// Who waits goes on at the end of the turn. A reset tells the other node that nothing it heard
    /// there may be believed any more.
    mutating func loseShadows(_ end: ShadowChannelEnd) {
        guard let writer = shadows.writer else { return }
        shadows.endLink()
        StreamSocket.resetOnClose(writer.pointee.socket)
        writer.deinitialize(count: 1)
        writer.deallocate()
        count {
            $0.shadows.open.reset()
            $0.shadows.channelsOpen.reset()
            $0.shadows.noteLag(of: 0, since: nil)
            $0.shadows.add(end)
        }
        guard end != .replaced else { return }
        setup.shadowChannelLost(setup.index)
        guard let suppressed = shadows.log.admit(now: now) else { return }
        setup.logger.warning(
            "the peer is not told about connections any more",
            [
                "worker": "\(setup.index)", "reason": "\(end.token)",
                "suppressed": "\(suppressed)",
            ])
    }

    // MARK: What listeners carry over

    /// Adopts what is told about the connections of each listener; a change tells everything anew.
    mutating func adoptShadowLevels(_ snapshot: DataPlaneSnapshot) {
        var hasChanged = false
        for slot in listeners.indices {
            guard let listener = listeners[slot],
                let plan = snapshot.listeners.first(where: {
                    $0.shared.identity == listener.pointee.identity
                })
            else { continue }
            let level = Self.shadowLevel(of: plan.configuration.service)
            guard level != listener.pointee.shadowLevel else { continue }
            hasChanged = true
            listener.pointee.shadowLevel = level
            if level != .reset, let socket = listener.pointee.socket {
                ConnectionRepair.delayAcknowledgements(socket.descriptor)
            }
        }
        if hasChanged { beginSnapshot() }
    }

    private static func shadowLevel(of service: ListenerService) -> ShadowLevel {
        guard case .http(let http) = service else { return .reset }
        return switch http.carryOver {
        case .off: .reset
        case .idle: .idle
        case .requests: .requests
        }
    }

    // MARK: The snapshot

    /// Tells of every connection from the beginning.
    mutating func beginSnapshot() {
        guard let writer = shadows.writer else { return }
        shadows.beginChannel()
        shadows.newBeginning = nil
        shadows.snapshotSlot = 0
        shadows.needsTending = true
        count {
            $0.shadows.open.reset()
            $0.shadows.snapshots.add()
        }
        let isSealed = writer.pointee.seal(
            type: ShadowFrame.snapshotBeganType, number: 0, byteCount: 0)
        if !isSealed { loseShadows(.congested) }
    }

    /// Tells of a few more connections.
    private mutating func continueSnapshot() {
        guard let first = shadows.snapshotSlot, let writer = shadows.writer,
            writer.pointee.waitBegan == nil
        else { return }
        let end = min(clients.slotEnd, first &+ ShadowDesk.slotsPerTurnMax)
        var captureCount = 0
        var slot = first
        while slot < end, captureCount < ShadowDesk.capturesPerTurnMax {
            defer { slot &+= 1 }
            guard let client = clients.record(slot: slot), !isShadowed(client),
                canBeShadowed(client)
            else { continue }
            guard SocketTransfer.unsentByteCount(client.pointee.socket) == 0 else {
                client.pointee.shadow.isOwed = true
                continue
            }
            captureCount &+= 1
            let isIdle = client.pointee.phase == .readingHead && client.pointee.input.isEmpty
            openShadow(client, isBusy: !isIdle)
            if client.pointee.phase == .tunnelling { noteTunnelRest(client) }
            guard shadows.isOpen else { return }
        }
        shadows.snapshotSlot = slot
        guard slot >= clients.slotEnd else { return }
        shadows.snapshotSlot = nil
        let openCount = UInt64(truncatingIfNeeded: shadows.openCount)
        let isSealed = writer.pointee.seal(
            type: ShadowFrame.snapshotEndedType, number: openCount, byteCount: 4)
        if !isSealed { loseShadows(.congested) }
    }

    /// Bytes of the connection are counted, and it may be between requests again.
    private func canBeShadowed(_ client: ClientConnection.Pointer) -> Bool {
        guard client.pointee.listener.pointee.shadowLevel != .reset,
            client.pointee.journalKey != nil
        else { return false }
        return switch client.pointee.phase {
        case .readingHead, .waiting, .pausing, .exchanging, .finishing, .discarding:
            !client.pointee.isStream
        case .tunnelling:
            isMovableTunnel(client)
        case .readingProxyHeader, .opening, .lingering, .moving:
            false
        }
    }
}
