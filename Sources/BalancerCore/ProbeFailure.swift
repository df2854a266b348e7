// SPDX-License-Identifier: Apache-2.0
//
// Why a health check failed, as a value that logs and status can show.

/// Why a probe failed.
public enum ProbeFailure: Hashable, Sendable {
    /// Nothing listens on the port.
    case connectionRefused
    /// No answer within the probe's time limit.
    case timedOut
    /// The backend closed or reset the connection before its answer was complete.
    case connectionClosed
    /// The answer carried a status outside 2xx and 3xx.
    case unexpectedStatus(Int)
    /// The answer was not an HTTP response.
    case malformedResponse
    /// The head of the answer was longer than a probe reads.
    case responseTooLong
    /// The system refused: no route, no descriptor; the text names the error.
    case system(String)
}

extension ProbeFailure: CustomStringConvertible {
    /// The reason in words: `connection refused`, `status 500`.
    public var description: String {
        switch self {
        case .connectionRefused: "connection refused"
        case .timedOut: "timed out"
        case .connectionClosed: "connection closed"
        case .unexpectedStatus(let status): "status \(status)"
        case .malformedResponse: "malformed response"
        case .responseTooLong: "response too long"
        case .system(let text): text
        }
    }
}
