// SPDX-License-Identifier: Apache-2.0
//
// A fingerprint by which two nodes notice that they run different configurations.

/// FNV-1a with 64 bits over the settings of a configuration, sorted by place.
///
/// It covers what the file means, defaults included, and not its bytes: a comment changes nothing,
/// a weight does. It protects against drift, not against an attacker.
public struct ConfigurationHash: Hashable, Sendable {
    /// The fingerprint as a number.
    public let rawValue: UInt64

    /// A fingerprint that came as a number, such as the peer's.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Takes the fingerprint of a configuration.
    public init(_ configuration: Configuration) {
        let lines = configuration.settings.map { "\($0.path) = \($0.value)\n" }.sorted()
        rawValue = Self.fingerprint(lines.lazy.flatMap(\.utf8))
    }

    /// FNV-1a with 64 bits.
    static func fingerprint(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { hash, byte in
            (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
        }
    }
}

extension ConfigurationHash: CustomStringConvertible {
    /// 16 hexadecimal digits.
    public var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
