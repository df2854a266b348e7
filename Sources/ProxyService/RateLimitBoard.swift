// SPDX-License-Identifier: Apache-2.0
//
// Rate limits as all workers share them: the limit is the node's, so every worker takes from the
// same buckets, by compare-and-exchange and without a lock.

internal import BalancerCore
internal import ConfigurationCore
internal import LinuxIO
internal import Synchronization
internal import TLSIO
internal import WireCore

/// What makes a rate limit the same one after a reload, so that its buckets stay as they are.
struct RateLimitIdentity: Hashable, Sendable {
    /// What a limit belongs to.
    enum Owner: Hashable, Sendable {
        case listener
        case route(RouteIdentity)
    }

    let listener: ListenerIdentity
    let owner: Owner
    let configuration: RateLimitConfiguration
    /// Its place among equal limits of the same owner.
    let ordinal: Int
}

/// What makes a route the same one after a reload: what it matches, not where it stands.
struct RouteIdentity: Hashable, Sendable {
    let listener: ListenerIdentity
    let match: RouteMatch
    /// Its place among routes of the listener with the same match.
    let ordinal: Int
}

/// The buckets of one limit.
final class SharedRateLimit: Sendable {
    /// Buckets of a limit with a bucket for each key, 8 bytes each.
    ///
    /// Memory is used where keys come.
    ///
    /// More keys at once than this share them by the rules of `TokenBuckets`.
    static let keyCountMax = 65_536

    let identity: RateLimitIdentity
    let buckets: TokenBuckets
    /// The same for all workers, so that they mean the same bucket by the same key.
    let hash: SeededHash
    let cells: RateLimitCells
    /// What the other node calls the same limit, if it has the same secret.
    let fingerprint: UInt64
    private let pages: ZeroedPages
    /// One row for each worker.
    let tallies: [RateLimitTallies]

    /// Makes full buckets.
    ///
    /// Nodes with the same `key`, which nobody else knows, mean the same bucket by the same client.
    init(
        _ identity: RateLimitIdentity, workerCount: Int,
        key: [UInt8] = RandomBytes.make(count: 32)
    ) throws(Errno) {
        self.identity = identity
        let code = HMACSHA256.authenticationCode(for: identity.bytes, key: key)
        let words = (0..<3).map { word in
            code[word * 8..<word * 8 + 8].reduce(UInt64(0)) { $0 &<< 8 | UInt64($1) }
        }
        hash = SeededHash(words[0], words[1])
        fingerprint = words[2]
        let configuration = identity.configuration
        buckets = TokenBuckets(
            TokenRate(
                requests: configuration.requests, per: configuration.per,
                burst: configuration.burst))
        let count = configuration.key == .route ? TokenBuckets.wayCount : Self.keyCountMax
        pages = try ZeroedPages(byteCount: count * MemoryLayout<Atomic<UInt64>>.stride)
        // Zero pages are atomics of value zero.
        cells = RateLimitCells(
            base: pages.base.bindMemory(to: Atomic<UInt64>.self, capacity: count), count: count)
        tallies = (0..<workerCount).map { _ in RateLimitTallies() }
    }
}

/// The words of one limit; valid while its `SharedRateLimit` lives.
struct RateLimitCells: BucketCells, @unchecked Sendable {
    // Sendable: the pointer never changes and leads to atomics.
    let base: UnsafeMutablePointer<Atomic<UInt64>>
    let count: Int

    @inline(__always)
    func load(at index: Int) -> UInt64 {
        base[index].load(ordering: .relaxed)
    }

    @inline(__always)
    func compareExchange(at index: Int, expected: UInt64, desired: UInt64) -> Bool {
        // A word says everything about its bucket: nothing else is ordered by it.
        base[index].compareExchange(
            expected: expected, desired: desired, ordering: .relaxed
        ).exchanged
    }
}

/// What one worker counts about one limit.
final class RateLimitTallies: Sendable {
    let refused = Tally()
    /// Keys that took the bucket of another, because the table was full around them.
    let evictions = Tally()
}

/// What one worker counts about one route.
final class RouteTallies: Sendable {
    let requests = Tally()
    let mirrored = Tally()
    /// Requests that were drawn for the mirror and could not be copied.
    let mirrorSkips = Tally()
    /// Copies that did not reach the backend in full.
    let mirrorFailures = Tally()
}

/// A route as all threads see it.
final class SharedRoute: Sendable {
    let identity: RouteIdentity
    /// One row for each worker.
    let tallies: [RouteTallies]

    init(identity: RouteIdentity, workerCount: Int) {
        self.identity = identity
        tallies = (0..<workerCount).map { _ in RouteTallies() }
    }
}

extension RateLimitIdentity {
    /// The same bytes on both nodes for the same limit of the same file: the address of the
    /// listener is not in them, for nodes may differ in that.
    var bytes: [UInt8] {
        var text = IdentityText("rate limit 1")
        text.add(listener.name)
        if case .route(let route) = owner {
            text.add("route")
            text.add(route.match)
            text.add(String(route.ordinal))
        }
        text.add(String(SharedRateLimit.keyCountMax))
        text.add(String(configuration.requests))
        text.add(String(configuration.per.nanoseconds))
        text.add(String(configuration.burst))
        switch configuration.key {
        case .client: text.add("client")
        case .header(let name): text.add("header:\(name)")
        case .route: text.add("route")
        }
        text.add(String(ordinal))
        return text.bytes
    }
}

/// Texts one behind the other, each with its length, so that no two lists look alike.
private struct IdentityText {
    private(set) var bytes: [UInt8] = []

    init(_ label: String) { add(label) }

    mutating func add(_ text: String) {
        bytes.appendBigEndian(UInt32(clamping: text.utf8.count))
        bytes += text.utf8
    }

    mutating func add(_ match: RouteMatch) {
        add(match.host ?? "*")
        switch match.path {
        case nil: add("any path")
        case .prefix(let path): add("prefix \(path)")
        case .exact(let path): add("exact \(path)")
        }
        add(String(match.methods.count))
        for method in match.methods { add(method) }
        for conditions in [match.headers, match.query, match.cookies] {
            add(String(conditions.count))
            for condition in conditions {
                add(condition.name)
                add(condition.value.map { "= \($0)" } ?? "present")
            }
        }
    }
}
