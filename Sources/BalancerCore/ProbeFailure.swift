// SPDX-License-Identifier: Apache-2.0
//
// Why a health check failed, as a value that logs and status can show.

/// What a backend answered about itself over `grpc.health.v1.Health`.
public enum ServingStatus: UInt8, Hashable, Sendable, CaseIterable {
    /// UNKNOWN (0).
    case unknown
    /// SERVING (1).
    case serving
    /// NOT_SERVING (2).
    case notServing
    /// SERVICE_UNKNOWN (3).
    case serviceUnknown

    /// The name in the protocol's definition.
    public var name: String {
        switch self {
        case .unknown: "UNKNOWN"
        case .serving: "SERVING"
        case .notServing: "NOT_SERVING"
        case .serviceUnknown: "SERVICE_UNKNOWN"
        }
    }
}

/// Why a probe failed.
public enum ProbeFailure: Hashable, Sendable {
    /// Nothing listens on the port; for UDP, the host said so (ICMP port unreachable).
    case connectionRefused
    /// No answer within the probe's time limit.
    case timedOut
    /// The backend closed or reset the connection before its answer was complete.
    case connectionClosed
    /// The answer carried a status that the check does not take.
    case unexpectedStatus(Int)
    /// The body ended, or its first 64 KiB did, without the text that the check wants.
    case bodyMismatch
    /// The answer came without the bytes that the check wants.
    case unexpectedAnswer
    /// The answer was not one of the protocol that was asked in.
    case malformedResponse
    /// The answer was longer than a probe reads.
    case responseTooLong
    /// The backend said that it does not serve.
    case notServing(ServingStatus)
    /// The gRPC call ended with another status than OK.
    case callStatus(Int)
    /// The system refused: no route, no descriptor; the text names the error.
    case system(String)

    /// The stable word for metrics.
    public var token: String {
        switch self {
        case .connectionRefused: "connection_refused"
        case .timedOut: "timed_out"
        case .connectionClosed: "connection_closed"
        case .unexpectedStatus: "unexpected_status"
        case .bodyMismatch: "body_mismatch"
        case .unexpectedAnswer: "unexpected_answer"
        case .malformedResponse: "malformed_response"
        case .responseTooLong: "response_too_long"
        case .notServing: "not_serving"
        case .callStatus: "call_status"
        case .system: "system_error"
        }
    }
}

extension ProbeFailure: CustomStringConvertible {
    /// The reason in words: `connection refused`, `status 500`.
    public var description: String {
        switch self {
        case .connectionRefused: "connection refused"
        case .timedOut: "timed out"
        case .connectionClosed: "connection closed"
        case .unexpectedStatus(let status): "status \(status)"
        case .bodyMismatch: "body without the expected text"
        case .unexpectedAnswer: "answer without the expected bytes"
        case .malformedResponse: "malformed response"
        case .responseTooLong: "response too long"
        case .notServing(let status): "gRPC health \(status.name)"
        case .callStatus(let status): "gRPC status \(Self.callStatusText(status))"
        case .system(let text): text
        }
    }

    /// A status of a gRPC call with its name; UNIMPLEMENTED is what a server without the health
    /// service says.
    private static func callStatusText(_ status: Int) -> String {
        let names = [
            "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
            "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
            "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
            "UNAUTHENTICATED",
        ]
        return names.indices.contains(status) ? names[status] : "\(status)"
    }
}
