// SPDX-License-Identifier: Apache-2.0
//
// HMAC-SHA256 against the vectors of RFC 4231.

import TLSIO
import Testing

@Suite struct HMACSHA256Tests {
    struct Vector: Sendable, CustomTestStringConvertible {
        let name: String
        let key: [UInt8]
        let message: [UInt8]
        let code: String
        var testDescription: String { name }
    }

    static let vectors = [
        Vector(
            name: "RFC 4231 §4.2", key: [UInt8](repeating: 0x0B, count: 20),
            message: Array("Hi There".utf8),
            code: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        Vector(
            name: "RFC 4231 §4.3", key: Array("Jefe".utf8),
            message: Array("what do ya want for nothing?".utf8),
            code: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        Vector(
            name: "RFC 4231 §4.4", key: [UInt8](repeating: 0xAA, count: 20),
            message: [UInt8](repeating: 0xDD, count: 50),
            code: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        Vector(
            name: "RFC 4231 §4.5", key: Array(1...25),
            message: [UInt8](repeating: 0xCD, count: 50),
            code: "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
        Vector(
            name: "RFC 4231 §4.7", key: [UInt8](repeating: 0xAA, count: 131),
            message: Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            code: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
        Vector(
            name: "RFC 4231 §4.8", key: [UInt8](repeating: 0xAA, count: 131),
            message: Array(
                ("This is a test using a larger than block-size key and a larger than "
                    + "block-size data. The key needs to be hashed before being used by the "
                    + "HMAC algorithm.").utf8),
            code: "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
        Vector(
            name: "empty key, empty message", key: [], message: [],
            code: "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"),
    ]

    @Test(arguments: vectors)
    func codeMatchesTheVector(_ vector: Vector) {
        let code = HMACSHA256.authenticationCode(for: vector.message, key: vector.key)
        #expect(hexadecimal(code) == vector.code)
    }

    /// RFC 4231 §4.6: the code truncated to 128 bits.
    @Test func truncatedCodeMatchesTheVector() {
        let code = HMACSHA256.authenticationCode(
            for: Array("Test With Truncation".utf8), key: [UInt8](repeating: 0x0C, count: 20))
        #expect(hexadecimal(Array(code.prefix(16))) == "a3b6167473100ee06e0c796c2955552b")
    }

    private func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}

@Suite struct ConstantTimeTests {
    @Test func equalBytesAreEqual() {
        #expect(ConstantTime.equals([], []))
        #expect(ConstantTime.equals([1, 2, 3], [1, 2, 3]))
    }

    @Test(arguments: [[0, 2, 3], [1, 2, 4], [1, 2], [1, 2, 3, 4], []] as [[UInt8]])
    func differentBytesDiffer(_ other: [UInt8]) {
        #expect(!ConstantTime.equals([1, 2, 3], other))
    }
}

@Suite struct SecureRandomTests {
    @Test(arguments: [0, 1, 32, SecureRandom.byteCountMax])
    func givesAsManyBytesAsAsked(_ count: Int) {
        #expect(SecureRandom.bytes(count: count).count == count)
    }

    @Test func neverRepeatsANonce() {
        let nonces = Set((0..<1_000).map { _ in SecureRandom.bytes(count: 32) })
        #expect(nonces.count == 1_000)
    }
}
