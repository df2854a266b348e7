// SPDX-License-Identifier: Apache-2.0
//
// Two nodes with the real machines of the table stream over connections that break at any byte,
// stall, and end with their processes, in virtual time. All from one seed.

import ReplicationCore
import WireCore

/// What happened that must not.
struct StateViolation: Error, CustomStringConvertible {
    let description: String
}

/// One connection's way: bytes in order, until it breaks.
struct SimulatedStream {
    struct Message {
        let frame: OpenedLinkFrame
        /// The sender's tables when it said where it stands.
        let truth: [UInt32: UInt64]?
        var byteCountLeft: Int
    }

    static let capacity = 6_000
    let senderIncarnation: UInt64
    let receiverIncarnation: UInt64
    var waiting: [Message] = []
    var byteCount = 0
    /// The sender is gone: what is under way arrives, then the end.
    var isEnding = false

    mutating func send(_ message: StateMessage, truth: [UInt32: UInt64]? = nil) -> Bool {
        guard byteCount < Self.capacity else { return false }
        let payload = message.payload
        waiting.append(
            Message(
                frame: OpenedLinkFrame(type: message.type, payload: payload), truth: truth,
                byteCountLeft: payload.count + 28))
        byteCount += payload.count + 28
        return true
    }

    /// Lets bytes through; whole messages arrive.
    mutating func deliver(_ limit: Int) -> [Message] {
        var left = limit
        var count = 0
        while left > 0, count < waiting.count {
            let taken = min(left, waiting[count].byteCountLeft)
            waiting[count].byteCountLeft -= taken
            left -= taken
            byteCount -= taken
            guard waiting[count].byteCountLeft == 0 else { break }
            count += 1
        }
        defer { waiting.removeFirst(count) }
        return Array(waiting.prefix(count))
    }
}

/// A table of versions by key; the newest version wins.
struct SimulatedTable {
    static let waitingMax = 40
    let id: UInt8
    var versions: [UInt32: UInt64] = [:]
    var dirty: [UInt32] = []
    var hasLostChanges = false

    mutating func write(_ key: UInt32, _ version: UInt64) {
        versions[key] = version
        guard !dirty.contains(key) else { return }
        guard dirty.count < Self.waitingMax else {
            hasLostChanges = true
            return
        }
        dirty.append(key)
    }

    mutating func nextChanges(_ countMax: Int) -> StateBlob? {
        guard !dirty.isEmpty else { return nil }
        let keys = dirty.prefix(countMax)
        dirty.removeFirst(keys.count)
        return blob(Array(keys))
    }

    mutating func snapshot(from cursor: Int, _ countMax: Int) -> (StateBlob?, Int?) {
        if cursor == 0 {
            dirty = []
            hasLostChanges = false
        }
        // By key, so that entries which come in between change nothing that was told.
        let keys = versions.keys.filter { Int($0) >= cursor }.sorted().prefix(countMax)
        guard let last = keys.last else { return (nil, nil) }
        return (blob(Array(keys)), Int(last) + 1)
    }

    mutating func apply(_ blob: StateBlob) {
        for start in stride(from: 0, to: blob.bytes.count, by: 12) {
            func number(_ range: Range<Int>) -> UInt64 {
                blob.bytes[range].reduce(0) { $0 << 8 | UInt64($1) }
            }
            let key = UInt32(number(start..<(start + 4)))
            let version = number((start + 4)..<(start + 12))
            versions[key] = max(versions[key] ?? 0, version)
        }
    }

    private func blob(_ keys: [UInt32]) -> StateBlob {
        var bytes: [UInt8] = []
        for key in keys {
            bytes.appendBigEndian(key)
            bytes.appendBigEndian(versions[key] ?? 0)
        }
        return StateBlob(table: id, entryCount: keys.count, bytes: bytes)
    }
}

/// One process of a node.
struct StateProcess {
    let incarnation: UInt64
    var tables = (UInt8(0)..<3).map { SimulatedTable(id: $0) }
    var feed: StateFeed
    var mirror = StateMirror()
    var connectionCount: UInt64 = 0
    var snapshotEntryCount = 0
    var owesOpening = false
    var owesAcknowledgement = false
    var owesStanding = false
    var hasNews = false
    var stalledUntil = Instant(nanoseconds: 0)
    /// What was told in each item that is not acknowledged.
    var told: [UInt64: [UInt32: UInt64]] = [:]
    /// The newest snapshot that each process of the peer was sent.
    var bases: [UInt64: UInt64] = [:]
    /// The peer's tables when it last said that nothing is missing here.
    var truth: (entries: [UInt32: UInt64], at: Instant)?

    /// The entries of all tables: the table is in the key's low bits.
    private(set) var entries: [UInt32: UInt64] = [:]

    mutating func write(_ key: UInt32, _ version: UInt64, to table: Int) {
        tables[table].write(key, version)
        entries[key << 2 | UInt32(table)] = version
    }

    mutating func apply(_ blob: StateBlob) {
        var told = SimulatedTable(id: blob.table)
        told.apply(blob)
        tables[Int(blob.table)].apply(blob)
        for (key, version) in told.versions {
            let key = key << 2 | UInt32(blob.table)
            entries[key] = max(entries[key] ?? 0, version)
        }
    }

    /// Remembers what was told, for the judgement of what comes back.
    mutating func note(_ message: StateMessage, to peer: UInt64) {
        switch message {
        case .snapshotBegan(let sequence):
            // What was sent before was given up, or was for another process: it is told anew, and
            // whoever acknowledges the beginning says nothing about it.
            told = told.filter { $0.key > sequence }
            bases[peer] = sequence
        case .blob(let sequence, let blob):
            var table = SimulatedTable(id: blob.table)
            table.apply(blob)
            told[sequence] = table.versions.reduce(into: [:]) {
                $0[$1.key << 2 | UInt32(blob.table)] = $1.value
            }
        case .opening, .snapshotEnded, .standing, .acknowledged:
            break
        }
    }

    var waitingCount: UInt64 {
        tables.indices.reduce(0) { count, index in
            let table = tables[index]
            switch table.hasLostChanges ? .awaited : feed.progress(of: index) {
            case .told: return count + UInt64(table.dirty.count)
            case .awaited: return count + UInt64(table.versions.count)
            case .underWay:
                let left = max(0, table.versions.count - snapshotEntryCount)
                return count + UInt64(left + table.dirty.count)
            }
        }
    }
}

/// One run.
struct StateSimulation {
    static let tick = TimeSpan.milliseconds(5)
    static let standingInterval: UInt64 = 20
    static let logByteCountMax = 1_500
    static let entriesPerBlob = 7

    private(set) var random: SeededGenerator
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private(set) var processes: [StateProcess?] = [nil, nil]
    private var streams: [SimulatedStream?] = [nil, nil]
    private var redialAt = [Instant(nanoseconds: 0), Instant(nanoseconds: 0)]
    private var networkDownUntil = Instant(nanoseconds: 0)
    private var tickCount: UInt64 = 0
    private var version: UInt64 = 0
    /// A rule that is left out, to prove that the invariants would notice.
    var defect = Defect.none
    private(set) var acknowledgedCount = 0

    enum Defect: CaseIterable {
        case none, acknowledgesEarly, announcesLess, losesItems
    }

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        for node in 0..<2 { start(node) }
    }

    // MARK: - Events from outside

    mutating func start(_ node: Int) {
        processes[node] = StateProcess(
            incarnation: random.next(),
            feed: StateFeed(tableCount: 3, logByteCountMax: Self.logByteCountMax))
    }

    /// The process ends; after a power loss nothing that it wrote arrives any more.
    mutating func kill(_ node: Int, isPowerLoss: Bool) {
        processes[node] = nil
        if isPowerLoss { streams[node] = nil } else { streams[node]?.isEnding = true }
        lose(1 - node)
        if isPowerLoss { processes[1 - node]?.mirror.channelEnded() }
    }

    /// Breaks the connection that `node` dialled; what has not arrived is lost.
    mutating func breakStream(_ node: Int) {
        lose(node)
        processes[1 - node]?.mirror.channelEnded()
    }

    mutating func stall(_ node: Int, for span: TimeSpan) {
        processes[node]?.stalledUntil = now + span
    }

    mutating func stallNetwork(for span: TimeSpan) {
        networkDownUntil = now + span
    }

    mutating func write(on node: Int, keys: UInt32) {
        let table = Int.random(in: 0..<3, using: &random)
        version += 1
        let key = UInt32.random(in: 0..<keys, using: &random)
        processes[node]?.write(key, version, to: table)
    }

    private mutating func lose(_ node: Int) {
        guard streams[node] != nil else { return }
        streams[node] = nil
        redialAt[node] = now + .milliseconds(50) + random.span(upTo: .milliseconds(400))
        processes[node]?.feed.disconnected()
    }

    // MARK: - Time

    mutating func step() throws(StateViolation) {
        now = now + Self.tick
        tickCount += 1
        for node in 0..<2 {
            dial(node)
            if tickCount % Self.standingInterval == 0 { processes[node]?.owesStanding = true }
            if now >= processes[node]?.stalledUntil ?? .distantFuture { pump(node) }
        }
        for node in 0..<2 where now >= networkDownUntil {
            try deliver(from: node)
        }
        if tickCount % 4 == 0 {
            for node in 0..<2 { try checkSync(node) }
        }
    }

    private mutating func dial(_ node: Int) {
        guard let dialler = processes[node], let acceptor = processes[1 - node],
            streams[node] == nil, now >= redialAt[node], now >= networkDownUntil,
            now >= dialler.stalledUntil, now >= acceptor.stalledUntil
        else { return }
        streams[node] = SimulatedStream(
            senderIncarnation: dialler.incarnation, receiverIncarnation: acceptor.incarnation)
        processes[1 - node]?.mirror.channelBegan(incarnation: dialler.incarnation)
        processes[1 - node]?.owesAcknowledgement = true
        processes[node]?.connectionCount += 1
        processes[node]?.feed.connected(
            token: dialler.incarnation &+ dialler.connectionCount &+ 1)
        processes[node]?.owesOpening = true
        processes[node]?.owesAcknowledgement = true
    }

    /// As the driver does it.
    private mutating func pump(_ node: Int) {
        guard var process = processes[node], var stream = streams[node], !stream.isEnding else {
            return
        }
        defer {
            processes[node] = process
            streams[node] = stream
        }
        guard sendDuties(&process, &stream) else { return }
        process.feed.wake()
        for index in process.tables.indices where process.tables[index].hasLostChanges {
            process.feed.retell(table: index)
        }
        for _ in 0..<16 {
            switch process.feed.next(at: now) {
            case .nothing:
                if process.hasNews { process.owesStanding = true }
                _ = sendDuties(&process, &stream)
                return
            case .send(let message):
                guard stream.send(message) else { return }
                process.note(message, to: stream.receiverIncarnation)
                process.feed.sent()
                process.hasNews = true
            case .pullChanges(let index):
                let blob = process.tables[index].nextChanges(Self.entriesPerBlob)
                process.feed.pulled(blob, at: now)
            case .pullSnapshot(let index, let cursor):
                if cursor == 0 { process.snapshotEntryCount = 0 }
                let (blob, next) = process.tables[index].snapshot(
                    from: cursor, Self.entriesPerBlob)
                process.snapshotEntryCount += blob?.entryCount ?? 0
                process.feed.pulledSnapshot(blob, next: next, at: now)
            }
        }
    }

    private func sendDuties(_ process: inout StateProcess, _ stream: inout SimulatedStream) -> Bool
    {
        if process.owesOpening {
            let token = process.incarnation &+ process.connectionCount
            guard stream.send(.opening(token: token)) else { return false }
            process.owesOpening = false
        }
        if process.owesAcknowledgement, var acknowledgement = process.mirror.acknowledgement {
            if defect == .acknowledgesEarly, let applied = acknowledgement.appliedSequence {
                acknowledgement.appliedSequence = applied + 1
            }
            guard stream.send(.acknowledged(acknowledgement)) else { return false }
            process.owesAcknowledgement = false
        }
        if process.owesStanding {
            let waiting = defect == .announcesLess ? 0 : process.waitingCount
            if let standing = process.feed.standing(waitingCount: waiting) {
                guard stream.send(standing, truth: process.entries) else { return false }
                process.owesStanding = false
                process.hasNews = false
            }
        }
        return true
    }

    // MARK: - Arrival

    private mutating func deliver(from node: Int) throws(StateViolation) {
        guard var stream = streams[node] else { return }
        guard let receiver = processes[1 - node],
            receiver.incarnation == stream.receiverIncarnation
        else {
            lose(node)
            if stream.isEnding { streams[node] = nil }
            return
        }
        guard now >= receiver.stalledUntil else { return }
        let messages = stream.deliver(Int.random(in: 0...1_200, using: &random))
        streams[node] = stream
        for message in messages {
            try receive(message, at: 1 - node, from: stream.senderIncarnation)
            guard streams[node] != nil else { return }
        }
        if stream.isEnding, stream.waiting.isEmpty {
            streams[node] = nil
            processes[1 - node]?.mirror.channelEnded()
        }
    }

    private mutating func receive(
        _ arrived: SimulatedStream.Message, at node: Int, from sender: UInt64
    ) throws(StateViolation) {
        guard var process = processes[node], let message = (try? StateMessage(arrived.frame)) ?? nil
        else { throw StateViolation(description: "a message was not understood") }
        if defect == .losesItems, case .blob = message,
            Int.random(in: 0..<50, using: &random) == 0
        {
            // Counts as arrived without being applied.
            _ = try? process.mirror.receive(message, at: now)
            processes[node] = process
            return
        }
        let effect: StateMirror.Effect
        do throws(StateMirrorFault) {
            effect = try process.mirror.receive(message, at: now)
        } catch {
            throw StateViolation(description: "node \(node) met \(error)")
        }
        switch effect {
        case .apply(let blob): process.apply(blob)
        case .acknowledged(let acknowledgement):
            process.feed.acknowledged(acknowledgement, at: now)
            processes[node] = process
            try checkAcknowledged(acknowledgement, by: sender, at: node)
        case .nothing, .snapshotBegan, .snapshotEnded: break
        }
        process.owesAcknowledgement = true
        processes[node] = process
        if case .standing(let standing) = message, let truth = arrived.truth {
            try checkMissing(standing, truth, at: node)
        }
    }

    // MARK: - Promises

    /// What a process acknowledged it has, as long as it lives.
    private mutating func checkAcknowledged(
        _ acknowledgement: StateAcknowledgement, by sender: UInt64, at node: Int
    ) throws(StateViolation) {
        guard let process = processes[node], let applied = acknowledgement.appliedSequence,
            acknowledgement.token == process.incarnation &+ process.connectionCount,
            let peer = processes[1 - node], peer.incarnation == sender
        else { return }
        let entries = peer.entries
        let base = process.bases[sender] ?? .max
        for (sequence, told) in process.told where sequence <= applied && sequence > base {
            guard told.allSatisfy({ entries[$0.key] ?? 0 >= $0.value }) else {
                throw StateViolation(
                    description: "item \(sequence) of node \(node) was acknowledged and is lost")
            }
        }
        acknowledgedCount += process.told.keys.count { $0 <= applied && $0 > base }
        processes[node]?.told = process.told.filter { $0.key > applied }
    }

    /// The number that the peer would be told at a takeover is never too small.
    private mutating func checkMissing(
        _ standing: StateStanding, _ truth: [UInt32: UInt64], at node: Int
    ) throws(StateViolation) {
        guard let process = processes[node], let missing = process.mirror.missingCount else {
            return
        }
        let entries = process.entries
        if missing == 0, standing.isComplete { processes[node]?.truth = (truth, now) }
        let lacking = truth.count { entries[$0.key] ?? 0 < $0.value }
        guard lacking <= Int(clamping: missing) else {
            throw StateViolation(
                description: "node \(node) lacks \(lacking) entries and says \(missing)")
        }
    }

    /// A node that says it has everything was told so, and has it.
    private func checkSync(_ node: Int) throws(StateViolation) {
        guard let process = processes[node], process.mirror.isInSync(at: now) else { return }
        guard let truth = process.truth, now - truth.at <= StateMirror.syncSpan else {
            throw StateViolation(description: "node \(node) pretends to be in sync")
        }
        let entries = process.entries
        guard truth.entries.allSatisfy({ entries[$0.key] ?? 0 >= $0.value }) else {
            throw StateViolation(description: "node \(node) is in sync and lacks entries")
        }
    }

    // MARK: - The end

    var isSettled: Bool {
        guard let left = processes[0], let right = processes[1] else { return false }
        return [left, right].allSatisfy {
            $0.mirror.isInSync(at: now) && $0.feed.isAcknowledged && $0.waitingCount == 0
        }
    }

    var areTablesEqual: Bool { processes[0]?.entries == processes[1]?.entries }
}
