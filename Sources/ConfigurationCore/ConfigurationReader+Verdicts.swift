// SPDX-License-Identifier: Apache-2.0
//
// The keys `outlier_detection` and `cascade_guard`.

import WireCore

extension ConfigurationReader {
    /// Key `outlier_detection`.
    mutating func outlierDetection(in section: Section) -> OutlierConfiguration? {
        let time = duration("ejection_time", in: section)
        let timeMax = duration("ejection_time_max", in: section)
        let defaults = OutlierConfiguration()
        let outlier = OutlierConfiguration(
            consecutiveServerErrors: integerOrDefault("consecutive_5xx", in: section),
            consecutiveGatewayErrors: integerOrDefault("consecutive_gateway", in: section),
            consecutiveLocalErrors: integerOrDefault("consecutive_local", in: section),
            interval: durationOrDefault("interval", in: section),
            successRateFactorMilli: decimalOrDefault("success_rate_factor", in: section),
            successRateHostsMin: integerOrDefault("success_rate_hosts", in: section),
            successRateRequestsMin: integerOrDefault("success_rate_requests", in: section),
            failurePercent: integerOrDefault("failure_percentage", in: section),
            failurePercentRequestsMin: integerOrDefault("failure_percentage_requests", in: section),
            ejectionTime: time?.value ?? defaults.ejectionTime,
            ejectionTimeMax: timeMax?.value ?? defaults.ejectionTimeMax,
            growth: OutlierConfiguration.Growth(rawValue: choiceOrDefault("growth", in: section))
                ?? .linear,
            ejectedPercentMax: integerOrDefault("max_ejected", in: section))
        check(outlier, time ?? timeMax, in: section)
        return outlier
    }

    private mutating func check(
        _ outlier: OutlierConfiguration, _ time: Located<TimeSpan>?, in section: Section
    ) {
        if outlier.ejectionTime > outlier.ejectionTimeMax, let time {
            let spans =
                "ejection_time \(DurationText.render(outlier.ejectionTime)) is longer than "
                + "ejection_time_max \(DurationText.render(outlier.ejectionTimeMax))"
            error(time.range, spans, suggestion: "make ejection_time_max at least as long")
        }
        let detectors = [
            outlier.consecutiveServerErrors, outlier.consecutiveGatewayErrors,
            outlier.consecutiveLocalErrors, outlier.successRateFactorMilli, outlier.failurePercent,
        ]
        if detectors.allSatisfy({ $0 == 0 }) {
            warning(
                section.range, "\(section.title ?? "") looks at nothing: every rule is 0",
                suggestion: "write outlier_detection: off")
        } else if outlier.ejectedPercentMax == 0 {
            warning(
                section.fields["max_ejected"]?.value.range ?? section.range,
                "with max_ejected: 0 no backend is ever ejected",
                suggestion: "write outlier_detection: off, or a larger share")
        }
        let needs = [
            ("success_rate_hosts", outlier.successRateFactorMilli, "success_rate_factor"),
            ("success_rate_requests", outlier.successRateFactorMilli, "success_rate_factor"),
            ("failure_percentage_requests", outlier.failurePercent, "failure_percentage"),
        ]
        for (name, value, rule) in needs where value == 0 {
            warnOfNoEffect(
                name, in: section, because: "while \(rule) is 0",
                suggestion: "set \(rule), or remove it")
        }
    }

    /// Key `cascade_guard`.
    mutating func cascadeGuard(in section: Section) -> CascadeConfiguration? {
        CascadeConfiguration(
            thresholdPercent: integerOrDefault("threshold", in: section),
            window: durationOrDefault("window", in: section))
    }
}
