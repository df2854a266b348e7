// SPDX-License-Identifier: Apache-2.0
//
// The head of a response, parsed in place with the same strictness as a request's: whatever a
// backend sends that could be framed in two ways is a fault, answered to the client with 502.

/// A parsed response head.
///
/// All ranges refer to the buffer that was given to `parse`.
@safe
public struct ResponseHead: ~Copyable {
    /// The field lines.
    var fields: FieldBlock
    private let limits: HeadLimits

    /// The status code, 100 to 599.
    public private(set) var status: UInt16 = 0
    /// The reason phrase; may be empty.
    public private(set) var reason = ByteRange.empty
    /// The minor version: 0 for HTTP/1.0, 1 for HTTP/1.1.
    public private(set) var minorVersion: UInt8 = 1
    /// How the body ends; `.none` for answers to `HEAD` and for 1xx, 204 and 304.
    public private(set) var framing = BodyFraming.none
    /// The `Content-Length` of an answer that has no body itself (`HEAD`, 304).
    public private(set) var describedLength: UInt64?
    /// True when the backend lets the connection live after this response.
    public private(set) var keepsAlive = true
    /// True when `Connection` names fields, which may be trailers: then forward none of those.
    ///
    /// RFC 9110 §7.6.1 removes the named fields from both sections.
    public private(set) var connectionNamesFields = false
    /// Bytes of the head.
    public private(set) var headByteCount = 0

    /// True for 1xx other than 101: another head follows for the same request (RFC 9110 §15.2).
    public var isInterim: Bool { status < 200 && status != 101 }
    /// True for 101: from here on the connection speaks another protocol.
    public var switchesProtocols: Bool { status == 101 }

    /// Allocates the slots once; nothing is allocated afterwards.
    public init(limits: HeadLimits = HeadLimits()) {
        self.limits = limits.bounded
        fields = FieldBlock(slotCapacity: limits.bounded.fieldCountMax)
    }

    /// Looks at all bytes received since the end of the previous message.
    ///
    /// `method` is that of the request being answered. `progress` belongs to the connection; reset
    /// it after `.complete`. Facts and ranges are valid after `.complete` only.
    public mutating func parse(
        _ bytes: UnsafeRawBufferPointer, answering method: RequestMethod,
        progress: inout HeadProgress
    ) -> HeadOutcome {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return .needMore }
        guard unsafe progress.isWorthParsing(bytes, limits: limits) else { return .needMore }
        let end = min(bytes.count, limits.headByteCountMax)
        do throws(HeadStop) {
            let base = unsafe start.assumingMemoryBound(to: UInt8.self)
            let fieldStart = unsafe try parseStatusLine(base, to: end)
            let headEnd = unsafe try fields.scan(
                base, from: fieldStart, to: end, nameSet: CharacterClass.token)
            unsafe try judgeFields(base, answering: method)
            assert(headEnd <= end)
            headByteCount = headEnd
            return .complete(headByteCount: headEnd)
        } catch {
            return progress.outcome(error, scanned: end, limits: limits)
        }
    }

    /// Parses `HTTP/1.x SP code SP reason CRLF` (RFC 9112 §4); returns the offset after it.
    @inline(__always)
    private mutating func parseStatusLine(
        _ base: UnsafePointer<UInt8>, to end: Int
    ) throws(HeadStop) -> Int {
        guard end >= 13 else { throw unsafe Self.shortStatusLineStop(base, count: end) }
        guard let minor = unsafe HTTPVersion.minor(base) else {
            throw unsafe Self.shortStatusLineStop(base, count: end)
        }
        minorVersion = minor
        let digits = unsafe (base[9] &- 0x30, base[10] &- 0x30, base[11] &- 0x30)
        guard unsafe base[8] == ASCII.space, digits.0 >= 1, digits.0 <= 5, digits.1 < 10,
            digits.2 < 10
        else { throw .fault(.invalidStatusLine) }
        status = UInt16(digits.0) &* 100 &+ UInt16(digits.1) &* 10 &+ UInt16(digits.2)
        // RFC 9112 §4 wants the space even when there is no reason; some servers omit both.
        guard unsafe base[12] == ASCII.space || base[12] == ASCII.carriageReturn else {
            throw unsafe .fault(base[12] == ASCII.lineFeed ? .bareLineFeed : .invalidStatusLine)
        }
        let reasonStart = unsafe base[12] == ASCII.space ? 13 : 12
        let lineEnd = unsafe ByteScanner.valueEnd(base, from: reasonStart, to: end)
        reason = ByteRange(from: reasonStart, to: lineEnd)
        guard lineEnd < end else { throw .needMore }
        return unsafe try fields.lineFeed(base, at: lineEnd, to: end)
    }

    /// Why fewer than 13 bytes, or bytes without a known version, are no status line (yet).
    private static func shortStatusLineStop(
        _ base: UnsafePointer<UInt8>, count: Int
    ) -> HeadStop {
        let pattern: StaticString = "HTTP/d.d ddd"
        var offset = 0
        while offset < min(count, 12) {
            let byte = unsafe base[offset]
            let wanted = unsafe pattern.utf8Start[offset]
            guard wanted == 0x64 ? ASCII.isDigit(byte) : byte == wanted else {
                return .fault(byte == ASCII.lineFeed ? .bareLineFeed : .invalidStatusLine)
            }
            offset += 1
        }
        if count >= 8, unsafe HTTPVersion.minor(base) == nil { return .fault(.unsupportedVersion) }
        return .needMore
    }

    /// RFC 9112 §6.3, in its order, and §9.3.
    @inline(__always)
    private mutating func judgeFields(
        _ base: UnsafePointer<UInt8>, answering method: RequestMethod
    ) throws(HeadStop) {
        let declared = unsafe try fields.framing(base, minorVersion: minorVersion)
        var options = ConnectionOptions()
        if fields.seen.contains(.connection) { options = unsafe try fields.readConnection(base) }
        keepsAlive = options.keepsAlive(minorVersion: minorVersion)
        connectionNamesFields = options.namesOtherFields
        describedLength = nil
        if status < 200 || status == 204 {
            // RFC 9112 §6.1, §6.2: these must not declare a body; what they declare is dropped.
            framing = .none
            return
        }
        if method == .head || status == 304 {
            framing = .none
            if case .length(let length) = declared { describedLength = length }
            return
        }
        framing = declared == .none ? .untilClose : declared
        if framing == .untilClose { keepsAlive = false }
    }
}

extension ResponseHead {
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
