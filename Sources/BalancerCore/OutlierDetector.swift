// SPDX-License-Identifier: Apache-2.0
//
// The arithmetic of outlier detection: which rates are too low, how long an ejection is, how many
// may be out. It keeps nothing; the governor does.

public import WireCore

/// What a backend's traffic came to within one interval.
public struct TrafficSample: Hashable, Sendable {
    /// The backend's index.
    public var backend: Int
    /// Requests that ended.
    public var requests: UInt64
    /// Those of them that failed.
    public var failures: UInt64

    /// Makes a sample.
    public init(backend: Int, requests: UInt64, failures: UInt64) {
        self.backend = backend
        self.requests = requests
        self.failures = min(failures, requests)
    }

    /// The share of requests that succeeded.
    var successRate: Double {
        requests == 0 ? 1 : Double(requests - failures) / Double(requests)
    }
}

/// A backend that stands out, and by what.
public struct Outlier: Hashable, Sendable {
    /// The backend's index.
    public var backend: Int
    /// By what.
    public var cause: EjectionCause
}

/// Finds outliers by the settings of a pool.
public struct OutlierDetector: Hashable, Sendable {
    /// A success rate has to be this much below the mean, whatever the deviation is.
    ///
    /// Among five backends of which four never fail, the fifth is two deviations off after a
    /// single failed request.
    public static let successRateGapMin = 0.05
    /// Ejections in a row beyond this do not get longer.
    static let ejectionNumberMax = 1_000

    /// The settings.
    public var settings: OutlierSettings

    /// Makes a detector.
    public init(settings: OutlierSettings) {
        self.settings = settings
    }

    /// The backends that stand out in these samples, the worst first; each once.
    public func outliers(in samples: [TrafficSample]) -> [Outlier] {
        var found: [(outlier: Outlier, rate: Double)] = []
        var taken = Set<Int>()
        for (sample, cause) in lowSuccessRates(in: samples) + highFailureRates(in: samples)
        where taken.insert(sample.backend).inserted {
            found.append((Outlier(backend: sample.backend, cause: cause), sample.successRate))
        }
        return found.sorted { left, right in
            left.rate != right.rate
                ? left.rate < right.rate : left.outlier.backend < right.outlier.backend
        }.map(\.outlier)
    }

    private func lowSuccessRates(in samples: [TrafficSample]) -> [(TrafficSample, EjectionCause)] {
        guard settings.successRateFactorMilli > 0 else { return [] }
        let volume = UInt64(max(settings.successRateRequestsMin, 1))
        let hosts = samples.filter { $0.requests >= volume }
        guard hosts.count >= max(settings.successRateHostsMin, 1) else { return [] }
        let count = Double(hosts.count)
        let mean = hosts.reduce(0) { $0 + $1.successRate } / count
        let variance =
            hosts.reduce(0) { sum, host in
                sum + (host.successRate - mean) * (host.successRate - mean)
            } / count
        let factor = Double(settings.successRateFactorMilli) / 1_000
        let threshold = mean - factor * variance.squareRoot()
        return hosts.compactMap { host in
            guard host.successRate < threshold, mean - host.successRate >= Self.successRateGapMin
            else { return nil }
            return (
                host,
                .lowSuccessRate(
                    rate: Int(host.successRate * 10_000), threshold: Int(threshold * 10_000))
            )
        }
    }

    private func highFailureRates(in samples: [TrafficSample]) -> [(TrafficSample, EjectionCause)] {
        guard settings.failurePercent > 0 else { return [] }
        let volume = UInt64(max(settings.failurePercentRequestsMin, 1))
        let hosts = samples.filter { $0.requests >= volume }
        guard hosts.count >= max(settings.failurePercentHostsMin, 1) else { return [] }
        return hosts.compactMap { host in
            let percent = (1 - host.successRate) * 100
            guard percent >= Double(settings.failurePercent) else { return nil }
            return (host, .highFailureRate(percent: Int(percent)))
        }
    }

    /// How long the n-th ejection in a row is, without jitter.
    public func ejectionTime(number: Int) -> TimeSpan {
        let number = UInt64(min(max(number, 1), Self.ejectionNumberMax))
        let longest = max(settings.ejectionTimeMax, settings.ejectionTime)
        switch settings.growth {
        case .linear:
            return min(longest, settings.ejectionTime.multiplied(by: number))
        case .doubling:
            return min(longest, settings.ejectionTime.multiplied(by: 1 << min(number - 1, 62)))
        }
    }

    /// How long the n-th ejection in a row is.
    public func ejectionTime(number: Int, using generator: inout SeededGenerator) -> TimeSpan {
        let time = ejectionTime(number: number)
        let percent = UInt64(min(max(settings.jitterPercent, 0), 100))
        return time + generator.span(upTo: time.divided(by: 100).multiplied(by: percent))
    }

    /// How many ejections still count after a backend served for so long since the last one.
    ///
    /// Each ejection time that it stays healthy makes up for one.
    public func remaining(of number: Int, after served: TimeSpan) -> Int {
        let unit = max(settings.ejectionTime.nanoseconds, 1)
        return max(0, number - Int(clamping: served.nanoseconds / unit))
    }

    /// How many backends of so many may be out; the largest whole number within the share.
    public func outMax(of total: Int) -> Int {
        max(0, total) * min(max(settings.ejectedPercentMax, 0), 100) / 100
    }
}
