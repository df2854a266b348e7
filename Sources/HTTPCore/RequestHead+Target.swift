// SPDX-License-Identifier: Apache-2.0
//
// The request target (RFC 9112 §3.2): its four forms and its path. What no policy could make safe
// is refused here; whether a path needs a policy at all is found in the same pass.

extension RequestHead {
    /// Parses the target; returns the offset of the space that ends it.
    @inline(__always)
    mutating func parseTarget(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int
    ) throws(HeadStop) -> Int {
        guard start < end else { throw .needMore }
        let limit = min(end, start &+ limits.targetByteCountMax &+ 1)
        targetScheme = nil
        authority = .empty
        pathHasEncodedSlash = false
        let pathStart: Int
        if unsafe base[start] == ASCII.slash, method != .connect {
            targetForm = .origin
            pathStart = start
        } else {
            pathStart = unsafe try parseOtherForm(base, from: start, limit: limit, end: end)
        }
        let targetEnd = unsafe try parsePath(base, from: pathStart, limit: limit)
        guard targetEnd < limit else {
            throw targetEnd < end || targetEnd &- start > limits.targetByteCountMax
                ? .fault(.targetTooLong) : .needMore
        }
        guard unsafe base[targetEnd] == ASCII.space else {
            throw unsafe Self.targetStop(base[targetEnd])
        }
        target = ByteRange(from: start, to: targetEnd)
        return targetEnd
    }

    /// Scans and sets `path` and `query`; returns where they stop.
    @inline(__always)
    private mutating func parsePath(
        _ base: UnsafePointer<UInt8>, from start: Int, limit: Int
    ) throws(HeadStop) -> Int {
        let classes = unsafe fields.classes
        var at = unsafe ByteScanner.plainPathEnd(base, from: start, to: limit, classes: classes)
        let isPlain = unsafe at == limit || !Self.continuesPath(base[at], classes)
        while at < limit, unsafe Self.continuesPath(base[at], classes) { at &+= 1 }
        path = ByteRange(from: start, to: at)
        isPathPlain = isPlain
        canonicalByteCount = -1
        if !isPlain, at < limit { unsafe try judgePath(base) }
        let queryStart = at
        at = unsafe ByteScanner.targetEnd(base, from: queryStart, to: limit, classes: classes)
        query = ByteRange(from: queryStart, to: at)
        return at
    }

    @inline(__always)
    private static func continuesPath(_ byte: UInt8, _ classes: UnsafePointer<UInt8>) -> Bool {
        unsafe classes[Int(byte)] & CharacterClass.target != 0 && byte != ASCII.questionMark
    }

    /// Refuses a path with bad escapes or an encoded NUL (RFC 3986 §2.1), or with a backslash,
    /// which some servers read as a slash.
    private mutating func judgePath(_ base: UnsafePointer<UInt8>) throws(HeadStop) {
        var at = path.offset
        let end = path.end
        while at < end {
            let byte = unsafe base[at]
            at &+= 1
            if byte == ASCII.backslash { throw .fault(.invalidTarget) }
            guard byte == ASCII.percent else { continue }
            guard end &- at >= 2, let high = unsafe ASCII.hexadecimalValue(base[at]),
                let low = unsafe ASCII.hexadecimalValue(base[at &+ 1]),
                high | low != 0
            else { throw .fault(.invalidPercentEncoding) }
            at &+= 2
            let decoded = high &<< 4 | low
            if decoded == ASCII.slash || decoded == ASCII.backslash { pathHasEncodedSlash = true }
        }
    }

    /// Parses the part of absolute-, authority- and asterisk-form before the path.
    private mutating func parseOtherForm(
        _ base: UnsafePointer<UInt8>, from start: Int, limit: Int, end: Int
    ) throws(HeadStop) -> Int {
        if method == .connect {
            targetForm = .authority
            let stop = unsafe try parseTargetAuthority(base, from: start, limit: limit, end: end)
            // RFC 9110 §9.3.6: the port is required, and nothing may follow it.
            guard port != nil, unsafe base[stop] == ASCII.space else {
                throw .fault(.invalidTarget)
            }
            return stop
        }
        if unsafe base[start] == 0x2A {
            targetForm = .asterisk
            guard method == .options else { throw .fault(.invalidTarget) }
            guard start &+ 1 < end else { throw .needMore }
            guard unsafe base[start &+ 1] == ASCII.space else { throw .fault(.invalidTarget) }
            return start &+ 1
        }
        targetForm = .absolute
        let authorityStart = unsafe try parseScheme(base, from: start, end: end)
        let stop = unsafe try parseTargetAuthority(
            base, from: authorityStart, limit: limit, end: end)
        switch unsafe base[stop] {
        case ASCII.slash, ASCII.questionMark, ASCII.space: return stop
        default: throw unsafe Self.targetStop(base[stop])
        }
    }

    /// Parses `http://` or `https://`, whatever the case; returns the offset after it.
    private mutating func parseScheme(
        _ base: UnsafePointer<UInt8>, from start: Int, end: Int
    ) throws(HeadStop) -> Int {
        func fits(_ text: StaticString) -> Bool {
            let count = min(text.utf8CodeUnitCount, end - start)
            var offset = 0
            while offset < count {
                guard unsafe ASCII.lowercased(base[start + offset]) == text.utf8Start[offset]
                else { return false }
                offset += 1
            }
            return true
        }
        if fits("http://") {
            guard end - start >= 7 else { throw .needMore }
            targetScheme = .http
            return start + 7
        }
        if fits("https://") {
            guard end - start >= 8 else { throw .needMore }
            targetScheme = .https
            return start + 8
        }
        throw .fault(.invalidTarget)
    }

    /// Parses the authority in a target; returns the offset of the byte that ends it.
    private mutating func parseTargetAuthority(
        _ base: UnsafePointer<UInt8>, from start: Int, limit: Int, end: Int
    ) throws(HeadStop) -> Int {
        var at = start
        while at < limit {
            let byte = unsafe base[at]
            guard byte > ASCII.space, byte < 0x7F, byte != ASCII.slash,
                byte != ASCII.questionMark
            else { break }
            at += 1
        }
        guard at < limit else { throw at < end ? .fault(.targetTooLong) : .needMore }
        let range = ByteRange(from: start, to: at)
        guard let parsed = unsafe Authority(base, range, classes: fields.classes) else {
            throw .fault(.invalidHost)
        }
        authority = range
        host = parsed.host
        port = parsed.port
        return at
    }

    /// Why a target did not end in a space.
    private static func targetStop(_ byte: UInt8) -> HeadStop {
        switch byte {
        case ASCII.lineFeed: .fault(.bareLineFeed)
        case ASCII.carriageReturn, ASCII.tab: .fault(.malformedStartLine)
        default: .fault(.invalidTarget)
        }
    }
}
