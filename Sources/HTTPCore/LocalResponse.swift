// SPDX-License-Identifier: Apache-2.0
//
// The answers that the proxy gives by itself, as literals in the binary, complete as they go on the
// wire: nothing is formatted while serving. Tests check each of them with the response parser.

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

extension LocalResponse {
    /// The whole response.
    ///
    /// `keepsAlive` is for clients of HTTP/1.1 whose request was well framed. An answer to `HEAD`
    /// is the same without its last `body.utf8CodeUnitCount` bytes.
    public func bytes(keepsAlive: Bool) -> StaticString {
        keepsAlive ? wire.keepingAlive : wire.closing
    }

    private var wire: WireResponse {
        switch self {
        case .badRequest: .badRequest
        case .notFound: .notFound
        case .methodNotAllowed: .methodNotAllowed
        case .requestTimeout: .requestTimeout
        case .contentTooLarge: .contentTooLarge
        case .uriTooLong: .uriTooLong
        case .expectationFailed: .expectationFailed
        case .tooManyRequests: .tooManyRequests
        case .requestHeaderFieldsTooLarge: .requestHeaderFieldsTooLarge
        case .internalServerError: .internalServerError
        case .notImplemented: .notImplemented
        case .badGateway: .badGateway
        case .serviceUnavailable: .serviceUnavailable
        case .gatewayTimeout: .gatewayTimeout
        case .httpVersionNotSupported: .httpVersionNotSupported
        }
    }
}

/// One response in both forms, byte for byte.
private struct WireResponse {
    let closing: StaticString
    let keepingAlive: StaticString

    static var badRequest: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 400 Bad Request\r
                Content-Type: text/plain\r
                Content-Length: 12\r
                Connection: close\r
                \r
                Bad Request

                """,
            keepingAlive: """
                HTTP/1.1 400 Bad Request\r
                Content-Type: text/plain\r
                Content-Length: 12\r
                \r
                Bad Request

                """)
    }

    static var notFound: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 404 Not Found\r
                Content-Type: text/plain\r
                Content-Length: 10\r
                Connection: close\r
                \r
                Not Found

                """,
            keepingAlive: """
                HTTP/1.1 404 Not Found\r
                Content-Type: text/plain\r
                Content-Length: 10\r
                \r
                Not Found

                """)
    }

    static var methodNotAllowed: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 405 Method Not Allowed\r
                Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r
                Content-Type: text/plain\r
                Content-Length: 19\r
                Connection: close\r
                \r
                Method Not Allowed

                """,
            keepingAlive: """
                HTTP/1.1 405 Method Not Allowed\r
                Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r
                Content-Type: text/plain\r
                Content-Length: 19\r
                \r
                Method Not Allowed

                """)
    }

    static var requestTimeout: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 408 Request Timeout\r
                Content-Type: text/plain\r
                Content-Length: 16\r
                Connection: close\r
                \r
                Request Timeout

                """,
            keepingAlive: """
                HTTP/1.1 408 Request Timeout\r
                Content-Type: text/plain\r
                Content-Length: 16\r
                \r
                Request Timeout

                """)
    }

    static var contentTooLarge: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 413 Content Too Large\r
                Content-Type: text/plain\r
                Content-Length: 18\r
                Connection: close\r
                \r
                Content Too Large

                """,
            keepingAlive: """
                HTTP/1.1 413 Content Too Large\r
                Content-Type: text/plain\r
                Content-Length: 18\r
                \r
                Content Too Large

                """)
    }

    static var uriTooLong: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 414 URI Too Long\r
                Content-Type: text/plain\r
                Content-Length: 13\r
                Connection: close\r
                \r
                URI Too Long

                """,
            keepingAlive: """
                HTTP/1.1 414 URI Too Long\r
                Content-Type: text/plain\r
                Content-Length: 13\r
                \r
                URI Too Long

                """)
    }

    static var expectationFailed: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 417 Expectation Failed\r
                Content-Type: text/plain\r
                Content-Length: 19\r
                Connection: close\r
                \r
                Expectation Failed

                """,
            keepingAlive: """
                HTTP/1.1 417 Expectation Failed\r
                Content-Type: text/plain\r
                Content-Length: 19\r
                \r
                Expectation Failed

                """)
    }

    static var tooManyRequests: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 429 Too Many Requests\r
                Content-Type: text/plain\r
                Content-Length: 18\r
                Connection: close\r
                \r
                Too Many Requests

                """,
            keepingAlive: """
                HTTP/1.1 429 Too Many Requests\r
                Content-Type: text/plain\r
                Content-Length: 18\r
                \r
                Too Many Requests

                """)
    }

    static var requestHeaderFieldsTooLarge: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 431 Request Header Fields Too Large\r
                Content-Type: text/plain\r
                Content-Length: 32\r
                Connection: close\r
                \r
                Request Header Fields Too Large

                """,
            keepingAlive: """
                HTTP/1.1 431 Request Header Fields Too Large\r
                Content-Type: text/plain\r
                Content-Length: 32\r
                \r
                Request Header Fields Too Large

                """)
    }

    static var internalServerError: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 500 Internal Server Error\r
                Content-Type: text/plain\r
                Content-Length: 22\r
                Connection: close\r
                \r
                Internal Server Error

                """,
            keepingAlive: """
                HTTP/1.1 500 Internal Server Error\r
                Content-Type: text/plain\r
                Content-Length: 22\r
                \r
                Internal Server Error

                """)
    }

    static var notImplemented: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 501 Not Implemented\r
                Content-Type: text/plain\r
                Content-Length: 16\r
                Connection: close\r
                \r
                Not Implemented

                """,
            keepingAlive: """
                HTTP/1.1 501 Not Implemented\r
                Content-Type: text/plain\r
                Content-Length: 16\r
                \r
                Not Implemented

                """)
    }

    static var badGateway: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 502 Bad Gateway\r
                Content-Type: text/plain\r
                Content-Length: 12\r
                Connection: close\r
                \r
                Bad Gateway

                """,
            keepingAlive: """
                HTTP/1.1 502 Bad Gateway\r
                Content-Type: text/plain\r
                Content-Length: 12\r
                \r
                Bad Gateway

                """)
    }

    static var serviceUnavailable: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 503 Service Unavailable\r
                Content-Type: text/plain\r
                Content-Length: 20\r
                Connection: close\r
                \r
                Service Unavailable

                """,
            keepingAlive: """
                HTTP/1.1 503 Service Unavailable\r
                Content-Type: text/plain\r
                Content-Length: 20\r
                \r
                Service Unavailable

                """)
    }

    static var gatewayTimeout: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 504 Gateway Timeout\r
                Content-Type: text/plain\r
                Content-Length: 16\r
                Connection: close\r
                \r
                Gateway Timeout

                """,
            keepingAlive: """
                HTTP/1.1 504 Gateway Timeout\r
                Content-Type: text/plain\r
                Content-Length: 16\r
                \r
                Gateway Timeout

                """)
    }

    static var httpVersionNotSupported: WireResponse {
        WireResponse(
            closing: """
                HTTP/1.1 505 HTTP Version Not Supported\r
                Content-Type: text/plain\r
                Content-Length: 27\r
                Connection: close\r
                \r
                HTTP Version Not Supported

                """,
            keepingAlive: """
                HTTP/1.1 505 HTTP Version Not Supported\r
                Content-Type: text/plain\r
                Content-Length: 27\r
                \r
                HTTP Version Not Supported

                """)
    }
}
