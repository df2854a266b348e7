// SPDX-License-Identifier: Apache-2.0
//
// The receiving end of the table stream: what of it is in force here, what the peer has to be told
// about that, and what is missing. The tables themselves are the driver's.
//
//     unknown --snapshotBegan--> arriving --snapshotEnded--> whole
//        ^                          ^                          |
//        |                          +------ snapshotBegan -----+
//        +--- another incarnation, a gap --- any              (a break of the connection: as it is)

public import WireCore

/// Why items make no sense; the channel cannot go on.
public enum StateMirrorFault: Error, Hashable, Sendable {
    /// An item came without a snapshot before it.
    case noBase(got: UInt64)
    /// Items were left out.
    case gap(got: UInt64, wanted: UInt64)
    /// The snapshot ended twice.
    case notArriving
}

/// Takes the peer's items, each once and in order.
public struct StateMirror: Sendable {
    /// How old the peer's word may be that nothing is missing.
    public static let syncSpan = TimeSpan.seconds(2)

    /// What the driver does with the tables.
    public enum Effect: Hashable, Sendable {
        /// Nothing.
        case nothing
        /// The peer's snapshot begins.
        case snapshotBegan
        /// Apply the blob.
        case apply(StateBlob)
        /// The peer's snapshot is complete.
        case snapshotEnded
        /// The peer acknowledges what this node told.
        case acknowledged(StateAcknowledgement)
    }

    private enum Knowledge: Sendable {
        case unknown
        case arriving(Position)
        case whole(Position)
    }

    private struct Position: Sendable {
        let base: UInt64
        var applied: UInt64
        var entryCount: UInt64 = 0
    }

    private var incarnation: UInt64?
    private var isOpen = false
    private var token: UInt64?
    private var knowledge = Knowledge.unknown
    private var standing: StateStanding?
    /// When the newest standing came; it stays when the channel ends.
    public private(set) var standingAt: Instant?
    private var wholeAt: Instant?
    /// Snapshots of the peer that came to their end.
    public private(set) var snapshotCount: UInt64 = 0
    /// Items that came a second time.
    public private(set) var duplicateCount: UInt64 = 0

    /// Makes a mirror of a peer that was never heard.
    public init() {}

    // MARK: - The channel

    /// A channel of the peer's process `incarnation` begins.
    public mutating func channelBegan(incarnation: UInt64) {
        if incarnation != self.incarnation {
            self.incarnation = incarnation
            knowledge = .unknown
            standing = nil
            standingAt = nil
        }
        isOpen = true
        token = nil
        wholeAt = nil
    }

    /// The channel ended; what is known stays.
    public mutating func channelEnded() {
        isOpen = false
        token = nil
        wholeAt = nil
    }

    /// What is known of the stream counts no more: it was read so late that its ages are wrong.
    public mutating func forget() {
        knowledge = .unknown
        wholeAt = nil
    }

    /// Takes a message of the peer.
    ///
    /// - Returns: what to do with the tables.
    /// - Throws: why nothing of the stream is known any more; the channel must be closed.
    public mutating func receive(
        _ message: StateMessage, at now: Instant
    ) throws(StateMirrorFault) -> Effect {
        do throws(StateMirrorFault) {
            return try take(message, at: now)
        } catch {
            forget()
            throw error
        }
    }

    private mutating func take(
        _ message: StateMessage, at now: Instant
    ) throws(StateMirrorFault) -> Effect {
        switch message {
        case .opening(let token):
            self.token = token
            return .nothing
        case .snapshotBegan(let sequence):
            if let position, sequence <= position.applied { return duplicate() }
            knowledge = .arriving(Position(base: sequence, applied: sequence))
            wholeAt = nil
            return .snapshotBegan
        case .blob(let sequence, let blob):
            guard var position = try advanced(to: sequence) else { return duplicate() }
            position.entryCount &+= UInt64(max(blob.entryCount, 0))
            set(position)
            return .apply(blob)
        case .snapshotEnded(let sequence):
            guard let position = try advanced(to: sequence) else { return duplicate() }
            guard case .arriving = knowledge else { throw .notArriving }
            knowledge = .whole(position)
            snapshotCount += 1
            return .snapshotEnded
        case .standing(let standing):
            self.standing = standing
            standingAt = now
            if standing.isComplete, missingCount == 0 { wholeAt = now }
            return .nothing
        case .acknowledged(let acknowledgement):
            return .acknowledged(acknowledgement)
        }
    }

    /// Where the stream is after the item `sequence`; `nil` when it is known already.
    private func advanced(to sequence: UInt64) throws(StateMirrorFault) -> Position? {
        guard var position else { throw .noBase(got: sequence) }
        guard sequence > position.applied else { return nil }
        guard sequence - position.applied == 1 else {
            throw .gap(got: sequence, wanted: position.applied + 1)
        }
        position.applied = sequence
        return position
    }

    private mutating func duplicate() -> Effect {
        duplicateCount &+= 1
        return .nothing
    }

    private var position: Position? {
        switch knowledge {
        case .unknown: nil
        case .arriving(let position), .whole(let position): position
        }
    }

    private mutating func set(_ position: Position) {
        switch knowledge {
        case .unknown: preconditionFailure("items of an unknown stream")
        case .arriving: knowledge = .arriving(position)
        case .whole: knowledge = .whole(position)
        }
    }

    // MARK: - Where it stands

    /// What the peer has to hear on the stream of the other direction; `nil` while its connection
    /// has no name.
    public var acknowledgement: StateAcknowledgement? {
        token.map { StateAcknowledgement(token: $0, appliedSequence: position?.applied) }
    }

    /// A snapshot of the peer is in force here.
    public var isWhole: Bool {
        guard case .whole = knowledge else { return false }
        return true
    }

    /// Entries that the peer announced and this node lacks.
    ///
    /// `nil` when it cannot be told: the peer was never heard, or what is here builds on another
    /// snapshot than what the peer announced.
    public var missingCount: UInt64? {
        guard let standing, let position, standing.baseSequence == position.base else {
            return nil
        }
        // What waited then may have come since, but nobody said so yet.
        guard standing.newestSequence > position.applied else { return standing.waitingCount }
        let told = standing.toldCount &- position.entryCount
        return told.addingReportingOverflow(standing.waitingCount).partialValue
    }

    /// Whether the peer said within the last ``syncSpan``, on a channel that is still open, that
    /// nothing is missing here.
    public func isInSync(at now: Instant) -> Bool {
        guard isOpen, isWhole, let wholeAt else { return false }
        return now - wholeAt <= Self.syncSpan
    }
}
