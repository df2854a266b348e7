// SPDX-License-Identifier: Apache-2.0
//
// The head of a request, parsed in place: what it asks, of whom, how its body ends, and which
// fields it has. One per worker, reused for every request; facts are valid until the next parse.

/// The methods that the proxy or its policies tell apart.
public enum RequestMethod: UInt8, CaseIterable, Sendable {
    /// Any other valid method; forwarded as it is.
    case other
    /// `GET`.
    case get
    /// `HEAD`: the response has no body.
    case head
    /// `POST`.
    case post
    /// `PUT`.
    case put
    /// `DELETE`.
    case delete
    /// `OPTIONS`.
    case options
    /// `PATCH`.
    case patch
    /// `CONNECT`: the caller refuses it, this is no tunnel.
    case connect
    /// `TRACE`: the caller refuses it, it echoes credentials.
    case trace

    /// True when doing it twice is like doing it once, so that it may be retried (RFC 9110 §9.2.2).
    public var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options, .trace: true
        case .other, .post, .patch, .connect: false
        }
    }
}

/// The four forms of a request target (RFC 9112 §3.2).
public enum TargetForm: UInt8, Sendable {
    /// A path with an optional query.
    case origin
    /// A whole `http` or `https` URI.
    case absolute
    /// `host:port`, for `CONNECT` alone.
    case authority
    /// `*`, for `OPTIONS` alone.
    case asterisk
}

/// A scheme that a client may have used, or that an absolute target names.
public enum URIScheme: UInt8, Sendable {
    /// `http`.
    case http
    /// `https`.
    case https
}

/// A parsed request head.
///
/// All ranges refer to the buffer that was given to `parse`.
@safe
public struct RequestHead: ~Copyable {
    /// The field lines.
    var fields: FieldBlock
    /// The limits in force, brought under their ceilings.
    let limits: HeadLimits

    /// The method.
    public internal(set) var method = RequestMethod.other
    /// The method's bytes.
    public internal(set) var methodRange = ByteRange.empty
    /// The request target as received.
    public internal(set) var target = ByteRange.empty
    /// The form of the target.
    public internal(set) var targetForm = TargetForm.origin
    /// The scheme an absolute-form target names, `nil` in the other forms.
    public internal(set) var targetScheme: URIScheme?
    /// The path as received, without query; empty for `*`, `CONNECT` and `http://host`.
    public internal(set) var path = ByteRange.empty
    /// The query with its `?`; empty when there is none.
    public internal(set) var query = ByteRange.empty
    /// True when the path has an encoded slash or backslash, which servers may decode differently.
    public internal(set) var pathHasEncodedSlash = false
    /// True when no policy but merging of slashes can change the path.
    var isPathPlain = true
    /// Bytes of the path in `pathScratch`; -1 when the path in the buffer is the one to use.
    var canonicalByteCount = -1
    /// Where `applyPathPolicy` writes.
    let pathScratch: PathScratch
    /// `host[:port]` the request is for: of the target if it has one, else of `Host`.
    public internal(set) var authority = ByteRange.empty
    /// The host of `authority` without port and without one trailing dot.
    public internal(set) var host = ByteRange.empty
    /// The port of `authority`, when it has one.
    public internal(set) var port: UInt16?
    /// The minor version: 0 for HTTP/1.0, 1 for HTTP/1.1.
    public internal(set) var minorVersion: UInt8 = 1
    /// How the body ends: `.none`, `.length` or `.chunked`.
    public internal(set) var framing = BodyFraming.none
    /// True when the client lets the connection live after this exchange (RFC 9112 §9.3).
    public internal(set) var keepsAlive = true
    /// True when the client waits for `100 (Continue)` before it sends the body.
    public internal(set) var expectsContinue = false
    /// True when the client asks for another protocol (RFC 9110 §7.8); `Upgrade` names it.
    public internal(set) var requestsUpgrade = false
    /// True when the only protocol it asks for is `websocket` (RFC 6455 §4.1).
    public internal(set) var requestsWebSocket = false
    /// True when the client accepts trailers (`TE: trailers`, RFC 9110 §10.1.4).
    public internal(set) var acceptsTrailers = false
    /// True when `Connection` names fields, which may be trailers: then forward none of those.
    ///
    /// RFC 9110 §7.6.1 removes the named fields from both sections.
    public internal(set) var connectionNamesFields = false
    /// Bytes of the head, skipped empty lines included.
    public internal(set) var headByteCount = 0

    /// Allocates the slots once; nothing is allocated afterwards.
    public init(limits: HeadLimits = HeadLimits()) {
        self.limits = limits.bounded
        pathScratch = PathScratch(capacity: limits.bounded.targetByteCountMax)
        fields = FieldBlock(slotCapacity: limits.bounded.fieldCountMax)
    }

    /// Looks at all bytes received since the end of the previous message.
    ///
    /// `progress` belongs to the connection; reset it after `.complete`. The bytes must be the same
    /// as before plus what arrived since. Facts and ranges are valid after `.complete` only.
    public mutating func parse(
        _ bytes: UnsafeRawBufferPointer, progress: inout HeadProgress
    ) -> HeadOutcome {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return .needMore }
        guard unsafe progress.isWorthParsing(bytes, limits: limits) else { return .needMore }
        let end = min(bytes.count, limits.headByteCountMax)
        do throws(HeadStop) {
            let base = unsafe start.assumingMemoryBound(to: UInt8.self)
            headByteCount = unsafe try parse(base, to: end)
            assert(headByteCount <= end)
            return .complete(headByteCount: headByteCount)
        } catch {
            return progress.outcome(error, scanned: end, limits: limits)
        }
    }

    /// Parses a head from the buffer's start; returns its length.
    private mutating func parse(
        _ base: UnsafePointer<UInt8>, to end: Int
    ) throws(HeadStop) -> Int {
        let start = unsafe try skipEmptyLines(base, to: end)
        let targetStart = unsafe try parseMethod(base, from: start, to: end)
        let targetEnd = unsafe try parseTarget(base, from: targetStart, to: end)
        let fieldStart = unsafe try parseVersion(base, from: targetEnd &+ 1, to: end)
        let headEnd = unsafe try fields.scan(
            base, from: fieldStart, to: end, nameSet: CharacterClass.dashedToken)
        unsafe try judgeFields(base)
        return headEnd
    }

    /// RFC 9112 §2.2: an empty line before the request line is to be ignored.
    @inline(__always)
    private func skipEmptyLines(
        _ base: UnsafePointer<UInt8>, to end: Int
    ) throws(HeadStop) -> Int {
        var at = 0
        while at < end, unsafe base[at] == ASCII.carriageReturn {
            guard at &+ 1 < end else { throw .needMore }
            guard unsafe base[at &+ 1] == ASCII.lineFeed else { throw .fault(.bareCarriageReturn) }
            at &+= 2
            guard at <= 2 * HeadLimits.leadingEmptyLineCountMax else {
                throw .fault(.malformedStartLine)
            }
        }
        guard at < end else { throw .needMore }
        return at
    }

    /// Parses the method; returns the offset after the space that ends it.
    @inline(__always)
    private mutating func parseMethod(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int
    ) throws(HeadStop) -> Int {
        let limit = min(end, start &+ HeadLimits.methodByteCountMax &+ 1)
        var at = start
        while at < limit, unsafe fields.classes[Int(base[at])] & CharacterClass.token != 0 {
            at &+= 1
        }
        let count = at &- start
        guard count <= HeadLimits.methodByteCountMax else { throw .fault(.methodTooLong) }
        guard at < end else { throw .needMore }
        guard unsafe base[at] == ASCII.space, count > 0 else {
            switch unsafe base[at] {
            case ASCII.lineFeed: throw .fault(.bareLineFeed)
            case ASCII.space, ASCII.tab: throw .fault(.malformedStartLine)
            case ASCII.carriageReturn: throw .fault(.malformedStartLine)
            default: throw .fault(.invalidMethod)
            }
        }
        method = unsafe Self.recogniseMethod(base + start, count: count)
        methodRange = ByteRange(offset: start, count: count)
        return at &+ 1
    }

    /// RFC 9110 §9.1: methods are case-sensitive.
    @inline(__always)
    private static func recogniseMethod(
        _ name: UnsafePointer<UInt8>, count: Int
    ) -> RequestMethod {
        @inline(__always)
        func equals(_ text: StaticString) -> Bool {
            var offset = 0
            while offset < text.utf8CodeUnitCount {
                guard unsafe name[offset] == text.utf8Start[offset] else { return false }
                offset &+= 1
            }
            return true
        }
        switch count {
        case 3: return equals("GET") ? .get : equals("PUT") ? .put : .other
        case 4: return equals("POST") ? .post : equals("HEAD") ? .head : .other
        case 5: return equals("PATCH") ? .patch : equals("TRACE") ? .trace : .other
        case 6: return equals("DELETE") ? .delete : .other
        case 7: return equals("OPTIONS") ? .options : equals("CONNECT") ? .connect : .other
        default: return .other
        }
    }

    /// Parses `HTTP/1.x CRLF`; returns the offset of the first field line.
    @inline(__always)
    private mutating func parseVersion(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int
    ) throws(HeadStop) -> Int {
        guard end &- start >= 10 else {
            throw unsafe HTTPVersion.stop(base + start, count: end &- start)
        }
        guard let minor = unsafe HTTPVersion.minor(base + start) else {
            throw unsafe HTTPVersion.stop(base + start, count: end &- start)
        }
        minorVersion = minor
        switch unsafe base[start &+ 8] {
        case ASCII.carriageReturn:
            guard unsafe base[start &+ 9] == ASCII.lineFeed else {
                throw .fault(.bareCarriageReturn)
            }
        case ASCII.lineFeed: throw .fault(.bareLineFeed)
        default: throw .fault(.malformedStartLine)
        }
        return start &+ 10
    }
}

extension RequestHead {
    /// How many field lines there are.
    public var fieldCount: Int { fields.count }

    /// Which known name the field line at `index` has.
    public func field(_ index: Int) -> KnownField { fields.slot(index).field }

    /// Where the name of the field line at `index` lies.
    public func fieldName(_ index: Int) -> ByteRange { fields.slot(index).name }

    /// Where the value of the field line at `index` lies, surrounding whitespace not counted.
    public func fieldValue(_ index: Int) -> ByteRange { fields.slot(index).value }

    /// Where the value of the first line with a known name lies; found without a search.
    public func value(of field: KnownField) -> ByteRange? { fields.firstSlot(field)?.value }
}
