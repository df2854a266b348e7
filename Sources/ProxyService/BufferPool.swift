// SPDX-License-Identifier: Apache-2.0
//
// The memory that bytes in transit live in. A connection holds a buffer only while it has bytes to
// keep, so that an idle connection costs its own record and nothing else.

/// A buffer that may be attached to a connection, and which part of it holds bytes.
///
/// `mark ..< start` are bytes of the current message that were dealt with but are kept in case the
/// message must be sent again; `start ..< end` are bytes to deal with. A plain value: the pool
/// owns the memory, whoever holds the value gives it back.
struct ByteBuffer {
    private(set) var base: UnsafeMutableRawPointer?
    private var capacityField: UInt32 = 0
    private var markField: UInt32 = 0
    private var startField: UInt32 = 0
    private var endField: UInt32 = 0

    /// No memory attached.
    init() {}

    fileprivate init(base: UnsafeMutableRawPointer, capacity: Int) {
        self.base = base
        capacityField = UInt32(truncatingIfNeeded: capacity)
    }

    var capacity: Int { Int(capacityField) }

    /// Where the current message begins.
    var mark: Int {
        get { Int(markField) }
        set { markField = UInt32(truncatingIfNeeded: newValue) }
    }

    /// Where the bytes to deal with begin.
    var start: Int {
        get { Int(startField) }
        set { startField = UInt32(truncatingIfNeeded: newValue) }
    }

    /// Where they end and free room begins.
    var end: Int {
        get { Int(endField) }
        set { endField = UInt32(truncatingIfNeeded: newValue) }
    }

    var isAttached: Bool { base != nil }
    var isLarge: Bool { capacity > BufferPool.smallByteCount }
    var unreadCount: Int { Int(endField &- startField) }
    var isEmpty: Bool { startField == endField }
    var room: Int { Int(capacityField &- endField) }

    /// The bytes to deal with.
    var unread: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base.map { UnsafeRawPointer($0 + start) }, count: unreadCount)
    }

    /// The current message, from its first byte to the last byte received.
    var message: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: base.map { UnsafeRawPointer($0 + mark) }, count: end &- mark)
    }

    /// Forgets bytes that were dealt with; needs none that are kept.
    mutating func rewindIfEmpty() {
        guard isEmpty else { return }
        markField = 0
        startField = 0
        endField = 0
    }

    /// Moves the current message to the beginning, so that all room is behind it.
    mutating func compact() {
        guard let base, mark > 0 else { return }
        base.copyMemory(from: base + mark, byteCount: end &- mark)
        startField &-= markField
        endField &-= markField
        markField = 0
    }

    /// Adds bytes for which there is room.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let base, let source = bytes.baseAddress else { return }
        precondition(bytes.count <= room, "append beyond the end of a buffer")
        (base + end).copyMemory(from: source, byteCount: bytes.count)
        end &+= bytes.count
    }
}

/// One worker's free buffers of two sizes, last returned first taken.
struct BufferPool: ~Copyable {
    /// Heads and small bodies.
    static let smallByteCount = 16 * 1_024
    /// Bodies that are still long: fewer system calls for each byte.
    static let largeByteCount = 256 * 1_024
    /// A body gets a large buffer when more than this is still to come.
    static let largeWorthByteCount: UInt64 = 64 * 1_024
    /// Free small buffers kept for the next taker (4 MiB).
    static let smallKeptMax = 256
    /// Free large buffers kept for the next taker (4 MiB).
    static let largeKeptMax = 16
    /// Buffers are this much longer than used, or the heads in all of them would compete for the
    /// same few sets of the processor's caches.
    private static let stagger = 448

    private let small: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private let large: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private var smallCount = 0
    private var largeCount = 0
    /// Bytes of the buffers attached to connections at present.
    private(set) var attachedByteCount = 0
    /// The most of them since memory was last given back to the system.
    private var peakByteCount = 0
    /// What they should stay below.
    private var limitByteCount = Int.max

    init() {
        small = .allocate(capacity: Self.smallKeptMax)
        large = .allocate(capacity: Self.largeKeptMax)
    }

    deinit {
        for index in 0..<smallCount { small[index].deallocate() }
        for index in 0..<largeCount { large[index].deallocate() }
        small.deallocate()
        large.deallocate()
    }

    // MARK: The limit

    /// Sets the share of one worker in `limits.buffer_memory`.
    mutating func setLimit(byteCount: Int) {
        limitByteCount = max(byteCount, 4 * Self.largeByteCount)
    }

    /// No request may begin any more; those in flight go on.
    @inline(__always)
    var isOverLimit: Bool { attachedByteCount >= limitByteCount }

    /// Half of the limit is used: bodies get small buffers, and none is kept for the next taker.
    @inline(__always)
    var isTight: Bool { attachedByteCount >= limitByteCount / 2 }

    /// Memory was short and no longer is: what was freed should go back to the system.
    @inline(__always)
    var isTrimDue: Bool {
        peakByteCount >= limitByteCount / 2 && attachedByteCount < limitByteCount / 8
    }

    /// Frees what is kept for the next taker.
    mutating func trim() {
        while smallCount > 0 {
            smallCount &-= 1
            small[smallCount].deallocate()
        }
        while largeCount > 0 {
            largeCount &-= 1
            large[largeCount].deallocate()
        }
        peakByteCount = attachedByteCount
    }

    @inline(__always)
    private mutating func attach(_ byteCount: Int) {
        attachedByteCount &+= byteCount
        if attachedByteCount > peakByteCount { peakByteCount = attachedByteCount }
    }

    // MARK: Taking and giving back

    /// Makes sure that `buffer`, which holds nothing, suits a body.
    @inline(__always)
    mutating func prepareForBody(_ buffer: inout ByteBuffer, isLong: Bool) {
        let wantsLarge = isLong && !isTight
        guard !buffer.isAttached || buffer.isLarge != wantsLarge else { return }
        // A large one that is at hand serves a short rest, too, unless memory is short.
        if buffer.isLarge, !isTight { return }
        giveBack(&buffer)
        buffer = wantsLarge ? takeLarge() : takeSmall()
    }

    /// A buffer for heads and small bodies.
    @inline(__always)
    mutating func takeSmall() -> ByteBuffer {
        attach(Self.smallByteCount)
        guard smallCount > 0 else {
            return ByteBuffer(
                base: .allocate(byteCount: Self.smallByteCount + Self.stagger, alignment: 16),
                capacity: Self.smallByteCount)
        }
        smallCount &-= 1
        return ByteBuffer(base: small[smallCount], capacity: Self.smallByteCount)
    }

    /// A buffer for long bodies and heads beyond the small size.
    mutating func takeLarge() -> ByteBuffer {
        attach(Self.largeByteCount)
        guard largeCount > 0 else {
            return ByteBuffer(
                base: .allocate(byteCount: Self.largeByteCount, alignment: 16),
                capacity: Self.largeByteCount)
        }
        largeCount &-= 1
        return ByteBuffer(base: large[largeCount], capacity: Self.largeByteCount)
    }

    /// Detaches the memory from `buffer`; bytes in it are lost.
    @inline(__always)
    mutating func giveBack(_ buffer: inout ByteBuffer) {
        guard let base = buffer.base else { return }
        attachedByteCount &-= buffer.capacity
        if buffer.isLarge {
            giveBackLarge(base)
        } else if smallCount < Self.smallKeptMax, !isTight {
            small[smallCount] = base
            smallCount &+= 1
        } else {
            base.deallocate()
        }
        buffer = ByteBuffer()
    }

    private mutating func giveBackLarge(_ base: UnsafeMutableRawPointer) {
        guard largeCount < Self.largeKeptMax, !isTight else {
            base.deallocate()
            return
        }
        large[largeCount] = base
        largeCount &+= 1
    }

    /// Replaces a small buffer by a large one with the same message in it.
    mutating func enlarge(_ buffer: inout ByteBuffer) {
        guard !buffer.isLarge else { return }
        var larger = takeLarge()
        larger.append(buffer.message)
        larger.start = buffer.start &- buffer.mark
        giveBack(&buffer)
        buffer = larger
    }
}
