// SPDX-License-Identifier: Apache-2.0
//
// The routes of one listener, flat: patterns as bytes, answers as pointers. The first match wins.

internal import HTTPCore

/// One listener's routes on one worker.
///
/// Every entry counts as a use of its pool; whoever drops the table ends these uses.
struct RoutingTable: ~Copyable {
    private enum HostKind: UInt8 {
        case any
        case exact
        case suffix
    }

    private struct Entry {
        var hostKind: HostKind
        var host: UnsafeRawBufferPointer
        var pathPrefix: UnsafeRawBufferPointer
        var pool: UnsafeMutablePointer<WorkerPool>
    }

    private let entries: UnsafeMutablePointer<Entry>
    private let count: Int

    /// Lays out routes; `pools` has the pools at the indexes that the plans name.
    init(_ routes: [RoutePlan], pools: [UnsafeMutablePointer<WorkerPool>]) {
        count = routes.count
        entries = .allocate(capacity: max(1, routes.count))
        for (index, route) in routes.enumerated() {
            pools[route.poolIndex].pointee.useCount += 1
            var kind = HostKind.any
            var host = ""
            if let pattern = route.host {
                let isWildcard = pattern.hasPrefix("*.")
                kind = isWildcard ? .suffix : .exact
                // `*.example.org` is everything that ends in `.example.org`.
                host = isWildcard ? String(pattern.dropFirst()) : pattern
            }
            (entries + index).initialize(
                to: Entry(
                    hostKind: kind, host: Self.copy(host),
                    pathPrefix: Self.copy(route.pathPrefix ?? ""), pool: pools[route.poolIndex]))
        }
    }

    deinit {
        for index in 0..<count {
            entries[index].host.deallocate()
            entries[index].pathPrefix.deallocate()
        }
        entries.deallocate()
    }

    /// The pools that lose a use each when this table is given up.
    func forEachUse(_ body: (UnsafeMutablePointer<WorkerPool>) -> Void) {
        for index in 0..<count { body(entries[index].pool) }
    }

    /// The pool for a parsed head, or `nil` when no route matches.
    @inline(__always)
    func pool(
        for request: borrowing RequestHead, in input: UnsafeRawBufferPointer
    ) -> UnsafeMutablePointer<WorkerPool>? {
        var index = 0
        while index < count {
            let entry = entries + index
            index &+= 1
            switch entry.pointee.hostKind {
            case .any: break
            case .exact:
                guard request.hostEquals(entry.pointee.host, in: input) else { continue }
            case .suffix:
                guard request.hostHasSuffix(entry.pointee.host, in: input) else { continue }
            }
            if !entry.pointee.pathPrefix.isEmpty,
                !request.pathHasSegmentPrefix(entry.pointee.pathPrefix, in: input)
            {
                continue
            }
            return entry.pointee.pool
        }
        return nil
    }

    private static func copy(_ text: String) -> UnsafeRawBufferPointer {
        let bytes = Array(text.utf8)
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(1, bytes.count), alignment: 1)
        memory.copyBytes(from: bytes)
        return UnsafeRawBufferPointer(rebasing: memory[..<bytes.count])
    }
}
