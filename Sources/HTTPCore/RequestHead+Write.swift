// SPDX-License-Identifier: Apache-2.0
//
// The head that the backend gets: the parsed message written anew. End-to-end fields are copied in
// runs of adjacent lines; framing, identity and persistence are always ours.

extension RequestHead {
    /// Fields that never reach a backend as they came (RFC 9110 §7.6.1).
    ///
    /// Hop-by-hop fields; framing, which we make; and what a client could use to claim an
    /// address, a scheme or a host that is not its own.
    private static var dropped: KnownFieldSet {
        [
            .connection, .contentLength, .transferEncoding, .expect, .upgrade, .te, .trailer,
            .keepAlive, .proxyConnection, .proxyAuthorization, .proxyAuthenticate, .proxy,
            .xForwardedFor, .xForwardedProto, .xForwardedHost, .xForwardedPort, .xRealIP,
            .forwarded,
        ]
    }

    /// Room for every field we may add, values of variable length not counted.
    private static let addedByteCountMax = 512

    /// The size of a buffer that holds the rewritten head, whatever the fields are.
    @inline(__always)
    public func upstreamHeadByteCountMax(_ rewrite: RequestRewrite) -> Int {
        // Host and X-Forwarded-Host both repeat the authority.
        let byteCount =
            unsafe headByteCount &+ 2 &* authority.count &+ rewrite.clientAddress.count
            &+ 2 &* rewrite.fallbackHost.count &+ Self.addedByteCountMax
        return rewrite.isPlain ? byteCount : byteCount &+ optionalByteCountMax(rewrite)
    }

    /// What is set beside the plain rewrite; lists that grow replace their own lines.
    private func optionalByteCountMax(_ rewrite: RequestRewrite) -> Int {
        // `Forwarded` repeats the authority and the peer's address.
        unsafe rewrite.edits.lineByteCount &+ rewrite.path.byteCountMax &+ rewrite.host.count
            &+ authority.count &+ rewrite.clientAddress.count &+ rewrite.forwardedBy.count
            &+ rewrite.realAddress.count &+ rewrite.requestID.count &+ rewrite.traceparent.count
            &+ rewrite.via.count &+ rewrite.hiddenCookie.count &+ fields.count
    }

    /// Writes the upstream head; returns its length, or `nil` when `output` is smaller than
    /// `upstreamHeadByteCountMax`.
    ///
    /// `input` is the buffer that was parsed last. A `CONNECT` request has no upstream head.
    public func writeUpstreamHead(
        from input: UnsafeRawBufferPointer, rewrite: RequestRewrite,
        into output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard method != .connect, input.count >= headByteCount,
            let start = input.baseAddress,
            var writer = unsafe ByteWriter(output, needing: upstreamHeadByteCountMax(rewrite))
        else { return nil }
        let base = unsafe start.assumingMemoryBound(to: UInt8.self)
        guard rewrite.isPlain else {
            unsafe writeEditedHead(input, base, rewrite, &writer)
            return writer.count
        }
        unsafe writer.append(base + methodRange.offset, count: methodRange.count)
        writer.append(byte: ASCII.space)
        unsafe writeTarget(base, input, &writer)
        writer.append(" HTTP/1.1\r\n")
        let keepsHost = targetForm != .absolute && fields.seen.contains(.host)
        if !keepsHost {
            unsafe writer.appendField("Host: ", forwardedHost(input, rewrite))
        }
        unsafe fields.copyLines(
            base, without: keepsHost ? Self.dropped : Self.dropped.union([.host]), &writer)
        unsafe writer.appendField("X-Forwarded-For: ", rewrite.clientAddress)
        writer.append(forwardedProto: rewrite.scheme)
        if authority.count > 0 {
            unsafe writer.appendField("X-Forwarded-Host: ", authority.bytes(in: input))
        }
        writer.append(framing: framing)
        writeConnection(rewrite, offersTrailers: false, &writer)
        writer.append("\r\n")
        return writer.count
    }

    /// The same with everything that can be asked for.
    private func writeEditedHead(
        _ input: UnsafeRawBufferPointer, _ base: UnsafePointer<UInt8>, _ rewrite: RequestRewrite,
        _ writer: inout ByteWriter
    ) {
        unsafe writer.append(base + methodRange.offset, count: methodRange.count)
        writer.append(byte: ASCII.space)
        if unsafe rewrite.path.replacement.count > 0, !isForServer {
            unsafe writer.append(path: canonicalPath(in: input), rewrite: rewrite.path)
            unsafe writer.append(base + query.offset, count: query.count)
        } else {
            unsafe writeTarget(base, input, &writer)
        }
        writer.append(" HTTP/1.1\r\n")
        var dropped = droppedFields(rewrite)
        if unsafe rewrite.host.count > 0 {
            unsafe writer.appendField("Host: ", rewrite.host)
            dropped = dropped.union([.host])
        } else if targetForm == .absolute || !fields.seen.contains(.host) {
            unsafe writer.appendField("Host: ", forwardedHost(input, rewrite))
            dropped = dropped.union([.host])
        }
        let hidesCookie = unsafe rewrite.hiddenCookie.count > 0 && fields.seen.contains(.cookie)
        if hidesCookie { dropped = dropped.union([.cookie]) }
        unsafe fields.copyLines(base, without: dropped, edits: rewrite.edits, &writer)
        if hidesCookie, !rewrite.edits.known.contains(.cookie) {
            unsafe appendCookies(input, without: rewrite.hiddenCookie, &writer)
        }
        unsafe writeIdentity(input, base, rewrite, &writer)
        rewrite.edits.appendLines(&writer)
        writer.append(framing: framing)
        writeConnection(rewrite, offersTrailers: rewrite.offersTrailers, &writer)
        writer.append("\r\n")
    }

    /// The fields that do not pass, given what the rewrite replaces or believes.
    private func droppedFields(_ rewrite: RequestRewrite) -> KnownFieldSet {
        var dropped = Self.dropped
        if rewrite.trustsPeer {
            dropped = dropped.subtracting([.xForwardedProto, .xForwardedHost, .xForwardedPort])
            if !rewrite.writesForwarded { dropped = dropped.subtracting([.forwarded]) }
        }
        if unsafe rewrite.requestID.count > 0 { dropped = dropped.union([.xRequestID]) }
        if unsafe rewrite.traceparent.count > 0 {
            // W3C Trace Context §3.3: one belongs to the other.
            dropped = dropped.union([.traceparent, .tracestate])
        }
        // RFC 9110 §6.6.2: it announces trailers, and only chunks have any.
        if rewrite.forwardsTrailers, framing == .chunked {
            dropped = dropped.subtracting([.trailer])
        }
        return dropped
    }

    /// RFC 9112 §3.2.1: towards an origin server the target is always in origin-form; its path is
    /// the one that was routed by.
    @inline(__always)
    private func writeTarget(
        _ base: UnsafePointer<UInt8>, _ input: UnsafeRawBufferPointer, _ writer: inout ByteWriter
    ) {
        if targetForm == .origin, !pathIsRewritten {
            unsafe writer.append(base + target.offset, count: target.count)
        } else if isForServer {
            writer.append("*")
        } else {
            unsafe writer.append(canonicalPath(in: input))
            unsafe writer.append(base + query.offset, count: query.count)
        }
    }

    /// True for `OPTIONS *`; RFC 9112 §3.2.4: in absolute-form that is an empty path.
    private var isForServer: Bool {
        targetForm == .asterisk
            || (targetForm == .absolute && path.isEmpty && query.isEmpty && method == .options)
    }

    private func forwardedHost(
        _ input: UnsafeRawBufferPointer, _ rewrite: RequestRewrite
    ) -> UnsafeRawBufferPointer {
        if authority.count > 0 { return unsafe authority.bytes(in: input) }
        return unsafe rewrite.fallbackHost
    }

    /// Writes the fields of our own hop.
    @inline(__always)
    private func writeConnection(
        _ rewrite: RequestRewrite, offersTrailers: Bool, _ writer: inout ByteWriter
    ) {
        if expectsContinue, rewrite.forwardsExpect { writer.append("Expect: 100-continue\r\n") }
        let upgrades = requestsWebSocket && rewrite.forwardsUpgrade
        if offersTrailers, acceptsTrailers {
            // RFC 9110 §10.1.4: TE is for this hop alone, so Connection names it.
            writer.append("TE: trailers\r\n")
            writer.append(
                upgrades
                    ? "Connection: upgrade, TE\r\nUpgrade: websocket\r\n"
                    : rewrite.closesConnection
                        ? "Connection: close, TE\r\n" : "Connection: TE\r\n")
        } else if upgrades {
            writer.append("Connection: upgrade\r\nUpgrade: websocket\r\n")
        } else if rewrite.closesConnection {
            writer.append("Connection: close\r\n")
        }
    }
}
