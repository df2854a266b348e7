// SPDX-License-Identifier: Apache-2.0
//
// How long a retry waits: anywhere between nothing and a bound that doubles, so that requests which
// failed together do not come back together.

public import WireCore

/// Full jitter: retry n waits a random time up to `base x 2^(n - 1)`, at most `longest`.
public struct RetryBackoff: Hashable, Sendable {
    /// The bound of the first wait.
    public var base: TimeSpan
    /// The bound of every wait.
    public var longest: TimeSpan

    /// Makes a back-off.
    public init(base: TimeSpan = .milliseconds(25), longest: TimeSpan = .milliseconds(250)) {
        self.base = base
        self.longest = longest
    }

    /// The bound of the n-th wait, n from 1.
    public func bound(ofRetry number: Int) -> TimeSpan {
        let doublings = UInt64(min(max(number, 1) - 1, 32))
        return min(longest, base.multiplied(by: 1 &<< doublings))
    }

    /// The n-th wait, n from 1.
    public func wait(
        beforeRetry number: Int, using generator: inout SeededGenerator
    ) -> TimeSpan {
        generator.span(upTo: bound(ofRetry: number))
    }
}
