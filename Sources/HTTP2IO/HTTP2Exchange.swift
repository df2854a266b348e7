// SPDX-License-Identifier: Apache-2.0
//
// One request over HTTP/2 and what came back for it, as values.

/// A request with a small body.
public struct HTTP2Request: Hashable, Sendable {
    /// Fields in order, pseudo-fields such as `:method` first; names in lower case.
    public var fields: [HTTP2Field]
    /// The body.
    public var body: [UInt8]

    /// Makes a request.
    public init(fields: [HTTP2Field], body: [UInt8]) {
        self.fields = fields
        self.body = body
    }
}

/// One field of a message.
public struct HTTP2Field: Hashable, Sendable {
    /// The name, in lower case.
    public var name: String
    /// The value.
    public var value: String

    /// Makes a field.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// What came back for a request so far.
public struct HTTP2Answer: Hashable, Sendable {
    /// Bytes of names and values that are kept; a longer answer sets `isTooLarge`.
    public static let fieldByteCountMax = 8_192
    /// Bytes of a body that are kept; a longer one sets `isTooLarge`.
    public static let bodyByteCountMax = 4_096

    /// Fields of the head and of the trailers, pseudo-fields too; those of interim heads as well.
    public internal(set) var fields: [HTTP2Field] = []
    /// The body.
    public internal(set) var body: [UInt8] = []
    /// True when the peer said more than is kept.
    public internal(set) var isTooLarge = false
    /// True once the stream is closed, for whatever reason.
    public internal(set) var isClosed = false
    /// True when the stream ended as it should.
    public internal(set) var isComplete = false
    /// True when the peer says that it did not look at the request (RFC 9113 §8.7).
    public internal(set) var isUnprocessed = false
    private var fieldByteCount = 0

    init() {}

    /// The last value of a field; trailers come after the head.
    public func last(_ name: String) -> String? {
        fields.last { $0.name == name }?.value
    }

    mutating func addField(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) {
        // nghttp2 bounds one header block, so the sum cannot overflow.
        fieldByteCount += name.count + value.count
        guard fieldByteCount <= Self.fieldByteCountMax else {
            isTooLarge = true
            return
        }
        fields.append(
            HTTP2Field(
                String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self)))
    }

    mutating func addBody(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard bytes.count <= Self.bodyByteCountMax - body.count else {
            isTooLarge = true
            return
        }
        body.append(contentsOf: bytes)
    }
}
