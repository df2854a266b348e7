// SPDX-License-Identifier: Apache-2.0
//
// `Connection` (RFC 9110 §7.6.1): its options, and the fields it declares to end here.

/// What the `Connection` fields of one head say.
struct ConnectionOptions {
    var hasClose = false
    var hasKeepAlive = false
    var hasUpgrade = false
    /// An option is none of ours, so that it may name a field of the trailer section.
    var namesOtherFields = false

    /// RFC 9112 §9.3: `close` wins; HTTP/1.1 persists; HTTP/1.0 only with `keep-alive`.
    func keepsAlive(minorVersion: UInt8) -> Bool {
        if hasClose { return false }
        return minorVersion == 1 || hasKeepAlive
    }
}

extension FieldBlock {
    /// Reads all options and marks the field lines that unknown ones name.
    ///
    /// Only fields without a known meaning can be marked: a peer must not be able to remove `Host`,
    /// `Authorization`, `Cookie` or whatever else a backend relies on. Hop-by-hop fields with a
    /// known name are removed whether `Connection` names them or not.
    func readConnection(_ base: UnsafePointer<UInt8>) throws(HeadStop) -> ConnectionOptions {
        var options = ConnectionOptions()
        var optionCount = 0
        var index = 0
        while index < count {
            let slot = slot(index)
            index &+= 1
            guard slot.field == .connection else { continue }
            var at = slot.value.offset
            let end = slot.value.end
            while at < end {
                if unsafe ASCII.isBlank(base[at]) || base[at] == ASCII.comma {
                    at &+= 1
                    continue
                }
                let stop = unsafe ByteScanner.tokenEnd(base, from: at, to: end, classes: classes)
                optionCount &+= 1
                guard stop > at, optionCount <= HeadLimits.connectionOptionCountMax,
                    unsafe Self.endsOption(base, at: stop, to: end)
                else { throw .fault(.invalidConnection) }
                unsafe apply(base, ByteRange(from: at, to: stop), to: &options)
                at = stop
            }
        }
        return options
    }

    /// True when only whitespace stands between an option and the next comma or the end.
    private static func endsOption(
        _ base: UnsafePointer<UInt8>, at start: Int, to end: Int
    ) -> Bool {
        var at = start
        while at < end, unsafe ASCII.isBlank(base[at]) { at &+= 1 }
        return unsafe at == end || base[at] == ASCII.comma
    }

    private func apply(
        _ base: UnsafePointer<UInt8>, _ option: ByteRange, to options: inout ConnectionOptions
    ) {
        let name = unsafe base + option.offset
        if unsafe ByteScanner.matches(name, count: option.count, "keep-alive") {
            options.hasKeepAlive = true
        } else if unsafe ByteScanner.matches(name, count: option.count, "close") {
            options.hasClose = true
        } else if unsafe ByteScanner.matches(name, count: option.count, "upgrade") {
            options.hasUpgrade = true
        } else if unsafe KnownField.recognise(name, count: option.count) == .other {
            options.namesOtherFields = true
            unsafe markFields(base, named: option)
        }
    }

    private func markFields(_ base: UnsafePointer<UInt8>, named option: ByteRange) {
        var index = 0
        while index < count {
            let candidate = slot(index)
            if candidate.field == .other, candidate.name.count == option.count,
                unsafe ByteScanner.equalIgnoringCase(
                    base + candidate.name.offset, base + option.offset, count: option.count)
            {
                markConnectionSpecific(index)
            }
            index &+= 1
        }
    }
}
