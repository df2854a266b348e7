// SPDX-License-Identifier: Apache-2.0
//
// One rate limit as a worker asks it: which key a request has, and whether there is a token.

internal import BalancerCore
internal import ConfigurationCore
internal import HTTPCore
internal import WireCore

/// A rate limit of a listener or route; owns nothing, its table keeps what it refers to.
struct CompiledRateLimit {
    private enum Key {
        case client
        case header(FieldName)
        case route
    }

    private let key: Key
    private let buckets: TokenBuckets
    private let hash: SeededHash
    private let cells: RateLimitCells
    private let tallies: Unmanaged<RateLimitTallies>

    init(_ limit: SharedRateLimit, workerIndex: Int, texts: inout TextArena) {
        switch limit.identity.configuration.key {
        case .client: key = .client
        case .header(let name): key = .header(FieldName(texts.keep(name.lowercased())))
        case .route: key = .route
        }
        buckets = limit.buckets
        hash = limit.hash
        cells = limit.cells
        tallies = Unmanaged.passUnretained(limit.tallies[workerIndex])
    }

    /// Takes a token for a parsed request; `nil` when it got one, else when the next comes back.
    func refusal(
        of request: borrowing RequestHead, in input: UnsafeRawBufferPointer, client: IPAddress,
        now: Instant
    ) -> TimeSpan? {
        let keyHash: UInt64
        switch key {
        case .client: keyHash = Self.hash(client, by: hash)
        case .header(let name):
            // Requests without the field share the bucket of the empty value.
            let value = request.firstValue(of: name, in: input)
            keyHash = hash.hash(value ?? UnsafeRawBufferPointer(start: nil, count: 0))
        case .route: keyHash = 1
        }
        switch buckets.take(hash: keyHash, now: now, from: cells) {
        case .admitted:
            return nil
        case .admittedByEviction:
            tallies._withUnsafeGuaranteedRef { $0.evictions.add() }
            return nil
        case .refused(let span):
            tallies._withUnsafeGuaranteedRef { $0.refused.add() }
            return span
        }
    }

    /// IPv6 clients own a /64 at least (RFC 6177), so that is what counts as one.
    static func hash(_ client: IPAddress, by hash: SeededHash) -> UInt64 {
        switch client.unmapped {
        case .v4(let address): hash.hash(4, UInt64(address.rawValue))
        case .v6(let address): hash.hash(6, address.high)
        }
    }
}

/// A field name to look for, in lower case.
struct FieldName {
    private let name: UnsafeRawBufferPointer

    init(_ name: UnsafeRawBufferPointer) {
        self.name = name
    }

    /// True when these bytes are a word in lower case, whatever the case of their letters.
    static func equals(_ bytes: UnsafeRawBufferPointer, _ word: StaticString) -> Bool {
        FieldName(UnsafeRawBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
            .equals(bytes)
    }

    /// True when these bytes are the name, whatever the case of their letters.
    @inline(__always)
    func equals(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count == name.count else { return false }
        for index in 0..<name.count {
            let byte = bytes[index]
            guard (byte &- 0x41 < 26 ? byte | 0x20 : byte) == name[index] else { return false }
        }
        return true
    }
}

extension RequestHead {
    /// The value of the first field line with a name.
    func firstValue(
        of name: FieldName, in input: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        for index in 0..<fieldCount where name.equals(fieldName(index).bytes(in: input)) {
            return fieldValue(index).bytes(in: input)
        }
        return nil
    }
}
