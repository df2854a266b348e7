// SPDX-License-Identifier: Apache-2.0
//
// The sending end of a worker's shadow channel: records are written where they are sealed, and what
// a turn has to tell leaves in one send. What the socket does not take waits, up to a bound.

internal import LinuxIO
internal import ReplicationCore
internal import WireCore

/// How far a commit came.
enum ShadowCommit {
    /// Everything that was told is with the kernel, which delivers it even when this process dies.
    case written
    /// The socket has to take more first.
    case waiting
    /// There is no channel, or it broke.
    case lost
}

/// What was sealed in some time.
struct SealedCounts {
    var frameCount: UInt64 = 0
    var recordCount: UInt64 = 0
    var byteCount: UInt64 = 0
}

/// Seals and sends the records of one channel.
struct ShadowChannelWriter: ~Copyable {
    typealias Pointer = UnsafeMutablePointer<ShadowChannelWriter>

    /// Bytes that may wait for the socket at the end of a turn; more end the channel.
    static let backlogByteCountMax = 256 * 1_024
    /// Payload of one frame.
    static let payloadByteCountMax = 60 * 1_024
    /// Sealed and unsealed bytes together.
    private static let byteCount =
        backlogByteCountMax + 4
        * (payloadByteCountMax + ShadowFrameSealer.prefixByteCount
            + ShadowFrameSealer.suffixByteCount)

    let socket: FileDescriptor
    private let base: UnsafeMutableRawPointer
    private var sealer: ShadowFrameSealer
    /// The first byte that the socket did not take yet.
    private var start = 0
    /// Where sealed frames end, and the frame begins that is being written.
    private var sealed = 0
    /// Where its records end; `sealed` when there are none.
    private var end = 0
    /// Records written on this channel.
    private(set) var recordCount: UInt64 = 0
    /// What was sealed since somebody asked.
    private var counts = SealedCounts()
    /// Bytes the socket has taken on this channel; wraps around.
    private(set) var sentByteCount: UInt64 = 0
    /// When something was sealed last.
    private(set) var lastSealed: Instant
    /// Since when bytes wait for the socket; `nil` when none do.
    private(set) var waitBegan: Instant?

    /// Goes on where the thread that opened the channel stopped; `nil` when somebody took it.
    init?(_ grant: ShadowChannelGrant, now: Instant) {
        guard let socket = grant.takeDescriptor() else { return nil }
        self.socket = socket
        sealer = ShadowFrameSealer(grant)
        lastSealed = now
        base = .allocate(byteCount: Self.byteCount, alignment: 16)
    }

    deinit {
        base.deallocate()
    }

    /// Records were written that nobody has been sent.
    @inline(__always)
    var hasRecords: Bool { end > sealed }

    /// Everything that was written is with the kernel.
    var isWritten: Bool { !hasRecords && start == sealed }

    /// Sealed bytes that the socket has not taken.
    @inline(__always)
    var backlogByteCount: Int { sealed &- start }

    /// Bytes the other node's kernel has, as far as this one knows.
    var acknowledgedByteCount: UInt64 {
        let waiting = SocketTransfer.unacknowledgedByteCount(socket)
        return sentByteCount &- UInt64(truncatingIfNeeded: waiting)
    }

    // MARK: Writing

    /// Room for a record of so many bytes behind the last one; `nil` when the buffer is full.
    private mutating func room(_ byteCount: Int) -> UnsafeMutableRawPointer? {
        let limit = sealed &+ ShadowFrameSealer.prefixByteCount &+ Self.payloadByteCountMax
        if end > sealed, end &+ byteCount > limit { sealRecords() }
        let place = end > sealed ? end : sealed &+ ShadowFrameSealer.prefixByteCount
        guard place &+ byteCount &+ ShadowFrameSealer.suffixByteCount <= Self.byteCount else {
            return nil
        }
        end = place &+ byteCount
        recordCount &+= 1
        counts.recordCount &+= 1
        return base + place
    }

    /// Writes a record without a body; false when there is no room.
    mutating func write(_ kind: ShadowRecord.Kind, _ id: UInt32) -> Bool {
        guard let place = room(ShadowRecord.headerByteCount) else { return false }
        Self.writeHeader(kind, bodyByteCount: 0, id, at: place)
        return true
    }

    /// Writes the end of an answer; false when there is no room.
    mutating func writeAnswered(
        _ id: UInt32, receiveSequence: UInt32, sendSequence: UInt32
    ) -> Bool {
        guard let place = room(ShadowRecord.headerByteCount &+ 8) else { return false }
        Self.writeHeader(.answered, bodyByteCount: 8, id, at: place)
        let body = place + ShadowRecord.headerByteCount
        body.storeBytes(of: receiveSequence.bigEndian, as: UInt32.self)
        (body + 4).storeBytes(of: sendSequence.bigEndian, as: UInt32.self)
        return true
    }

    /// Writes a record of four numbers; false when there is no room.
    mutating func writeNumbers(
        _ kind: ShadowRecord.Kind, _ id: UInt32, _ first: UInt32, _ second: UInt32,
        _ third: UInt32, _ fourth: UInt32
    ) -> Bool {
        guard let place = room(ShadowRecord.headerByteCount &+ 16) else { return false }
        Self.writeHeader(kind, bodyByteCount: 16, id, at: place)
        let body = place + ShadowRecord.headerByteCount
        body.storeBytes(of: first.bigEndian, as: UInt32.self)
        (body + 4).storeBytes(of: second.bigEndian, as: UInt32.self)
        (body + 8).storeBytes(of: third.bigEndian, as: UInt32.self)
        (body + 12).storeBytes(of: fourth.bigEndian, as: UInt32.self)
        return true
    }

    /// Writes the head of a request; false when there is no room.
    mutating func writeAsked(
        _ id: UInt32, receiveSequence: UInt32, head: UnsafeRawBufferPointer
    ) -> Bool {
        let bodyByteCount = 4 &+ head.count
        guard let place = room(ShadowRecord.headerByteCount &+ bodyByteCount) else { return false }
        Self.writeHeader(.asked, bodyByteCount: bodyByteCount, id, at: place)
        let body = place + ShadowRecord.headerByteCount
        body.storeBytes(of: receiveSequence.bigEndian, as: UInt32.self)
        if let source = head.baseAddress {
            (body + 4).copyMemory(from: source, byteCount: head.count)
        }
        return true
    }

    /// Writes a record that comes once in the life of a connection; false when there is no room.
    ///
    /// With `thenBusy` the same frame says that it is busy: one without the other would be taken
    /// for an idle connection.
    mutating func write(_ record: ShadowRecord, of id: UInt32, thenBusy: Bool = false) -> Bool {
        var bytes: [UInt8] = []
        bytes.append(record, of: id)
        if thenBusy { bytes.append(.busy, of: id) }
        guard let place = room(bytes.count) else { return false }
        bytes.withUnsafeBytes { source in
            guard let source = source.baseAddress else { return }
            place.copyMemory(from: source, byteCount: bytes.count)
        }
        return true
    }

    @inline(__always)
    private static func writeHeader(
        _ kind: ShadowRecord.Kind, bodyByteCount: Int, _ id: UInt32,
        at place: UnsafeMutableRawPointer
    ) {
        place.storeBytes(of: kind.rawValue, as: UInt8.self)
        let length = UInt16(truncatingIfNeeded: 4 &+ bodyByteCount)
        (place + 1).storeBytes(of: length.bigEndian, as: UInt16.self)
        (place + 3).storeBytes(of: id.bigEndian, as: UInt32.self)
    }

    /// Seals the records written so far and a frame of another type behind them; false when there
    /// is no room.
    mutating func seal(type: UInt8, number: UInt64, byteCount: Int) -> Bool {
        if hasRecords { sealRecords() }
        let wanted =
            ShadowFrameSealer.prefixByteCount &+ byteCount &+ ShadowFrameSealer.suffixByteCount
        guard sealed &+ wanted <= Self.byteCount else { return false }
        let body = base + sealed + ShadowFrameSealer.prefixByteCount
        for index in 0..<byteCount {
            let shift = UInt64(8 &* (byteCount &- 1 &- index))
            let byte = UInt8(truncatingIfNeeded: number &>> shift)
            (body + index).storeBytes(of: byte, as: UInt8.self)
        }
        seal(byteCount, type: type)
        return true
    }

    private mutating func sealRecords() {
        seal(
            end &- sealed &- ShadowFrameSealer.prefixByteCount,
            type: ShadowFrame.recordsType)
    }

    private mutating func seal(_ payloadByteCount: Int, type: UInt8) {
        let byteCount = sealer.seal(
            at: base + sealed, payloadByteCount: payloadByteCount, type: type)
        sealed &+= byteCount
        end = sealed
        counts.frameCount &+= 1
        counts.byteCount &+= UInt64(truncatingIfNeeded: byteCount)
    }

    /// What was sealed since the last call.
    mutating func takeCounts() -> SealedCounts {
        defer { counts = SealedCounts() }
        return counts
    }

    // MARK: Sending

    /// Seals what was written and gives the socket all that waits.
    mutating func commit(now: Instant) -> ShadowCommit {
        if hasRecords { sealRecords() }
        lastSealed = now
        guard start < sealed else { return .written }
        let outcome = SocketTransfer.send(socket, base + start, count: sealed &- start)
        guard outcome.byteCount > 0 || outcome.wouldBlock else { return .lost }
        start &+= max(0, outcome.byteCount)
        sentByteCount &+= UInt64(truncatingIfNeeded: max(0, outcome.byteCount))
        guard start < sealed else {
            start = 0
            sealed = 0
            end = 0
            waitBegan = nil
            return .written
        }
        if waitBegan == nil { waitBegan = now }
        base.copyMemory(from: base + start, byteCount: sealed &- start)
        sealed &-= start
        end = sealed
        start = 0
        return .waiting
    }
}
