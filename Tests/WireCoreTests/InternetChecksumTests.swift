// SPDX-License-Identifier: Apache-2.0
//
// The checksum against RFC 1071's own numbers and real headers.

import Testing
import WireCore

@Suite struct InternetChecksumTests {
    private static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var checksum = InternetChecksum()
        checksum.add(bytes.span.bytes)
        return checksum.value
    }

    private static let vectors: [(bytes: [UInt8], checksum: UInt16)] = [
        // RFC 1071 §3: the sum is 0xDDF2, the checksum its complement.
        ([0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7], 0x220D),
        ([], 0xFFFF),
        ([0x00, 0x00], 0xFFFF),
        ([0xFF, 0xFF], 0x0000),
        // An odd last byte is the high half of its word.
        ([0x12], 0xEDFF),
        ([0x00, 0x01, 0x12], 0xEDFE),
        // The carry of the last word wraps around.
        ([0xFF, 0xFF, 0x00, 0x01], 0xFFFE),
        // An IPv4 header whose checksum field is zero.
        (
            [
                0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,  // to protocol
                0x00, 0x00,  // checksum
                0xC0, 0xA8, 0x00, 0x01,  // source 192.168.0.1
                0xC0, 0xA8, 0x00, 0xC7,  // destination 192.168.0.199
            ], 0xB861
        ),
    ]

    @Test(arguments: vectors)
    func sumIsTheComplementOfTheFoldedWords(bytes: [UInt8], expected: UInt16) {
        #expect(Self.checksum(bytes) == expected)
    }

    @Test func aMessageThatCarriesItsChecksumSumsToZero() {
        var header: [UInt8] = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xB8, 0x61,
            0xC0, 0xA8, 0x00, 0x01, 0xC0, 0xA8, 0x00, 0xC7,
        ]
        #expect(Self.checksum(header) == 0)
        header[3] ^= 0x01
        #expect(Self.checksum(header) != 0)
    }

    @Test func piecesOfAnyLengthSumAsOne() {
        var generator = SeededGenerator(seed: 3)
        let bytes = (0..<97).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        let whole = Self.checksum(bytes)
        for cut in 0...bytes.count {
            var pieces = InternetChecksum()
            pieces.add(Array(bytes[..<cut]).span.bytes)
            pieces.add(Array(bytes[cut...]).span.bytes)
            #expect(pieces.value == whole)
        }
    }

    @Test func wordsAreTakenMostSignificantByteFirst() {
        var words = InternetChecksum()
        words.add(word: 0x0001)
        words.add(word: 0xF203)
        var bytes = InternetChecksum()
        for byte: UInt8 in [0x00, 0x01, 0xF2, 0x03] { bytes.add(byte: byte) }
        #expect(words.value == bytes.value)
        #expect(words.value == ~0xF204)
    }
}
