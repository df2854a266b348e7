// SPDX-License-Identifier: Apache-2.0
//
// Edits of field lines, compiled once: which names end here, and which lines are added. A series of
// remove, set and add is the same as this, so a head is still written in one pass.

/// Compiled edits of one message direction; owns their memory.
///
/// Made by `HeadEditBuilder` when a configuration is loaded. Whoever writes heads gets `list`.
///
/// Sendable: the memory is written in `init` alone and freed with the only owner.
@safe public struct HeadEdits: ~Copyable, @unchecked Sendable {
    private let table: UnsafeMutablePointer<HeadEditTable>

    /// How many edits one builder takes.
    public static let editCountMax = 256
    /// Bytes of all lines that one list adds; a head grows by no more than that.
    public static let lineByteCountMax = 32 * 1024

    /// Compiles names in lower case and whole lines.
    init(known: KnownFieldSet, names: [[UInt8]], lines: [UInt8]) {
        let copies = UnsafeMutablePointer<EditedName>.allocate(capacity: max(1, names.count))
        var lengths: UInt64 = 0
        var index = 0
        for name in names {
            unsafe (copies + index).initialize(
                to: EditedName(bytes: Self.copy(name), byteCount: name.count))
            lengths |= HeadEditTable.lengthBit(name.count)
            index += 1
        }
        unsafe table = UnsafeMutablePointer<HeadEditTable>.allocate(capacity: 1)
        unsafe table.initialize(
            to: HeadEditTable(
                known: known, nameLengths: lengths, names: copies, nameCount: names.count,
                lines: Self.copy(lines), lineByteCount: lines.count))
    }

    deinit {
        var index = 0
        while unsafe index < table.pointee.nameCount {
            unsafe table.pointee.names[index].bytes.deallocate()
            index += 1
        }
        unsafe table.pointee.names.deallocate()
        unsafe table.pointee.lines.deallocate()
        unsafe table.deallocate()
    }

    /// The edits as one word, valid while this value lives; `isEmpty` when they change nothing.
    public var list: HeadEditList {
        let changesNothing =
            unsafe table.pointee.known.bits == 0 && table.pointee.nameCount == 0
            && table.pointee.lineByteCount == 0
        return unsafe HeadEditList(changesNothing ? nil : UnsafePointer(table))
    }

    private static func copy(_ bytes: [UInt8]) -> UnsafeMutablePointer<UInt8> {
        let place = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, bytes.count))
        var offset = 0
        for byte in bytes {
            unsafe (place + offset).initialize(to: byte)
            offset += 1
        }
        return unsafe place
    }
}

/// Borrowed edits: what the writers of heads take.
@safe
public struct HeadEditList {
    private let table: UnsafePointer<HeadEditTable>?

    /// No edits.
    public init() {
        unsafe table = nil
    }

    init(_ table: UnsafePointer<HeadEditTable>?) {
        unsafe self.table = table
    }

    /// True when nothing is changed.
    @inline(__always)
    public var isEmpty: Bool { unsafe table == nil }

    /// How many bytes a head may grow by.
    @inline(__always)
    public var lineByteCount: Int {
        guard let table = unsafe table else { return 0 }
        return unsafe table.pointee.lineByteCount
    }

    /// The known names whose lines are dropped.
    @inline(__always)
    var known: KnownFieldSet {
        guard let table = unsafe table else { return KnownFieldSet(bits: 0) }
        return unsafe table.pointee.known
    }

    /// True when lines with names that are not known are dropped.
    @inline(__always)
    var dropsOthers: Bool {
        guard let table = unsafe table else { return false }
        return unsafe table.pointee.nameCount > 0
    }

    /// True when lines with this name, which is not a known one, are dropped.
    func dropsOther(_ name: UnsafePointer<UInt8>, count: Int) -> Bool {
        guard let table = unsafe table,
            unsafe table.pointee.nameLengths & HeadEditTable.lengthBit(count) != 0
        else { return false }
        var index = 0
        while unsafe index < table.pointee.nameCount {
            let candidate = unsafe table.pointee.names[index]
            if candidate.byteCount == count,
                unsafe ByteScanner.equalIgnoringCase(candidate.bytes, name, count: count)
            {
                return true
            }
            index &+= 1
        }
        return false
    }

    /// True when lines with this name, which is not a known one, are dropped.
    func dropsOther(_ name: StaticString) -> Bool {
        unsafe dropsOther(name.utf8Start, count: name.utf8CodeUnitCount)
    }

    /// Appends the lines that are added.
    func appendLines(_ writer: inout ByteWriter) {
        guard let table = unsafe table else { return }
        unsafe writer.append(table.pointee.lines, count: table.pointee.lineByteCount)
    }
}

/// What `HeadEdits` owns.
@safe
struct HeadEditTable {
    let known: KnownFieldSet
    /// A bit for each length of `names`, so that most lines are passed after one test.
    let nameLengths: UInt64
    let names: UnsafeMutablePointer<EditedName>
    let nameCount: Int
    let lines: UnsafeMutablePointer<UInt8>
    let lineByteCount: Int

    @inline(__always)
    static func lengthBit(_ byteCount: Int) -> UInt64 { 1 &<< UInt64(byteCount & 63) }
}

/// A name in lower case.
@safe
struct EditedName {
    let bytes: UnsafeMutablePointer<UInt8>
    let byteCount: Int
}
