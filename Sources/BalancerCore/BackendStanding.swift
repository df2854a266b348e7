// SPDX-License-Identifier: Apache-2.0
//
// What one backend may be given now: the one word in which those who judge backends tell those who
// choose them.

/// What one backend may be given now.
///
/// The control thread decides it, the workers obey it from their next choice on. It fits one word,
/// so that it can be stored and read without a lock.
public struct BackendStanding: Hashable, Sendable {
    /// Whom a backend serves.
    public enum Admission: UInt8, Hashable, Sendable, CaseIterable {
        /// Everybody.
        case serving
        /// It was ejected and is tried again: exactly one request is let through.
        case trial
        /// Checks or traffic say no; a panicking level uses it all the same.
        case unhealthy
        /// Nothing new; clients that stick to it when the pool wants that.
        case draining
        /// Nothing at all.
        case maintenance
    }

    /// The largest weight an operator can give.
    public static let weightMax: UInt16 = 256
    /// The smallest share of its weight that a returning backend begins with, in percent.
    public static let rampPercentMin: UInt8 = 1
    /// The whole weight.
    public static let rampPercentMax: UInt8 = 100

    /// Whom it serves.
    public var admission: Admission
    /// Its share of traffic relative to the others; 0 takes no new work but persistent clients.
    public var weight: UInt16
    /// Slow start: the share of its weight and of its limits that it has by now, in percent.
    public var rampPercent: UInt8

    /// Makes a standing; by default everybody is served in full.
    public init(
        admission: Admission = .serving, weight: UInt16 = 1, rampPercent: UInt8 = rampPercentMax
    ) {
        self.admission = admission
        self.weight = weight
        self.rampPercent = rampPercent
    }

    /// The weight in hundredths, with the ramp applied.
    @inlinable public var effectiveWeight: Int {
        Int(weight) &* Int(min(max(rampPercent, Self.rampPercentMin), Self.rampPercentMax))
    }
}

extension BackendStanding: RawRepresentable {
    /// The word: weight in bits 0-15, ramp in 16-23, admission in 24-31.
    @inlinable public var rawValue: UInt32 {
        UInt32(weight) | UInt32(rampPercent) &<< 16 | UInt32(admission.rawValue) &<< 24
    }

    /// Reads a word; one that nobody wrote stands for maintenance, the safest there is.
    @inlinable
    public init(rawValue: UInt32) {
        weight = UInt16(truncatingIfNeeded: rawValue)
        rampPercent = UInt8(truncatingIfNeeded: rawValue &>> 16)
        admission =
            Admission(rawValue: UInt8(truncatingIfNeeded: rawValue &>> 24)) ?? .maintenance
    }
}
