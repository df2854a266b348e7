// SPDX-License-Identifier: Apache-2.0
//
// Wall-clock nanoseconds as text for people.

/// Calendar text of a wall-clock reading, always UTC.
public enum CalendarTime {
    /// RFC 3339 with microseconds: `2026-11-21T08:00:00.123456Z`.
    public static func rfc3339(wallNanoseconds: UInt64) -> String {
        let seconds = wallNanoseconds / 1_000_000_000
        let microseconds = wallNanoseconds % 1_000_000_000 / 1_000
        let (year, month, day) = civilDate(daysSince1970: Int(seconds / 86_400))
        let inDay = Int(seconds % 86_400)
        let clock = [inDay / 3_600, inDay / 60 % 60, inDay % 60].map { padded($0, 2) }
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
            + "T" + clock.joined(separator: ":") + ".\(padded(Int(microseconds), 6))Z"
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Gregorian date of a day number, by eras of 400 years that begin on 1 March.
    private static func civilDate(daysSince1970: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = daysSince1970 + 719_468
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
