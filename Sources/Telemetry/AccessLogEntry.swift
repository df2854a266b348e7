// SPDX-License-Identifier: Apache-2.0
//
// What one line of the access log is made of: what is known once the request was read, and what is
// known once it is over. Plain values and borrowed bytes.

/// The form of an access log.
public enum AccessLogFormat: UInt8, Sendable {
    /// One JSON object a line.
    case json
    /// NCSA Common Log Format.
    case common
    /// Common Log Format with referer and user agent.
    case combined
}

/// What is known about a request once its head was read.
///
/// The bytes are borrowed for one call. An empty buffer says that there is no such thing.
public struct AccessLogRequest {
    /// What a listener carries.
    public enum Service: UInt8, Sendable {
        /// Requests.
        case http
        /// Bytes.
        case tcp
    }

    /// When it began, in nanoseconds since 1970.
    public var wallNanoseconds: UInt64 = 0
    /// What the listener carries.
    public var service = Service.http
    /// The node's name; letters, digits, `-_.` only.
    public var node = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The listener's name; letters, digits, `-_.` only.
    public var listener = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The client's address as text, made by us.
    public var client = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The client's port; 0 when it is not known.
    public var clientPort: UInt16 = 0
    /// The address of the connection's other end, when that is not the client; made by us.
    public var peer = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The port of the connection's other end.
    public var peerPort: UInt16 = 0
    /// The minor version of HTTP/1.
    public var minorVersion: UInt8 = 1
    /// The method.
    public var method = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The host without port.
    public var host = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The target as received: path and query.
    public var target = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The value of `Referer`.
    public var referer = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The value of `User-Agent`.
    public var userAgent = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The value of `X-Request-Id` that the backend gets; checked to have nothing to escape.
    public var requestID = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The trace identifier of `traceparent`; checked to be hexadecimal.
    public var traceID = UnsafeRawBufferPointer(start: nil, count: 0)

    /// Nothing known yet.
    public init() {}
}

/// What is known about a request once it is over.
public struct AccessLogResult {
    /// The status that the client was sent; 0 when there was none.
    public var status: UInt16 = 0
    /// Bytes received, head and body.
    public var receivedByteCount: UInt64 = 0
    /// Bytes sent, head and body.
    public var sentByteCount: UInt64 = 0
    /// Bytes of the response head among those sent.
    public var sentHeadByteCount: UInt64 = 0
    /// How long the connection idled before the first byte.
    public var idleMicroseconds: UInt64 = 0
    /// From the first byte to the end of the head.
    public var headMicroseconds: UInt64 = 0
    /// From there to the choice of the backend that answered; `nil` when none was chosen.
    public var queueMicroseconds: UInt64?
    /// From there until the connection was up; `nil` when none came up.
    public var connectMicroseconds: UInt64?
    /// From there to the response head; `nil` when none came.
    public var responseMicroseconds: UInt64?
    /// From the first byte to the end.
    public var totalMicroseconds: UInt64 = 0
    /// The number of the route in its listener; `nil` when none matched.
    public var route: UInt16?
    /// The pool's name; letters, digits, `-_.` only.
    public var pool = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The name of the backend tried last; letters, digits, `-_.` only.
    public var backend = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The upstream connection had served before.
    public var isReused = false
    /// Further backends tried.
    public var retryCount: UInt8 = 0
    /// Times it was sent again to the same backend.
    public var replayCount: UInt8 = 0
    /// Who ended it.
    public var cause = AccessLogCause.none
    /// What was going on then.
    public var phase = AccessLogPhase.request

    /// Nothing known yet.
    public init() {}
}
