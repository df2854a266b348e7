// SPDX-License-Identifier: Apache-2.0
//
// The decay function against the math library's.

import Glibc
import Testing

@testable import BalancerCore

@Suite struct ExponentialDecayTests {
    @Test func agreesWithTheMathLibrary() {
        var elapsed = 0.000_01
        while elapsed < 39 {
            let expected = exp(-elapsed)
            let actual = ExponentialDecay.remainder(after: elapsed)
            #expect(abs(actual / expected - 1) < 1e-6, "after \(elapsed)")
            elapsed *= 1.003
        }
    }

    @Test func endsAreExact() {
        #expect(ExponentialDecay.remainder(after: 0) == 1)
        #expect(ExponentialDecay.remainder(after: -5) == 1)
        #expect(ExponentialDecay.remainder(after: 40) == 0)
        #expect(ExponentialDecay.remainder(after: .infinity) == 0)
    }
}
