// SPDX-License-Identifier: Apache-2.0
//
// A board of decisions between two threads: the control thread decides and obeys, the replication
// thread tells the peer and hears it. Nothing of it is on the path of a request, so a lock will do.

public import EventLoop
public import LinuxIO
public import ReplicationCore
import Synchronization
import WireCore

/// The newest decision about each name, for the control thread and the replication thread.
public final class SharedStateBoard: Sendable {
    /// The table's number.
    public let table: UInt8
    /// What it is called in metrics and logs.
    public let name: StaticString
    /// Rings when the peer's decisions wait for `takeArrived`.
    public let arrivals: Mailbox<Void>
    private let changes: Mailbox<Void>
    private let board: Mutex<StateBoard>

    /// Makes an empty board.
    ///
    /// - Parameters:
    ///   - table: the table's number.
    ///   - name: what it is called.
    ///   - node: the name of this node.
    ///   - expiry: what may be forgotten.
    /// - Throws: EMFILE and the like when no descriptor can be had.
    public init(
        table: UInt8, name: StaticString, node: String, expiry: StateBoard.Expiry? = nil
    ) throws(Errno) {
        self.table = table
        self.name = name
        arrivals = try Mailbox(capacity: 1)
        changes = try Mailbox(capacity: 1)
        let firstCount = Clock.wallNanoseconds() / 1_000_000
        board = Mutex(
            StateBoard(table: table, node: node, firstCount: firstCount, expiry: expiry))
    }

    // MARK: The control thread

    /// Notes a decision of this node; false when it is too long to be told.
    @discardableResult
    public func decide(_ key: [UInt8], _ value: [UInt8]) -> Bool {
        let isNoted = board.withLock { $0.decide(key, value, now: Clock.now()) }
        if isNoted { changes.post(()) }
        return isNoted
    }

    /// What came from the peer since the last call.
    public func takeArrived() -> [StateDecision] {
        board.withLock { $0.takeArrived() }
    }

    /// The newest decision about a name.
    public subscript(key: [UInt8]) -> StateDecision? {
        board.withLock { $0[key] }
    }

    /// What became of the entries.
    public var tally: StateTally { board.withLock { $0.tally } }

    // MARK: The replication thread

    /// The board as a replicated table.
    ///
    /// - Parameter loop: the loop of the replication thread.
    /// - Returns: the table.
    /// - Throws: when it can watch no further descriptor.
    public func makeTable(on loop: EventLoop) throws(Errno) -> any ReplicatedTable {
        let table = BoardTable(self)
        try loop.attach(changes) { [weak table] in table?.onChange?() }
        return table
    }

    fileprivate var count: Int { board.withLock { $0.count } }

    fileprivate var unsentCount: Int { board.withLock { $0.unsentCount } }

    fileprivate func nextChanges(byteCountMax: Int) -> StateBlob? {
        board.withLock { $0.nextChanges(byteCountMax: byteCountMax, now: Clock.now()) }
    }

    fileprivate func snapshot(
        from cursor: Int, byteCountMax: Int
    ) -> (blob: StateBlob?, next: Int?) {
        board.withLock { $0.snapshot(from: cursor, byteCountMax: byteCountMax, now: Clock.now()) }
    }

    fileprivate func apply(_ blob: StateBlob) {
        if board.withLock({ $0.apply(blob, now: Clock.now()) }) { arrivals.post(()) }
    }
}

/// A board on the replication thread.
private final class BoardTable: ReplicatedTable {
    private let board: SharedStateBoard
    var onChange: (() -> Void)?

    init(_ board: SharedStateBoard) {
        self.board = board
    }

    var tableID: UInt8 { board.table }
    var name: StaticString { board.name }
    var entryCount: Int { board.count }
    var waitingCount: Int { board.unsentCount }

    func nextChanges(byteCountMax: Int) -> StateBlob? {
        board.nextChanges(byteCountMax: byteCountMax)
    }

    func snapshot(from cursor: Int, byteCountMax: Int) -> (blob: StateBlob?, next: Int?) {
        board.snapshot(from: cursor, byteCountMax: byteCountMax)
    }

    func apply(_ blob: StateBlob) {
        board.apply(blob)
    }
}
