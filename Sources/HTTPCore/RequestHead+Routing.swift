// SPDX-License-Identifier: Apache-2.0
//
// Questions that a router asks about a parsed head, answered without allocation. Hosts compare
// without case (RFC 9110 §4.2.3), paths byte by byte.

extension RequestHead {
    /// True when the host, port not counted, is `name`.
    ///
    /// An empty name equals no host.
    public func hostEquals(_ name: UnsafeRawBufferPointer, in input: UnsafeRawBufferPointer)
        -> Bool
    {
        guard name.count == host.count else { return false }
        return unsafe hostEnds(with: name, in: input)
    }

    /// True when the host ends in `suffix` and has at least one byte before it.
    ///
    /// For `*.example.org` the suffix is `.example.org`.
    public func hostHasSuffix(_ suffix: UnsafeRawBufferPointer, in input: UnsafeRawBufferPointer)
        -> Bool
    {
        guard suffix.count < host.count else { return false }
        return unsafe hostEnds(with: suffix, in: input)
    }

    /// True when the path begins with `prefix`, byte for byte.
    public func pathHasPrefix(_ prefix: UnsafeRawBufferPointer, in input: UnsafeRawBufferPointer)
        -> Bool
    {
        if path.isEmpty, targetForm == .absolute, prefix.count == 1 {
            // RFC 9110 §4.2.3: an empty path in a URI means `/`.
            return unsafe prefix[0] == ASCII.slash
        }
        guard prefix.count <= path.count else { return false }
        return unsafe path.starts(with: prefix, in: input)
    }

    /// True when the path is `prefix` or lies below it.
    ///
    /// `/api` covers `/api` and `/api/x`, not `/apix`; an empty prefix covers every path.
    public func pathHasSegmentPrefix(
        _ prefix: UnsafeRawBufferPointer, in input: UnsafeRawBufferPointer
    ) -> Bool {
        guard unsafe pathHasPrefix(prefix, in: input) else { return false }
        guard prefix.count < path.count, let last = unsafe prefix.last else { return true }
        return unsafe last == ASCII.slash || input[path.offset + prefix.count] == ASCII.slash
    }

    private func hostEnds(
        with name: UnsafeRawBufferPointer, in input: UnsafeRawBufferPointer
    ) -> Bool {
        var offset = 0
        let start = host.end - name.count
        precondition(host.end <= input.count, "the head belongs to a longer buffer")
        while offset < name.count {
            guard
                unsafe ASCII.lowercased(input[start + offset]) == ASCII.lowercased(name[offset])
            else { return false }
            offset += 1
        }
        return true
    }
}

extension ByteRange {
    fileprivate func starts(
        with prefix: UnsafeRawBufferPointer, in input: UnsafeRawBufferPointer
    ) -> Bool {
        precondition(end <= input.count, "the head belongs to a longer buffer")
        var at = 0
        while at < prefix.count {
            guard unsafe input[offset + at] == prefix[at] else { return false }
            at += 1
        }
        return true
    }
}
