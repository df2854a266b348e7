// SPDX-License-Identifier: Apache-2.0
//
// Durations with their units: which are read, exactly, and which are refused.

import Testing
import WireCore

@testable import ConfigurationCore

@Suite struct DurationTextTests {
    @Test(arguments: [
        ("10ms", 10_000_000), ("5s", 5_000_000_000), ("40.95s", 40_950_000_000), ("0s", 0),
        ("1.5ms", 1_500_000), ("2m", 120_000_000_000), ("1h", 3_600_000_000_000),
        ("250us", 250_000), ("0.000000001s", 1), ("0.5m", 30_000_000_000),
    ])
    func readsWholeAndDecimalNumbersExactly(text: String, nanoseconds: UInt64) throws {
        #expect(try DurationText.parse(text) == TimeSpan(nanoseconds: nanoseconds))
    }

    @Test(arguments: [
        "", "s", ".5s", "5.s", "1.2.3s", "-1s", "1e3s", "+1s", "99999999999999999999s",
        "1000000001h", "0.0000000001s", "0.0001us", "5 s", "5parsecs", "5S", "5", "٣s", "1_000s",
    ])
    func refusesEverythingElse(text: String) {
        #expect(throws: ScalarProblem.self) { try DurationText.parse(text) }
    }

    @Test(arguments: ["10ms", "40.95s", "1s", "90s", "10m", "1h", "250us", "1.5s", "0s", "15ms"])
    func writesWhatItReads(text: String) throws {
        #expect(DurationText.render(try DurationText.parse(text)) == text)
    }
}
