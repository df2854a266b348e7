// SPDX-License-Identifier: Apache-2.0
//
// Answers of our own: errors, redirects, fixed responses, error pages. All are made of parts that
// exist before: what is left to do while serving is copying, and writing two numbers.

/// A whole response, made of bytes that others keep.
///
/// All buffers must stay valid while it is written. Empty ones are left out.
@safe
public struct ComposedAnswer {
    /// The status code, 200 to 599; any other becomes 500.
    public let status: UInt16
    /// `Content-Type`; only with a body.
    public var contentType = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    /// The body.
    public var body = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    /// `Location` (RFC 9110 §10.2.2), as `writeLocation` made it.
    public var location = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    /// The time as `Date` has it (RFC 9110 §6.6.1).
    public var date = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    /// `Retry-After` (RFC 9110 §10.2.3); 0 writes none.
    public var retryAfterSeconds: UInt32 = 0
    /// `Allow` with the methods that are passed on (RFC 9110 §15.5.6).
    public var listsMethods = false
    /// `X-Request-Id`.
    public var requestID = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    /// Edits of the response; names that they drop are theirs.
    public var edits = HeadEditList()
    /// True when the connection lives after the response.
    public var keepsAlive = true
    /// The client's HTTP minor version.
    public var clientMinorVersion: UInt8 = 1

    /// The methods in `Allow`.
    public static let allowedMethods: StaticString = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    /// Room for everything but values of variable length.
    private static let fixedByteCountMax = 512

    /// Makes an answer without a body.
    public init(status: UInt16) {
        self.status = status >= 200 && status < 600 ? status : 500
    }

    /// Makes the answer to a failure.
    public init(_ response: LocalResponse) {
        self.init(status: response.rawValue)
        unsafe contentType = Self.bytes("text/plain")
        unsafe body = Self.bytes(response.body)
        listsMethods = response == .methodNotAllowed
    }

    /// False for responses whose status rules out content (RFC 9110 §6.4.1, §15.3.6).
    private var mayHaveBody: Bool { status != 204 && status != 205 && status != 304 }

    /// How many bytes of body follow the head.
    public func bodyByteCount(answering method: RequestMethod) -> Int {
        unsafe mayHaveBody && method != .head ? body.count : 0
    }

    /// The size of a buffer that holds the head.
    public var headByteCountMax: Int {
        unsafe contentType.count &+ location.count &+ date.count &+ requestID.count
            &+ edits.lineByteCount &+ Self.fixedByteCountMax
    }

    /// The size of a buffer that holds the whole response.
    public var byteCountMax: Int { unsafe headByteCountMax &+ body.count }

    /// Writes the whole response; returns its length, or `nil` when `output` is smaller than
    /// `byteCountMax`.
    public func write(
        answering method: RequestMethod, into output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard var writer = unsafe ByteWriter(output, needing: byteCountMax) else { return nil }
        appendHead(&writer)
        if bodyByteCount(answering: method) > 0 { unsafe writer.append(body) }
        return writer.count
    }

    /// Writes the head alone, for a body that is sent from where it lies; returns its length, or
    /// `nil` when `output` is smaller than `headByteCountMax`.
    public func writeHead(into output: UnsafeMutableRawBufferPointer) -> Int? {
        guard var writer = unsafe ByteWriter(output, needing: headByteCountMax) else {
            return nil
        }
        appendHead(&writer)
        return writer.count
    }

    private func appendHead(_ writer: inout ByteWriter) {
        let edited = edits.known
        writer.append("HTTP/1.1 ")
        writer.append(decimal: UInt64(status))
        writer.append(byte: ASCII.space)
        writer.append(ReasonPhrase.phrase(for: status))
        writer.append("\r\n")
        if unsafe date.count > 0, !edited.contains(.date) {
            unsafe writer.appendField("Date: ", date)
        }
        if unsafe contentType.count > 0, unsafe body.count > 0, mayHaveBody,
            !edited.contains(.contentType)
        {
            unsafe writer.appendField("Content-Type: ", contentType)
        }
        if unsafe location.count > 0, !edited.contains(.location) {
            unsafe writer.appendField("Location: ", location)
        }
        if retryAfterSeconds > 0, !edits.dropsOther("retry-after") {
            writer.append("Retry-After: ")
            writer.append(decimal: UInt64(retryAfterSeconds))
            writer.append("\r\n")
        }
        if listsMethods, !edits.dropsOther("allow") {
            unsafe writer.appendField("Allow: ", Self.bytes(Self.allowedMethods))
        }
        if unsafe requestID.count > 0, !edited.contains(.xRequestID) {
            unsafe writer.appendField("X-Request-Id: ", requestID)
        }
        edits.appendLines(&writer)
        // RFC 9110 §8.6: not with 204; with 304 it would be the length of another response.
        if status != 204, status != 304 {
            unsafe writer.append(framing: .length(mayHaveBody ? UInt64(body.count) : 0))
        }
        writer.append(keepsAlive: keepsAlive, clientMinorVersion: clientMinorVersion)
        writer.append("\r\n")
    }

    private static func bytes(_ text: StaticString) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }
}
