// SPDX-License-Identifier: Apache-2.0
//
// The one way in which keys and names become positions. Both nodes, every worker and every version
// must agree on it: changing a constant here moves every client of every pool.

public import WireCore

/// Fixed hashes: the same on all nodes for ever.
///
/// `HashVectorTests` holds values of theirs.
public enum HashMixer {
    private static let nameHash = SeededHash(0x7461_6E64_656D_2E31, 0x6E61_6D65_2E68_6173)
    private static let skipHash = SeededHash(0x7461_6E64_656D_2E32, 0x736B_6970_2E68_6173)
    private static let keyHash = SeededHash(0x7461_6E64_656D_2E33, 0x6B65_792E_6861_7368)

    /// The key of some bytes of a request: a header, a cookie, a path.
    public static func key(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        unsafe keyHash.hash(bytes)
    }

    /// The key of two words: an address, or the parts of a tuple.
    public static func key(_ first: UInt64, _ second: UInt64) -> UInt64 {
        keyHash.hash(first, second)
    }

    /// The key of a client: IPv4 whole, IPv6 by /64, which is what one subscriber has.
    public static func key(_ address: IPAddress) -> UInt64 {
        switch address {
        case .v4(let address): key(4, UInt64(address.rawValue))
        case .v6(let address): key(6, address.high)
        }
    }

    /// The key of an address as a whole, for tuples.
    public static func wholeKey(_ address: IPAddress) -> UInt64 {
        switch address {
        case .v4(let address): key(4, UInt64(address.rawValue))
        case .v6(let address): key(address.high, address.low)
        }
    }

    /// Where a backend begins in a Maglev table and on a ring.
    static func name(_ name: String) -> UInt64 {
        var name = name
        return name.withUTF8 { unsafe nameHash.hash(UnsafeRawBufferPointer($0)) }
    }

    /// How far apart the preferences of a backend lie in a Maglev table.
    static func skip(_ name: String) -> UInt64 {
        var name = name
        return name.withUTF8 { unsafe skipHash.hash(UnsafeRawBufferPointer($0)) }
    }

    /// A point of a backend on a ring.
    static func point(_ nameHash: UInt64, replica: UInt64) -> UInt64 {
        skipHash.hash(nameHash, replica)
    }

    /// Spreads a word over all 64 bits: the last step of SplitMix64.
    @inlinable
    @inline(__always)
    static func mix(_ word: UInt64) -> UInt64 {
        var mixed = word
        mixed = (mixed ^ (mixed &>> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed &>> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed &>> 31)
    }

    /// The place of a key at its n-th jump; jumps do not depend on one another.
    @inlinable
    @inline(__always)
    static func place(of key: UInt64, jump: Int) -> UInt64 {
        mix(key &+ UInt64(truncatingIfNeeded: jump &+ 1) &* 0x9E37_79B9_7F4A_7C15)
    }
}
