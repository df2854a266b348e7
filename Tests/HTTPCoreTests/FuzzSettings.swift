// SPDX-License-Identifier: Apache-2.0
//
// Seeds and case counts of the random tests, from the environment so that a failure replays.

import Glibc
import Testing
import WireCore

/// `TANDEM_SEED` replays one sequence, `TANDEM_CASES` makes it longer or shorter.
enum FuzzSettings {
    static let seed: UInt64 = number("TANDEM_SEED") ?? UInt64.random(in: 0...UInt64.max)
    static let caseCount = Int(clamping: number("TANDEM_CASES") ?? 20_000)

    private static func number(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    /// A generator for one test, and the note that says how to replay it.
    static func generator(for test: String) -> (SeededGenerator, Comment) {
        print("\(test): TANDEM_SEED=\(seed) TANDEM_CASES=\(caseCount)")
        return (SeededGenerator(seed: seed), "replay with TANDEM_SEED=\(seed)")
    }
}
