// SPDX-License-Identifier: Apache-2.0
//
// Reading a time as HTTP writes it. Three forms exist (RFC 9110 §5.6.7); who receives dates has to
// know all of them, who sends them uses the first alone.

/// Dates in header fields.
public enum HTTPDate {
    /// Reads a date in any of its forms.
    ///
    /// - Parameters:
    ///   - bytes: the value of a field, without whitespace around it.
    ///   - now: the present in seconds since 1970, which tells the century of a year of two digits.
    /// - Returns: seconds since 1970; `nil` when the bytes are no date.
    public static func unixSeconds(_ bytes: UnsafeRawBufferPointer, now: UInt64) -> UInt64? {
        var reader = unsafe DateReader(bytes)
        guard let weekdayLetters = reader.skipLetters() else { return nil }
        if reader.take(",") {
            guard reader.take(" ") else { return nil }
            // Sun, 06 Nov 1994 08:49:37 GMT or Sunday, 06-Nov-94 08:49:37 GMT
            let separator: StaticString = weekdayLetters == 3 ? " " : "-"
            guard let day = reader.number(digits: 2), reader.take(separator),
                let month = reader.month(), reader.take(separator),
                let year = weekdayLetters == 3
                    ? reader.number(digits: 4) : reader.number(digits: 2).map({ recent($0, now) }),
                reader.take(" "), let time = reader.time(), reader.take(" GMT"), reader.isAtEnd
            else { return nil }
            return seconds(year: year, month: month, day: day, time: time)
        }
        // Sun Nov  6 08:49:37 1994
        guard weekdayLetters == 3, reader.take(" "), let month = reader.month(),
            reader.take(" "),
            let day = reader.take(" ")
                ? reader.number(digits: 1) : reader.number(digits: 2),
            reader.take(" "), let time = reader.time(), reader.take(" "),
            let year = reader.number(digits: 4), reader.isAtEnd
        else { return nil }
        return seconds(year: year, month: month, day: day, time: time)
    }

    /// RFC 9110 §5.6.7: a year that seems more than 50 years ahead is the last one that ends so.
    private static func recent(_ digits: Int, _ now: UInt64) -> Int {
        let presentYear = 1_970 + Int(min(now, 1 << 40) / 31_556_952)
        let year = presentYear - presentYear % 100 + digits
        return year > presentYear + 50 ? year - 100 : year
    }

    private static func seconds(year: Int, month: Int, day: Int, time: Int) -> UInt64? {
        guard year >= 1_970, (1...31).contains(day) else { return nil }
        // The days since 1 March of year 0, by eras of 400 years.
        let shifted = month > 2 ? year : year - 1
        let era = shifted / 400
        let yearOfEra = shifted % 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return UInt64(days * 86_400 + time)
    }
}

/// Takes a date apart from its first byte to its last.
@safe private struct DateReader {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        unsafe self.bytes = bytes
    }

    var isAtEnd: Bool { unsafe offset == bytes.count }

    private var next: UInt8? { unsafe offset < bytes.count ? bytes[offset] : nil }

    /// Skips a word; returns its length, or `nil` when there is none.
    mutating func skipLetters() -> Int? {
        let start = offset
        while let byte = next, (0x61...0x7A).contains(byte | 0x20), offset - start < 9 {
            offset += 1
        }
        return offset > start ? offset - start : nil
    }

    mutating func take(_ text: StaticString) -> Bool {
        guard unsafe bytes.count - offset >= text.utf8CodeUnitCount else { return false }
        for index in 0..<text.utf8CodeUnitCount
        where unsafe bytes[offset + index] != text.utf8Start[index] {
            return false
        }
        offset += text.utf8CodeUnitCount
        return true
    }

    mutating func number(digits: Int) -> Int? {
        var value = 0
        for _ in 0..<digits {
            guard let byte = next, ASCII.isDigit(byte) else { return nil }
            value = value * 10 + Int(byte - ASCII.zero)
            offset += 1
        }
        return value
    }

    /// The month from 1 on.
    mutating func month() -> Int? {
        let names: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"
        guard unsafe bytes.count - offset >= 3 else { return nil }
        for month in 0..<12
        where (0..<3).allSatisfy({
            unsafe bytes[offset + $0] == names.utf8Start[month * 3 + $0]
        }) {
            offset += 3
            return month + 1
        }
        return nil
    }

    /// The seconds of the day.
    mutating func time() -> Int? {
        guard let hour = number(digits: 2), take(":"), let minute = number(digits: 2), take(":"),
            let second = number(digits: 2), hour < 24, minute < 60, second <= 60
        else { return nil }
        return hour * 3_600 + minute * 60 + second
    }
}
