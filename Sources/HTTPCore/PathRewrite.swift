// SPDX-License-Identifier: Apache-2.0
//
// Putting another prefix before a path, for requests that go on and for redirects.

/// The beginning of a path and what takes its place.
@safe
public struct PathRewrite {
    /// Bytes of the path that the route matched.
    public let matchedByteCount: Int
    /// What they become, beginning with `/`; empty leaves the path as it is.
    public let replacement: UnsafeRawBufferPointer

    /// Leaves paths as they are.
    public init() {
        matchedByteCount = 0
        unsafe replacement = UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// Replaces the first `matchedByteCount` bytes; the buffer must stay valid while heads are
    /// written.
    public init(matchedByteCount: Int, replacement: UnsafeRawBufferPointer) {
        self.matchedByteCount = max(0, matchedByteCount)
        unsafe self.replacement = replacement
    }

    /// How many bytes a path may grow by.
    @inline(__always)
    var byteCountMax: Int { unsafe replacement.count &+ 2 }
}

extension ByteWriter {
    /// Appends the path after `rewrite`; an empty path is `/` (RFC 9110 §4.2.3).
    ///
    /// Where replacement and rest meet stands exactly one slash, however many the client sent: a
    /// path that begins with `//` would be read as a host by some.
    mutating func append(path: UnsafeRawBufferPointer, rewrite: PathRewrite) {
        guard unsafe rewrite.replacement.count > 0 else {
            if unsafe path.isEmpty { append(byte: ASCII.slash) }
            unsafe append(path)
            return
        }
        if unsafe rewrite.replacement[0] != ASCII.slash { append(byte: ASCII.slash) }
        unsafe append(rewrite.replacement)
        let joint = min(rewrite.matchedByteCount, path.count)
        var at = joint
        while at < path.count, unsafe path[at] == ASCII.slash { at &+= 1 }
        let endsInSlash = unsafe rewrite.replacement[rewrite.replacement.count &- 1] == ASCII.slash
        if at < path.count || at > joint, !endsInSlash { append(byte: ASCII.slash) }
        unsafe append(UnsafeRawBufferPointer(rebasing: path[at...]))
    }
}
