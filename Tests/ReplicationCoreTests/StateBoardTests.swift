// SPDX-License-Identifier: Apache-2.0
//
// Goal: of two decisions about a name the newer one counts on both nodes, whatever order they come
// in; nothing that a peer sends is a trap, and nothing it sends fills the memory.

import Testing
import WireCore

@testable import ReplicationCore

@Suite struct StateBoardTests {
    private static let start = Instant(nanoseconds: 5_000_000_000)
    private static let wall: UInt64 = 1_800_000_000_000

    private static func board(_ node: String, wall: UInt64 = wall, keyCountMax: Int = 1_000)
        -> StateBoard
    {
        StateBoard(table: 3, node: node, wallMilliseconds: wall, keyCountMax: keyCountMax)
    }

    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private static func value(_ board: StateBoard, _ key: String) -> String? {
        board[bytes(key)].map { String(decoding: $0.value, as: UTF8.self) }
    }

    @discardableResult
    private static func decide(
        _ board: inout StateBoard, _ key: String, _ value: String, wall: UInt64 = wall
    ) -> Bool {
        board.decide(bytes(key), bytes(value), now: start, wallMilliseconds: wall)
    }

    private static func changes(_ board: inout StateBoard) -> [StateBlob] {
        var blobs: [StateBlob] = []
        while let blob = board.nextChanges(byteCountMax: 200, now: start) { blobs.append(blob) }
        return blobs
    }

    /// True when something newer came.
    private static func apply(_ blobs: [StateBlob], to board: inout StateBoard) -> Bool {
        var hasNews = false
        for blob in blobs where board.apply(blob, now: start) { hasNews = true }
        return hasNews
    }

    private static func arrived(_ board: inout StateBoard) -> [String] {
        board.takeArrived().map { String(decoding: $0.value, as: UTF8.self) }
    }

    private static func snapshot(_ board: inout StateBoard, byteCountMax: Int = 200) -> [StateBlob]
    {
        var blobs: [StateBlob] = []
        var cursor: Int? = 0
        while let place = cursor {
            let piece = board.snapshot(from: place, byteCountMax: byteCountMax, now: start)
            if let blob = piece.blob { blobs.append(blob) }
            if let next = piece.next { #expect(next > place) }
            cursor = piece.next
        }
        return blobs
    }

    // MARK: The newest counts

    @Test func aDecisionReachesThePeerOnceAndComesOutThere() {
        var a = Self.board("a")
        var b = Self.board("b")
        Self.decide(&a, "web/be1", "drain")
        Self.decide(&a, "web/be1", "ready")
        let blobs = Self.changes(&a)
        #expect(blobs.map(\.entryCount) == [1])
        #expect(Self.changes(&a).isEmpty)
        #expect(Self.apply(blobs, to: &b))
        #expect(Self.arrived(&b) == ["ready"])
        #expect(Self.arrived(&b).isEmpty)
        // What came from the peer is not told back.
        #expect(Self.changes(&b).isEmpty)
        #expect(!Self.apply(blobs, to: &b))
        #expect(b.tally.older == 1)
    }

    @Test func whoAnswersIsNewerWhateverTheClocksSay() {
        // The clock of a is an hour ahead.
        var a = Self.board("a", wall: Self.wall + 3_600_000)
        var b = Self.board("b")
        Self.decide(&a, "k", "first", wall: Self.wall + 3_600_000)
        for blob in Self.changes(&a) { b.apply(blob, now: Self.start) }
        Self.decide(&b, "k", "second")
        for blob in Self.changes(&b) { a.apply(blob, now: Self.start) }
        #expect(Self.value(a, "k") == "second")
        #expect(Self.value(b, "k") == "second")
    }

    @Test func decisionsAtTheSameInstantEndAlikeOnBothNodes() {
        var a = Self.board("a")
        var b = Self.board("b")
        Self.decide(&a, "k", "of a")
        Self.decide(&b, "k", "of b")
        let fromA = Self.changes(&a)
        let fromB = Self.changes(&b)
        for blob in fromA { b.apply(blob, now: Self.start) }
        for blob in fromB { a.apply(blob, now: Self.start) }
        #expect(Self.value(a, "k") == "of b")
        #expect(Self.value(b, "k") == "of b")
    }

    @Test func aNodeThatForgotEverythingLearnsItsOwnDecisionsBack() {
        var a = Self.board("a")
        var b = Self.board("b")
        for number in 0..<40 { Self.decide(&a, "k\(number)", "v\(number)") }
        for blob in Self.changes(&a) { b.apply(blob, now: Self.start) }
        var reborn = Self.board("a", wall: Self.wall + 1)
        // A command that comes before the other node has told anything is newer all the same.
        Self.decide(&reborn, "k7", "newer", wall: Self.wall + 1_000)
        for blob in Self.snapshot(&b) { reborn.apply(blob, now: Self.start) }
        #expect(reborn.count == 40)
        #expect(Self.arrived(&reborn).count == 39)
        #expect(Self.value(reborn, "k7") == "newer")
        #expect(Self.value(reborn, "k8") == "v8")
        for blob in Self.changes(&reborn) { b.apply(blob, now: Self.start) }
        #expect(Self.value(b, "k7") == "newer")
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func twoNodesEndAlikeWhateverIsLostAndRepeated(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var boards = [Self.board("a"), Self.board("b", wall: Self.wall + 50)]
        var seen: [[StateBlob]] = [[], []]
        for step in 0..<200 {
            let side = Int(generator.next() % 2)
            switch generator.next() % 4 {
            case 0, 1:
                Self.decide(
                    &boards[side], "k\(generator.next() % 8)", "\(step)",
                    wall: Self.wall + UInt64(step / 10))
            case 2:
                // Lost or not, it may come again.
                seen[side] += Self.changes(&boards[side])
            default:
                guard let blob = seen[side].randomElement(using: &generator) else { continue }
                boards[1 - side].apply(blob, now: Self.start)
            }
        }
        for side in 0..<2 {
            for blob in Self.snapshot(&boards[side]) {
                boards[1 - side].apply(blob, now: Self.start)
            }
        }
        for number in 0..<8 {
            #expect(Self.value(boards[0], "k\(number)") == Self.value(boards[1], "k\(number)"))
        }
    }

    @Test func anAgeGrowsOnTheWayThroughBothNodes() throws {
        var a = Self.board("a")
        var b = Self.board("b")
        Self.decide(&a, "k", "v")
        let later = Self.start + .milliseconds(1_500)
        let madeBlob = a.nextChanges(byteCountMax: 200, now: later)
        let blob = try #require(madeBlob)
        // The clock of the other host has only just begun.
        let there = Instant(nanoseconds: 10)
        b.apply(blob, now: there)
        let arrived = b.takeArrived()
        let decision = try #require(arrived.first)
        #expect(decision.age(now: there + .milliseconds(200)) == .milliseconds(1_700))
    }

    @Test func ownDecisionsReplaceWhatCameAndWasNotLookedAt() {
        var a = Self.board("a")
        var b = Self.board("b")
        Self.decide(&a, "k", "of a")
        for blob in Self.changes(&a) { b.apply(blob, now: Self.start) }
        Self.decide(&b, "k", "of b")
        #expect(Self.arrived(&b).isEmpty)
    }

    // MARK: Bounds and hostile bytes

    @Test func aFullBoardRefusesNewNamesAndKeepsItsOwn() {
        var a = Self.board("a", keyCountMax: 2)
        #expect(Self.decide(&a, "k1", "v"))
        #expect(Self.decide(&a, "k2", "v"))
        #expect(!Self.decide(&a, "k3", "v"))
        #expect(Self.decide(&a, "k1", "w"))
        var b = Self.board("b")
        for number in 0..<10 { Self.decide(&b, "n\(number)", "v") }
        for blob in Self.changes(&b) { a.apply(blob, now: Self.start) }
        #expect(a.count == 2)
        #expect(a.tally.full == 11)
    }

    @Test func aDecisionThatFitsInNoPieceIsNotInTheWay() {
        var a = Self.board("a")
        a.decide(
            Self.bytes("long"), [UInt8](repeating: 1, count: 1_000), now: Self.start,
            wallMilliseconds: Self.wall)
        Self.decide(&a, "k", "v")
        #expect(Self.changes(&a).map(\.entryCount) == [1])
        #expect(Self.snapshot(&a).map(\.entryCount) == [1])
    }

    @Test func everyPrefixOfAPieceIsTakenAsFarAsItGoes() throws {
        var a = Self.board("a")
        for number in 0..<3 { Self.decide(&a, "key\(number)", "value") }
        let madeWhole = a.nextChanges(byteCountMax: 1_000, now: Self.start)
        let whole = try #require(madeWhole)
        for count in 0..<whole.bytes.count {
            var b = Self.board("b")
            let prefix = StateBlob(
                table: 3, entryCount: 3, bytes: Array(whole.bytes.prefix(count)))
            b.apply(prefix, now: Self.start)
            #expect(b.count < 3)
            let isWhole = (count - 1).isMultiple(of: (whole.bytes.count - 1) / 3)
            #expect(b.tally.faults == (isWhole ? 0 : 1))
        }
    }

    @Test func changedBytesAreNeverATrap() throws {
        var a = Self.board("a")
        for number in 0..<5 { Self.decide(&a, "key\(number)", "value") }
        let madeWhole = a.nextChanges(byteCountMax: 1_000, now: Self.start)
        let whole = try #require(madeWhole).bytes
        var generator = SeededGenerator(seed: 6)
        for _ in 0..<4_000 {
            var bytes = whole
            for _ in 0..<1 + generator.next() % 6 {
                bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(
                    truncatingIfNeeded: generator.next())
            }
            var b = Self.board("b")
            b.apply(StateBlob(table: 3, entryCount: 5, bytes: bytes), now: Self.start)
            // It goes on deciding afterwards, and what it decides is newest.
            #expect(Self.decide(&b, "key0", "mine"))
            #expect(Self.value(b, "key0") == "mine")
        }
    }

    @Test func aCountNearTheEndIsRefused() throws {
        var a = Self.board("a")
        Self.decide(&a, "k", "v")
        let madeBlob = a.nextChanges(byteCountMax: 200, now: Self.start)
        var blob = try #require(madeBlob)
        blob.bytes[3] = 0x7F
        var b = Self.board("b")
        b.apply(blob, now: Self.start)
        #expect(b.count == 0)
        #expect(b.tally.faults == 1)
    }
}
