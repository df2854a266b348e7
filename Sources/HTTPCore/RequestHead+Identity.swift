// SPDX-License-Identifier: Apache-2.0
//
// Who the client is and which request this is, told to the backend: fields that only a proxy in
// front of it may write. A name that the edits drop is theirs.

extension RequestHead {
    /// True when more than one line has this known name: of a field that must be single, such as
    /// `X-Request-Id` and `traceparent`, none can be believed then.
    public func isRepeated(_ field: KnownField) -> Bool { fields.repeated.contains(field) }

    /// Writes the identity of a request, as far as the rewrite asks for it.
    func writeIdentity(
        _ input: UnsafeRawBufferPointer, _ base: UnsafePointer<UInt8>, _ rewrite: RequestRewrite,
        _ writer: inout ByteWriter
    ) {
        let edited = rewrite.edits.known
        if !edited.contains(.xForwardedFor) {
            writer.append("X-Forwarded-For: ")
            if rewrite.trustsPeer {
                unsafe fields.appendValues(base, of: .xForwardedFor, &writer)
            }
            unsafe writer.append(rewrite.clientAddress)
            writer.append("\r\n")
        }
        // What a trusted peer said was copied with the other fields.
        let kept = edited.union(
            rewrite.trustsPeer ? fields.seen : KnownFieldSet(bits: 0))
        if !kept.contains(.xForwardedProto) { writer.append(forwardedProto: rewrite.scheme) }
        if authority.count > 0, !kept.contains(.xForwardedHost) {
            unsafe writer.appendField("X-Forwarded-Host: ", authority.bytes(in: input))
        }
        if rewrite.forwardedPort > 0, !kept.contains(.xForwardedPort) {
            writer.append("X-Forwarded-Port: ")
            writer.append(decimal: UInt64(rewrite.forwardedPort))
            writer.append("\r\n")
        }
        if rewrite.writesForwarded, !edited.contains(.forwarded) {
            unsafe writeForwarded(input, base, rewrite, &writer)
        }
        if unsafe rewrite.realAddress.count > 0, !edited.contains(.xRealIP) {
            unsafe writer.appendField("X-Real-IP: ", rewrite.realAddress)
        }
        if unsafe rewrite.requestID.count > 0, !edited.contains(.xRequestID) {
            unsafe writer.appendField("X-Request-Id: ", rewrite.requestID)
        }
        if unsafe rewrite.traceparent.count > 0, !edited.contains(.traceparent) {
            unsafe writer.appendField("traceparent: ", rewrite.traceparent)
        }
        if unsafe rewrite.via.count > 0, !edited.contains(.via) {
            // RFC 9110 §7.6.3: the version is that of the message we received.
            writer.append(minorVersion == 0 ? "Via: 1.0 " : "Via: 1.1 ")
            unsafe writer.append(rewrite.via)
            writer.append("\r\n")
        }
    }

    /// RFC 7239 §4: an element of our own, behind those of a trusted peer.
    private func writeForwarded(
        _ input: UnsafeRawBufferPointer, _ base: UnsafePointer<UInt8>, _ rewrite: RequestRewrite,
        _ writer: inout ByteWriter
    ) {
        writer.append("Forwarded: ")
        if rewrite.trustsPeer, unsafe fields.hasClosedQuotes(base, in: .forwarded) {
            unsafe fields.appendValues(base, of: .forwarded, &writer)
        }
        writer.append("for=")
        unsafe writer.append(node: rewrite.clientAddress)
        if unsafe rewrite.forwardedBy.count > 0 {
            writer.append(";by=")
            unsafe writer.append(node: rewrite.forwardedBy)
        }
        if authority.count > 0 {
            writer.append(";host=")
            unsafe writer.append(tokenOrQuoted: authority.bytes(in: input))
        }
        writer.append(rewrite.scheme == .https ? ";proto=https\r\n" : ";proto=http\r\n")
    }
}

extension FieldBlock {
    /// True when each value closes the quotes it opens: an element behind one that does not would
    /// be read as a part of it.
    fileprivate func hasClosedQuotes(_ base: UnsafePointer<UInt8>, in field: KnownField) -> Bool {
        guard seen.contains(field) else { return true }
        var index = 0
        while index < count {
            let slot = slot(index)
            index &+= 1
            guard slot.field == field else { continue }
            var at = slot.value.offset
            let end = slot.value.end
            var isQuoted = false
            while at < end {
                let byte = unsafe base[at]
                if isQuoted, byte == ASCII.backslash { at &+= 1 }
                if byte == ASCII.quote { isQuoted.toggle() }
                at &+= 1
            }
            guard !isQuoted else { return false }
        }
        return true
    }
}

extension ByteWriter {
    @inline(__always)
    mutating func append(forwardedProto scheme: URIScheme) {
        append(scheme == .https ? "X-Forwarded-Proto: https\r\n" : "X-Forwarded-Proto: http\r\n")
    }

    /// RFC 7239 §6: an IPv6 address stands in brackets and quotes.
    fileprivate mutating func append(node: UnsafeRawBufferPointer) {
        guard unsafe node.contains(ASCII.colon), unsafe node[0] != ASCII.leftBracket else {
            unsafe append(tokenOrQuoted: node)
            return
        }
        append("\"[")
        unsafe append(node)
        append("]\"")
    }

    /// Appends an address or authority, in quotes where a token may not have its colons.
    fileprivate mutating func append(tokenOrQuoted text: UnsafeRawBufferPointer) {
        let needsQuotes = unsafe text.contains(ASCII.colon)
        if needsQuotes { append(byte: ASCII.quote) }
        unsafe append(text)
        if needsQuotes { append(byte: ASCII.quote) }
    }
}
