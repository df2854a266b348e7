// SPDX-License-Identifier: Apache-2.0
//
// Decimal numbers in arguments and paths. Pure.

/// Decimal numbers of digits only.
enum Decimal {
    /// The number, or `nil` when there is none or it is longer than 18 digits.
    static func parse(_ digits: some Collection<UInt8>) -> UInt64? {
        guard (1...18).contains(digits.count) else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            value = value * 10 + UInt64(digit - 0x30)
        }
        return value
    }
}
