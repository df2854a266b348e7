// SPDX-License-Identifier: Apache-2.0
//
// What the proxy puts into an upstream head beside the client's own fields: one value per request,
// made of bytes that others keep.

/// How a request is written anew.
///
/// All buffers must stay valid while a head is written. The first three facts are what every head
/// needs; everything below them is off until it is set, and costs nothing until then.
@safe
public struct RequestRewrite {
    /// The address of the peer as text: what `X-Forwarded-For` consists of, or ends in.
    public let clientAddress: UnsafeRawBufferPointer
    /// The scheme the client used, for `X-Forwarded-Proto`.
    public let scheme: URIScheme
    /// `Host` for HTTP/1.0 requests that have none, usually the backend's address.
    public let fallbackHost: UnsafeRawBufferPointer
    /// Passes `Expect: 100-continue` on; otherwise the caller answers it itself.
    public var forwardsExpect = false
    /// Passes an upgrade on that the client asks for, if it is to `websocket`.
    ///
    /// Other protocols never pass: a tunnel of `h2c` would escape every rule here.
    public var forwardsUpgrade = false
    /// Asks the backend to close after its response.
    public var closesConnection = false

    /// True until anything below is set to more than nothing.
    private(set) var isPlain = true

    /// Field edits, the listener's and the route's in one.
    public var edits = HeadEditList() { didSet { isPlain = isPlain && edits.isEmpty } }
    /// Puts another prefix before the path.
    public var path = PathRewrite() {
        didSet { isPlain = unsafe isPlain && path.replacement.isEmpty }
    }
    /// `Host` for the backend; empty keeps the request's.
    ///
    /// `X-Forwarded-Host` says what the client asked for either way.
    public var host = unsafe UnsafeRawBufferPointer(start: nil, count: 0) {
        didSet { isPlain = unsafe isPlain && host.isEmpty }
    }
    /// Believes what the peer says about earlier hops: it is a proxy of our own.
    ///
    /// `X-Forwarded-For` then grows by the peer's address, and `X-Forwarded-Proto`, `-Host` and
    /// `-Port` stay as they came. Otherwise all of them are replaced.
    public var trustsPeer = false { didSet { isPlain = isPlain && !trustsPeer } }
    /// Writes `Forwarded` (RFC 7239): behind the peer's own when it is trusted, else instead of it.
    ///
    /// When this is off a trusted peer's `Forwarded` passes as it came.
    public var writesForwarded = false { didSet { isPlain = isPlain && !writesForwarded } }
    /// `by` in `Forwarded`: an address without port, or an identifier such as `_lb1`; may be empty.
    public var forwardedBy = unsafe UnsafeRawBufferPointer(start: nil, count: 0) {
        didSet { isPlain = unsafe isPlain && forwardedBy.isEmpty }
    }
    /// The port the client connected to, for `X-Forwarded-Port`; 0 writes no such field.
    public var forwardedPort: UInt16 = 0 { didSet { isPlain = isPlain && forwardedPort == 0 } }
    /// The client's address as text, for `X-Real-IP`; empty writes no such field.
    ///
    /// What came under that name never passes, not even from a trusted peer: it is one address
    /// without a chain, so nobody can check it.
    public var realAddress = unsafe UnsafeRawBufferPointer(start: nil, count: 0) {
        didSet { isPlain = unsafe isPlain && realAddress.isEmpty }
    }
    /// `X-Request-Id` in place of any that came; empty passes what came.
    public var requestID = unsafe UnsafeRawBufferPointer(start: nil, count: 0) {
        didSet { isPlain = unsafe isPlain && requestID.isEmpty }
    }
    /// `traceparent` in place of any that came, without `tracestate`; empty passes both.
    public var traceparent = unsafe UnsafeRawBufferPointer(start: nil, count: 0) {
        didSet { isPlain = unsafe isPlain && traceparent.isEmpty }
    }
    /// Our name in `Via`; empty writes no such field, which is the default.
    ///
    /// RFC 9110 §7.6.3 wants a gateway to send it. HAProxy and nginx do not: many origin servers
    /// take it for a sign of an old proxy and stop compressing (nginx's `gzip_proxied`).
    public var via = unsafe UnsafeRawBufferPointer(start: nil, count: 0) {
        didSet { isPlain = unsafe isPlain && via.isEmpty }
    }
    /// A cookie that the backend shall not see; empty passes all.
    public var hiddenCookie = unsafe UnsafeRawBufferPointer(start: nil, count: 0) {
        didSet { isPlain = unsafe isPlain && hiddenCookie.isEmpty }
    }
    /// Says `TE: trailers` when the client did: trailers of the response will reach it.
    public var offersTrailers = false { didSet { isPlain = isPlain && !offersTrailers } }
    /// Keeps `Trailer`: trailers of the request will reach the backend.
    public var forwardsTrailers = false { didSet { isPlain = isPlain && !forwardsTrailers } }

    /// Makes the rewrite that every request gets.
    public init(
        clientAddress: UnsafeRawBufferPointer, scheme: URIScheme,
        fallbackHost: UnsafeRawBufferPointer
    ) {
        unsafe self.clientAddress = clientAddress
        self.scheme = scheme
        unsafe self.fallbackHost = fallbackHost
    }
}
