// SPDX-License-Identifier: Apache-2.0
//
// Decisions about named things, as both nodes know them: the newest one of each name counts. Own
// decisions go in and become pieces for the peer; pieces of the peer come in, and what is newer
// comes out. Owns no socket and no clock.
//
// On the wire the larger version wins. A node whose own decision is younger than one of a larger
// version, which it had not heard of when it decided, says its own again in a newer version: so the
// younger one wins on both nodes, and no wall clock is asked.

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
    /// The count of the newest decision of the other node about the same thing that its maker knew;
    /// 0 when it knew none, `nil` when it did not say.
    public var answeredCount: UInt64?

    /// Makes a decision.
    public init(
        key: [UInt8], version: StateVersion, value: [UInt8], heardAt: Instant,
        ageThen: TimeSpan = .zero, answeredCount: UInt64? = nil
    ) {
        self.key = key
        self.version = version
        self.value = value
        self.heardAt = heardAt
        self.ageThen = ageThen
        self.answeredCount = answeredCount
    }

    /// How old it is.
    public func age(now: Instant) -> TimeSpan { ageThen + (now - heardAt) }
}

/// The newest decision about each name.
public struct StateBoard: Sendable {
    /// Names that are kept; for further ones the oldest make room.
    public static let keyCountMax = 65_536
    /// The longest name.
    public static let keyByteCountMax = 2_048
    /// The longest value.
    public static let valueByteCountMax = 1_024
    /// The longest name of a node.
    static let originByteCountMax = 255
    /// The part of a full board that makes room at once: finding the oldest costs a look at all.
    static let evictedParts = 8
    /// How often a board looks for decisions that have expired.
    public static let expiryInterval = TimeSpan.seconds(60)
    /// Own decisions must be younger by so much than a larger version: an age is told without the
    /// time on the way.
    static let youngerSpanMin = TimeSpan.seconds(1)

    /// Which decisions may be forgotten, and when.
    public struct Expiry: Sendable {
        /// Tells whether a value says nothing: forgetting it changes nothing for a node that hears
        /// of no older one.
        public var isBlank: @Sendable ([UInt8]) -> Bool
        /// How old such a decision becomes; `nil` keeps it until the board is full.
        public var blankSpan: TimeSpan?

        /// Forgets blank decisions of this age, and before others when the board is full.
        public init(
            blankSpan: TimeSpan? = nil, isBlank: @escaping @Sendable ([UInt8]) -> Bool
        ) {
            self.blankSpan = blankSpan
            self.isBlank = isBlank
        }
    }

    /// The table's number.
    public let table: UInt8
    /// What became of the entries.
    public private(set) var tally = StateTally()
    private let node: String
    private let keyCountMax: Int
    private let expiry: Expiry?
    private var clock: LogicalClock
    /// By place; the places of forgotten ones are used again, so that a snapshot's cursor is right.
    private var decisions: [StateDecision?] = []
    private var freePlaces: [Int] = []
    private var places: [[UInt8]: Int] = [:]
    private var unsent = UniqueQueue<Int>()
    private var arrived = UniqueQueue<Int>()
    private var expiredAt: Instant?

    /// Makes an empty board.
    ///
    /// - Parameters:
    ///   - table: the table's number.
    ///   - node: the name of this node.
    ///   - firstCount: a number that no process of this node began with before; the time of day
    ///     will do, and nothing hangs on its being right.
    ///   - expiry: what may be forgotten; `nil` for nothing before the board is full.
    ///   - keyCountMax: another limit than the normal one is for tests.
    public init(
        table: UInt8, node: String, firstCount: UInt64, expiry: Expiry? = nil,
        keyCountMax: Int = Self.keyCountMax
    ) {
        self.table = table
        self.node = String(
            decoding: Array(node.utf8.prefix(Self.originByteCountMax)), as: UTF8.self)
        self.expiry = expiry
        self.keyCountMax = max(keyCountMax, 1)
        clock = LogicalClock(firstCount: firstCount)
    }

    /// How many names there are decisions about.
    public var count: Int { places.count }

    /// How many decisions the peer was not told.
    public var unsentCount: Int { unsent.count }

    /// The newest decision about a name.
    public subscript(key: [UInt8]) -> StateDecision? {
        places[key].flatMap { decisions[$0] }
    }

    // MARK: Own decisions

    /// Notes a decision of this node; false when its name or its value is too long.
    @discardableResult
    public mutating func decide(_ key: [UInt8], _ value: [UInt8], now: Instant) -> Bool {
        let version = StateVersion(count: clock.next(), origin: node)
        let known = self[key]
        let answered = known.map {
            $0.version.origin == node ? $0.answeredCount ?? 0 : $0.version.count
        }
        let decision = StateDecision(
            key: key, version: version, value: value, heardAt: now, answeredCount: answered ?? 0)
        guard let place = store(decision, now: now) else { return false }
        // It is newer than what came and was not looked at yet.
        arrived.remove(place)
        unsent.insert(place)
        return true
    }

    /// The next piece for the peer; `nil` when it knows everything.
    public mutating func nextChanges(byteCountMax: Int, now: Instant) -> StateBlob? {
        expire(now: now)
        var bytes = [Self.formatVersion]
        var count = 0
        while let place = unsent.first {
            guard
                append(place, to: &bytes, &count, byteCountMax: byteCountMax, now: now)
            else { break }
            unsent.removeFirst()
        }
        return blob(bytes, count)
    }

    /// A piece of everything that is known, from a place on; 0 begins.
    ///
    /// What the peer decided is in it: a peer that was restarted knows it no more.
    public mutating func snapshot(
        from cursor: Int, byteCountMax: Int, now: Instant
    ) -> (blob: StateBlob?, next: Int?) {
        if cursor <= 0 { unsent.removeAll() }
        var bytes = [Self.formatVersion]
        var count = 0
        var place = max(0, cursor)
        while place < decisions.count,
            append(place, to: &bytes, &count, byteCountMax: byteCountMax, now: now)
        {
            place += 1
        }
        return (blob(bytes, count), place < decisions.count ? place : nil)
    }

    /// Appends the decision of a place; false when the piece has no more room for it.
    ///
    /// One that fits into no piece of this length would be in the way for ever: it is left out.
    private mutating func append(
        _ place: Int, to bytes: inout [UInt8], _ count: inout Int, byteCountMax: Int, now: Instant
    ) -> Bool {
        guard let decision = decisions[place] else { return true }
        guard Self.append(decision, to: &bytes, byteCountMax: byteCountMax, now: now) else {
            if count == 0 { tally.full &+= 1 }
            return count == 0
        }
        count += 1
        return true
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
        for decision in read where hear(decision, now: now) { hasNews = true }
        return hasNews
    }

    /// Takes a decision that was told; false when it says nothing newer.
    private mutating func hear(_ told: StateDecision, now: Instant) -> Bool {
        tally.received &+= 1
        clock.hear(told.version.count)
        if let known = self[told.key] {
            guard !isRefuted(told, by: known, now: now) else {
                tally.older &+= 1
                repeatOwn(known, answering: told)
                return false
            }
            guard known.version < told.version else {
                tally.older &+= 1
                return false
            }
        }
        guard let place = store(told, now: now) else { return false }
        // It is newer than what the peer was about to be told.
        unsent.remove(place)
        arrived.insert(place)
        tally.taken &+= 1
        return true
    }

    /// Whether an own decision is newer than what was told although its version is not.
    private func isRefuted(
        _ told: StateDecision, by known: StateDecision, now: Instant
    ) -> Bool {
        guard known.version.origin == node, known.version <= told.version else { return false }
        // This node's own of before a restart: it knows only those that it made since.
        if told.version.origin == node {
            return known.version < told.version || known.value != told.value
        }
        // Who knew the own one has answered it. A clock that stood still, of a host that was
        // suspended, makes the own one look young; so ages are asked only when nobody answered.
        guard let answered = told.answeredCount, answered != known.version.count else {
            return false
        }
        return known.age(now: now) + Self.youngerSpanMin < told.age(now: now)
    }

    /// Says an own decision again, newer than everything that was heard; its age goes on.
    private mutating func repeatOwn(_ known: StateDecision, answering told: StateDecision) {
        guard let place = places[known.key] else { return }
        var decision = known
        decision.version = StateVersion(count: clock.next(), origin: node)
        if told.version.origin != node { decision.answeredCount = told.version.count }
        decisions[place] = decision
        unsent.insert(place)
    }

    /// What came from the peer since the last call, the newest of each name.
    public mutating func takeArrived() -> [StateDecision] {
        var result: [StateDecision] = []
        while let place = arrived.first {
            arrived.removeFirst()
            if let decision = decisions[place] { result.append(decision) }
        }
        return result
    }

    // MARK: Places

    private mutating func store(_ decision: StateDecision, now: Instant) -> Int? {
        if let place = places[decision.key], decision.value.count <= Self.valueByteCountMax {
            decisions[place] = decision
            return place
        }
        guard decision.key.count <= Self.keyByteCountMax,
            decision.value.count <= Self.valueByteCountMax
        else {
            tally.full &+= 1
            return nil
        }
        if places.count >= keyCountMax { makeRoom(now: now) }
        if let place = freePlaces.popLast() {
            decisions[place] = decision
            places[decision.key] = place
            return place
        }
        places[decision.key] = decisions.count
        decisions.append(decision)
        return decisions.count - 1
    }

    /// Forgets blank decisions that are old enough; looks for them now and then.
    private mutating func expire(now: Instant) {
        guard let expiry, let span = expiry.blankSpan,
            expiredAt.map({ now - $0 >= Self.expiryInterval }) ?? true
        else { return }
        expiredAt = now
        for (place, decision) in decisions.enumerated() {
            guard let decision, decision.age(now: now) > span, expiry.isBlank(decision.value)
            else { continue }
            forget(place, decision.key)
        }
    }

    /// Forgets a part of a full board: what says nothing first, then the oldest.
    private mutating func makeRoom(now: Instant) {
        struct Candidate {
            let place: Int
            let isBlank: Bool
            let age: TimeSpan
        }
        var candidates: [Candidate] = []
        for (place, decision) in decisions.enumerated() {
            guard let decision else { continue }
            candidates.append(
                Candidate(
                    place: place, isBlank: expiry?.isBlank(decision.value) ?? false,
                    age: decision.age(now: now)))
        }
        candidates.sort {
            $0.isBlank == $1.isBlank ? $0.age > $1.age : $0.isBlank
        }
        for candidate in candidates.prefix(max(1, keyCountMax / Self.evictedParts)) {
            guard let key = decisions[candidate.place]?.key else { continue }
            forget(candidate.place, key)
        }
    }

    private mutating func forget(_ place: Int, _ key: [UInt8]) {
        tally.forgotten &+= 1
        decisions[place] = nil
        places[key] = nil
        unsent.remove(place)
        arrived.remove(place)
        freePlaces.append(place)
    }
}
