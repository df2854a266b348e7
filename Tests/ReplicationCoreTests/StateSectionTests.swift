// SPDX-License-Identifier: Apache-2.0
//
// Goal: sections say what was written, no piece is longer than it may be, and no bytes are a trap.

import Testing
import WireCore

@testable import ReplicationCore

@Suite struct StateSectionTests {
    private static func piece(byteCountMax: Int = 1_000) -> StateSectionWriter {
        var writer = StateSectionWriter(byteCountMax: byteCountMax)
        _ = writer.begin(name: Array("web".utf8), fingerprint: 7, entryByteCount: 4)
        for number in 0..<5 as Range<UInt32> { writer.append { $0.appendBigEndian(number) } }
        _ = writer.begin(name: Array("empty".utf8), fingerprint: 8, entryByteCount: 4)
        _ = writer.begin(name: [], fingerprint: 9, entryByteCount: 2)
        writer.append { $0.appendBigEndian(UInt16(77)) }
        return writer
    }

    @Test func sectionsSayWhatWasWrittenAndEmptyOnesAreLeftOut() throws {
        var writer = Self.piece()
        let madeBlob = writer.blob(table: 1)
        let blob = try #require(madeBlob)
        #expect(blob.entryCount == 6)
        let sections = try StateSection.sections(of: blob.bytes)
        #expect(sections.map(\.fingerprint) == [7, 9])
        #expect(sections.map(\.entryCount) == [5, 1])
        #expect(sections[0].name == Array("web".utf8))
        var numbers: [UInt32] = []
        #expect(
            sections[0].forEachEntry(in: blob.bytes, byteCountMin: 4) { reader in
                if let number = reader.readUInt32() { numbers.append(number) }
            })
        #expect(numbers == [0, 1, 2, 3, 4])
    }

    @Test func nothingWrittenIsNoPiece() {
        var writer = StateSectionWriter(byteCountMax: 100)
        let none1 = writer.blob(table: 1)
        #expect(none1 == nil)
        _ = writer.begin(name: [], fingerprint: 0, entryByteCount: 8)
        let none2 = writer.blob(table: 1)
        #expect(none2 == nil)
    }

    @Test(arguments: [20, 33, 64, 100])
    func aPieceIsNeverLongerThanItMayBe(byteCountMax: Int) throws {
        var writer = StateSectionWriter(byteCountMax: byteCountMax)
        let isBegun = writer.begin(name: [1, 2], fingerprint: 1, entryByteCount: 16)
        #expect(isBegun == (byteCountMax >= 1 + 15 + 16))
        while writer.room > 0 {
            writer.append {
                $0.appendBigEndian(UInt64(1))
                $0.appendBigEndian(UInt64(2))
            }
        }
        #expect(writer.bytes.count <= byteCountMax)
        #expect(writer.bytes.count > byteCountMax - 16 || !isBegun)
    }

    @Test func entriesOfALaterVersionAreReadAsFarAsTheyAreKnown() throws {
        var writer = StateSectionWriter(byteCountMax: 200)
        _ = writer.begin(name: [], fingerprint: 1, entryByteCount: 6)
        for number in 0..<3 as Range<UInt32> {
            writer.append {
                $0.appendBigEndian(number)
                $0.appendBigEndian(UInt16.max)
            }
        }
        let madeBlob = writer.blob(table: 1)
        let blob = try #require(madeBlob)
        let section = try #require(try StateSection.sections(of: blob.bytes).first)
        var numbers: [UInt32] = []
        #expect(
            section.forEachEntry(in: blob.bytes, byteCountMin: 4) { reader in
                if let number = reader.readUInt32() { numbers.append(number) }
            })
        #expect(numbers == [0, 1, 2])
        #expect(!section.forEachEntry(in: blob.bytes, byteCountMin: 8) { _ in })
    }

    @Test func prefixesAndOtherVersionsAreFaults() throws {
        var writer = Self.piece()
        let madeBytes = writer.blob(table: 1)
        let bytes = try #require(madeBytes).bytes
        for count in 0..<bytes.count {
            guard let sections = try? StateSection.sections(of: Array(bytes.prefix(count))) else {
                continue
            }
            // A prefix that ends between two sections is a piece.
            #expect(sections.count < 2)
            #expect(sections.allSatisfy { $0.entries.upperBound <= count })
        }
        #expect(throws: StateFault.unknownVersion(2)) {
            try StateSection.sections(of: [2] + bytes.dropFirst())
        }
    }

    @Test func randomBytesAreNeverATrap() {
        var generator = SeededGenerator(seed: 11)
        var writer = Self.piece()
        let whole = writer.blob(table: 1)?.bytes ?? []
        for _ in 0..<5_000 {
            var bytes = whole
            for _ in 0..<1 + generator.next() % 5 {
                bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(
                    truncatingIfNeeded: generator.next())
            }
            guard let sections = try? StateSection.sections(of: bytes) else { continue }
            for section in sections {
                #expect(section.entries.upperBound <= bytes.count)
                _ = section.forEachEntry(in: bytes, byteCountMin: 4) { _ = $0.readUInt32() }
                // Bytes of another piece are no trap either.
                _ = section.forEachEntry(in: [1], byteCountMin: 1) { _ = $0.readUInt8() }
            }
        }
    }
}
