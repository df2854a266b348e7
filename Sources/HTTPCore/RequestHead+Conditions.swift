// SPDX-License-Identifier: Apache-2.0
//
// Whether a parsed head meets a condition of a route; each answer looks at each byte once. Where a
// name occurs several times, one occurrence that meets the condition is enough.

extension RequestHead {
    /// True when a field line has the name and value of the condition.
    public func satisfies(_ condition: FieldCondition, in input: UnsafeRawBufferPointer) -> Bool {
        let isKnown = condition.field != .other
        if isKnown, !fields.seen.contains(condition.field) { return false }
        var index = 0
        while index < fields.count {
            let slot = fields.slot(index)
            index &+= 1
            guard slot.field == condition.field,
                unsafe isKnown || Self.isName(slot.name.bytes(in: input), condition.name)
            else { continue }
            guard let value = unsafe condition.value else { return true }
            let own = unsafe slot.value.bytes(in: input)
            if own.count == value.count, unsafe ByteScanner.equal(own, value, count: own.count) {
                return true
            }
        }
        return false
    }

    /// True when the query has a parameter with the name and value of the condition.
    public func satisfies(_ condition: QueryCondition, in input: UnsafeRawBufferPointer) -> Bool {
        let query = unsafe query.bytes(in: input)
        // Behind the question mark.
        var at = 1
        while at < query.count {
            var end = at
            while end < query.count, unsafe query[end] != ASCII.ampersand { end &+= 1 }
            // An empty part is no parameter.
            if end > at {
                var nameEnd = at
                while nameEnd < end, unsafe query[nameEnd] != ASCII.equals { nameEnd &+= 1 }
                if unsafe Self.decodes(query, from: at, to: nameEnd, as: condition.name) {
                    guard let value = unsafe condition.value else { return true }
                    let valueStart = min(nameEnd &+ 1, end)
                    if unsafe Self.decodes(query, from: valueStart, to: end, as: value) {
                        return true
                    }
                }
            }
            at = end &+ 1
        }
        return false
    }

    /// True when a `Cookie` field has a cookie with the name and value of the condition.
    public func satisfies(_ condition: CookieCondition, in input: UnsafeRawBufferPointer) -> Bool {
        guard fields.seen.contains(.cookie) else { return false }
        var index = 0
        while index < fields.count {
            let slot = fields.slot(index)
            index &+= 1
            guard slot.field == .cookie else { continue }
            if unsafe Self.hasCookie(slot.value.bytes(in: input), condition) { return true }
        }
        return false
    }

    /// RFC 6265 §4.2.1: pairs between semicolons; a part without `=` is no cookie.
    private static func hasCookie(
        _ line: UnsafeRawBufferPointer, _ condition: CookieCondition
    ) -> Bool {
        var at = 0
        while at < line.count {
            var end = at
            while end < line.count, unsafe line[end] != ASCII.semicolon { end &+= 1 }
            var nameEnd = at
            while nameEnd < end, unsafe line[nameEnd] != ASCII.equals { nameEnd &+= 1 }
            if nameEnd < end, unsafe isTrimmed(line, from: at, to: nameEnd, condition.name) {
                guard let value = unsafe condition.value else { return true }
                if unsafe isTrimmed(line, from: nameEnd &+ 1, to: end, value) { return true }
                if unsafe isQuoted(line, from: nameEnd &+ 1, to: end, value) { return true }
            }
            at = end &+ 1
        }
        return false
    }

    /// True when the bytes without blanks around them are `wanted`.
    private static func isTrimmed(
        _ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int,
        _ wanted: UnsafeRawBufferPointer
    ) -> Bool {
        let run = unsafe trimmed(bytes, from: start, to: end)
        return unsafe run.count == wanted.count
            && ByteScanner.equal(run, wanted, count: wanted.count)
    }

    /// True when the bytes without blanks around them are `wanted` in double quotes.
    private static func isQuoted(
        _ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int,
        _ wanted: UnsafeRawBufferPointer
    ) -> Bool {
        let run = unsafe trimmed(bytes, from: start, to: end)
        guard run.count == wanted.count &+ 2, unsafe run[0] == ASCII.quote,
            unsafe run[run.count &- 1] == ASCII.quote
        else { return false }
        let inside = unsafe UnsafeRawBufferPointer(rebasing: run[1..<(run.count &- 1)])
        return unsafe ByteScanner.equal(inside, wanted, count: wanted.count)
    }

    static func trimmed(
        _ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int
    ) -> UnsafeRawBufferPointer {
        var first = start
        var last = end
        while first < last, unsafe ASCII.isBlank(bytes[first]) { first &+= 1 }
        while last > first, unsafe ASCII.isBlank(bytes[last &- 1]) { last &-= 1 }
        return unsafe UnsafeRawBufferPointer(rebasing: bytes[first..<last])
    }

    /// True when a field name is `wanted`, which is in lower case.
    static func isName(
        _ name: UnsafeRawBufferPointer, _ wanted: UnsafeRawBufferPointer
    ) -> Bool {
        guard name.count == wanted.count else { return false }
        var at = 0
        while at < name.count {
            guard unsafe ASCII.lowercased(name[at]) == wanted[at] else { return false }
            at &+= 1
        }
        return true
    }

    /// True when bytes of a query decode to `wanted`.
    private static func decodes(
        _ query: UnsafeRawBufferPointer, from start: Int, to end: Int,
        as wanted: UnsafeRawBufferPointer
    ) -> Bool {
        var at = start
        var matched = 0
        while at < end {
            guard matched < wanted.count else { return false }
            var byte = unsafe query[at]
            at &+= 1
            if byte == ASCII.plus {
                byte = ASCII.space
            } else if byte == ASCII.percent, end &- at >= 2,
                let high = unsafe ASCII.hexadecimalValue(query[at]),
                let low = unsafe ASCII.hexadecimalValue(query[at &+ 1])
            {
                byte = high &<< 4 | low
                at &+= 2
            }
            guard unsafe byte == wanted[matched] else { return false }
            matched &+= 1
        }
        return matched == wanted.count
    }
}
