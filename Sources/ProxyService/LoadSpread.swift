// SPDX-License-Identifier: Apache-2.0
//
// How evenly the backends of a pool are loaded.

internal import BalancerCore

/// The spread of a number over backends, each divided by its weight.
public struct LoadSpread: Hashable, Sendable {
    /// The mean over backends.
    public var mean = 0.0
    /// The standard deviation over backends.
    public var deviation = 0.0

    /// Makes a spread of nothing.
    public init() {}

    /// The spread of loads; a weight of 0 takes its backend out.
    init(_ loads: some Sequence<(load: Double, weight: Double)>) {
        var count = 0.0
        var sum = 0.0
        var squares = 0.0
        for (load, weight) in loads where weight > 0 {
            let value = load / weight
            count += 1
            sum += value
            squares += value * value
        }
        guard count > 0 else { return }
        mean = sum / count
        deviation = max(0, squares / count - mean * mean).squareRoot()
    }
}
