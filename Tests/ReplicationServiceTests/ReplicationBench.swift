// SPDX-License-Identifier: Apache-2.0
//
// What the tests of tables and of shadow channels stand on: a node's replicator with a table that
// remembers, workers that keep what they are granted, and a reader that writes down what it heard.

import EventLoop
import LinuxIO
import ReplicationCore
import TLSIO
import Telemetry
import Testing
import WireCore

@testable import ReplicationService

/// Numbers by key; the greater one wins.
final class NumberTable: ReplicatedTable {
    let tableID: UInt8
    let name: StaticString = "numbers"
    var onChange: (() -> Void)?
    var waitingMax = 1_000_000
    private(set) var hasLostChanges = false
    private(set) var numbers: [UInt32: UInt64] = [:]
    private(set) var peerSnapshots = (began: 0, ended: 0)
    private var waiting: [UInt32] = []
    private var snapshotKeys: [UInt32] = []

    init(tableID: UInt8 = 1) {
        self.tableID = tableID
    }

    var entryCount: Int { numbers.count }
    var waitingCount: Int { waiting.count }

    func write(_ keys: Range<UInt32>, _ number: UInt64) {
        for key in keys {
            numbers[key] = number
            if waiting.count < waitingMax { waiting.append(key) } else { hasLostChanges = true }
        }
        onChange?()
    }

    func nextChanges(byteCountMax: Int) -> StateBlob? {
        guard !waiting.isEmpty else { return nil }
        let keys = waiting.prefix(byteCountMax / 12)
        waiting.removeFirst(keys.count)
        return blob(keys)
    }

    func snapshot(from cursor: Int, byteCountMax: Int) -> (blob: StateBlob?, next: Int?) {
        if cursor == 0 {
            waiting = []
            hasLostChanges = false
            snapshotKeys = numbers.keys.sorted()
        }
        let end = min(cursor + byteCountMax / 12, snapshotKeys.count)
        let blob = blob(snapshotKeys[cursor..<end])
        return (blob, end < snapshotKeys.count ? end : nil)
    }

    private func blob(_ keys: some Collection<UInt32>) -> StateBlob {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(keys.count * 12)
        for key in keys {
            bytes.appendBigEndian(key)
            bytes.appendBigEndian(numbers[key] ?? 0)
        }
        return StateBlob(table: tableID, entryCount: keys.count, bytes: bytes)
    }

    func apply(_ blob: StateBlob) {
        let bytes = blob.bytes
        var reader = ByteReader(bytes.span.bytes)
        while let key = reader.readUInt32(), let number = reader.readUInt64() {
            numbers[key] = max(numbers[key] ?? 0, number)
        }
    }

    func peerSnapshotBegan() { peerSnapshots.began += 1 }
    func peerSnapshotEnded() { peerSnapshots.ended += 1 }
}

/// What was heard on shadow channels, in order.
enum ShadowEvent: Hashable {
    case began(worker: Int, incarnation: UInt64)
    case received(worker: Int, type: UInt8, [UInt8])
    case ended(worker: Int, ShadowChannelEnding)
}

/// Writes down what it hears.
final class ShadowListener: ShadowChannelReceiver {
    private(set) var events: [ShadowEvent] = []
    var refusesType: UInt8?
    var spentWorkers: Set<Int> = []

    func shadowChannelCounts(worker: Int, type: UInt8) -> Bool { !spentWorkers.contains(worker) }

    func shadowChannelBegan(worker: Int, incarnation: UInt64) {
        events.append(.began(worker: worker, incarnation: incarnation))
    }

    func shadowChannelReceived(worker: Int, type: UInt8, payload: [UInt8]) -> Bool {
        events.append(.received(worker: worker, type: type, payload))
        return type != refusesType
    }

    func shadowChannelEnded(worker: Int, _ ending: ShadowChannelEnding) {
        events.append(.ended(worker: worker, ending))
    }

    var beganCount: Int {
        events.count { if case .began = $0 { true } else { false } }
    }
}

/// One worker's end of a shadow channel.
final class ShadowWriter {
    private var descriptor: FileDescriptor?
    private let cipher: FrameCipher
    private(set) var nextSequence: UInt64

    init?(_ grant: ShadowChannelGrant) {
        guard let taken = grant.takeDescriptor() else { return nil }
        cipher = FrameCipher(key: grant.key)
        nextSequence = grant.nextSequence
        descriptor = consume taken
    }

    func frame(type: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let header = SealedLinkFrame.header(type: type, payloadByteCount: payload.count)
        let prefix = SealedLinkFrame.prefixByteCount
        var bytes = [UInt8](repeating: 0, count: prefix) + payload
        bytes += [UInt8](repeating: 0, count: SealedLinkFrame.suffixByteCount)
        bytes.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            SealedLinkFrame.writePrefix(header: header, sequence: nextSequence, at: base)
            cipher.seal(
                UnsafeMutableRawBufferPointer(start: base + prefix, count: payload.count),
                tag: base + prefix + payload.count, header: header, sequence: nextSequence)
        }
        nextSequence += 1
        return bytes
    }

    @discardableResult
    func send(type: UInt8, _ payload: [UInt8]) -> Bool { write(frame(type: type, payload)) }

    func write(_ bytes: [UInt8]) -> Bool {
        switch descriptor {
        case .some(let descriptor):
            return (try? StreamSocket.send(descriptor, bytes)) == .bytes(bytes.count)
        case nil:
            return false
        }
    }

    func close(reset: Bool) {
        switch descriptor {
        case .some(let descriptor): if reset { StreamSocket.resetOnClose(descriptor) }
        case nil: break
        }
        _ = descriptor.take()
    }
}

/// One node's replicator with what it replicates.
final class BenchedReplicator {
    let commands: Mailbox<ReplicationCommand>
    let replicator: ClientReplicator
    let tables: [NumberTable]
    private(set) var writers: [Int: ShadowWriter] = [:]
    private(set) var grantCount = 0
    var dropsGrants = false

    init(
        _ settings: PairLinkSettings, on loop: EventLoop, tableCount: Int = 1, workers: Int = 0
    ) throws {
        final class Grants { var take: (ShadowChannelGrant) -> Void = { _ in } }
        let grants = Grants()
        commands = try Mailbox()
        tables = (0..<tableCount).map { NumberTable(tableID: UInt8($0 + 1)) }
        replicator = ClientReplicator(
            loop: loop, settings: settings, journal: try Mailbox(), commands: commands,
            logger: Logger("replication", sink: nil), sender: NoPackets(),
            shadows: ShadowChannelSettings(workerCount: workers) { grants.take($0) },
            tables: tables)
        grants.take = { [weak self] grant in
            guard let self else { return }
            grantCount += 1
            if !dropsGrants { writers[grant.worker] = ShadowWriter(grant) }
        }
    }

    var status: ReplicationStatus { replicator.report.status }
    var numbers: [UInt32: UInt64] { tables[0].numbers }

    func metrics() -> String {
        var text = MetricsText()
        replicator.report.collect(into: &text)
        return text.rendered
    }
}

/// Sends nothing.
private final class NoPackets: SegmentSending {
    func send(_ packet: [UInt8], to destination: IPAddress) throws(Errno) -> IOOutcome {
        .bytes(packet.count)
    }
}
