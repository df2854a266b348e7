// SPDX-License-Identifier: Apache-2.0
//
// Field names as small numbers: those the proxy acts on, and the most frequent others, which are
// cheaper to recognise than to check byte by byte. Every other name stays bytes.

/// A field name that is recognised once, while parsing.
public enum KnownField: UInt8, CaseIterable, Sendable {
    /// Any name not listed here.
    case other
    /// `Host`.
    case host
    /// `Connection`.
    case connection
    /// `Content-Length`.
    case contentLength
    /// `Transfer-Encoding`.
    case transferEncoding
    /// `Expect`.
    case expect
    /// `Upgrade`.
    case upgrade
    /// `TE`.
    case te
    /// `Trailer`.
    case trailer
    /// `Keep-Alive`.
    case keepAlive
    /// `Proxy-Connection`.
    case proxyConnection
    /// `Proxy-Authorization`.
    case proxyAuthorization
    /// `Proxy-Authenticate`.
    case proxyAuthenticate
    /// `Proxy`, which CGI turns into `HTTP_PROXY` ("httpoxy").
    case proxy
    /// `X-Forwarded-For`.
    case xForwardedFor
    /// `X-Forwarded-Proto`.
    case xForwardedProto
    /// `X-Forwarded-Host`.
    case xForwardedHost
    /// `X-Forwarded-Port`.
    case xForwardedPort
    /// `X-Real-IP`.
    case xRealIP
    /// `Forwarded` (RFC 7239).
    case forwarded
    /// `Via`.
    case via
    /// `Authorization`.
    case authorization
    /// `Cookie`.
    case cookie
    /// `Set-Cookie`.
    case setCookie
    /// `Content-Type`.
    case contentType
    /// `Content-Encoding`.
    case contentEncoding
    /// `Location`.
    case location
    /// `Referer`.
    case referer
    /// `User-Agent`.
    case userAgent
    /// `X-Request-Id`.
    case xRequestID
    /// `traceparent`.
    case traceparent
    /// `tracestate`.
    case tracestate
    /// `Accept`.
    case accept
    /// `Accept-Encoding`.
    case acceptEncoding
    /// `Accept-Language`.
    case acceptLanguage
    /// `Cache-Control`.
    case cacheControl
    /// `Date`.
    case date
    /// `ETag`.
    case etag
    /// `Last-Modified`.
    case lastModified
    /// `Server`.
    case server

    /// The bit that stands for this name in a `KnownFieldSet`.
    @inline(__always)
    var bit: UInt64 { 1 &<< UInt64(rawValue) }
}

/// A set of known names as one machine word; a literal of names is a constant.
struct KnownFieldSet: ExpressibleByArrayLiteral {
    let bits: UInt64

    @inline(__always)
    init(bits: UInt64) {
        self.bits = bits
    }

    @inline(__always)
    init(arrayLiteral fields: KnownField...) {
        var bits: UInt64 = 0
        for field in fields { bits |= field.bit }
        self.bits = bits
    }

    @inline(__always)
    func contains(_ field: KnownField) -> Bool { bits & field.bit != 0 }

    @inline(__always)
    func isDisjoint(with other: KnownFieldSet) -> Bool { bits & other.bits == 0 }

    @inline(__always)
    func union(_ other: KnownFieldSet) -> KnownFieldSet {
        KnownFieldSet(bits: bits | other.bits)
    }

    @inline(__always)
    func subtracting(_ other: KnownFieldSet) -> KnownFieldSet {
        KnownFieldSet(bits: bits & ~other.bits)
    }
}

extension KnownField {
    /// Recognises a name of token characters, whatever the case of its letters.
    @inline(__always)
    static func recognise(_ name: UnsafePointer<UInt8>, count: Int) -> KnownField {
        @inline(__always)
        func first(_ text: StaticString, _ field: KnownField) -> KnownField {
            unsafe ByteScanner.matches(name, text) ? field : .other
        }
        switch count {
        case 2: return first("te", .te)
        case 3: return first("via", .via)
        case 4: return unsafe recognise4(name)
        case 5: return first("proxy", .proxy)
        case 6: return unsafe recognise6(name)
        case 7: return unsafe recognise7(name)
        case 8: return first("location", .location)
        case 9: return unsafe recognise9(name)
        case 10: return unsafe recognise10(name)
        case 11: return first("traceparent", .traceparent)
        case 12: return unsafe recognise12(name)
        case 13: return unsafe recognise13(name)
        case 14: return first("content-length", .contentLength)
        case 15: return unsafe recognise15(name)
        case 16: return unsafe recognise16(name)
        case 17: return unsafe recognise17(name)
        case 18: return first("proxy-authenticate", .proxyAuthenticate)
        case 19: return first("proxy-authorization", .proxyAuthorization)
        default: return .other
        }
    }

    @inline(__always)
    private static func recognise4(_ name: UnsafePointer<UInt8>) -> KnownField {
        if unsafe ByteScanner.matches(name, "host") { return .host }
        if unsafe ByteScanner.matches(name, "date") { return .date }
        if unsafe ByteScanner.matches(name, "etag") { return .etag }
        return .other
    }

    @inline(__always)
    private static func recognise13(_ name: UnsafePointer<UInt8>) -> KnownField {
        if unsafe ByteScanner.matches(name, "cache-control") { return .cacheControl }
        if unsafe ByteScanner.matches(name, "last-modified") { return .lastModified }
        if unsafe ByteScanner.matches(name, "authorization") { return .authorization }
        return .other
    }

    @inline(__always)
    private static func recognise15(_ name: UnsafePointer<UInt8>) -> KnownField {
        if unsafe ByteScanner.matches(name, "accept-encoding") { return .acceptEncoding }
        if unsafe ByteScanner.matches(name, "accept-language") { return .acceptLanguage }
        if unsafe ByteScanner.matches(name, "x-forwarded-for") { return .xForwardedFor }
        return .other
    }

    @inline(__always)
    private static func recognise6(_ name: UnsafePointer<UInt8>) -> KnownField {
        if unsafe ByteScanner.matches(name, "accept") { return .accept }
        if unsafe ByteScanner.matches(name, "server") { return .server }
        if unsafe ByteScanner.matches(name, "cookie") { return .cookie }
        if unsafe ByteScanner.matches(name, "expect") { return .expect }
        return .other
    }

    @inline(__always)
    private static func recognise7(_ name: UnsafePointer<UInt8>) -> KnownField {
        if unsafe ByteScanner.matches(name, "referer") { return .referer }
        if unsafe ByteScanner.matches(name, "upgrade") { return .upgrade }
        if unsafe ByteScanner.matches(name, "trailer") { return .trailer }
        return .other
    }

    @inline(__always)
    private static func recognise9(_ name: UnsafePointer<UInt8>) -> KnownField {
        if unsafe ByteScanner.matches(name, "forwarded") { return .forwarded }
        if unsafe ByteScanner.matches(name, "x-real-ip") { return .xRealIP }
        return .other
    }

    @inline(__always)
    private static func recognise10(_ name: UnsafePointer<UInt8>) -> KnownField {
        if unsafe ByteScanner.matches(name, "connection") { return .connection }
        if unsafe ByteScanner.matches(name, "user-agent") { return .userAgent }
        if unsafe ByteScanner.matches(name, "keep-alive") { return .keepAlive }
        if unsafe ByteScanner.matches(name, "set-cookie") { return .setCookie }
        if unsafe ByteScanner.matches(name, "tracestate") { return .tracestate }
        return .other
    }

    @inline(__always)
    private static func recognise12(_ name: UnsafePointer<UInt8>) -> KnownField {
        if unsafe ByteScanner.matches(name, "content-type") { return .contentType }
        if unsafe ByteScanner.matches(name, "x-request-id") { return .xRequestID }
        return .other
    }

    @inline(__always)
    private static func recognise16(_ name: UnsafePointer<UInt8>) -> KnownField {
        if unsafe ByteScanner.matches(name, "x-forwarded-host") { return .xForwardedHost }
        if unsafe ByteScanner.matches(name, "x-forwarded-port") { return .xForwardedPort }
        if unsafe ByteScanner.matches(name, "proxy-connection") { return .proxyConnection }
        if unsafe ByteScanner.matches(name, "content-encoding") { return .contentEncoding }
        return .other
    }

    @inline(__always)
    private static func recognise17(_ name: UnsafePointer<UInt8>) -> KnownField {
        if unsafe ByteScanner.matches(name, "transfer-encoding") { return .transferEncoding }
        if unsafe ByteScanner.matches(name, "x-forwarded-proto") { return .xForwardedProto }
        return .other
    }
}
