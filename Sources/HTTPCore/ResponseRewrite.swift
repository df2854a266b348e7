// SPDX-License-Identifier: Apache-2.0
//
// The head that the client gets: the backend's message written anew, with framing and persistence
// of our own hop.

/// How a response is written anew.
///
/// All buffers must stay valid while a head is written. What is below the first two facts is off
/// until it is set, and never touches interim responses.
@safe
public struct ResponseRewrite {
    /// The client's HTTP minor version.
    public var clientMinorVersion: UInt8
    /// True when the connection to the client shall live after this response.
    public var keepsAlive: Bool
    /// The time as `Date` has it, for responses without one (RFC 9110 §6.6.1); may be empty.
    public var date = unsafe UnsafeRawBufferPointer(start: nil, count: 0)

    /// True until anything below is set to more than nothing.
    private(set) var isPlain = true

    /// Field edits, the listener's and the route's in one.
    public var edits = HeadEditList() { didSet { isPlain = isPlain && edits.isEmpty } }
    /// The request's `X-Request-Id`, in place of any the backend sent; empty passes what came.
    public var requestID = unsafe UnsafeRawBufferPointer(start: nil, count: 0) {
        didSet { isPlain = unsafe isPlain && requestID.isEmpty }
    }
    /// The value of a `Set-Cookie` line of our own; empty adds none.
    public var setCookie = unsafe UnsafeRawBufferPointer(start: nil, count: 0) {
        didSet { isPlain = unsafe isPlain && setCookie.isEmpty }
    }
    /// Keeps `Trailer`: trailers will reach the client, if the body is chunked for it.
    public var forwardsTrailers = false { didSet { isPlain = isPlain && !forwardsTrailers } }

    /// A head for a client that sent `HTTP/1.clientMinorVersion`.
    public init(clientMinorVersion: UInt8, keepsAlive: Bool) {
        self.clientMinorVersion = clientMinorVersion
        self.keepsAlive = keepsAlive
    }
}

extension ResponseHead {
    /// Hop-by-hop fields and framing (RFC 9110 §7.6.1).
    private static var dropped: KnownFieldSet {
        [
            .connection, .contentLength, .transferEncoding, .upgrade, .te, .trailer, .keepAlive,
            .proxyConnection, .proxyAuthenticate, .proxyAuthorization,
        ]
    }

    /// Room for the status line's version and every field we may add, `Date` included.
    private static let addedByteCountMax = 256

    /// The framing to use towards a client of that minor version.
    ///
    /// A body without known length is chunked, so that the client can tell its end from a broken
    /// connection; HTTP/1.0 has no chunks, there the connection closes (RFC 9112 §7.1).
    public func clientFraming(clientMinorVersion: UInt8) -> BodyFraming {
        switch framing {
        case .none, .length: framing
        case .chunked, .untilClose: clientMinorVersion == 0 ? .untilClose : .chunked
        }
    }

    /// The size of a buffer that holds the head of a plain rewrite, whatever the fields are.
    public var clientHeadByteCountMax: Int { headByteCount &+ Self.addedByteCountMax }

    /// The size of a buffer that holds the rewritten head, whatever the fields are.
    @inline(__always)
    public func clientHeadByteCountMax(_ rewrite: ResponseRewrite) -> Int {
        let byteCount = unsafe clientHeadByteCountMax &+ rewrite.date.count
        guard !rewrite.isPlain else { return byteCount }
        return unsafe byteCount &+ rewrite.edits.lineByteCount &+ rewrite.requestID.count
            &+ rewrite.setCookie.count
    }

    /// Writes the client's head; returns its length, or `nil` when `output` is smaller than
    /// `clientHeadByteCountMax`.
    ///
    /// `input` is the buffer that was parsed last. The connection must close after the response
    /// when `keepsAlive` is false or the client's framing is `.untilClose`; the head says so.
    public func writeClientHead(
        from input: UnsafeRawBufferPointer, rewrite: ResponseRewrite,
        into output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard let start = input.baseAddress, input.count >= headByteCount,
            var writer = unsafe ByteWriter(output, needing: clientHeadByteCountMax(rewrite))
        else { return nil }
        let base = unsafe start.assumingMemoryBound(to: UInt8.self)
        // RFC 9112 §2.3: our version, not the backend's. Code and reason follow the version.
        writer.append("HTTP/1.1")
        unsafe writer.append(base + 8, count: 4)
        writer.append(byte: ASCII.space)
        unsafe writer.append(base + reason.offset, count: reason.count)
        writer.append("\r\n")
        if rewrite.isPlain || isInterim {
            unsafe fields.copyLines(base, without: Self.dropped, &writer)
        } else {
            unsafe fields.copyLines(
                base, without: droppedFields(rewrite), edits: rewrite.edits, &writer)
        }
        if !isInterim {
            if !fields.seen.contains(.date) { appendDate(rewrite, &writer) }
            if !rewrite.isPlain { appendAdded(rewrite, &writer) }
            unsafe appendFraming(input, rewrite, &writer)
        }
        writer.append("\r\n")
        return writer.count
    }

    /// The fields that do not pass, given what the rewrite replaces or allows.
    private func droppedFields(_ rewrite: ResponseRewrite) -> KnownFieldSet {
        var dropped = Self.dropped
        if unsafe rewrite.requestID.count > 0 { dropped = dropped.union([.xRequestID]) }
        // RFC 9110 §6.6.2: it announces trailers, and only chunks have any.
        if rewrite.forwardsTrailers, framing == .chunked, rewrite.clientMinorVersion > 0 {
            dropped = dropped.subtracting([.trailer])
        }
        return dropped
    }

    @inline(__always)
    private func appendDate(_ rewrite: ResponseRewrite, _ writer: inout ByteWriter) {
        guard unsafe rewrite.date.count > 0, !switchesProtocols,
            !rewrite.edits.known.contains(.date)
        else { return }
        unsafe writer.appendField("Date: ", rewrite.date)
    }

    private func appendAdded(_ rewrite: ResponseRewrite, _ writer: inout ByteWriter) {
        if unsafe rewrite.requestID.count > 0, !rewrite.edits.known.contains(.xRequestID) {
            unsafe writer.appendField("X-Request-Id: ", rewrite.requestID)
        }
        if unsafe rewrite.setCookie.count > 0 {
            unsafe writer.appendField("Set-Cookie: ", rewrite.setCookie)
        }
        rewrite.edits.appendLines(&writer)
    }

    @inline(__always)
    private func appendFraming(
        _ input: UnsafeRawBufferPointer, _ rewrite: ResponseRewrite, _ writer: inout ByteWriter
    ) {
        guard !switchesProtocols else {
            writer.append("Connection: upgrade\r\n")
            unsafe fields.copyLines(input, of: .upgrade, &writer)
            return
        }
        let framing = clientFraming(clientMinorVersion: rewrite.clientMinorVersion)
        if let describedLength {
            writer.append(framing: .length(describedLength))
        } else {
            writer.append(framing: framing)
        }
        writer.append(
            keepsAlive: rewrite.keepsAlive && framing != .untilClose,
            clientMinorVersion: rewrite.clientMinorVersion)
    }
}

extension ByteWriter {
    /// RFC 9112 §9.3: says what the client's version does not imply.
    @inline(__always)
    mutating func append(keepsAlive: Bool, clientMinorVersion: UInt8) {
        if !keepsAlive {
            append("Connection: close\r\n")
        } else if clientMinorVersion == 0 {
            append("Connection: keep-alive\r\n")
        }
    }
}
