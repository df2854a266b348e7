// SPDX-License-Identifier: Apache-2.0
//
// Why a message is refused: one closed set for heads and bodies, requests and responses.

/// A reason to refuse a message.
///
/// The peer caused it; it is answered, counted, and never a trap.
///
/// After any of these the connection must close: its next bytes are not a message
/// (RFC 9112 §6.3, §11.2). In a response every one of them means 502 towards the client.
public enum MessageFault: UInt8, CaseIterable, Error, Sendable {
    /// The start line is not `method SP target SP version` (RFC 9112 §3).
    case malformedStartLine
    /// A byte of the method is not a token character (RFC 9112 §3.1).
    case invalidMethod
    /// The method is longer than any method we know (RFC 9112 §3).
    case methodTooLong
    /// The target has forbidden bytes or a form its method does not allow (RFC 9112 §3.2).
    case invalidTarget
    /// The target is longer than the limit (RFC 9110 §15.5.15).
    case targetTooLong
    /// The path holds a dot segment that the policy forbids, or one that leads above the root.
    case dotSegment
    /// The path holds a `%` that is not followed by two digits, or `%00` (RFC 3986 §2.1).
    case invalidPercentEncoding
    /// The version is HTTP but neither 1.0 nor 1.1 (RFC 9110 §15.6.6).
    case unsupportedVersion
    /// More bytes than the head limit.
    case headTooLarge
    /// More field lines than the limit.
    case tooManyFields
    /// A field name longer than the limit.
    case fieldNameTooLong
    /// A line ends in LF alone (RFC 9112 §2.2).
    case bareLineFeed
    /// CR that is not followed by LF (RFC 9112 §2.2).
    case bareCarriageReturn
    /// Whitespace before the first field line (RFC 9112 §2.2).
    case leadingWhitespace
    /// A continued field line (RFC 9112 §5.2).
    case obsoleteFolding
    /// Whitespace between field name and colon (RFC 9112 §5.1).
    case spaceBeforeColon
    /// An empty name, a name with non-token bytes, or a line without a colon (RFC 9110 §5.1).
    case invalidFieldName
    /// A name with `_`, which CGI-style servers confuse with `-`.
    case underscoreInFieldName
    /// NUL or another control byte in a value (RFC 9110 §5.5).
    case invalidFieldValue
    /// HTTP/1.1 without `Host` (RFC 9112 §3.2).
    case missingHost
    /// More than one `Host` (RFC 9112 §3.2).
    case repeatedHost
    /// A `Host` or authority that is not `host [":" port]` (RFC 9112 §3.2).
    case invalidHost
    /// `Content-Length` that is not one bounded decimal number (RFC 9112 §6.3).
    case invalidContentLength
    /// More than one `Content-Length` (RFC 9112 §6.3).
    case repeatedContentLength
    /// Both `Transfer-Encoding` and `Content-Length` (RFC 9112 §6.1).
    case transferEncodingWithContentLength
    /// `Transfer-Encoding` in an HTTP/1.0 message (RFC 9112 §6.1).
    case transferEncodingInHTTP10
    /// `Transfer-Encoding` that is no list, or does not end in `chunked` (RFC 9112 §6.3).
    case invalidTransferEncoding
    /// A transfer coding before `chunked` that we do not implement (RFC 9112 §6.1).
    case unknownTransferCoding
    /// `Connection` with invalid or too many options (RFC 9110 §7.6.1).
    case invalidConnection
    /// `Expect` other than `100-continue` (RFC 9110 §10.1.1).
    case unknownExpectation
    /// A status line whose code is not three digits from 100 to 599 (RFC 9112 §4).
    case invalidStatusLine
    /// A chunk size with no, foreign or too many digits (RFC 9112 §7.1).
    case invalidChunkSize
    /// Chunk extensions with invalid bytes or too many of them (RFC 9112 §7.1.1).
    case invalidChunkExtension
    /// Chunk data not followed by CRLF, or LF alone in chunk framing (RFC 9112 §7.1).
    case invalidChunkEnd
    /// A trailer section that is malformed or above its limits (RFC 9112 §7.1.2).
    case invalidTrailer
    /// The path holds an encoded slash or backslash, and the policy forbids it.
    case encodedSlash
    /// A chunked body with more payload than the limit (RFC 9110 §15.5.14).
    case bodyTooLarge

    /// What a client that sent this is answered; the connection closes after it.
    public var statusCode: UInt16 {
        switch self {
        case .methodTooLong, .unknownTransferCoding: 501
        case .targetTooLong: 414
        case .headTooLarge, .tooManyFields, .fieldNameTooLong: 431
        case .unsupportedVersion: 505
        case .unknownExpectation: 417
        case .bodyTooLarge: 413
        default: 400
        }
    }

    /// A stable short word for logs and counter labels; it never changes once released.
    public var token: StaticString {
        switch self {
        case .malformedStartLine: "start_line"
        case .invalidMethod: "method"
        case .methodTooLong: "method_too_long"
        case .invalidTarget: "target"
        case .targetTooLong: "target_too_long"
        case .dotSegment: "dot_segment"
        case .invalidPercentEncoding: "percent_encoding"
        case .unsupportedVersion: "version"
        case .headTooLarge: "head_too_large"
        case .tooManyFields: "too_many_fields"
        case .fieldNameTooLong: "field_name_too_long"
        case .bareLineFeed: "bare_lf"
        case .bareCarriageReturn: "bare_cr"
        case .leadingWhitespace: "leading_whitespace"
        case .obsoleteFolding: "obs_fold"
        case .spaceBeforeColon: "space_before_colon"
        case .invalidFieldName: "field_name"
        case .underscoreInFieldName: "field_name_underscore"
        case .invalidFieldValue: "field_value"
        case .missingHost: "host_missing"
        case .repeatedHost: "host_repeated"
        case .invalidHost: "host"
        case .invalidContentLength: "content_length"
        case .repeatedContentLength: "content_length_repeated"
        case .transferEncodingWithContentLength: "te_with_cl"
        case .transferEncodingInHTTP10: "te_in_http10"
        case .invalidTransferEncoding: "te"
        case .unknownTransferCoding: "te_unknown_coding"
        case .invalidConnection: "connection"
        case .unknownExpectation: "expect"
        case .invalidStatusLine: "status_line"
        case .invalidChunkSize: "chunk_size"
        case .invalidChunkExtension: "chunk_extension"
        case .invalidChunkEnd: "chunk_end"
        case .invalidTrailer: "trailer"
        case .encodedSlash: "encoded_slash"
        case .bodyTooLarge: "body_too_large"
        }
    }

    /// The counter of requests refused; label `reason` is `token`, index in arrays is `rawValue`.
    public static let requestCounterName: StaticString = "tandem_http_request_faults_total"
    /// The counter of responses refused; label `reason` is `token`.
    public static let responseCounterName: StaticString = "tandem_http_response_faults_total"
}

/// Why a scan stopped before its end.
enum HeadStop: Error {
    /// The buffer ended first.
    case needMore
    /// The peer broke a rule.
    case fault(MessageFault)
}

/// What one look at the buffered bytes of a head gave.
public enum HeadOutcome: Equatable, Sendable {
    /// The head is not complete; read more and call again with all its bytes.
    case needMore
    /// The head breaks a rule; answer and close.
    case malformed(MessageFault)
    /// The head is complete and takes this many bytes, skipped empty lines included.
    case complete(headByteCount: Int)
}
