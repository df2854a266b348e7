// SPDX-License-Identifier: Apache-2.0
//
// The client side of one HTTP/1 exchange: when is the response complete, and was it one. Whether
// its status is a good one is for the caller.

internal import HTTPCore

/// Reads one response to a `GET` from bytes in pieces of any size.
///
/// The instrument reads with the parser of the product. What fails a probe as malformed, whoever
/// answers it (the response is what `GET` without `TE` or `Upgrade` may get):
///
/// - a status line that is not `HTTP/1.0` or `HTTP/1.1` with a status from 100 to 599;
/// - a line that does not end in CRLF, a field without colon, a byte no field may have;
/// - framing that can be read in two ways: both lengths, repeated or odd lengths, a transfer coding
///   other than chunked (RFC 9112 §6.1, §6.3);
/// - a chunk size that is no number, a chunk that does not end where its size says (§7.1);
/// - 101, which nobody asked for (RFC 9110 §15.2.2);
/// - a head or trailer beyond `HeadLimits` and `ChunkLimits`.
///
/// A response that the end of the connection cuts off fails as closed. All else of HTTP/1.1 is
/// fine: either version, interim responses, an empty or missing reason, unknown fields, chunk
/// extensions and trailers, a body that ends with the connection, bytes after the response.
struct ResponseReader {
    enum Progress: Equatable {
        /// More bytes are needed.
        case needsMore
        /// The response is complete.
        case complete(statusCode: Int, keepsConnection: Bool)
        /// What came is not an HTTP response.
        case malformed
    }

    /// Bytes of an incomplete head.
    private var pending: [UInt8] = []
    private var headProgress = HeadProgress()
    /// `nil` until the head is complete.
    private var body: BodyDecoder?
    private var statusCode = 0
    private var keepsConnection = false

    /// Takes received bytes; answers once the response is complete or wrong.
    ///
    /// `head` is scratch space that all readers of a thread share.
    mutating func take(_ bytes: [UInt8], parser head: inout ResponseHead) -> Progress {
        if body != nil { return bytes.withUnsafeBytes { takeBody($0) } }
        // Almost every response comes in one piece and is read where it lies.
        if pending.isEmpty { return takeHead(bytes, &head) }
        pending += bytes
        let all = pending
        pending = []
        return takeHead(all, &head)
    }

    /// The connection ended before the response was complete.
    mutating func connectionEnded() -> Progress {
        guard body?.inputEnded() == true else { return .malformed }
        return .complete(statusCode: statusCode, keepsConnection: false)
    }

    private mutating func takeHead(_ bytes: [UInt8], _ head: inout ResponseHead) -> Progress {
        bytes.withUnsafeBytes { all in
            var rest = all[...]
            while true {
                let outcome = head.parse(
                    UnsafeRawBufferPointer(rebasing: rest), answering: .get,
                    progress: &headProgress)
                switch outcome {
                case .needMore:
                    pending = Array(rest)
                    return .needsMore
                case .malformed:
                    return .malformed
                case .complete(let headByteCount):
                    rest = rest.dropFirst(headByteCount)
                    headProgress = HeadProgress()
                    // RFC 9110 §15.2: interim responses precede the final one.
                    if head.isInterim { continue }
                    if head.switchesProtocols { return .malformed }
                    statusCode = Int(head.status)
                    keepsConnection = head.keepsAlive
                    body = BodyDecoder(head.framing)
                    return takeBody(UnsafeRawBufferPointer(rebasing: rest))
                }
            }
        }
    }

    private mutating func takeBody(_ bytes: UnsafeRawBufferPointer) -> Progress {
        guard var decoder = body else { return .malformed }
        defer { body = decoder }
        var rest = bytes[...]
        while !decoder.isComplete, !rest.isEmpty {
            let step = decoder.next(UnsafeRawBufferPointer(rebasing: rest))
            if case .malformed = step.status { return .malformed }
            rest = rest.dropFirst(step.consumedByteCount)
        }
        guard decoder.isComplete else { return .needsMore }
        return .complete(statusCode: statusCode, keepsConnection: keepsConnection)
    }
}
