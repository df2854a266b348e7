// SPDX-License-Identifier: Apache-2.0
//
// Numbers out of bytes that may end anywhere, and numbers into bytes.

import Testing
import WireCore

@Suite struct ByteReaderTests {
    private static let message: [UInt8] = [
        0x01,  // one byte
        0x02, 0x03,  // two
        0x04, 0x05, 0x06, 0x07,  // four
        0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F,  // eight
        0x10, 0x11, 0x12,  // three as they are
    ]

    @Test func everyPrefixGivesWhatItHoldsAndNothingElse() {
        for length in 0...Self.message.count {
            let bytes = Array(Self.message[..<length])
            var reader = ByteReader(bytes.span.bytes)
            #expect(reader.remainingByteCount == length)
            #expect(reader.readUInt8() == (length >= 1 ? 0x01 : nil))
            #expect(reader.readUInt16() == (length >= 3 ? 0x0203 : nil))
            guard length >= 3 else { continue }
            #expect(reader.readUInt32() == (length >= 7 ? 0x0405_0607 : nil))
            guard length >= 7 else { continue }
            #expect(reader.readUInt64() == (length >= 15 ? 0x0809_0A0B_0C0D_0E0F : nil))
            guard length >= 15 else { continue }
            #expect(reader.readBytes(3) == (length >= 18 ? [0x10, 0x11, 0x12] : nil))
            #expect(reader.offset == (length >= 18 ? 18 : 15))
        }
    }

    @Test func aReadThatFailsTakesNothing() {
        let bytes: [UInt8] = [0xAA, 0xBB]
        var reader = ByteReader(bytes.span.bytes)
        #expect(reader.readUInt32() == nil)
        #expect(reader.readUInt64() == nil)
        #expect(reader.readBytes(3) == nil)
        #expect(reader.readBytes(-1) == nil)
        #expect(reader.offset == 0)
        #expect(reader.readBytes(0) == [])
        #expect(reader.readUInt16() == 0xAABB)
        #expect(reader.remainingByteCount == 0)
        #expect(reader.readUInt8() == nil)
        #expect(reader.readBytes(0) == [])
    }

    @Test func numbersNeedNoAlignment() {
        let bytes: [UInt8] = [0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE]
        var reader = ByteReader(bytes.span.bytes)
        #expect(reader.readUInt8() == 0)
        #expect(reader.readUInt64() == 0xFFFF_FFFF_FFFF_FFFE)
    }

    @Test func writtenNumbersAreReadBack() {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(UInt8(0x01))
        bytes.appendBigEndian(UInt16(0x0203))
        bytes.appendBigEndian(UInt32(0x0405_0607))
        bytes.appendBigEndian(UInt64(0x0809_0A0B_0C0D_0E0F))
        #expect(bytes == Array(Self.message.prefix(15)))
    }
}

@Suite struct SeededGeneratorTests {
    /// The first outputs of SplitMix64 for two seeds, as published with the algorithm.
    private static let published: [(seed: UInt64, outputs: [UInt64])] = [
        (0, [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4]),
        (1_234_567, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]),
    ]

    @Test(arguments: published)
    func sequenceIsThatOfSplitMix64(seed: UInt64, expected: [UInt64]) {
        var generator = SeededGenerator(seed: seed)
        #expect(expected.indices.map { _ in generator.next() } == expected)
    }

    @Test func spansReachBothEndsAndNoFurther() {
        var generator = SeededGenerator(seed: 1)
        let drawn = (0..<500).map { _ in generator.span(upTo: .nanoseconds(3)).nanoseconds }
        #expect(Set(drawn) == [0, 1, 2, 3])
        #expect(generator.span(upTo: .zero) == .zero)
        #expect(generator.span(upTo: TimeSpan(nanoseconds: .max)) > .zero)
    }
}
