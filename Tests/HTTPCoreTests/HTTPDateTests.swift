// SPDX-License-Identifier: Apache-2.0
//
// RFC 9110 §5.6.7: the three forms of a date, and what is none.

import HTTPCore
import Testing

struct HTTPDateTests {
    /// 1 January 2026.
    private static let now: UInt64 = 1_767_225_600

    private static func seconds(_ text: String) -> UInt64? {
        Array(text.utf8).withUnsafeBytes { HTTPDate.unixSeconds($0, now: now) }
    }

    @Test(arguments: [
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ])
    func threeFormsSayTheSame(text: String) {
        #expect(Self.seconds(text) == 784_111_777)
    }

    @Test(
        arguments: [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
            ("Sat Feb 28 12:00:00 2026", 1_772_280_000),
            ("Friday, 01-Jan-27 00:00:00 GMT", 1_798_761_600),
            // 2079 would be more than 50 years ahead.
            ("Monday, 01-Jan-79 00:00:00 GMT", 283_996_800),
        ] as [(String, UInt64)])
    func daysAreCounted(text: String, seconds: UInt64) {
        #expect(Self.seconds(text) == seconds)
    }

    @Test(arguments: [
        "", "120", "Sun", "Sun, ", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT", "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sunday Nov  6 08:49:37 1994", "Sun Nov 6 08:49:37 1994", "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:3x GMT", "Sun, 06 Nov 1994 08.49.37 GMT",
    ])
    func otherBytesAreNoDate(text: String) {
        #expect(Self.seconds(text) == nil)
    }

    @Test func everyPrefixIsReadWithoutATrap() {
        let text = "Sunday, 06-Nov-94 08:49:37 GMT"
        for count in 0..<text.utf8.count {
            #expect(Self.seconds(String(text.prefix(count))) == nil)
        }
    }
}
