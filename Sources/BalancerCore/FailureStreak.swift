// SPDX-License-Identifier: Apache-2.0
//
// Failures in a row of one backend as one word, so that threads can share it: the three counters of
// outlier detection and what each outcome does to them.
//
//                           5xx      gateway   local
//   2xx, 3xx, 4xx            0          0        0
//   500, 501, 505 ...       +1          0        0
//   502, 503, 504           +1         +1        0
//   refused                  -          -       +1   and remembered as refused
//   reset, timed out         -          -       +1   and not

/// How a request to a backend ended, as far as outlier detection is concerned.
public enum TrafficOutcome: Hashable, Sendable {
    /// The head of an answer came, with this status.
    case answered(status: Int)
    /// No connection came about.
    case refused
    /// The connection broke, or the answer did not come in time.
    case brokenOff
}

/// Failures in a row of one backend; the word zero is the beginning.
public struct FailureStreak: Hashable, Sendable {
    /// Counters stop here.
    public static let countMax = 65_535
    private static let refusedBit: UInt64 = 1 << 48

    /// The counters: 5xx in bits 0-15, gateway in 16-31, local in 32-47, the last local one refused
    /// in 48.
    public var rawValue: UInt64

    /// Reads a word.
    @inlinable
    public init(rawValue: UInt64 = 0) {
        self.rawValue = rawValue
    }

    /// Answers 5xx in a row.
    public var serverErrors: Int { Int(rawValue & 0xFFFF) }
    /// Answers 502, 503 and 504 in a row.
    public var gatewayErrors: Int { Int(rawValue &>> 16 & 0xFFFF) }
    /// Requests in a row that were refused, reset or timed out.
    public var localErrors: Int { Int(rawValue &>> 32 & 0xFFFF) }
    /// True when the last local error was a refusal.
    public var isRefusing: Bool { rawValue & Self.refusedBit != 0 }

    /// Counts an outcome.
    ///
    /// A cause comes back whenever a counter reaches its limit; all three begin anew then, so that
    /// the next one takes as many failures again. Most outcomes leave a word of zero at zero:
    /// compare before you store.
    ///
    /// - Parameters:
    ///   - outcome: how a request ended.
    ///   - settings: the limits.
    /// - Returns: what is to be reported to the governor, if anything.
    public mutating func count(
        _ outcome: TrafficOutcome, settings: OutlierSettings
    ) -> EjectionCause? {
        switch outcome {
        case .answered(let status) where status < 500 || status > 599:
            rawValue = 0
            return nil
        case .answered(let status):
            let isGateway = (502...504).contains(status)
            set(
                server: serverErrors + 1, gateway: isGateway ? gatewayErrors + 1 : 0, local: 0,
                refusing: false)
        case .refused:
            set(
                server: serverErrors, gateway: gatewayErrors, local: localErrors + 1,
                refusing: true)
        case .brokenOff:
            set(
                server: serverErrors, gateway: gatewayErrors, local: localErrors + 1,
                refusing: false)
        }
        let cause = cause(settings)
        if cause != nil { rawValue = 0 }
        return cause
    }

    private func cause(_ settings: OutlierSettings) -> EjectionCause? {
        if settings.localErrorsMax > 0, localErrors >= settings.localErrorsMax {
            return isRefusing
                ? .refusedConnections(count: localErrors) : .localErrors(count: localErrors)
        }
        if settings.gatewayErrorsMax > 0, gatewayErrors >= settings.gatewayErrorsMax {
            return .gatewayErrors(count: gatewayErrors)
        }
        if settings.serverErrorsMax > 0, serverErrors >= settings.serverErrorsMax {
            return .serverErrors(count: serverErrors)
        }
        return nil
    }

    private mutating func set(server: Int, gateway: Int, local: Int, refusing: Bool) {
        rawValue =
            UInt64(min(server, Self.countMax)) | UInt64(min(gateway, Self.countMax)) &<< 16
            | UInt64(min(local, Self.countMax)) &<< 32 | (refusing ? Self.refusedBit : 0)
    }
}
