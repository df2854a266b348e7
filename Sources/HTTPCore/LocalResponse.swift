// SPDX-License-Identifier: Apache-2.0
//
// The failures that the proxy answers by itself, and what it says then. ComposedAnswer puts them on
// the wire; their texts are literals in the binary.

/// A response made here and not by a backend.
public enum LocalResponse: UInt16, CaseIterable, Sendable {
    /// The request breaks a rule.
    case badRequest = 400
    /// No route or pool for it.
    case notFound = 404
    /// A method that is refused, such as `CONNECT` and `TRACE`.
    case methodNotAllowed = 405
    /// The client took too long to send its request.
    case requestTimeout = 408
    /// The body is larger than allowed.
    case contentTooLarge = 413
    /// The target is longer than allowed.
    case uriTooLong = 414
    /// An expectation other than `100-continue`.
    case expectationFailed = 417
    /// The client is over its rate.
    case tooManyRequests = 429
    /// The head is larger than allowed.
    case requestHeaderFieldsTooLarge = 431
    /// We failed.
    case internalServerError = 500
    /// A method or a transfer coding that we do not implement.
    case notImplemented = 501
    /// The backend cannot be reached or sent no valid response.
    case badGateway = 502
    /// No backend can serve now.
    case serviceUnavailable = 503
    /// The backend took too long.
    case gatewayTimeout = 504
    /// Neither HTTP/1.0 nor HTTP/1.1.
    case httpVersionNotSupported = 505

    /// `100 (Continue)`, for when we answer the expectation ourselves.
    public static let continueResponse: StaticString = "HTTP/1.1 100 Continue\r\n\r\n"

    /// The answer to a request that was refused for this fault.
    public init(_ fault: MessageFault) {
        self = LocalResponse(rawValue: fault.statusCode) ?? .badRequest
    }

    /// The text in the body.
    public var body: StaticString {
        switch self {
        case .badRequest: "Bad Request\n"
        case .notFound: "Not Found\n"
        case .methodNotAllowed: "Method Not Allowed\n"
        case .requestTimeout: "Request Timeout\n"
        case .contentTooLarge: "Content Too Large\n"
        case .uriTooLong: "URI Too Long\n"
        case .expectationFailed: "Expectation Failed\n"
        case .tooManyRequests: "Too Many Requests\n"
        case .requestHeaderFieldsTooLarge: "Request Header Fields Too Large\n"
        case .internalServerError: "Internal Server Error\n"
        case .notImplemented: "Not Implemented\n"
        case .badGateway: "Bad Gateway\n"
        case .serviceUnavailable: "Service Unavailable\n"
        case .gatewayTimeout: "Gateway Timeout\n"
        case .httpVersionNotSupported: "HTTP Version Not Supported\n"
        }
    }
}
