// SPDX-License-Identifier: Apache-2.0
//
// From a pool's configuration to the rules of its governor.

import BalancerCore
import ConfigurationCore
import WireCore

extension GovernorSettings {
    /// The rules of a configured pool.
    init(_ pool: PoolConfiguration) {
        self.init()
        outlier = pool.outlierDetection.map { OutlierSettings($0) }
        // Without anything that judges, nothing can be a shared cause.
        let isJudged =
            pool.healthCheck != nil || pool.readinessCheck != nil || pool.outlierDetection != nil
        cascade = isJudged ? pool.cascadeGuard.map { CascadeSettings($0) } : nil
        slowStart = pool.slowStart.map { SlowStartSettings($0) }
        sharing.panicPercent = pool.sharing.panicPercent
        sharing.overprovisionPercent = pool.sharing.overprovisionPercent
        drain.timeout = pool.drain.timeout
        drain.tunnelTimeout = pool.drain.tunnelTimeout
    }
}

extension OutlierSettings {
    init(_ outlier: OutlierConfiguration) {
        self.init()
        serverErrorsMax = outlier.consecutiveServerErrors
        gatewayErrorsMax = outlier.consecutiveGatewayErrors
        localErrorsMax = outlier.consecutiveLocalErrors
        interval = outlier.interval
        successRateFactorMilli = outlier.successRateFactorMilli
        successRateHostsMin = outlier.successRateHostsMin
        successRateRequestsMin = outlier.successRateRequestsMin
        failurePercent = outlier.failurePercent
        failurePercentRequestsMin = outlier.failurePercentRequestsMin
        ejectionTime = outlier.ejectionTime
        ejectionTimeMax = outlier.ejectionTimeMax
        growth =
            switch outlier.growth {
            case .linear: .linear
            case .double: .doubling
            }
        ejectedPercentMax = outlier.ejectedPercentMax
    }

    /// True when rates are looked at, for which the workers' counts are needed.
    var looksAtRates: Bool { successRateFactorMilli > 0 || failurePercent > 0 }
}

extension CascadeSettings {
    init(_ cascade: CascadeConfiguration) {
        self.init()
        thresholdPercent = cascade.thresholdPercent
        window = cascade.window
    }
}

extension SlowStartSettings {
    init(_ slowStart: SlowStartConfiguration) {
        self.init()
        window = slowStart.window
        aggressionPercent = slowStart.aggressionPercent
        minPercent = slowStart.minPercent
    }
}
