// SPDX-License-Identifier: Apache-2.0
//
// Questions that a router asks about a parsed head, answered without allocation. Hosts compare
// without case (RFC 9110 §4.2.3), paths byte by byte in their one form, methods byte by byte.

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

    /// True when the path in its one form is `path`, byte for byte.
    public func pathEquals(_ path: UnsafeRawBufferPointer, in input: UnsafeRawBufferPointer)
        -> Bool
    {
        let own = unsafe canonicalPath(in: input)
        return unsafe own.count == path.count && Self.starts(own, with: path)
    }

    /// True when the path in its one form begins with `prefix`, byte for byte.
    public func pathHasPrefix(_ prefix: UnsafeRawBufferPointer, in input: UnsafeRawBufferPointer)
        -> Bool
    {
        unsafe Self.starts(canonicalPath(in: input), with: prefix)
    }

    /// True when the path in its one form is `prefix` or lies below it.
    ///
    /// `/api` covers `/api` and `/api/x`, not `/apix`; an empty prefix covers every path.
    public func pathHasSegmentPrefix(
        _ prefix: UnsafeRawBufferPointer, in input: UnsafeRawBufferPointer
    ) -> Bool {
        let own = unsafe canonicalPath(in: input)
        guard unsafe Self.starts(own, with: prefix) else { return false }
        guard prefix.count < own.count, let last = unsafe prefix.last else { return true }
        return unsafe last == ASCII.slash || own[prefix.count] == ASCII.slash
    }

    /// True when the method is `name`; methods are case-sensitive (RFC 9110 §9.1).
    public func methodEquals(_ name: UnsafeRawBufferPointer, in input: UnsafeRawBufferPointer)
        -> Bool
    {
        unsafe methodRange.count == name.count
            && Self.starts(methodRange.bytes(in: input), with: name)
    }

    private static func starts(
        _ bytes: UnsafeRawBufferPointer, with prefix: UnsafeRawBufferPointer
    ) -> Bool {
        guard prefix.count <= bytes.count else { return false }
        return unsafe ByteScanner.equal(bytes, prefix, count: prefix.count)
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
