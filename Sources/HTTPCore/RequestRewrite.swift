// SPDX-License-Identifier: Apache-2.0
//
// The head that the backend gets: the parsed message written anew. End-to-end fields are copied in
// runs of adjacent lines; framing, identity and persistence are always ours.

/// What the proxy puts into an upstream head beside the client's own fields.
@safe
public struct RequestRewrite {
    /// The client's address as text; the only value of `X-Forwarded-For`.
    public let clientAddress: UnsafeRawBufferPointer
    /// The scheme the client used, for `X-Forwarded-Proto`.
    public let scheme: URIScheme
    /// `Host` for HTTP/1.0 requests that have none, usually the backend's address.
    public let fallbackHost: UnsafeRawBufferPointer
    /// Passes `Expect: 100-continue` on; otherwise the caller answers it itself.
    public var forwardsExpect = false
    /// Passes the client's `Upgrade` on, when it asks for one.
    ///
    /// Set it for protocols that are expected only: a tunnel of `h2c` escapes every rule here.
    public var forwardsUpgrade = false
    /// Asks the backend to close after its response.
    public var closesConnection = false

    /// The buffers must stay valid while a head is written.
    public init(
        clientAddress: UnsafeRawBufferPointer, scheme: URIScheme,
        fallbackHost: UnsafeRawBufferPointer
    ) {
        unsafe self.clientAddress = clientAddress
        self.scheme = scheme
        unsafe self.fallbackHost = fallbackHost
    }
}

extension RequestHead {
    /// Fields that never reach a backend as they came (RFC 9110 §7.6.1).
    ///
    /// Hop-by-hop fields; framing, which we make; and what a client could use to claim an
    /// address, a scheme or a host that is not its own. `TE: trailers` goes too: we drop
    /// trailers, so a backend must not believe that they arrive.
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
    public func upstreamHeadByteCountMax(_ rewrite: RequestRewrite) -> Int {
        // Host and X-Forwarded-Host both repeat the authority.
        unsafe headByteCount &+ 2 &* authority.count &+ rewrite.clientAddress.count
            &+ 2 &* rewrite.fallbackHost.count &+ Self.addedByteCountMax
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
        unsafe writeRequestLine(base, input, &writer)
        let keepsHost = targetForm != .absolute && fields.seen.contains(.host)
        if !keepsHost {
            unsafe writer.appendField("Host: ", forwardedHost(input, rewrite))
        }
        unsafe fields.copyLines(
            base, without: keepsHost ? Self.dropped : Self.dropped.union([.host]), &writer)
        unsafe writer.appendField("X-Forwarded-For: ", rewrite.clientAddress)
        writer.append(
            rewrite.scheme == .https
                ? "X-Forwarded-Proto: https\r\n" : "X-Forwarded-Proto: http\r\n")
        if authority.count > 0 {
            unsafe writer.appendField("X-Forwarded-Host: ", authority.bytes(in: input))
        }
        writer.append(framing: framing)
        unsafe writeConnection(input, rewrite, &writer)
        writer.append("\r\n")
        return writer.count
    }

    /// RFC 9112 §3.2.1: towards an origin server the target is always in origin-form; its path is
    /// the one that was routed by.
    @inline(__always)
    private func writeRequestLine(
        _ base: UnsafePointer<UInt8>, _ input: UnsafeRawBufferPointer, _ writer: inout ByteWriter
    ) {
        unsafe writer.append(base + methodRange.offset, count: methodRange.count)
        writer.append(byte: ASCII.space)
        if targetForm == .origin, !pathIsRewritten {
            unsafe writer.append(base + target.offset, count: target.count)
        } else if targetForm == .asterisk
            || (targetForm == .absolute && path.isEmpty && query.isEmpty && method == .options)
        {
            // RFC 9112 §3.2.4: OPTIONS for a server as a whole was sent as an empty path.
            writer.append("*")
        } else {
            let path = unsafe canonicalPath(in: input)
            if let start = path.baseAddress {
                unsafe writer.append(start.assumingMemoryBound(to: UInt8.self), count: path.count)
            }
            unsafe writer.append(base + query.offset, count: query.count)
        }
        writer.append(" HTTP/1.1\r\n")
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
        _ input: UnsafeRawBufferPointer, _ rewrite: RequestRewrite, _ writer: inout ByteWriter
    ) {
        if expectsContinue, rewrite.forwardsExpect { writer.append("Expect: 100-continue\r\n") }
        if requestsUpgrade, rewrite.forwardsUpgrade {
            writer.append("Connection: upgrade\r\n")
            unsafe fields.copyLines(input, of: .upgrade, &writer)
        } else if rewrite.closesConnection {
            writer.append("Connection: close\r\n")
        }
    }
}

extension FieldBlock {
    /// Copies all lines but those in `dropped` and those that `Connection` names.
    @inline(__always)
    func copyLines(
        _ base: UnsafePointer<UInt8>, without dropped: KnownFieldSet, _ writer: inout ByteWriter
    ) {
        var index = 0
        var runStart = -1
        while index < count {
            let slot = unsafe slots + index
            if unsafe dropped.contains(slot.pointee.field) || slot.pointee.isConnectionSpecific {
                if runStart >= 0 {
                    let runEnd = unsafe Int(slot.pointee.lineOffset)
                    unsafe writer.append(base + runStart, count: runEnd &- runStart)
                    runStart = -1
                }
            } else if runStart < 0 {
                runStart = unsafe Int(slot.pointee.lineOffset)
            }
            index &+= 1
        }
        if runStart >= 0 {
            unsafe writer.append(base + runStart, count: sectionEnd &- runStart)
        }
    }

    /// Copies all lines with one known name.
    func copyLines(
        _ input: UnsafeRawBufferPointer, of field: KnownField, _ writer: inout ByteWriter
    ) {
        guard let start = input.baseAddress else { return }
        let base = unsafe start.assumingMemoryBound(to: UInt8.self)
        var index = 0
        while index < count {
            let slot = slot(index)
            if slot.field == field {
                let offset = Int(slot.lineOffset)
                unsafe writer.append(base + offset, count: lineEnd(index) &- offset)
            }
            index &+= 1
        }
    }
}
