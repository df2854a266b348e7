// SPDX-License-Identifier: Apache-2.0
//
// The value of `Date`, formatted at most once a second.

internal import LinuxIO
internal import WireCore

/// The time of day as HTTP writes it (IMF-fixdate, RFC 9110 §5.6.7): 29 bytes in place.
struct DateText: ~Copyable {
    static let byteCount = 29
    private static let lifetime = TimeSpan.seconds(1)

    private let place: UnsafeMutablePointer<UInt8>
    private var expiresAt = Instant(nanoseconds: 0)

    init() {
        place = .allocate(capacity: Self.byteCount)
        place.initialize(repeating: 0x20, count: Self.byteCount)
    }

    deinit {
        place.deallocate()
    }

    /// The text, at most a second old; valid until the next call.
    @inline(__always)
    mutating func bytes(now: Instant) -> UnsafeRawBufferPointer {
        if now >= expiresAt {
            expiresAt = now + Self.lifetime
            write(unixSeconds: Clock.wallNanoseconds() / 1_000_000_000)
        }
        return UnsafeRawBufferPointer(start: place, count: Self.byteCount)
    }

    /// Writes a time given in seconds since 1970.
    mutating func write(unixSeconds: UInt64) {
        let days = Int(truncatingIfNeeded: unixSeconds / 86_400)
        let inDay = Int(truncatingIfNeeded: unixSeconds % 86_400)
        let date = Self.civilDate(days)
        // 1 January 1970 was a Thursday.
        copy("ThuFriSatSunMonTueWed", at: days % 7 * 3, to: 0, count: 3)
        copy(", ", at: 0, to: 3, count: 2)
        digits(date.day, at: 5)
        copy("JanFebMarAprMayJunJulAugSepOctNovDec", at: (date.month - 1) * 3, to: 8, count: 3)
        digits(date.year / 100, at: 12)
        digits(date.year % 100, at: 14)
        digits(inDay / 3_600, at: 17)
        digits(inDay / 60 % 60, at: 20)
        digits(inDay % 60, at: 23)
        copy(" GMT", at: 0, to: 25, count: 4)
        for blank in [7, 11, 16] { place[blank] = 0x20 }
        for colon in [19, 22] { place[colon] = 0x3A }
    }

    /// What was written last.
    var text: String {
        String(decoding: UnsafeBufferPointer(start: place, count: Self.byteCount), as: UTF8.self)
    }

    private func copy(_ source: StaticString, at offset: Int, to start: Int, count: Int) {
        for index in 0..<count { place[start + index] = source.utf8Start[offset + index] }
    }

    private func digits(_ value: Int, at start: Int) {
        place[start] = 0x30 + UInt8(truncatingIfNeeded: value / 10 % 10)
        place[start + 1] = 0x30 + UInt8(truncatingIfNeeded: value % 10)
    }

    /// The Gregorian date of a day number, by eras of 400 years that begin on 1 March.
    private static func civilDate(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }
}
