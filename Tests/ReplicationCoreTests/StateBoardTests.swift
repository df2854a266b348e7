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
        StateBoard(table: 3, node: node, firstCount: wall, keyCountMax: keyCountMax)
    }

    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private static func value(_ board: StateBoard, _ key: String) -> String? {
        board[bytes(key)].map { String(decoding: $0.value, as: UTF8.self) }
    }

    @discardableResult
    private static func decide(
        _ board: inout StateBoard, _ key: String, _ value: String, at now: Instant = start
    ) -> Bool {
        board.decide(bytes(key), bytes(value), now: now)
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
        Self.decide(&a, "k", "first")
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
        Self.decide(&reborn, "k7", "newer")
        for blob in Self.snapshot(&b) { reborn.apply(blob, now: Self.start) }
        #expect(reborn.count == 40)
        #expect(Self.arrived(&reborn).count == 39)
        #expect(Self.value(reborn, "k7") == "newer")
        #expect(Self.value(reborn, "k8") == "v8")
        for blob in Self.changes(&reborn) { b.apply(blob, now: Self.start) }
        #expect(Self.value(b, "k7") == "newer")
    }

    /// Tells each other what there is to tell until nothing is left.
    private static func talk(_ boards: inout [StateBoard], now: Instant) {
        for _ in 0..<6 {
            for side in 0..<2 {
                while let blob = boards[side].nextChanges(byteCountMax: 200, now: now) {
                    boards[1 - side].apply(blob, now: now)
                }
            }
        }
        #expect(boards[0].unsentCount == 0 && boards[1].unsentCount == 0)
    }

    /// As after a connection is made anew: each side tells everything.
    private static func meet(_ boards: inout [StateBoard], now: Instant) {
        for side in 0..<2 {
            var cursor: Int? = 0
            while let place = cursor {
                let piece = boards[side].snapshot(from: place, byteCountMax: 200, now: now)
                if let blob = piece.blob { boards[1 - side].apply(blob, now: now) }
                cursor = piece.next
            }
        }
        talk(&boards, now: now)
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func twoNodesEndAlikeWhateverIsLostAndRepeated(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        // Clocks that are hours apart, either way.
        let skew = (generator.next() % 3) * 7_200_000
        var boards = [
            Self.board("a", wall: Self.wall + 7_200_000), Self.board("b", wall: Self.wall + skew),
        ]
        var seen: [[StateBlob]] = [[], []]
        var now = Self.start
        for step in 0..<200 {
            now = now + .milliseconds(generator.next() % 3_000)
            let side = Int(generator.next() % 2)
            switch generator.next() % 5 {
            case 0, 1:
                Self.decide(&boards[side], "k\(generator.next() % 8)", "\(step)", at: now)
            case 2:
                // Lost or not, it may come again.
                seen[side] += Self.changes(&boards[side])
            case 3 where generator.next() % 8 == 0:
                boards[side] = Self.board(side == 0 ? "a" : "b", wall: Self.wall + UInt64(step))
                // The other node's connection goes down with the process, and comes again.
                seen = [[], []]
                Self.meet(&boards, now: now)
            default:
                guard let blob = seen[side].last else { continue }
                boards[1 - side].apply(blob, now: now)
            }
        }
        Self.meet(&boards, now: now)
        for number in 0..<8 {
            #expect(Self.value(boards[0], "k\(number)") == Self.value(boards[1], "k\(number)"))
        }
    }

    /// Nobody's wall clock decides: the network was cut, each side decided alone.
    @Test(arguments: [0, 3_600_000, 7_200_000] as [UInt64])
    func theYoungerDecisionWinsAfterACut(wallOfB: UInt64) {
        var boards = [
            Self.board("a", wall: Self.wall + 3_600_000),
            Self.board("b", wall: Self.wall + wallOfB),
        ]
        Self.decide(&boards[0], "web/be1", "drain")
        Self.decide(&boards[1], "web/be2", "ready")
        let later = Self.start + .seconds(1_800)
        Self.decide(&boards[1], "web/be1", "ready", at: later)
        Self.decide(&boards[0], "web/be2", "drain", at: later)
        Self.meet(&boards, now: later + .seconds(60))
        for board in boards {
            #expect(Self.value(board, "web/be1") == "ready")
            #expect(Self.value(board, "web/be2") == "drain")
        }
    }

    @Test func anAnswerCountsAlsoForAHostWhoseClockStoodStill() {
        var boards = [Self.board("a"), Self.board("b")]
        Self.decide(&boards[0], "k", "drain")
        Self.talk(&boards, now: Self.start + .seconds(1))
        // The host of a is suspended for an hour; its clock does not count that.
        Self.decide(&boards[1], "k", "ready", at: Self.start + .seconds(10))
        var answer: [StateBlob] = []
        let hour = Self.start + .seconds(3_600)
        while let blob = boards[1].nextChanges(byteCountMax: 200, now: hour) { answer.append(blob) }
        for blob in answer { boards[0].apply(blob, now: Self.start + .seconds(2)) }
        #expect(Self.value(boards[0], "k") == "ready")
    }

    @Test func aCommandBeforeThePeerWasHeardBeatsTheOldOnes() {
        var boards = [Self.board("a", wall: Self.wall + 9_000_000), Self.board("b")]
        Self.decide(&boards[0], "k", "drain")
        Self.talk(&boards, now: Self.start)
        // The host comes back without the time of day, and is commanded at once.
        boards[0] = Self.board("a", wall: 0)
        let later = Self.start + .seconds(100)
        Self.decide(&boards[0], "k", "ready", at: later)
        Self.meet(&boards, now: later)
        #expect(boards.map { Self.value($0, "k") } == ["ready", "ready"])
    }

    @Test func piecesOfTheFirstVersionAreRead() throws {
        var b = Self.board("b")
        let decision: [UInt8] =
            [0, 0, 0, 0, 0, 0, 0, 9, 1] + Self.bytes("a") + [0, 1] + Self.bytes("k")
            + [0, 0, 0, 5] + Self.bytes("v")
        b.apply(
            StateBlob(
                table: 3, entryCount: 1, bytes: [1, 0, UInt8(decision.count)] + decision),
            now: Self.start)
        #expect(Self.value(b, "k") == "v" && b.tally.faults == 0)
        // And numbers of a later one are skipped.
        let later: [UInt8] =
            [18, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 1] + Self.bytes("a")
            + [0, 1] + Self.bytes("k") + [0, 0, 0, 5] + Self.bytes("w")
        b.apply(
            StateBlob(table: 3, entryCount: 1, bytes: [2, 0, UInt8(later.count)] + later),
            now: Self.start)
        #expect(Self.value(b, "k") == "w" && b.tally.faults == 0)
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

    /// Addresses that a name gives out and takes back fill no board for the life of the pair.
    @Test func theOldestMakeRoomInAFullBoard() {
        var a = StateBoard(
            table: 4, node: "a", firstCount: 1,
            expiry: StateBoard.Expiry { $0 == Self.bytes("passes") }, keyCountMax: 80)
        var now = Self.start
        Self.decide(&a, "drained", "drain", at: now)
        for number in 0..<10_000 {
            now = now + .milliseconds(10)
            #expect(Self.decide(&a, "address \(number)", "passes", at: now))
        }
        #expect(a.count <= 80)
        // What says something stays when there is enough that does not.
        #expect(Self.value(a, "drained") == "drain")
        #expect(Self.value(a, "address 9999") == "passes")
        #expect(a.tally.forgotten > 9_900 && a.tally.full == 0)
        // The peer's names make room for each other as well.
        var b = Self.board("b", keyCountMax: 40)
        for blob in Self.snapshot(&a) { b.apply(blob, now: now) }
        #expect(b.count <= 40 && b.count > 20)
    }

    @Test func whatSaysNothingExpires() {
        var a = StateBoard(
            table: 4, node: "a", firstCount: 1,
            expiry: StateBoard.Expiry(blankSpan: .seconds(3_600)) { $0.isEmpty })
        Self.decide(&a, "over", "")
        Self.decide(&a, "out", "ejected")
        _ = a.nextChanges(byteCountMax: 200, now: Self.start)
        let later = Self.start + .seconds(3_500)
        Self.decide(&a, "again", "", at: later)
        _ = a.nextChanges(byteCountMax: 200, now: Self.start + .seconds(3_700))
        #expect(a.count == 2)
        #expect(Self.value(a, "over") == nil && Self.value(a, "out") == "ejected")
        // A place that became free is used again.
        Self.decide(&a, "new", "x", at: later)
        #expect(Self.snapshot(&a).reduce(0) { $0 + $1.entryCount } == 3)
    }

    @Test func aDecisionThatFitsInNoPieceIsNotInTheWay() {
        var a = Self.board("a")
        a.decide(Self.bytes("long"), [UInt8](repeating: 1, count: 1_000), now: Self.start)
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
        blob.bytes[4] = 0x7F
        var b = Self.board("b")
        b.apply(blob, now: Self.start)
        #expect(b.count == 0)
        #expect(b.tally.faults == 1)
    }
}
