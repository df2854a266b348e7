// SPDX-License-Identifier: Apache-2.0
//
// The hash against the published vectors of its family, and its two entries against each other.

import Testing

@testable import BalancerCore

@Suite struct SeededHashTests {
    /// From the reference implementation: key and input are bytes that count from 0.
    @Test(arguments: [
        (0, 0x726F_DB47_DD0E_0E31 as UInt64), (1, 0x74F8_39C5_93DC_67FD),
        (7, 0xAB02_00F5_8B01_D137), (8, 0x93F5_F579_9A93_2462), (15, 0xA129_CA61_49BE_45E5),
    ])
    func equalsThePublishedVectors(byteCount: Int, expected: UInt64) {
        let hash = SeededHash(
            0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908, compressionRounds: 2, finalRounds: 4)
        let bytes = (0..<byteCount).map { UInt8($0) }
        #expect(bytes.withUnsafeBytes { hash.hash($0) } == expected)
    }

    @Test func wordsHashAsTheirBytes() {
        let hash = SeededHash(1, 2)
        let words: [UInt64] = [0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210]
        let bytes = words.flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
        }
        #expect(hash.hash(words[0], words[1]) == bytes.withUnsafeBytes { hash.hash($0) })
    }

    @Test func seedsMakeDifferentFunctions() {
        #expect(SeededHash(1, 2).hash(3, 4) != SeededHash(1, 3).hash(3, 4))
        #expect(SeededHash(1, 2).hash(3, 4) != SeededHash(2, 2).hash(3, 4))
    }
}
