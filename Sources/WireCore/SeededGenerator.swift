// SPDX-License-Identifier: Apache-2.0
//
// Randomness as a value, so that cores and simulations replay from a seed.

/// SplitMix64: a small, fast generator whose whole future follows from its seed.
///
/// Not for secrets.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Starts the sequence that belongs to `seed`.
    public init(seed: UInt64) {
        state = seed
    }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A random span from zero up to `span`, inclusive.
    public mutating func span(upTo span: TimeSpan) -> TimeSpan {
        TimeSpan(nanoseconds: UInt64.random(in: 0...span.nanoseconds, using: &self))
    }
}
