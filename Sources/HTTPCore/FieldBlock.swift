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
    /// `allowsUnderscore` is for responses: only servers behind us read names the CGI way.
    @inline(__always)
    mutating func scan(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int, allowsUnderscore: Bool
    ) throws(HeadStop) -> Int {
        var at = start
        var index = 0
        var seenBits: UInt64 = 0
        var repeatedBits: UInt64 = 0
        while true {
            guard at < end else { throw .needMore }
            if unsafe base[at] == ASCII.carriageReturn { break }
            let nameEnd = unsafe ByteScanner.tokenEnd(base, from: at, to: end, classes: classes)
            guard nameEnd < end else {
                throw nameEnd &- at > HeadLimits.fieldNameByteCountMax
                    ? .fault(.fieldNameTooLong) : .needMore
            }
            guard unsafe base[nameEnd] == ASCII.colon, nameEnd != at else {
                throw unsafe Self.nameStop(base, line: at, stop: nameEnd, isFirst: index == 0)
            }
            let slot = unsafe try scanLine(
                base, line: at, nameEnd: nameEnd, to: end, allowsUnderscore: allowsUnderscore)
            guard index < slotCapacity else { throw .fault(.tooManyFields) }
            unsafe (slots + index).initialize(to: slot.slot)
            let bit = slot.slot.field.bit
            if seenBits & bit == 0 {
                unsafe firstIndexes[Int(slot.slot.field.rawValue)] = UInt16(
                    truncatingIfNeeded: index)
            }
            repeatedBits |= seenBits & bit
            seenBits |= bit
            index &+= 1
            at = slot.end
        }
        guard at &+ 1 < end else { throw .needMore }
        guard unsafe base[at &+ 1] == ASCII.lineFeed else { throw .fault(.bareCarriageReturn) }
        count = index
        seen = KnownFieldSet(bits: seenBits & ~KnownField.other.bit)
        repeated = KnownFieldSet(bits: repeatedBits & ~KnownField.other.bit)
        sectionEnd = at
        return at &+ 2
    }

    /// Scans one line behind its name; returns its slot and the offset of the next line.
    @inline(__always)
    private func scanLine(
        _ base: UnsafePointer<UInt8>, line: Int, nameEnd: Int, to end: Int, allowsUnderscore: Bool
    ) throws(HeadStop) -> (slot: FieldSlot, end: Int) {
        let nameByteCount = nameEnd &- line
        guard nameByteCount <= HeadLimits.fieldNameByteCountMax else {
            throw .fault(.fieldNameTooLong)
        }
        let field = unsafe KnownField.recognise(base + line, count: nameByteCount)
        if field == .other, !allowsUnderscore,
            unsafe Self.containsUnderscore(base + line, count: nameByteCount)
        {
            throw .fault(.underscoreInFieldName)
        }
        var valueStart = nameEnd &+ 1
        while valueStart < end, unsafe ASCII.isBlank(base[valueStart]) { valueStart &+= 1 }
        let lineEnd = unsafe ByteScanner.valueEnd(base, from: valueStart, to: end)
        guard lineEnd < end else { throw .needMore }
        let next = unsafe try lineFeed(base, at: lineEnd, to: end)
        // RFC 9112 §5.2: a line that starts with whitespace continues the one before.
        if next < end, unsafe ASCII.isBlank(base[next]) { throw .fault(.obsoleteFolding) }
        var valueEnd = lineEnd
        while valueEnd > valueStart, unsafe ASCII.isBlank(base[valueEnd &- 1]) { valueEnd &-= 1 }
        let slot = FieldSlot(
            lineOffset: UInt32(truncatingIfNeeded: line),
            valueOffset: UInt32(truncatingIfNeeded: valueStart),
            valueByteCount: UInt32(truncatingIfNeeded: valueEnd &- valueStart),
            nameByteCount: UInt16(truncatingIfNeeded: nameByteCount),
            field: field, isConnectionSpecific: false)
        return (slot, next)
    }

    /// The offset after the CRLF at `at`, where a value or start line stopped at a control byte.
    @inline(__always)
    func lineFeed(
        _ base: UnsafePointer<UInt8>, at: Int, to end: Int
    ) throws(HeadStop) -> Int {
        guard unsafe base[at] == ASCII.carriageReturn else {
            // RFC 9112 §2.2 and RFC 9110 §5.5.
            throw .fault(
                unsafe base[at] == ASCII.lineFeed ? .bareLineFeed : .invalidFieldValue)
        }
        guard at &+ 1 < end else { throw .needMore }
        guard unsafe base[at &+ 1] == ASCII.lineFeed else { throw .fault(.bareCarriageReturn) }
        return at &+ 2
    }

    /// Why a line's name did not end in a colon.
    private static func nameStop(
        _ base: UnsafePointer<UInt8>, line: Int, stop: Int, isFirst: Bool
    ) -> HeadStop {
        switch unsafe base[stop] {
        case ASCII.space, ASCII.tab:
            if stop == line { return .fault(isFirst ? .leadingWhitespace : .obsoleteFolding) }
            return .fault(.spaceBeforeColon)
        case ASCII.lineFeed:
            return .fault(.bareLineFeed)
        default:
            return .fault(.invalidFieldName)
        }
    }

    @inline(__always)
    private static func containsUnderscore(_ name: UnsafePointer<UInt8>, count: Int) -> Bool {
        var offset = 0
        while count &- offset >= 8 {
            let word = unsafe ByteScanner.word(name + offset) ^ (ByteScanner.lows &* 0x5F)
            if (word &- ByteScanner.lows) & ~word & ByteScanner.highs != 0 { return true }
            offset &+= 8
        }
        while offset < count {
            if unsafe name[offset] == ASCII.underscore { return true }
            offset &+= 1
        }
        return false
    }
}
