// SPDX-License-Identifier: Apache-2.0
//
// The head that the client gets: the backend's message written anew, with framing and persistence
// of our own hop.

/// The facts about the client that shape a response head.
public struct ResponseRewrite: Equatable, Sendable {
    /// The client's HTTP minor version.
    public var clientMinorVersion: UInt8
    /// True when the connection to the client shall live after this response.
    public var keepsAlive: Bool

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

    /// Room for the status line's version and every field we may add.
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

    /// The size of a buffer that holds the rewritten head, whatever the fields are.
    public var clientHeadByteCountMax: Int { headByteCount &+ Self.addedByteCountMax }

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
            var writer = unsafe ByteWriter(output, needing: clientHeadByteCountMax)
        else { return nil }
        let base = unsafe start.assumingMemoryBound(to: UInt8.self)
        // RFC 9112 §2.3: our version, not the backend's. Code and reason follow the version.
        writer.append("HTTP/1.1")
        unsafe writer.append(base + 8, count: 4)
        writer.append(byte: ASCII.space)
        unsafe writer.append(base + reason.offset, count: reason.count)
        writer.append("\r\n")
        unsafe fields.copyLines(base, without: Self.dropped, &writer)
        if switchesProtocols {
            writer.append("Connection: upgrade\r\n")
            unsafe fields.copyLines(input, of: .upgrade, &writer)
        } else if !isInterim {
            appendFraming(rewrite, &writer)
        }
        writer.append("\r\n")
        return writer.count
    }

    @inline(__always)
    private func appendFraming(_ rewrite: ResponseRewrite, _ writer: inout ByteWriter) {
        let framing = clientFraming(clientMinorVersion: rewrite.clientMinorVersion)
        if let describedLength {
            writer.append(framing: .length(describedLength))
        } else {
            writer.append(framing: framing)
        }
        if !rewrite.keepsAlive || framing == .untilClose {
            writer.append("Connection: close\r\n")
        } else if rewrite.clientMinorVersion == 0 {
            writer.append("Connection: keep-alive\r\n")
        }
    }
}
