// SPDX-License-Identifier: Apache-2.0
//
// The access log's destination: opened at the start, when a reload changes it, and on request.

internal import ConfigurationCore
internal import LinuxIO
public import Telemetry

extension DataPlane {
    /// Opens what the configuration names, or stops writing.
    ///
    /// - Throws: why it cannot be opened; what was open stays open then.
    func adoptAccessLog(_ settings: AccessLogConfiguration?) throws(DataPlaneError) {
        guard let settings else {
            accessLog.close()
            return
        }
        let destination = settings.file.map { AccessLogDestination.file($0) } ?? .standardError
        let format: AccessLogFormat =
            switch settings.format {
            case .json: .json
            case .common: .common
            case .combined: .combined
            }
        do throws(Errno) {
            try accessLog.open(destination, format: format)
        } catch {
            let name = settings.file ?? "standard error"
            throw DataPlaneError(problems: ["access_log.file: cannot open \(name): \(error)"])
        }
    }

    /// Opens the access log's file again, for a file that was moved away.
    ///
    /// - Throws: why it cannot be opened; lines go on into the one that is open then.
    public func reopenAccessLog() throws(DataPlaneError) {
        try adoptAccessLog(accessLogSettings)
    }

    /// The access log's own numbers.
    public var accessLogMetrics: any MetricSource { accessLog }
}
