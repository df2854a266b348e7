// SPDX-License-Identifier: Apache-2.0
//
// The idle connections to one backend: a bounded list, last used first, so that the rest ages and
// leaves by its timeout. A connection in the middle that ends can be taken out at once.

/// Idle connections of one backend on one worker.
struct UpstreamPool: ~Copyable {
    /// Idle connections kept for one backend by one worker.
    static let idleMax = 1_024

    private(set) var newest: UnsafeMutablePointer<UpstreamConnection>?
    private(set) var oldest: UnsafeMutablePointer<UpstreamConnection>?
    private(set) var count = 0

    var hasRoom: Bool { count < Self.idleMax }

    @inline(__always)
    mutating func push(_ connection: UnsafeMutablePointer<UpstreamConnection>) {
        connection.pointee.idleNewer = nil
        connection.pointee.idleOlder = newest
        if let newest { newest.pointee.idleNewer = connection } else { oldest = connection }
        newest = connection
        count &+= 1
    }

    @inline(__always)
    mutating func popNewest() -> UnsafeMutablePointer<UpstreamConnection>? {
        guard let connection = newest else { return nil }
        remove(connection)
        return connection
    }

    @inline(__always)
    mutating func remove(_ connection: UnsafeMutablePointer<UpstreamConnection>) {
        let newer = connection.pointee.idleNewer
        let older = connection.pointee.idleOlder
        if let newer { newer.pointee.idleOlder = older } else { newest = older }
        if let older { older.pointee.idleNewer = newer } else { oldest = newer }
        connection.pointee.idleNewer = nil
        connection.pointee.idleOlder = nil
        count &-= 1
    }
}
