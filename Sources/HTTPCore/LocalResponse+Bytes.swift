// SPDX-License-Identifier: Apache-2.0
//
// The wire bytes of every local response, as literals in the binary; tests check each of them with
// the response parser.

extension LocalResponse {
    /// The whole response.
    ///
    /// `keepsAlive` is for clients of HTTP/1.1 whose request was well framed.
    ///
    /// An answer to `HEAD` is the same without its last `body.utf8CodeUnitCount` bytes.
    public func bytes(keepsAlive: Bool) -> StaticString {
        keepsAlive ? keepAliveBytes : closeBytes
    }

    private var closeBytes: StaticString {
        switch self {
        case .badRequest:
            """
            HTTP/1.1 400 Bad Request\r
            Content-Type: text/plain\r
            Content-Length: 12\r
            Connection: close\r
            \r
            Bad Request

            """
        case .notFound:
            """
            HTTP/1.1 404 Not Found\r
            Content-Type: text/plain\r
            Content-Length: 10\r
            Connection: close\r
            \r
            Not Found

            """
        case .methodNotAllowed:
            """
            HTTP/1.1 405 Method Not Allowed\r
            Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r
            Content-Type: text/plain\r
            Content-Length: 19\r
            Connection: close\r
            \r
            Method Not Allowed

            """
        case .requestTimeout:
            """
            HTTP/1.1 408 Request Timeout\r
            Content-Type: text/plain\r
            Content-Length: 16\r
            Connection: close\r
            \r
            Request Timeout

            """
        case .contentTooLarge:
            """
            HTTP/1.1 413 Content Too Large\r
            Content-Type: text/plain\r
            Content-Length: 18\r
            Connection: close\r
            \r
            Content Too Large

            """
        case .uriTooLong:
            """
            HTTP/1.1 414 URI Too Long\r
            Content-Type: text/plain\r
            Content-Length: 13\r
            Connection: close\r
            \r
            URI Too Long

            """
        case .expectationFailed:
            """
            HTTP/1.1 417 Expectation Failed\r
            Content-Type: text/plain\r
            Content-Length: 19\r
            Connection: close\r
            \r
            Expectation Failed

            """
        case .tooManyRequests:
            """
            HTTP/1.1 429 Too Many Requests\r
            Content-Type: text/plain\r
            Content-Length: 18\r
            Connection: close\r
            \r
            Too Many Requests

            """
        case .requestHeaderFieldsTooLarge:
            """
            HTTP/1.1 431 Request Header Fields Too Large\r
            Content-Type: text/plain\r
            Content-Length: 32\r
            Connection: close\r
            \r
            Request Header Fields Too Large

            """
        case .internalServerError:
            """
            HTTP/1.1 500 Internal Server Error\r
            Content-Type: text/plain\r
            Content-Length: 22\r
            Connection: close\r
            \r
            Internal Server Error

            """
        case .notImplemented:
            """
            HTTP/1.1 501 Not Implemented\r
            Content-Type: text/plain\r
            Content-Length: 16\r
            Connection: close\r
            \r
            Not Implemented

            """
        case .badGateway:
            """
            HTTP/1.1 502 Bad Gateway\r
            Content-Type: text/plain\r
            Content-Length: 12\r
            Connection: close\r
            \r
            Bad Gateway

            """
        case .serviceUnavailable:
            """
            HTTP/1.1 503 Service Unavailable\r
            Content-Type: text/plain\r
            Content-Length: 20\r
            Connection: close\r
            \r
            Service Unavailable

            """
        case .gatewayTimeout:
            """
            HTTP/1.1 504 Gateway Timeout\r
            Content-Type: text/plain\r
            Content-Length: 16\r
            Connection: close\r
            \r
            Gateway Timeout

            """
        case .httpVersionNotSupported:
            """
            HTTP/1.1 505 HTTP Version Not Supported\r
            Content-Type: text/plain\r
            Content-Length: 27\r
            Connection: close\r
            \r
            HTTP Version Not Supported

            """
        }
    }

    private var keepAliveBytes: StaticString {
        switch self {
        case .badRequest:
            """
            HTTP/1.1 400 Bad Request\r
            Content-Type: text/plain\r
            Content-Length: 12\r
            \r
            Bad Request

            """
        case .notFound:
            """
            HTTP/1.1 404 Not Found\r
            Content-Type: text/plain\r
            Content-Length: 10\r
            \r
            Not Found

            """
        case .methodNotAllowed:
            """
            HTTP/1.1 405 Method Not Allowed\r
            Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r
            Content-Type: text/plain\r
            Content-Length: 19\r
            \r
            Method Not Allowed

            """
        case .requestTimeout:
            """
            HTTP/1.1 408 Request Timeout\r
            Content-Type: text/plain\r
            Content-Length: 16\r
            \r
            Request Timeout

            """
        case .contentTooLarge:
            """
            HTTP/1.1 413 Content Too Large\r
            Content-Type: text/plain\r
            Content-Length: 18\r
            \r
            Content Too Large

            """
        case .uriTooLong:
            """
            HTTP/1.1 414 URI Too Long\r
            Content-Type: text/plain\r
            Content-Length: 13\r
            \r
            URI Too Long

            """
        case .expectationFailed:
            """
            HTTP/1.1 417 Expectation Failed\r
            Content-Type: text/plain\r
            Content-Length: 19\r
            \r
            Expectation Failed

            """
        case .tooManyRequests:
            """
            HTTP/1.1 429 Too Many Requests\r
            Content-Type: text/plain\r
            Content-Length: 18\r
            \r
            Too Many Requests

            """
        case .requestHeaderFieldsTooLarge:
            """
            HTTP/1.1 431 Request Header Fields Too Large\r
            Content-Type: text/plain\r
            Content-Length: 32\r
            \r
            Request Header Fields Too Large

            """
        case .internalServerError:
            """
            HTTP/1.1 500 Internal Server Error\r
            Content-Type: text/plain\r
            Content-Length: 22\r
            \r
            Internal Server Error

            """
        case .notImplemented:
            """
            HTTP/1.1 501 Not Implemented\r
            Content-Type: text/plain\r
            Content-Length: 16\r
            \r
            Not Implemented

            """
        case .badGateway:
            """
            HTTP/1.1 502 Bad Gateway\r
            Content-Type: text/plain\r
            Content-Length: 12\r
            \r
            Bad Gateway

            """
        case .serviceUnavailable:
            """
            HTTP/1.1 503 Service Unavailable\r
            Content-Type: text/plain\r
            Content-Length: 20\r
            \r
            Service Unavailable

            """
        case .gatewayTimeout:
            """
            HTTP/1.1 504 Gateway Timeout\r
            Content-Type: text/plain\r
            Content-Length: 16\r
            \r
            Gateway Timeout

            """
        case .httpVersionNotSupported:
            """
            HTTP/1.1 505 HTTP Version Not Supported\r
            Content-Type: text/plain\r
            Content-Length: 27\r
            \r
            HTTP Version Not Supported

            """
        }
    }
}
