// SPDX-License-Identifier: Apache-2.0
//
// Where a redirect sends the client: an absolute URI, part configured and part of the request.

/// The configured part of a redirect; its buffers must live as long as it is used.
@safe
public struct RedirectTarget {
    /// The scheme; `nil` keeps the client's.
    public let scheme: URIScheme?
    /// The host without port; empty keeps the request's.
    public let host: UnsafeRawBufferPointer
    /// The port; `nil` keeps the request's, or drops it when the scheme changes.
    public let port: UInt16?
    /// The path; empty keeps the request's.
    ///
    /// The query is kept either way.
    public let path: UnsafeRawBufferPointer

    /// Checks the parts; `nil` when one of them could not stand in a URI.
    public init?(
        scheme: URIScheme?, host: UnsafeRawBufferPointer, port: UInt16?,
        path: UnsafeRawBufferPointer
    ) {
        guard unsafe host.allSatisfy(Self.isHostByte), unsafe path.allSatisfy(Self.isPathByte),
            unsafe path.isEmpty || path[0] == ASCII.slash, port != 0
        else { return nil }
        self.scheme = scheme
        unsafe self.host = host
        self.port = port
        unsafe self.path = path
    }

    /// RFC 3986 §3.2.2 without escapes and sub-delimiters; colons and brackets for IPv6.
    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x3A, 0x41...0x5B, 0x5D, 0x61...0x7A, 0x2D, 0x2E, ASCII.underscore, 0x7E: true
        default: false
        }
    }

    /// Visible ASCII that cannot end a path or a header.
    private static func isPathByte(_ byte: UInt8) -> Bool {
        byte > ASCII.space && byte < 0x7F && byte != ASCII.questionMark && byte != ASCII.quote
            && byte != 0x23 && byte != 0x3C && byte != 0x3E && byte != ASCII.backslash
    }
}

extension RequestHead {
    /// The size of a buffer that holds a redirect's `Location`.
    public func locationByteCountMax(
        _ redirect: RedirectTarget, fallbackHost: UnsafeRawBufferPointer, rewrite: PathRewrite
    ) -> Int {
        // Scheme, brackets, colon and port take less than 32 bytes.
        unsafe redirect.host.count &+ redirect.path.count &+ fallbackHost.count &+ host.count
            &+ target.count &+ rewrite.byteCountMax &+ 32
    }

    /// Writes the URI of a redirect; returns its length, or `nil` when `output` is smaller than
    /// `locationByteCountMax`, or when neither redirect, request nor fallback have a host.
    ///
    /// Always absolute, so that no path can be read as a host. The bytes of the request are those
    /// that the parser let in: none of them ends a line. `input` is the buffer that was parsed
    /// last; `rewrite` acts on the request's own path only.
    public func writeLocation(
        from input: UnsafeRawBufferPointer, redirect: RedirectTarget, clientScheme: URIScheme,
        fallbackHost: UnsafeRawBufferPointer, rewrite: PathRewrite = PathRewrite(),
        into output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        let byteCountMax = unsafe locationByteCountMax(
            redirect, fallbackHost: fallbackHost, rewrite: rewrite)
        guard var writer = unsafe ByteWriter(output, needing: byteCountMax),
            unsafe redirect.host.count > 0 || host.count > 0 || fallbackHost.count > 0
        else { return nil }
        let scheme = redirect.scheme ?? clientScheme
        writer.append(scheme == .https ? "https://" : "http://")
        if unsafe redirect.host.count > 0 {
            unsafe writer.append(host: redirect.host)
        } else if host.count > 0 {
            unsafe writer.append(host: host.bytes(in: input))
        } else {
            unsafe writer.append(host: fallbackHost)
        }
        // RFC 9110 §4.2.1, §4.2.2: the default port is not written.
        let kept = scheme == clientScheme ? port : nil
        if let port = redirect.port ?? kept, port != (scheme == .https ? 443 : 80) {
            writer.append(byte: ASCII.colon)
            writer.append(decimal: UInt64(port))
        }
        if unsafe redirect.path.count > 0 {
            unsafe writer.append(redirect.path)
        } else {
            unsafe writer.append(path: canonicalPath(in: input), rewrite: rewrite)
        }
        unsafe writer.append(query.bytes(in: input))
        return writer.count
    }
}

extension ByteWriter {
    /// RFC 3986 §3.2.2: an IPv6 address stands in brackets.
    fileprivate mutating func append(host: UnsafeRawBufferPointer) {
        let needsBrackets =
            unsafe host[0] != ASCII.leftBracket && host.contains(ASCII.colon)
        if needsBrackets { append(byte: ASCII.leftBracket) }
        unsafe append(host)
        if needsBrackets { append(byte: 0x5D) }
    }
}
