// SPDX-License-Identifier: Apache-2.0
//
// Goal: frames are sealed with AES-256-GCM as published, and nothing that was changed is opened.
// Method: bytes of another implementation, round trips, every changed bit.

import TLSIO
import Testing

@Suite struct FrameCipherTests {
    private let key = (0..<32).map { UInt8($0) }

    private func sealed(
        _ text: [UInt8], with cipher: FrameCipher, header: UInt32, sequence: UInt64
    ) -> [UInt8] {
        var bytes = text + [UInt8](repeating: 0, count: FrameCipher.tagByteCount)
        bytes.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            cipher.seal(
                UnsafeMutableRawBufferPointer(rebasing: bytes[..<text.count]),
                tag: base + text.count, header: header, sequence: sequence)
        }
        return bytes
    }

    private func opened(
        _ bytes: [UInt8], with cipher: FrameCipher, header: UInt32, sequence: UInt64
    ) -> [UInt8]? {
        var bytes = bytes
        let count = bytes.count - FrameCipher.tagByteCount
        let isGood = bytes.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return false }
            return cipher.open(
                UnsafeMutableRawBufferPointer(rebasing: bytes[..<count]), tag: base + count,
                header: header, sequence: sequence)
        }
        return isGood ? Array(bytes[..<count]) : nil
    }

    /// The values come from another program: the package "cryptography" for Python.
    @Test func bytesAreThoseOfAnotherImplementation() {
        let cipher = FrameCipher(key: key)
        let bytes = sealed(
            Array("a shadow of a connection".utf8), with: cipher, header: 0x0102_0304,
            sequence: 0x9_0A0B)
        #expect(bytes == Self.reference)
    }

    static let reference: [UInt8] = [
        0x55, 0x78, 0x20, 0xFF, 0x10, 0xBB, 0xDA, 0x1D, 0xC0, 0x97, 0xCE, 0x3E,
        0x19, 0xB6, 0x9B, 0xFC, 0xE7, 0xEB, 0xA5, 0x76, 0x77, 0x4C, 0x75, 0x84,
        0xDA, 0x29, 0xE0, 0x2B, 0x8E, 0x60, 0xD2, 0xAE, 0x2B, 0x42, 0xD0, 0x57,
        0x72, 0x89, 0xFE, 0x82,
    ]

    @Test(arguments: [0, 1, 15, 16, 17, 1_000, 65_507])
    func whatWasSealedIsOpened(byteCount: Int) {
        let sender = FrameCipher(key: key)
        let receiver = FrameCipher(key: key)
        let text = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0) }
        for sequence in UInt64(0)..<3 {
            let bytes = sealed(text, with: sender, header: 9, sequence: sequence)
            #expect(byteCount < 16 || Array(bytes.prefix(byteCount)) != text)
            #expect(opened(bytes, with: receiver, header: 9, sequence: sequence) == text)
        }
    }

    @Test func everyChangedBitIsRefused() {
        let cipher = FrameCipher(key: key)
        let receiver = FrameCipher(key: key)
        let good = sealed([1, 2, 3, 4, 5], with: cipher, header: 9, sequence: 7)
        for bit in 0..<(good.count * 8) {
            var bytes = good
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(opened(bytes, with: receiver, header: 9, sequence: 7) == nil)
        }
        for bit in 0..<32 {
            let header: UInt32 = 9 ^ 1 << UInt32(bit)
            #expect(opened(good, with: receiver, header: header, sequence: 7) == nil)
        }
        for bit in 0..<64 {
            let sequence: UInt64 = 7 ^ 1 << UInt64(bit)
            #expect(opened(good, with: receiver, header: 9, sequence: sequence) == nil)
        }
        #expect(opened(good, with: receiver, header: 9, sequence: 7) == [1, 2, 3, 4, 5])
        var otherKey = key
        otherKey[31] ^= 1
        #expect(opened(good, with: FrameCipher(key: otherKey), header: 9, sequence: 7) == nil)
    }

    @Test func keyIsRenewedAtTheSameNumberOnBothSides() {
        let sender = FrameCipher(key: key)
        let receiver = FrameCipher(key: key)
        let border = FrameCipher.framesPerKey
        for sequence in [border - 1, border, border + 1, 2 * border, 5 * border + 3] {
            let bytes = sealed([1, 2, 3], with: sender, header: 1, sequence: sequence)
            #expect(opened(bytes, with: receiver, header: 1, sequence: sequence) == [1, 2, 3])
        }
    }

    @Test func oneCipherSealsAndOpens() {
        let cipher = FrameCipher(key: key)
        for sequence in UInt64(0)..<4 {
            let bytes = sealed([9], with: cipher, header: 2, sequence: sequence)
            #expect(opened(bytes, with: cipher, header: 2, sequence: sequence) == [9])
        }
    }
}
