// SPDX-License-Identifier: Apache-2.0
//
// Pieces of tables whose entries are many and alike: the name that they belong to is said once.
//
//     piece     version 1 (1), sections
//     section   length of the name (2), name, fingerprint (8), length of an entry (1),
//               entries (2), entries
//
// All numbers are big-endian. A later version may make entries longer: what follows the known
// bytes of an entry is skipped.

public import WireCore

/// A section of a piece, as it was read.
public struct StateSection: Hashable, Sendable {
    /// What the entries belong to: a pool, or nothing.
    public let name: [UInt8]
    /// What both nodes must agree on before the entries mean anything.
    public let fingerprint: UInt64
    /// Bytes of an entry.
    public let entryByteCount: Int
    /// How many there are.
    public let entryCount: Int
    /// Where the entries are in the piece.
    public let entries: Range<Int>
}

/// Writes sections into a piece of bounded length.
public struct StateSectionWriter: Sendable {
    /// The only version there is.
    static let version: UInt8 = 1
    /// The longest name of a section.
    public static let nameByteCountMax = 1_024

    /// The piece so far.
    public private(set) var bytes: [UInt8]
    /// Entries of all its sections.
    public private(set) var entryCount = 0
    private let byteCountMax: Int
    private var entryByteCount = 0
    private var sectionStart = 0
    private var countOffset: Int?
    private var sectionEntryCount = 0

    /// Begins an empty piece of at most `byteCountMax` bytes.
    public init(byteCountMax: Int) {
        self.byteCountMax = byteCountMax
        bytes = [Self.version]
    }

    /// Begins a section; false when not even one entry of it would fit.
    ///
    /// - Parameters:
    ///   - name: what the entries belong to; a longer one than `nameByteCountMax` never fits.
    ///   - fingerprint: what both nodes must agree on.
    ///   - entryByteCount: bytes of each entry, 1 to 255.
    /// - Returns: whether it was begun.
    public mutating func begin(
        name: [UInt8], fingerprint: UInt64, entryByteCount: Int
    ) -> Bool {
        end()
        precondition((1...255).contains(entryByteCount), "the length of an entry is one byte")
        let headByteCount = 2 + name.count + 8 + 1 + 2
        guard name.count <= Self.nameByteCountMax,
            bytes.count + headByteCount + entryByteCount <= byteCountMax
        else { return false }
        sectionStart = bytes.count
        bytes.appendBigEndian(UInt16(truncatingIfNeeded: name.count))
        bytes += name
        bytes.appendBigEndian(fingerprint)
        bytes.append(UInt8(truncatingIfNeeded: entryByteCount))
        countOffset = bytes.count
        bytes.appendBigEndian(UInt16(0))
        self.entryByteCount = entryByteCount
        sectionEntryCount = 0
        return true
    }

    /// How many more entries the section has room for.
    public var room: Int {
        guard countOffset != nil else { return 0 }
        return min(
            (byteCountMax - bytes.count) / entryByteCount, Int(UInt16.max) - sectionEntryCount)
    }

    /// Appends an entry; `write` appends exactly the bytes of one.
    public mutating func append(_ write: (inout [UInt8]) -> Void) {
        precondition(room > 0, "ask for room first")
        let start = bytes.count
        write(&bytes)
        precondition(bytes.count == start + entryByteCount, "an entry has the length it was said")
        sectionEntryCount += 1
        entryCount += 1
    }

    /// Ends the section, which disappears when it has no entry.
    public mutating func end() {
        guard let offset = countOffset else { return }
        countOffset = nil
        guard sectionEntryCount > 0 else {
            bytes.removeLast(bytes.count - sectionStart)
            return
        }
        bytes[offset] = UInt8(truncatingIfNeeded: sectionEntryCount >> 8)
        bytes[offset + 1] = UInt8(truncatingIfNeeded: sectionEntryCount)
    }

    /// The piece; `nil` when it has no entry.
    public mutating func blob(table: UInt8) -> StateBlob? {
        end()
        guard entryCount > 0 else { return nil }
        return StateBlob(table: table, entryCount: entryCount, bytes: bytes)
    }
}

extension StateSection {
    /// Reads the sections of a piece.
    ///
    /// - Throws: when the bytes are no piece; nothing of it counts then.
    public static func sections(of bytes: [UInt8]) throws(StateFault) -> [StateSection] {
        var reader = ByteReader(unsafe bytes.span.bytes)
        guard let version = reader.readUInt8() else { throw .truncated }
        guard version == StateSectionWriter.version else { throw .unknownVersion(version) }
        var sections: [StateSection] = []
        while reader.remainingByteCount > 0 {
            guard let nameByteCount = reader.readUInt16() else { throw .truncated }
            guard nameByteCount <= StateSectionWriter.nameByteCountMax else { throw .outOfRange }
            guard let name = reader.readBytes(Int(nameByteCount)),
                let fingerprint = reader.readUInt64(),
                let entryByteCount = reader.readUInt8(), let entryCount = reader.readUInt16()
            else { throw .truncated }
            let byteCount = Int(entryByteCount) * Int(entryCount)
            let start = reader.offset
            guard reader.skip(byteCount) else { throw .truncated }
            sections.append(
                StateSection(
                    name: name, fingerprint: fingerprint, entryByteCount: Int(entryByteCount),
                    entryCount: Int(entryCount), entries: start..<start + byteCount))
        }
        return sections
    }

    /// Calls `body` with a reader of each entry that has at least `byteCountMin` bytes.
    ///
    /// - Returns: false when entries are shorter than that: they mean nothing to this version.
    public func forEachEntry(
        in bytes: [UInt8], byteCountMin: Int, _ body: (inout ByteReader) -> Void
    ) -> Bool {
        guard entryByteCount >= byteCountMin, entryByteCount > 0 else { return entryCount == 0 }
        let span = unsafe bytes.span.bytes
        guard entries.upperBound <= span.byteCount else { return false }
        for index in 0..<entryCount {
            let start = entries.lowerBound + index * entryByteCount
            var reader = ByteReader(span.extracting(start..<start + entryByteCount))
            body(&reader)
        }
        return true
    }
}
