// SPDX-License-Identifier: Apache-2.0
//
// What a pool goes by beside load: keys of requests, and cookies. Made on the control thread, never
// changed, shared by all workers; only counters and the table of learned cookies move.

internal import BalancerCore
internal import ConfigurationCore
internal import LinuxIO
internal import Synchronization
internal import TLSIO
internal import WireCore

/// What clients with cookies met in one pool.
final class StickyCounters: Sendable {
    /// Requests whose cookie led to its backend.
    let kept = Atomic<UInt64>(0)
    /// Requests whose backend could not be used: they went elsewhere.
    let moved = Atomic<UInt64>(0)
    /// Requests with a cookie that names nobody: expired, foreign or made up.
    let unknown = Atomic<UInt64>(0)
    /// Cookies given or learned.
    let assigned = Atomic<UInt64>(0)
}

/// Keys and cookies of one pool.
final class PoolAffinity: Sendable {
    /// What hash policies look at.
    enum Key: Hashable, Sendable {
        /// The policy has no keys.
        case none
        case client
        /// A field, `name` in lower case.
        case header
        case cookie
        case path
        case tuple
    }

    let key: Key
    /// The name of the field or cookie that `key` names.
    ///
    /// All bytes here are written before anyone sees this object and freed with it.
    nonisolated(unsafe) let keyName: UnsafeRawBufferPointer
    /// `nil` without stickiness.
    let sticky: StickyConfiguration?
    nonisolated(unsafe) let cookieName: UnsafeRawBufferPointer
    /// Values of our `Set-Cookie` for each backend, one behind the other, of the same length.
    nonisolated(unsafe) private let cookieValues: UnsafeRawBufferPointer
    private let cookieValueByteCount: Int
    private let tokens: [StickyToken]
    /// From a token's low word to its backend: a table with open addresses, -1 where empty.
    private let tokenPlaces: [Int32]
    /// What remembered cookies say instead of an index: it outlives reloads.
    let backendIDs: [UInt32]
    private let placesOfIDs: [UInt32: Int]
    let table: StickyTable?
    let counters: StickyCounters
    /// The hash of learned cookie values; seeded, so that nobody can make values collide.
    let cookieHash: SeededHash

    /// The affinity of a pool with these backends; `nil` when it has none.
    ///
    /// `key` is the secret of our cookies. What `previous` has learned goes on.
    static func make(
        _ pool: PoolConfiguration, names: [String], key: [UInt8], previous: PoolAffinity?
    ) -> PoolAffinity? {
        guard pool.sticky != nil || SelectionPolicy(pool.balance).usesHash else { return nil }
        return PoolAffinity(pool, names: names, key: key, previous: previous)
    }

    private init(
        _ pool: PoolConfiguration, names: [String], key secret: [UInt8], previous: PoolAffinity?
    ) {
        (key, keyName) = Self.key(of: pool)
        sticky = pool.sticky
        cookieName = AccessDesk.copy(pool.sticky?.cookie ?? "")
        let inserts = pool.sticky?.mode == .insert
        tokens =
            inserts
            ? names.map { StickyToken(pool: pool.name, backend: $0, key: secret) } : []
        tokenPlaces = Self.places(of: tokens)
        let values = tokens.map { token in
            Array((pool.sticky?.cookie ?? "").utf8) + [0x3D] + token.text
                + Array((pool.sticky?.attributes ?? "").utf8)
        }
        cookieValueByteCount = values.first?.count ?? 0
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(1, cookieValueByteCount * values.count), alignment: 1)
        memory.copyBytes(from: values.joined())
        cookieValues = UnsafeRawBufferPointer(memory)
        backendIDs = names.map { Self.backendID(of: $0) }
        placesOfIDs = Dictionary(
            zip(backendIDs, backendIDs.indices), uniquingKeysWith: { first, _ in first })
        let seed = HMACSHA256.authenticationCode(
            for: Array("learn".utf8) + [0] + Array(pool.name.utf8), key: secret)
        let words = (0..<2).map { word in
            seed[word * 8..<word * 8 + 8].reduce(UInt64(0)) { $0 &<< 8 | UInt64($1) }
        }
        cookieHash = SeededHash(words[0], words[1])
        counters = previous?.counters ?? StickyCounters()
        table = Self.table(pool.sticky, previous: previous)
    }

    deinit {
        keyName.deallocate()
        cookieName.deallocate()
        cookieValues.deallocate()
    }

    private static func key(of pool: PoolConfiguration) -> (Key, UnsafeRawBufferPointer) {
        let policy = SelectionPolicy(pool.balance)
        guard policy.usesHash else { return (.none, AccessDesk.copy("")) }
        guard policy != .ipHash else { return (.client, AccessDesk.copy("")) }
        switch pool.hash.key {
        case .client: return (.client, AccessDesk.copy(""))
        case .header(let name): return (.header, AccessDesk.copy(name.lowercased()))
        case .cookie(let name): return (.cookie, AccessDesk.copy(name))
        case .path: return (.path, AccessDesk.copy(""))
        case .tuple: return (.tuple, AccessDesk.copy(""))
        }
    }

    private static func table(
        _ sticky: StickyConfiguration?, previous: PoolAffinity?
    ) -> StickyTable? {
        guard let sticky, sticky.mode == .learn else { return nil }
        if let known = previous?.table, let before = previous?.sticky,
            before.entriesMax == sticky.entriesMax, before.cookie == sticky.cookie
        {
            return known
        }
        // Without memory for it clients are balanced like any others.
        return try? StickyTable(entriesMax: sticky.entriesMax)
    }

    /// The number under which a backend is remembered: of its name alone.
    static func backendID(of name: String) -> UInt32 {
        var name = name
        return name.withUTF8 {
            UInt32(truncatingIfNeeded: HashMixer.key(UnsafeRawBufferPointer($0)))
        }
    }

    // MARK: Cookies of our own

    private static func places(of tokens: [StickyToken]) -> [Int32] {
        guard !tokens.isEmpty else { return [] }
        var size = 4
        while size < tokens.count * 2 { size *= 2 }
        var places = [Int32](repeating: -1, count: size)
        for (index, token) in tokens.enumerated() {
            var place = Int(token.low & UInt64(size - 1))
            while places[place] >= 0 { place = (place + 1) & (size - 1) }
            places[place] = Int32(index)
        }
        return places
    }

    /// The backend that a token names.
    func backend(of token: StickyToken) -> Int? {
        guard !tokenPlaces.isEmpty else { return nil }
        let mask = tokenPlaces.count - 1
        var place = Int(token.low & UInt64(mask))
        while tokenPlaces[place] >= 0 {
            let index = Int(tokenPlaces[place])
            if tokens[index].isSame(as: token) { return index }
            place = (place + 1) & mask
        }
        return nil
    }

    /// The value of `Set-Cookie` that ties a client to a backend; empty without one.
    func setCookie(_ index: Int) -> UnsafeRawBufferPointer {
        guard tokens.indices.contains(index) else {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        let start = index * cookieValueByteCount
        return UnsafeRawBufferPointer(
            rebasing: cookieValues[start..<start + cookieValueByteCount])
    }

    // MARK: Cookies of the application

    /// The backend with that number, as long as the pool has it.
    func backend(withID identifier: UInt32) -> Int? { placesOfIDs[identifier] }
}

extension StickyConfiguration {
    /// `expire` in whole seconds, at least one.
    var expireSeconds: UInt32 {
        UInt32(clamping: max(1, expire.nanoseconds / 1_000_000_000))
    }

    /// What follows the value of our cookie (RFC 6265 §4.1.1).
    var attributes: String {
        var text = "; Path=\(path)"
        if let domain { text += "; Domain=\(domain)" }
        if let maxAge { text += "; Max-Age=\(maxAge.nanoseconds / 1_000_000_000)" }
        text += "; HttpOnly"
        if isSecure { text += "; Secure" }
        switch sameSite {
        case .lax: text += "; SameSite=Lax"
        case .strict: text += "; SameSite=Strict"
        case .none: text += "; SameSite=None"
        }
        return text
    }
}
