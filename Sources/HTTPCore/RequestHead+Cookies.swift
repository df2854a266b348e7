// SPDX-License-Identifier: Apache-2.0
//
// Single cookies of a request: finding one by its name, and sending the others on without it.

/// Where a search for cookies stands; a new one begins at the first.
public struct CookieCursor: Sendable {
    var line = 0
    var offset = 0

    /// Before the first cookie.
    public init() {}
}

extension RequestHead {
    /// The value of the next cookie of that name, quotes removed; `nil` when there is none left.
    ///
    /// A browser may send several of a name, the most specific one first (RFC 6265 §5.4).
    public func nextCookie(
        named name: UnsafeRawBufferPointer, in input: UnsafeRawBufferPointer,
        _ cursor: inout CookieCursor
    ) -> UnsafeRawBufferPointer? {
        guard fields.seen.contains(.cookie) else { return nil }
        while cursor.line < fields.count {
            let slot = fields.slot(cursor.line)
            guard slot.field == .cookie else {
                cursor.line &+= 1
                continue
            }
            let line = unsafe slot.value.bytes(in: input)
            while cursor.offset < line.count {
                let start = cursor.offset
                let end = unsafe Self.cookieEnd(line, from: start)
                cursor.offset = end &+ 1
                if let value = unsafe Self.cookieValue(line, start, end, named: name) {
                    return unsafe value
                }
            }
            cursor.line &+= 1
            cursor.offset = 0
        }
        return nil
    }

    /// The value of the first field of that name, which is in lower case; `nil` without one.
    public func firstValue(
        named name: UnsafeRawBufferPointer, in input: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        var index = 0
        while index < fields.count {
            let slot = fields.slot(index)
            index &+= 1
            if unsafe Self.isName(slot.name.bytes(in: input), name) {
                return unsafe slot.value.bytes(in: input)
            }
        }
        return nil
    }

    /// Writes the `Cookie` lines without the cookies of one name; never longer than they were.
    func appendCookies(
        _ input: UnsafeRawBufferPointer, without name: UnsafeRawBufferPointer,
        _ writer: inout ByteWriter
    ) {
        var index = 0
        while index < fields.count {
            let slot = fields.slot(index)
            index &+= 1
            guard slot.field == .cookie, !slot.isConnectionSpecific else { continue }
            let line = unsafe slot.value.bytes(in: input)
            var isBegun = false
            var at = 0
            while at < line.count {
                let end = unsafe Self.cookieEnd(line, from: at)
                let part = unsafe Self.trimmed(line, from: at, to: end)
                let isHidden = unsafe Self.cookieValue(line, at, end, named: name) != nil
                at = end &+ 1
                guard !isHidden, part.count > 0 else { continue }
                // The bytes of a line that stays whole, blanks between its cookies left out, fit
                // the line as it came: each semicolon was there, and blanks are kept as one.
                writer.append(isBegun ? ";" : "Cookie:")
                if unsafe !isBegun || Self.hadBlank(line, before: part) {
                    writer.append(" ")
                }
                isBegun = true
                unsafe writer.append(part)
            }
            if isBegun { writer.append("\r\n") }
        }
    }

    /// True when a blank stood before a part of the line.
    private static func hadBlank(
        _ line: UnsafeRawBufferPointer, before part: UnsafeRawBufferPointer
    ) -> Bool {
        guard let start = line.baseAddress, let place = part.baseAddress else { return false }
        let offset = unsafe place - start
        return unsafe offset > 0 && ASCII.isBlank(line[offset &- 1])
    }

    private static func cookieEnd(_ line: UnsafeRawBufferPointer, from start: Int) -> Int {
        var end = start
        while end < line.count, unsafe line[end] != ASCII.semicolon { end &+= 1 }
        return end
    }

    /// The value of a part of a `Cookie` line when it is a cookie of that name.
    private static func cookieValue(
        _ line: UnsafeRawBufferPointer, _ start: Int, _ end: Int,
        named name: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        var nameEnd = start
        while nameEnd < end, unsafe line[nameEnd] != ASCII.equals { nameEnd &+= 1 }
        guard nameEnd < end else { return nil }
        let own = unsafe trimmed(line, from: start, to: nameEnd)
        guard own.count == name.count, unsafe ByteScanner.equal(own, name, count: name.count)
        else { return nil }
        return unsafe unquoted(trimmed(line, from: nameEnd &+ 1, to: end))
    }

    /// A value without the double quotes around it (RFC 6265 §4.1.1).
    static func unquoted(_ value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        guard value.count >= 2, unsafe value[0] == ASCII.quote,
            unsafe value[value.count &- 1] == ASCII.quote
        else { return unsafe value }
        return unsafe UnsafeRawBufferPointer(rebasing: value[1..<(value.count &- 1)])
    }
}

extension ResponseHead {
    /// The value that the response gives a cookie of that name, the last one if it gives several;
    /// `nil` when it gives none, or an empty one.
    public func cookieSet(
        named name: UnsafeRawBufferPointer, in input: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        guard fields.seen.contains(.setCookie) else { return nil }
        var found: UnsafeRawBufferPointer?
        var index = 0
        while index < fields.count {
            let slot = fields.slot(index)
            index &+= 1
            guard slot.field == .setCookie else { continue }
            let line = unsafe slot.value.bytes(in: input)
            var end = 0
            while end < line.count, unsafe line[end] != ASCII.semicolon { end &+= 1 }
            var nameEnd = 0
            while nameEnd < end, unsafe line[nameEnd] != ASCII.equals { nameEnd &+= 1 }
            guard nameEnd < end else { continue }
            let own = unsafe RequestHead.trimmed(line, from: 0, to: nameEnd)
            guard own.count == name.count, unsafe ByteScanner.equal(own, name, count: name.count)
            else { continue }
            let value = unsafe RequestHead.unquoted(
                RequestHead.trimmed(line, from: nameEnd &+ 1, to: end))
            unsafe found = value.count > 0 ? value : nil
        }
        return unsafe found
    }
}
