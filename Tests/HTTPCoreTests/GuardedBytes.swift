// SPDX-License-Identifier: Apache-2.0
//
// Test input that ends where memory ends: one byte read beyond it crashes the test.

import Glibc

/// Bytes whose last one is followed by a page that cannot be read.
final class GuardedBytes {
    private let mapping: UnsafeMutableRawPointer
    private let mappingByteCount: Int
    private let inputCapacity: Int

    /// Room for inputs of up to so many bytes.
    init(capacity: Int) {
        let page = sysconf(Int32(_SC_PAGESIZE))
        inputCapacity = (capacity + page - 1) / page * page
        mappingByteCount = inputCapacity + page
        guard
            let start = mmap(
                nil, mappingByteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            start != MAP_FAILED
        else { fatalError("no memory for guarded input") }
        mapping = start
        guard mprotect(start + inputCapacity, page, PROT_NONE) == 0 else {
            fatalError("no guard page")
        }
    }

    deinit { munmap(mapping, mappingByteCount) }

    /// Calls `body` with a copy of `bytes` that lies right before the guard page.
    func with<Result>(
        _ bytes: some Collection<UInt8>, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        precondition(bytes.count <= inputCapacity)
        let place = UnsafeMutableRawBufferPointer(
            start: mapping + inputCapacity - bytes.count, count: bytes.count)
        place.copyBytes(from: bytes)
        return body(UnsafeRawBufferPointer(place))
    }
}
