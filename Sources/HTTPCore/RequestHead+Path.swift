// SPDX-License-Identifier: Apache-2.0
//
// The one path of a request, for the router and for the backend alike. A path that has nothing
// special is the received one, at no cost; any other is written into memory that the head owns.

/// Memory for one path; the longest that the limits let in.
@safe
struct PathScratch: ~Copyable {
    let bytes: UnsafeMutablePointer<UInt8>
    let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        unsafe bytes = UnsafeMutablePointer.allocate(capacity: capacity)
    }

    deinit { unsafe bytes.deallocate() }
}

extension RequestHead {
    /// Brings the path into the one form that the policy asks for.
    ///
    /// Call it once after each complete `parse`, before routing. Returns why the request must be
    /// refused (400), `nil` when it may go on. A plain path costs two branches.
    public mutating func applyPathPolicy(
        _ policy: PathPolicy, in input: UnsafeRawBufferPointer
    ) -> MessageFault? {
        if isPathPlain, !policy.mergesSlashes { return nil }
        return unsafe rewritePath(policy, in: input)
    }

    /// The path in its one form: what to route by and what to send.
    ///
    /// Lies in `input`, the buffer that was parsed last, or in memory of the head that is valid
    /// until the next `parse` or `applyPathPolicy`. `/` when an absolute-form target has no path
    /// (RFC 9110 §4.2.3), empty for `*` and `CONNECT`.
    public func canonicalPath(in input: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        if pathIsRewritten {
            return unsafe UnsafeRawBufferPointer(
                start: pathScratch.bytes, count: canonicalByteCount)
        }
        if path.isEmpty, targetForm == .absolute {
            let root: StaticString = "/"
            return unsafe UnsafeRawBufferPointer(start: root.utf8Start, count: 1)
        }
        return unsafe path.bytes(in: input)
    }

    /// True when the one form was written anew, so that it does not lie in the buffer.
    public var pathIsRewritten: Bool { canonicalByteCount >= 0 }

    /// The part of `applyPathPolicy` for paths that are worth a look.
    private mutating func rewritePath(
        _ policy: PathPolicy, in input: UnsafeRawBufferPointer
    ) -> MessageFault? {
        canonicalByteCount = -1
        guard path.count > 0 else { return nil }
        let received = unsafe path.bytes(in: input)
        if isPathPlain, unsafe !Self.hasEmptySegment(received) { return nil }
        let output = unsafe UnsafeMutableRawBufferPointer(
            start: pathScratch.bytes, count: pathScratch.capacity)
        switch unsafe policy.writeCanonical(received, into: output) {
        case .written(let byteCount):
            canonicalByteCount = byteCount
            return nil
        case .refused(let fault):
            return fault
        }
    }

    private static func hasEmptySegment(_ path: UnsafeRawBufferPointer) -> Bool {
        var at = 1
        while at < path.count {
            if unsafe path[at] == ASCII.slash, unsafe path[at &- 1] == ASCII.slash { return true }
            at &+= 1
        }
        return false
    }
}
