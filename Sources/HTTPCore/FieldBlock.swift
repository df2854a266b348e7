// SPDX-License-Identifier: Apache-2.0
//
// The field section of one head: scanned once into slots that this type owns and reuses. It knows
// names, lines and where values lie; what a field means is for the request and response heads.

/// One field line: where its name and value lie, and which name it is.
struct FieldSlot {
    /// Where the line, and so the name, begins.
    var lineOffset: UInt32
    /// Where the value begins, leading whitespace skipped.
    var valueOffset: UInt32
    /// Bytes of the value, trailing whitespace not counted.
    var valueByteCount: UInt32
    /// Bytes of the name; bounded by `HeadLimits.fieldNameByteCountMax`.
    var nameByteCount: UInt16
    /// The name, when it is one we act on.
    var field: KnownField
    /// True when a `Connection` option names this field, so that it ends here.
    var isConnectionSpecific: Bool

    @inline(__always)
    var value: ByteRange { ByteRange(offset: Int(valueOffset), count: Int(valueByteCount)) }

    @inline(__always)
    var name: ByteRange { ByteRange(offset: Int(lineOffset), count: Int(nameByteCount)) }
}

/// The slots of one field section and an index of the known names in it.
@safe
struct FieldBlock: ~Copyable {
    /// Initialised up to `count`.
    let slots: UnsafeMutablePointer<FieldSlot>
    /// For each `KnownField` in `seen`: the index of its first slot.
    private let firstIndexes: UnsafeMutablePointer<UInt16>
    /// `CharacterClass` bits of every byte value.
    let classes: UnsafePointer<UInt8>
    private let slotCapacity: Int

    /// Field lines of the section scanned last.
    private(set) var count = 0
    /// The known names that occur.
    private(set) var seen = KnownFieldSet(bits: 0)
    /// The known names that occur more than once.
    private(set) var repeated = KnownFieldSet(bits: 0)
    /// The offset of the empty line that ends the section.
    private(set) var sectionEnd = 0

    init(slotCapacity: Int) {
        self.slotCapacity = slotCapacity
        unsafe slots = UnsafeMutablePointer.allocate(capacity: slotCapacity)
        unsafe firstIndexes = UnsafeMutablePointer.allocate(capacity: 64)
        unsafe firstIndexes.initialize(repeating: 0, count: 64)
        let table = UnsafeMutablePointer<UInt8>.allocate(capacity: 256)
        unsafe CharacterClass.fill(table)
        unsafe classes = UnsafePointer(table)
    }

    deinit {
        unsafe slots.deallocate()
        unsafe firstIndexes.deallocate()
        unsafe classes.deallocate()
    }

    /// The first slot with a known name.
    @inline(__always)
    func firstSlot(_ field: KnownField) -> FieldSlot? {
        guard seen.contains(field) else { return nil }
        return unsafe slots[Int(firstIndexes[Int(field.rawValue)])]
    }

    /// The slot at an index below `count`.
    @inline(__always)
    func slot(_ index: Int) -> FieldSlot {
        assert(index >= 0 && index < count)
        return unsafe slots[index]
    }

    /// Where the line at `index` ends, its CRLF included; lines lie back to back.
    @inline(__always)
    func lineEnd(_ index: Int) -> Int {
        index &+ 1 < count ? unsafe Int(slots[index &+ 1].lineOffset) : sectionEnd
    }

    /// Notes that a `Connection` option names this field.
    func markConnectionSpecific(_ index: Int) {
        assert(index >= 0 && index < count)
        unsafe slots[index].isConnectionSpecific = true
    }

    /// Scans field lines up to and with the empty line; returns the offset after that line.
    ///
    /// `nameSet` is the class of bytes that names may have.
    @inline(__always)
    mutating func scan(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int, nameSet: UInt8
    ) throws(HeadStop) -> Int {
        var at = start
        var index = 0
        var seenBits: UInt64 = 0
        var repeatedBits: UInt64 = 0
        while true {
            guard at < end else { throw .needMore }
            if unsafe base[at] == ASCII.carriageReturn { break }
            let colon = unsafe ByteScanner.colon(base, from: at, to: end)
            let field = unsafe try scanName(
                base, line: at, colon: colon, to: end, nameSet: nameSet, isFirst: index == 0)
            guard index < slotCapacity else { throw .fault(.tooManyFields) }
            if field != .other {
                let bit = field.bit
                if seenBits & bit == 0 {
                    unsafe firstIndexes[Int(field.rawValue)] = UInt16(truncatingIfNeeded: index)
                }
                repeatedBits |= seenBits & bit
                seenBits |= bit
            }
            var valueStart = colon &+ 1
            while valueStart < end, unsafe ASCII.isBlank(base[valueStart]) { valueStart &+= 1 }
            let lineEnd = unsafe ByteScanner.valueEnd(base, from: valueStart, to: end)
            guard lineEnd &+ 1 < end else { throw unsafe cutOffStop(base, at: lineEnd, to: end) }
            guard unsafe base[lineEnd] == ASCII.carriageReturn,
                unsafe base[lineEnd &+ 1] == ASCII.lineFeed
            else { throw unsafe lineStop(base, at: lineEnd) }
            var valueEnd = lineEnd
            while valueEnd > valueStart, unsafe ASCII.isBlank(base[valueEnd &- 1]) {
                valueEnd &-= 1
            }
            unsafe (slots + index).initialize(
                to: FieldSlot(
                    lineOffset: UInt32(truncatingIfNeeded: at),
                    valueOffset: UInt32(truncatingIfNeeded: valueStart),
                    valueByteCount: UInt32(truncatingIfNeeded: valueEnd &- valueStart),
                    nameByteCount: UInt16(truncatingIfNeeded: colon &- at),
                    field: field, isConnectionSpecific: false))
            at = lineEnd &+ 2
            index &+= 1
        }
        guard at &+ 1 < end else { throw .needMore }
        guard unsafe base[at &+ 1] == ASCII.lineFeed else { throw .fault(.bareCarriageReturn) }
        count = index
        seen = KnownFieldSet(bits: seenBits)
        repeated = KnownFieldSet(bits: repeatedBits)
        sectionEnd = at
        return at &+ 2
    }

    /// Recognises the name before `colon`, or says why there is none.
    ///
    /// A known name is valid because it equals one; every other is checked byte by byte.
    @inline(__always)
    private func scanName(
        _ base: UnsafePointer<UInt8>, line: Int, colon: Int, to end: Int, nameSet: UInt8,
        isFirst: Bool
    ) throws(HeadStop) -> KnownField {
        let count = colon &- line
        if colon < end {
            let field = unsafe KnownField.recognise(base + line, count: count)
            if field != .other { return field }
        }
        let nameEnd = unsafe ByteScanner.tokenEnd(
            base, from: line, to: colon, classes: classes, set: nameSet)
        guard nameEnd == colon, nameEnd > line else {
            throw unsafe Self.nameStop(base, line: line, stop: nameEnd, isFirst: isFirst)
        }
        guard count <= HeadLimits.fieldNameByteCountMax else { throw .fault(.fieldNameTooLong) }
        guard colon < end else { throw .needMore }
        return .other
    }

    /// The offset after the CRLF at `at`, where a start line stopped at a control byte.
    func lineFeed(
        _ base: UnsafePointer<UInt8>, at: Int, to end: Int
    ) throws(HeadStop) -> Int {
        guard at &+ 1 < end else { throw unsafe cutOffStop(base, at: at, to: end) }
        guard unsafe base[at] == ASCII.carriageReturn, unsafe base[at &+ 1] == ASCII.lineFeed
        else { throw unsafe lineStop(base, at: at) }
        return at &+ 2
    }

    /// Why no CRLF follows at `at`, where the input may end before one could.
    private func cutOffStop(_ base: UnsafePointer<UInt8>, at: Int, to end: Int) -> HeadStop {
        guard at < end, unsafe base[at] != ASCII.carriageReturn else { return .needMore }
        return unsafe lineStop(base, at: at)
    }

    /// Why the bytes at `at` are no CRLF (RFC 9112 §2.2, RFC 9110 §5.5).
    private func lineStop(_ base: UnsafePointer<UInt8>, at: Int) -> HeadStop {
        switch unsafe base[at] {
        case ASCII.carriageReturn: .fault(.bareCarriageReturn)
        case ASCII.lineFeed: .fault(.bareLineFeed)
        default: .fault(.invalidFieldValue)
        }
    }

    /// Why a line's name did not end in a colon.
    private static func nameStop(
        _ base: UnsafePointer<UInt8>, line: Int, stop: Int, isFirst: Bool
    ) -> HeadStop {
        switch unsafe base[stop] {
        case ASCII.space, ASCII.tab:
            // RFC 9112 §2.2 before the first field, §5.2 behind one, §5.1 within a line.
            if stop == line { return .fault(isFirst ? .leadingWhitespace : .obsoleteFolding) }
            return .fault(.spaceBeforeColon)
        case ASCII.lineFeed:
            return .fault(.bareLineFeed)
        case ASCII.underscore:
            return .fault(.underscoreInFieldName)
        default:
            return .fault(.invalidFieldName)
        }
    }
}
