// SPDX-License-Identifier: Apache-2.0
//
// The trailer fields of one chunked body while they arrive, in memory of the caller: the decoder
// checks and stores them, the caller decides when they go on.

/// Where a decoder puts trailer fields (RFC 9112 §7.1.2).
///
/// A plain value: one per direction that wants trailers. It begins without memory, since most
/// bodies have no trailers; the decoder stops and sets `needsMemory` when the first one comes.
@safe
public struct TrailerSection {
    private enum State: UInt8 {
        case undecided
        case wanted
        case kept
        case dropped
    }

    private var start: UnsafeMutableRawPointer?
    private var capacity: UInt16 = 0
    private var count: UInt16 = 0
    private var state = State.undecided

    /// Room for every section that the decoder accepts.
    public static let byteCountMax = ChunkLimits.trailerByteCountMax

    /// A section whose fate is open until a trailer comes.
    public init() {
        unsafe start = nil
    }

    /// A section that nobody wants.
    static var unwanted: TrailerSection {
        var section = TrailerSection()
        section.drop()
        return section
    }

    /// True when a trailer has come: call `keep` or `drop`, then `next` again with the same rest.
    public var needsMemory: Bool { state == .wanted }

    /// How many bytes of field lines are there.
    public var byteCount: Int { Int(count) }

    /// Keeps the section in this memory, which must stay until it was written.
    ///
    /// More bytes than fit there, or than `byteCountMax`, are a fault of the sender.
    public mutating func keep(in memory: UnsafeMutableRawBufferPointer) {
        unsafe start = memory.baseAddress
        capacity = UInt16(min(memory.count, Self.byteCountMax))
        state = .kept
    }

    /// Lets the section go: its fields are checked and forgotten.
    public mutating func drop() {
        state = .dropped
    }

    /// The field lines, each with its CRLF; whole only when the body is complete.
    public var fieldLines: UnsafeRawBufferPointer {
        guard let start = unsafe start else {
            return unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        }
        return unsafe UnsafeRawBufferPointer(start: start, count: Int(count))
    }

    /// Notes that the first trailer is there; true when the decoder has to wait for a decision.
    mutating func awaitsDecision() -> Bool {
        if state == .undecided { state = .wanted }
        return state == .wanted
    }

    /// Takes checked bytes; false when they do not fit.
    mutating func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard state == .kept else { return true }
        guard bytes.count <= Int(capacity) - Int(count) else { return false }
        guard let start = unsafe start, let source = bytes.baseAddress else { return true }
        unsafe (start + Int(count)).copyMemory(from: source, byteCount: bytes.count)
        count += UInt16(bytes.count)
        return true
    }
}
