// SPDX-License-Identifier: Apache-2.0
//
// Memory that is zero and costs nothing until it is touched: for tables that are sized for the
// worst case and mostly stay empty.

internal import CLinux

/// Pages of this process alone (mmap).
public final class ZeroedPages: @unchecked Sendable {
    // Sendable: nothing here changes; who writes to the memory says how.

    /// Where the memory begins; aligned to a page.
    public let base: UnsafeMutableRawPointer
    /// Bytes of it.
    public let byteCount: Int

    /// Reserves `byteCount` bytes, rounded up to whole pages by the kernel.
    ///
    /// - Throws: when the kernel has no room for the mapping.
    public init(byteCount: Int) throws(Errno) {
        precondition(byteCount > 0, "a mapping has at least one byte")
        let result = mmap(
            nil, byteCount, CInt(PROT_READ) | CInt(PROT_WRITE),
            CInt(MAP_PRIVATE) | CInt(MAP_ANONYMOUS), -1, 0)
        guard let base = result, base != UnsafeMutableRawPointer(bitPattern: -1) else {
            throw Errno(code: tandem_errno())
        }
        self.base = base
        self.byteCount = byteCount
    }

    deinit {
        munmap(base, byteCount)
    }
}
