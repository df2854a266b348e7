// SPDX-License-Identifier: Apache-2.0
//
// The client side of one HTTP/1 exchange: when is the response complete, and was it a good one.

/// Reads one response from bytes in pieces of any size.
struct ResponseReader {
    enum Progress: Equatable {
        /// More bytes are needed.
        case needsMore
        /// The response is complete.
        case complete(statusCode: Int, keepsConnection: Bool)
        /// What came is not an HTTP response.
        case malformed
    }

    private var pending: [UInt8] = []
    private var head: MessageHead?
    private var statusCode = 0
    private var body = MessageBodyReader(length: 0)

    /// Takes received bytes; answers once the response is complete or wrong.
    mutating func take(_ bytes: ArraySlice<UInt8>) -> Progress {
        guard head == nil else { return takeBody(bytes) }
        pending += bytes
        while true {
            switch MessageHead.read(pending) {
            case .needsMore: return .needsMore
            case .malformed: return .malformed
            case .head(let head):
                guard let code = head.statusCode else { return .malformed }
                let rest = pending[head.byteCount...]
                // RFC 9110 §15.2: interim responses precede the final one.
                if (100...199).contains(code) {
                    pending = Array(rest)
                    continue
                }
                begin(head, code)
                pending = []
                return takeBody(rest)
            }
        }
    }

    /// The connection ended before the response was complete.
    mutating func connectionEnded() -> Progress {
        guard head != nil else { return .malformed }
        body.connectionEnded()
        return progress
    }

    private mutating func begin(_ head: MessageHead, _ code: Int) {
        self.head = head
        statusCode = code
        // RFC 9112 §6.3: order of the framing rules.
        if code == 204 || code == 304 {
            body = MessageBodyReader(length: 0)
        } else if head.isChunked {
            body = .chunked
        } else if let length = head.contentLength {
            body = MessageBodyReader(length: length)
        } else {
            body = .untilEnd
        }
    }

    private mutating func takeBody(_ bytes: ArraySlice<UInt8>) -> Progress {
        _ = body.take(bytes)
        return progress
    }

    private var progress: Progress {
        if body.isMalformed { return .malformed }
        guard body.isComplete, let head else { return .needsMore }
        return .complete(statusCode: statusCode, keepsConnection: head.responseKeepsConnection)
    }
}
