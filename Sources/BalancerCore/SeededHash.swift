// SPDX-License-Identifier: Apache-2.0
//
// Hashes of keys that strangers choose. Without the seed nobody can find keys that collide.

/// SipHash (Aumasson and Bernstein, 2012) with one compression and three final rounds, which is
/// what hash tables under attack use.
@safe
public struct SeededHash: Sendable {
    private let key0: UInt64
    private let key1: UInt64
    private let compressionRounds: Int
    private let finalRounds: Int

    /// A hash function of the family; both halves of the seed should be secret.
    public init(_ seed0: UInt64, _ seed1: UInt64) {
        self.init(seed0, seed1, compressionRounds: 1, finalRounds: 3)
    }

    /// The published test vectors are of SipHash-2-4.
    init(_ key0: UInt64, _ key1: UInt64, compressionRounds: Int, finalRounds: Int) {
        self.key0 = key0
        self.key1 = key1
        self.compressionRounds = compressionRounds
        self.finalRounds = finalRounds
    }

    /// The hash of some bytes.
    public func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var state = State(key0, key1)
        let wholeCount = bytes.count & ~7
        var offset = 0
        while offset < wholeCount {
            let word = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            state.absorb(UInt64(littleEndian: word), rounds: compressionRounds)
            offset &+= 8
        }
        var last = UInt64(truncatingIfNeeded: bytes.count) &<< 56
        var shift: UInt64 = 0
        while offset < bytes.count {
            last |= unsafe UInt64(bytes[offset]) &<< shift
            shift &+= 8
            offset &+= 1
        }
        state.absorb(last, rounds: compressionRounds)
        return state.finish(rounds: finalRounds)
    }

    /// The hash of two words; the same as of their sixteen bytes, least significant first.
    public func hash(_ first: UInt64, _ second: UInt64) -> UInt64 {
        var state = State(key0, key1)
        state.absorb(first, rounds: compressionRounds)
        state.absorb(second, rounds: compressionRounds)
        state.absorb(16 &<< 56, rounds: compressionRounds)
        return state.finish(rounds: finalRounds)
    }

    private struct State {
        var v0: UInt64
        var v1: UInt64
        var v2: UInt64
        var v3: UInt64

        @inline(__always)
        init(_ key0: UInt64, _ key1: UInt64) {
            v0 = key0 ^ 0x736F_6D65_7073_6575
            v1 = key1 ^ 0x646F_7261_6E64_6F6D
            v2 = key0 ^ 0x6C79_6765_6E65_7261
            v3 = key1 ^ 0x7465_6462_7974_6573
        }

        @inline(__always)
        mutating func absorb(_ word: UInt64, rounds: Int) {
            v3 ^= word
            mix(rounds)
            v0 ^= word
        }

        @inline(__always)
        mutating func finish(rounds: Int) -> UInt64 {
            v2 ^= 0xFF
            mix(rounds)
            return v0 ^ v1 ^ v2 ^ v3
        }

        @inline(__always)
        private mutating func mix(_ rounds: Int) {
            for _ in 0..<rounds {
                v0 = v0 &+ v1
                v2 = v2 &+ v3
                v1 = Self.rotate(v1, 13) ^ v0
                v3 = Self.rotate(v3, 16) ^ v2
                v0 = Self.rotate(v0, 32)
                v2 = v2 &+ v1
                v0 = v0 &+ v3
                v1 = Self.rotate(v1, 17) ^ v2
                v3 = Self.rotate(v3, 21) ^ v0
                v2 = Self.rotate(v2, 32)
            }
        }

        @inline(__always)
        private static func rotate(_ word: UInt64, _ count: UInt64) -> UInt64 {
            word &<< count | word &>> (64 &- count)
        }
    }
}
