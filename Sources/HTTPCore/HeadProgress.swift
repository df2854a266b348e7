// SPDX-License-Identifier: Apache-2.0
//
// What a connection remembers between two reads of one head, so that a head arriving byte by byte
// costs a scan of the new bytes only and not of everything so far.

/// How far an incomplete head was looked at: four bytes per connection, reset for each message.
public struct HeadProgress: Equatable, Sendable {
    private var scanned: UInt32 = 0

    /// A head of which nothing was seen yet.
    public init() {}

    /// True when the bytes after those seen may complete the head or break a rule.
    ///
    /// That is: the first look, an empty line, half a line end, or a size limit crossed. All else
    /// can wait; what is malformed inside a line is found with the line that ends the head.
    mutating func isWorthParsing(_ bytes: UnsafeRawBufferPointer, limits: HeadLimits) -> Bool {
        let count = bytes.count
        let seen = Int(scanned)
        guard seen != 0, seen <= count, count < limits.headByteCountMax else { return true }
        let startLineMax = limits.targetByteCountMax + HeadLimits.methodByteCountMax + 16
        if seen < startLineMax, count >= startLineMax { return true }
        var at = seen
        while at < count {
            defer { at &+= 1 }
            let isLineFeed = unsafe bytes[at] == ASCII.lineFeed
            let followsReturn = unsafe bytes[at &- 1] == ASCII.carriageReturn
            if isLineFeed != followsReturn { return true }
            if isLineFeed, at >= 3, unsafe bytes[at &- 2] == ASCII.lineFeed { return true }
        }
        scanned = UInt32(truncatingIfNeeded: count)
        return false
    }

    /// What the caller is told when a parse of `scanned` bytes stopped before the end of the head.
    mutating func outcome(
        _ stop: HeadStop, scanned byteCount: Int, limits: HeadLimits
    ) -> HeadOutcome {
        switch stop {
        case .fault(let fault):
            return .malformed(fault)
        case .needMore:
            guard byteCount < limits.headByteCountMax else { return .malformed(.headTooLarge) }
            scanned = UInt32(truncatingIfNeeded: byteCount)
            return .needMore
        }
    }
}
