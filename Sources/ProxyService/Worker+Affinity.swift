// SPDX-License-Identifier: Apache-2.0
//
// Where a request belongs whatever the load: its key for hash policies, and the backend that its
// cookie names. Found once, when its head has been read; a pool without any of it costs a branch.

internal import BalancerCore
internal import ConfigurationCore
internal import HTTPCore
internal import Synchronization
internal import WireCore

/// Where the request of a client belongs.
struct ClientAffinity {
    /// How the client came by a backend.
    enum Tie: UInt8 {
        /// It is not tied, or its pool knows no ties.
        case none
        /// Its cookie names the backend in `index`.
        case tied
        /// That backend was at its limit for once: the tie stays.
        case lent
    }

    /// What hash policies go by; meaningless without `hasKey`.
    var key: UInt64 = 0
    /// The hash of the application's cookie; meaningless without `hasCookie`.
    var cookieKey: UInt64 = 0
    var index: Int32 = -1
    var tie = Tie.none
    var hasKey = false
    /// The request has a cookie of the name that sticks.
    var hasCookie = false
}

extension Worker {
    /// Cookies of one name that are looked at: a browser sends few, an attacker may send many.
    static let stickyCookiesMax = 8
    /// Longer cookie values are not remembered.
    static let learnedCookieByteCountMax = 4_096

    // MARK: Finding out

    /// Finds where a request belongs; `request` describes it.
    @inline(__always)
    mutating func findAffinity(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) {
        guard let affinity = pool.pointee.affinity else { return }
        affinity._withUnsafeGuaranteedRef { findAffinity(client, $0) }
    }

    /// Finds where the client of a TCP listener belongs: by addresses alone.
    @inline(__always)
    mutating func findStreamAffinity(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) {
        guard let affinity = pool.pointee.affinity else { return }
        affinity._withUnsafeGuaranteedRef { affinity in
            client.pointee.affinity = ClientAffinity()
            guard affinity.key != .none else { return }
            client.pointee.affinity.hasKey = true
            client.pointee.affinity.key =
                affinity.key == .tuple ? tupleKey(client) : HashMixer.key(clientAddress(of: client))
        }
    }

    private mutating func findAffinity(_ client: ClientConnection.Pointer, _ affinity: PoolAffinity)
    {
        client.pointee.affinity = ClientAffinity()
        if affinity.key != .none {
            client.pointee.affinity.hasKey = true
            client.pointee.affinity.key = hashKey(client, affinity)
        }
        guard let sticky = affinity.sticky else { return }
        switch sticky.mode {
        case .insert: findToken(client, affinity)
        case .learn: findLearned(client, affinity)
        }
    }

    /// The key of a request; without what the pool looks at it is its client's address.
    private mutating func hashKey(
        _ client: ClientConnection.Pointer, _ affinity: PoolAffinity
    ) -> UInt64 {
        let message = client.pointee.input.message
        switch affinity.key {
        case .none, .client: break
        case .header:
            if let value = request.firstValue(named: affinity.keyName, in: message) {
                return HashMixer.key(value)
            }
        case .cookie:
            var cursor = CookieCursor()
            if let value = request.nextCookie(named: affinity.keyName, in: message, &cursor) {
                return HashMixer.key(value)
            }
        case .path:
            let path = request.canonicalPath(in: message)
            if !path.isEmpty { return HashMixer.key(path) }
        case .tuple: return tupleKey(client)
        }
        return HashMixer.key(clientAddress(of: client))
    }

    /// RFC 6146's 5-tuple, as far as a listener knows it; the protocol is TCP for all of them.
    private mutating func tupleKey(_ client: ClientConnection.Pointer) -> UInt64 {
        let bind = client.pointee.listener.pointee.identity.bind
        let source = client.pointee.source
        let addresses = HashMixer.key(
            HashMixer.wholeKey(source.address), HashMixer.wholeKey(bind.address))
        return HashMixer.key(addresses, UInt64(source.port) &<< 16 | UInt64(bind.port))
    }

    private mutating func findToken(_ client: ClientConnection.Pointer, _ affinity: PoolAffinity) {
        let message = client.pointee.input.message
        var cursor = CookieCursor()
        for _ in 0..<Self.stickyCookiesMax {
            guard
                let value = request.nextCookie(named: affinity.cookieName, in: message, &cursor)
            else { break }
            client.pointee.affinity.hasCookie = true
            guard let token = StickyToken(value), let index = affinity.backend(of: token) else {
                continue
            }
            client.pointee.affinity.index = Int32(truncatingIfNeeded: index)
            client.pointee.affinity.tie = .tied
            return
        }
        guard client.pointee.affinity.hasCookie else { return }
        affinity.counters.unknown.wrappingAdd(1, ordering: .relaxed)
    }

    private mutating func findLearned(_ client: ClientConnection.Pointer, _ affinity: PoolAffinity)
    {
        let message = client.pointee.input.message
        var cursor = CookieCursor()
        guard let table = affinity.table, let sticky = affinity.sticky,
            let value = request.nextCookie(named: affinity.cookieName, in: message, &cursor),
            value.count <= Self.learnedCookieByteCountMax, !value.isEmpty
        else { return }
        let key = affinity.cookieHash.hash(value)
        client.pointee.affinity.cookieKey = key
        client.pointee.affinity.hasCookie = true
        var isNews = false
        let found = table.find(
            key, nowSeconds: nowSeconds, expireSeconds: sticky.expireSeconds, isNews: &isNews)
        if isNews { noteRemembered(key, in: table) }
        guard let found, let index = affinity.backend(withID: found) else {
            affinity.counters.unknown.wrappingAdd(1, ordering: .relaxed)
            return
        }
        client.pointee.affinity.index = Int32(truncatingIfNeeded: index)
        client.pointee.affinity.tie = .tied
    }

    /// The clock of the table: it only has to tell seconds apart.
    private var nowSeconds: UInt32 {
        UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000_000)
    }

    // MARK: Using it

    /// The key of a client's request; `nil` when its pool has no keys.
    @inline(__always)
    func affinityKey(_ client: ClientConnection.Pointer) -> UInt64? {
        client.pointee.affinity.hasKey ? client.pointee.affinity.key : nil
    }

    /// The backend that a client is tied to, when it may be sent there now.
    ///
    /// Call it before a choice, after the pool has followed the standings.
    @inline(__always)
    mutating func stickyIndex(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) -> Int? {
        guard pool.pointee.affinity != nil, client.pointee.affinity.tie != .none else {
            return nil
        }
        return tiedIndex(client, pool)
    }

    private mutating func tiedIndex(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) -> Int? {
        guard let affinity = pool.pointee.affinity else { return nil }
        let index = Int(client.pointee.affinity.index)
        return affinity._withUnsafeGuaranteedRef { affinity in
            guard let sticky = affinity.sticky,
                pool.pointee.balancer.admitsPersistent(
                    at: index, whileDraining: sticky.whileDraining),
                !client.pointee.attempted.contains(index)
            else {
                client.pointee.affinity.tie = .none
                affinity.counters.moved.wrappingAdd(1, ordering: .relaxed)
                return nil
            }
            guard !pool.pointee.loads.isAtLimit(at: index) else {
                client.pointee.affinity.tie = .lent
                return nil
            }
            client.pointee.affinity.tie = .tied
            affinity.counters.kept.wrappingAdd(1, ordering: .relaxed)
            return index
        }
    }

    /// The request of a client goes on in the pool that a reload has put in the place of its own:
    /// indexes are others there.
    func carryAffinity(
        _ client: ClientConnection.Pointer, from old: UnsafeMutablePointer<WorkerPool>,
        to next: UnsafeMutablePointer<WorkerPool>
    ) {
        guard old.pointee.affinity != nil else {
            // What is there was found for an earlier request, in whatever pool that was for.
            client.pointee.affinity = ClientAffinity()
            return
        }
        let index = Int(client.pointee.affinity.index)
        guard (0..<old.pointee.backendCount).contains(index) else { return }
        let backend = old.pointee.backends[index]
        let place = (0..<next.pointee.backendCount).first {
            next.pointee.backends[$0] == backend
        }
        client.pointee.affinity.index = Int32(truncatingIfNeeded: place ?? -1)
        if place == nil { client.pointee.affinity.tie = .none }
    }

    /// Keeps our cookie from the backend.
    @inline(__always)
    func hideSticky(_ client: ClientConnection.Pointer, _ rewrite: inout RequestRewrite) {
        guard client.pointee.affinity.hasCookie, let pool = client.pointee.pool,
            let affinity = pool.pointee.affinity
        else { return }
        affinity._withUnsafeGuaranteedRef { affinity in
            guard let sticky = affinity.sticky, sticky.mode == .insert, !sticky.forwards else {
                return
            }
            rewrite.hiddenCookie = affinity.cookieName
        }
    }

    /// Ties a client to the backend that answers it, if it is not; `response` is the answer.
    ///
    /// A failure ties nobody: the next request had better go elsewhere.
    @inline(__always)
    mutating func noteSticky(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer,
        _ rewrite: inout ResponseRewrite
    ) {
        guard let pool = client.pointee.pool, let affinity = pool.pointee.affinity else { return }
        affinity._withUnsafeGuaranteedRef { affinity in
            guard let sticky = affinity.sticky, response.status < 500 else { return }
            switch sticky.mode {
            case .insert: giveToken(client, affinity, &rewrite)
            case .learn: learn(client, affinity, upstream)
            }
        }
    }

    private mutating func giveToken(
        _ client: ClientConnection.Pointer, _ affinity: PoolAffinity,
        _ rewrite: inout ResponseRewrite
    ) {
        let isHome = Int(client.pointee.affinity.index) == client.pointee.backendIndex
        guard !isHome, client.pointee.affinity.tie != .lent else { return }
        rewrite.setCookie = affinity.setCookie(client.pointee.backendIndex)
        affinity.counters.assigned.wrappingAdd(1, ordering: .relaxed)
    }

    private mutating func learn(
        _ client: ClientConnection.Pointer, _ affinity: PoolAffinity,
        _ upstream: UpstreamConnection.Pointer
    ) {
        guard let table = affinity.table,
            affinity.backendIDs.indices.contains(client.pointee.backendIndex)
        else { return }
        let backendID = affinity.backendIDs[client.pointee.backendIndex]
        let set = response.cookieSet(
            named: affinity.cookieName, in: upstream.pointee.input.message)
        if let value = set, value.count <= Self.learnedCookieByteCountMax {
            let key = affinity.cookieHash.hash(value)
            table.insert(key, backendID: backendID, nowSeconds: nowSeconds)
            noteRemembered(key, in: table)
            affinity.counters.assigned.wrappingAdd(1, ordering: .relaxed)
        } else if client.pointee.affinity.index >= 0, client.pointee.affinity.tie == .none {
            // It was tied to a backend that is gone, and goes on with the same cookie here. A
            // cookie that was never learned is not: clients could fill the table with those.
            table.insert(
                client.pointee.affinity.cookieKey, backendID: backendID, nowSeconds: nowSeconds)
            noteRemembered(client.pointee.affinity.cookieKey, in: table)
            affinity.counters.assigned.wrappingAdd(1, ordering: .relaxed)
        }
    }
}
