// SPDX-License-Identifier: Apache-2.0
//
// How strictly a pool's backends are judged by their traffic.

public import WireCore

/// When traffic takes a backend out, and for how long.
public struct OutlierSettings: Hashable, Sendable {
    /// How ejections of the same backend get longer.
    public enum Growth: Hashable, Sendable {
        /// The ejection time once, twice, three times.
        case linear
        /// The ejection time once, twice, four times.
        case doubling
    }

    /// Answers 5xx in a row that eject; 0 turns it off.
    public var serverErrorsMax = 5
    /// Answers 502, 503 or 504 in a row that eject; 0 turns it off.
    public var gatewayErrorsMax = 5
    /// Connections refused, reset or timed out in a row that eject; 0 turns it off.
    public var localErrorsMax = 5
    /// The span that rates are taken over.
    public var interval = TimeSpan.seconds(10)
    /// Thousandths of the standard deviation below the mean success rate that eject; 0 is off.
    public var successRateFactorMilli = 1_900
    /// Backends with enough requests that a mean needs.
    public var successRateHostsMin = 5
    /// Requests of a backend within the interval that make its success rate count.
    public var successRateRequestsMin = 100
    /// Percent of failed requests that eject; 0 turns it off.
    public var failurePercent = 0
    /// Backends with enough requests that the failure percentage needs.
    public var failurePercentHostsMin = 5
    /// Requests of a backend within the interval that make its failure percentage count.
    public var failurePercentRequestsMin = 50
    /// How long the first ejection lasts.
    public var ejectionTime = TimeSpan.seconds(30)
    /// The longest an ejection lasts, jitter not counted.
    public var ejectionTimeMax = TimeSpan.seconds(300)
    /// How ejections get longer.
    public var growth = Growth.linear
    /// Up to this share of an ejection is added at random, so that backends do not return at once.
    public var jitterPercent = 10
    /// Percent of the pool that may be out when one more is ejected, rounded down.
    public var ejectedPercentMax = 50
    /// A passed active check ends an ejection.
    ///
    /// Off: a check that passes while the traffic fails lies, and must not bring the backend back.
    public var returnsOnPassedCheck = false

    /// The defaults; see each property.
    public init() {}
}
