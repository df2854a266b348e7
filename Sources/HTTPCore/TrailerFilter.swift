// SPDX-License-Identifier: Apache-2.0
//
// Which trailer fields may go on, and the end of a chunked body with them (RFC 9110 §6.5.1). A
// receiver may merge trailers into the head it has already acted on, so whatever decides about
// framing, routing, identity, caching or content is left out.

/// Writing the end of a chunked body with the trailers that may be forwarded.
public enum TrailerFilter {
    /// Bytes around the fields: the last chunk and the empty line.
    public static let addedByteCount = 5

    /// Writes the last chunk, those of the field lines that may go on, and the empty line.
    ///
    /// `fieldLines` are those of a `TrailerSection`. Returns the length, `nil` when `output` is
    /// smaller than all of it could be (`fieldLines.count + addedByteCount`). Lines behind one
    /// that is malformed are left out.
    public static func writeLastChunk(
        with fieldLines: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard
            var writer = unsafe ByteWriter(output, needing: fieldLines.count &+ addedByteCount)
        else { return nil }
        writer.append("0\r\n")
        var at = 0
        while let line = unsafe TrailerLine(fieldLines, at: at) {
            if unsafe isForwardable(line.name), let start = unsafe line.bytes.baseAddress {
                unsafe writer.append(
                    start.assumingMemoryBound(to: UInt8.self), count: line.bytes.count)
            }
            at &+= unsafe line.bytes.count
        }
        writer.append("\r\n")
        return writer.count
    }

    /// True for the name of a field that may be forwarded in a trailer section.
    ///
    /// A name that is no token, or longer than in heads, is not.
    public static func isForwardable(_ name: UnsafeRawBufferPointer) -> Bool {
        guard let base = name.baseAddress, name.count > 0,
            name.count <= HeadLimits.fieldNameByteCountMax
        else { return false }
        var at = 0
        while at < name.count {
            guard unsafe CharacterClass.isToken(name[at]) else { return false }
            at &+= 1
        }
        let bytes = unsafe base.assumingMemoryBound(to: UInt8.self)
        return unsafe !hasForbiddenPrefix(bytes, count: name.count)
            && !isFramingOrRouting(bytes, count: name.count)
            && !isIdentity(bytes, count: name.count)
            && !isControl(bytes, count: name.count)
    }

    private static func begins(
        _ name: UnsafePointer<UInt8>, count: Int, _ prefix: StaticString
    ) -> Bool {
        unsafe count >= prefix.utf8CodeUnitCount && ByteScanner.matches(name, prefix)
    }

    private static func hasForbiddenPrefix(_ name: UnsafePointer<UInt8>, count: Int) -> Bool {
        // `Content-Digest` (RFC 9530 §2) is made for trailers; all others describe the content.
        if unsafe begins(name, count: count, "content-") {
            return unsafe !ByteScanner.matches(name, count: count, "content-digest")
        }
        return unsafe begins(name, count: count, "x-forwarded-")
            || begins(name, count: count, "x-original-")
            || begins(name, count: count, "x-http-method")
            || begins(name, count: count, "proxy-")
            || begins(name, count: count, "if-")
            || begins(name, count: count, "accept")
            || begins(name, count: count, "access-control-")
            || begins(name, count: count, "sec-")
    }

    /// RFC 9110 §6.5.1: message framing and routing, and what ends at this hop (§7.6.1).
    private static func isFramingOrRouting(_ name: UnsafePointer<UInt8>, count: Int) -> Bool {
        unsafe ByteScanner.matches(name, count: count, "transfer-encoding")
            || ByteScanner.matches(name, count: count, "te")
            || ByteScanner.matches(name, count: count, "trailer")
            || ByteScanner.matches(name, count: count, "connection")
            || ByteScanner.matches(name, count: count, "keep-alive")
            || ByteScanner.matches(name, count: count, "upgrade")
            || ByteScanner.matches(name, count: count, "http2-settings")
            || ByteScanner.matches(name, count: count, "host")
            || ByteScanner.matches(name, count: count, "via")
            || ByteScanner.matches(name, count: count, "forwarded")
            || ByteScanner.matches(name, count: count, "x-real-ip")
            || ByteScanner.matches(name, count: count, "x-rewrite-url")
            || ByteScanner.matches(name, count: count, "max-forwards")
            || ByteScanner.matches(name, count: count, "proxy")
    }

    /// RFC 9110 §6.5.1: authentication; and the names of a request that we vouch for.
    private static func isIdentity(_ name: UnsafePointer<UInt8>, count: Int) -> Bool {
        unsafe ByteScanner.matches(name, count: count, "authorization")
            || ByteScanner.matches(name, count: count, "www-authenticate")
            || ByteScanner.matches(name, count: count, "cookie")
            || ByteScanner.matches(name, count: count, "cookie2")
            || ByteScanner.matches(name, count: count, "set-cookie")
            || ByteScanner.matches(name, count: count, "set-cookie2")
            || ByteScanner.matches(name, count: count, "x-request-id")
            || ByteScanner.matches(name, count: count, "traceparent")
            || ByteScanner.matches(name, count: count, "tracestate")
    }

    /// RFC 9110 §6.5.1: request modifiers and response control.
    private static func isControl(_ name: UnsafePointer<UInt8>, count: Int) -> Bool {
        unsafe ByteScanner.matches(name, count: count, "cache-control")
            || ByteScanner.matches(name, count: count, "pragma")
            || ByteScanner.matches(name, count: count, "expect")
            || ByteScanner.matches(name, count: count, "range")
            || ByteScanner.matches(name, count: count, "early-data")
            || ByteScanner.matches(name, count: count, "age")
            || ByteScanner.matches(name, count: count, "date")
            || ByteScanner.matches(name, count: count, "expires")
            || ByteScanner.matches(name, count: count, "last-modified")
            || ByteScanner.matches(name, count: count, "location")
            || ByteScanner.matches(name, count: count, "refresh")
            || ByteScanner.matches(name, count: count, "retry-after")
            || ByteScanner.matches(name, count: count, "vary")
            || ByteScanner.matches(name, count: count, "warning")
            || ByteScanner.matches(name, count: count, "alt-svc")
            || ByteScanner.matches(name, count: count, "clear-site-data")
            || ByteScanner.matches(name, count: count, "strict-transport-security")
    }
}

/// One line of a trailer section that has the syntax of a field line (RFC 9112 §5).
@safe
private struct TrailerLine {
    /// The name.
    let name: UnsafeRawBufferPointer
    /// The whole line, its CRLF included.
    let bytes: UnsafeRawBufferPointer

    /// The line that begins at `start`; `nil` at the end, or when there is none of that syntax.
    init?(_ lines: UnsafeRawBufferPointer, at start: Int) {
        var at = start
        while at < lines.count, unsafe CharacterClass.isToken(lines[at]) { at &+= 1 }
        guard at > start, at < lines.count, unsafe lines[at] == ASCII.colon else { return nil }
        unsafe name = UnsafeRawBufferPointer(rebasing: lines[start..<at])
        while at < lines.count, unsafe lines[at] >= 0x20 || lines[at] == ASCII.tab,
            unsafe lines[at] != 0x7F
        {
            at &+= 1
        }
        guard lines.count &- at >= 2, unsafe lines[at] == ASCII.carriageReturn,
            unsafe lines[at &+ 1] == ASCII.lineFeed
        else { return nil }
        unsafe bytes = UnsafeRawBufferPointer(rebasing: lines[start..<(at &+ 2)])
    }
}
