// SPDX-License-Identifier: Apache-2.0
//
// Decisions about named things, as both nodes know them: the newest one of each name counts. Own
// decisions go in and become pieces for the peer; pieces of the peer come in, and what is newer
// comes out. Owns no socket and no clock.

public import WireCore

/// One decision.
public struct StateDecision: Hashable, Sendable {
    /// What it is about.
    public var key: [UInt8]
    /// When and where it was made.
    public var version: StateVersion
    /// What was decided, in bytes that the board does not look at.
    public var value: [UInt8]
    /// When this node heard of it.
    public var heardAt: Instant
    /// How old it was then.
    public var ageThen: TimeSpan

    /// Makes a decision.
    public init(
        key: [UInt8], version: StateVersion, value: [UInt8], heardAt: Instant,
        ageThen: TimeSpan = .zero
    ) {
        self.key = key
        self.version = version
        self.value = value
        self.heardAt = heardAt
        self.ageThen = ageThen
    }

    /// How old it is.
    public func age(now: Instant) -> TimeSpan { ageThen + (now - heardAt) }
}

/// The newest decision about each name.
public struct StateBoard: Sendable {
    /// Names that are kept; decisions about further ones are left out and counted.
    public static let keyCountMax = 65_536
    /// The longest name.
    public static let keyByteCountMax = 2_048
    /// The longest value.
    public static let valueByteCountMax = 1_024
    /// The longest name of a node.
    static let originByteCountMax = 255

    /// The table's number.
    public let table: UInt8
    /// What became of the entries.
    public private(set) var tally = StateTally()
    private let node: String
    private let keyCountMax: Int
    private var clock: LogicalClock
    private var decisions: [StateDecision] = []
    private var places: [[UInt8]: Int] = [:]
    private var unsent = PlaceQueue()
    private var arrived = PlaceQueue()

    /// Makes an empty board.
    ///
    /// - Parameters:
    ///   - table: the table's number.
    ///   - node: the name of this node.
    ///   - wallMilliseconds: milliseconds since 1970.
    ///   - keyCountMax: another limit than the normal one is for tests.
    public init(
        table: UInt8, node: String, wallMilliseconds: UInt64, keyCountMax: Int = Self.keyCountMax
    ) {
        self.table = table
        self.node = String(
            decoding: Array(node.utf8.prefix(Self.originByteCountMax)), as: UTF8.self)
        self.keyCountMax = keyCountMax
        clock = LogicalClock(wallMilliseconds: wallMilliseconds)
    }

    /// Names that a decision is known about.
    public var count: Int { decisions.count }

    /// Decisions that wait for the peer.
    public var unsentCount: Int { unsent.count }

    /// The newest decision about a name.
    public subscript(key: [UInt8]) -> StateDecision? { places[key].map { decisions[$0] } }

    // MARK: Own decisions

    /// Notes a decision of this node; false when the board is full or the bytes are too long.
    @discardableResult
    public mutating func decide(
        _ key: [UInt8], _ value: [UInt8], now: Instant, wallMilliseconds: UInt64
    ) -> Bool {
        let version = StateVersion(
            count: clock.next(wallMilliseconds: wallMilliseconds), origin: node)
        let decision = StateDecision(key: key, version: version, value: value, heardAt: now)
        guard let place = store(decision) else { return false }
        // It is newer than what came and was not looked at yet.
        arrived.remove(place)
        unsent.insert(place)
        return true
    }

    /// The next piece for the peer; `nil` when it knows everything.
    public mutating func nextChanges(byteCountMax: Int, now: Instant) -> StateBlob? {
        var bytes = [Self.formatVersion]
        var count = 0
        while let place = unsent.first {
            let isFitting = Self.append(
                decisions[place], to: &bytes, byteCountMax: byteCountMax, now: now)
            guard isFitting || count == 0 else { break }
            unsent.removeFirst()
            // One that fits into no piece of this length would be in the way for ever.
            if isFitting { count += 1 } else { tally.full &+= 1 }
        }
        return blob(bytes, count)
    }

    /// A piece of everything that is known, from a place on; 0 begins.
    ///
    /// What the peer decided is in it: a peer that was restarted knows it no more.
    public mutating func snapshot(
        from cursor: Int, byteCountMax: Int, now: Instant
    ) -> (blob: StateBlob?, next: Int?) {
        if cursor <= 0 { unsent = PlaceQueue() }
        var bytes = [Self.formatVersion]
        var count = 0
        var place = max(0, cursor)
        while place < decisions.count {
            let isFitting = Self.append(
                decisions[place], to: &bytes, byteCountMax: byteCountMax, now: now)
            guard isFitting || count == 0 else { break }
            place += 1
            if isFitting { count += 1 } else { tally.full &+= 1 }
        }
        return (blob(bytes, count), place < decisions.count ? place : nil)
    }

    private mutating func blob(_ bytes: [UInt8], _ count: Int) -> StateBlob? {
        guard count > 0 else { return nil }
        tally.sent &+= UInt64(count)
        return StateBlob(table: table, entryCount: count, bytes: bytes)
    }

    // MARK: The peer's decisions

    /// Takes a piece of the peer.
    ///
    /// Bytes that cannot be read are counted; decisions in front of them are taken, for each is
    /// whole in itself.
    ///
    /// - Returns: true when something newer came.
    @discardableResult
    public mutating func apply(_ blob: StateBlob, now: Instant) -> Bool {
        let (read, fault) = Self.decisions(of: blob.bytes, now: now)
        if fault != nil { tally.faults &+= 1 }
        var hasNews = false
        for decision in read {
            tally.received &+= 1
            clock.hear(decision.version.count)
            if let known = self[decision.key], known.version >= decision.version {
                tally.older &+= 1
                continue
            }
            guard let place = store(decision) else { continue }
            // It is newer than what the peer was about to be told.
            unsent.remove(place)
            arrived.insert(place)
            tally.taken &+= 1
            hasNews = true
        }
        return hasNews
    }

    /// What came from the peer since the last call, the newest of each name.
    public mutating func takeArrived() -> [StateDecision] {
        var result: [StateDecision] = []
        while let place = arrived.first {
            arrived.removeFirst()
            result.append(decisions[place])
        }
        return result
    }

    private mutating func store(_ decision: StateDecision) -> Int? {
        if let place = places[decision.key] {
            decisions[place] = decision
            return place
        }
        guard decisions.count < keyCountMax, decision.key.count <= Self.keyByteCountMax,
            decision.value.count <= Self.valueByteCountMax
        else {
            tally.full &+= 1
            return nil
        }
        places[decision.key] = decisions.count
        decisions.append(decision)
        return decisions.count - 1
    }
}

/// Places that wait, each once, first in first out.
private struct PlaceQueue: Sendable {
    private var order: [Int] = []
    private var start = 0
    private var waiting: Set<Int> = []

    var count: Int { waiting.count }

    mutating func insert(_ place: Int) {
        guard waiting.insert(place).inserted else { return }
        order.append(place)
    }

    mutating func remove(_ place: Int) {
        waiting.remove(place)
    }

    /// The first that still waits.
    var first: Int? {
        mutating get {
            while start < order.count {
                if waiting.contains(order[start]) { return order[start] }
                skip()
            }
            return nil
        }
    }

    mutating func removeFirst() {
        guard let place = first else { return }
        waiting.remove(place)
        skip()
    }

    private mutating func skip() {
        start += 1
        guard start > order.count / 2 else { return }
        order.removeFirst(start)
        start = 0
    }
}
