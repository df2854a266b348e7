// SPDX-License-Identifier: Apache-2.0
//
// What this node knows of the peer's connections beyond their addresses, and who goes on with them
// when the addresses come here. Belongs to the loop of the replication thread.

import EventLoop
import LinuxIO
import ReplicationCore
import Telemetry
public import WireCore

/// Keeps the kernel from saying that it does not know connections that are being made.
public protocol ResetSilencing: AnyObject {
    /// The kernel's own resets from `addresses` go nowhere from now on.
    func silence(_ addresses: Set<IPAddress>)
    /// They leave again.
    func release(_ addresses: Set<IPAddress>)
}

/// Takes the peer's connections over.
final class ConnectionAdopter: ShadowChannelReceiver {
    /// How long a connection that the peer left to this node waits for its address.
    static let movedSpan = TimeSpan.seconds(10)
    /// How long the peer's last words may be on their way after a planned switchover: longer than a
    /// lost segment's first repetition on a short way.
    static let lastWordsSpan = TimeSpan.milliseconds(100)
    /// How long the peer has to begin anew by itself: a worker that was replaced does after half a
    /// second, or when it has a connection again.
    static let newBeginningSpan = TimeSpan.seconds(1)
    /// The same after the addresses went back to it: then what it says now is needed.
    static let newBeginningSpanOfActive = TimeSpan.milliseconds(300)
    /// How long a worker may take to look at connections that were handed to it: as long as it may
    /// wait to know whose connections are, and then some.
    static let handedOnSpan = TimeSpan.seconds(2)

    private let loop: EventLoop
    private let sender: any SegmentSending
    private let report: AdoptionReport
    private let logger: Logger
    private var table = PeerShadowTable()
    private var heldAddresses: Set<IPAddress> = []
    /// Addresses that the peer is leaving in order: what it says of their connections is on its
    /// way.
    private var preparedAddresses: Set<IPAddress> = []
    /// Connections on them that are waited for.
    private var pendingKeys: Set<ClientKey> = []
    private var pendingTimer: TimerID?
    /// The addresses that they are on.
    private var pendingAddresses: Set<IPAddress> = []
    /// Connections that went on here since their address came: what the peer says of them is old.
    private var adoptedKeys: Set<ClientKey> = []
    /// Connections that do not go on and whose campaign is over.
    private var strandedKeys: Set<ClientKey> = []
    /// When one of the peer's workers was heard last.
    private var heardAt: Instant?
    private var openWorkers: Set<Int> = []
    /// Those that have told all their connections.
    private var wholeWorkers: Set<Int> = []
    /// Something was taken out that they may still have.
    ///
    /// Until they tell everything anew, what they say has no beginning, and does not count; from
    /// the given moment on it ends the channel.
    private var spentWorkers: [Int: Instant] = [:]
    private var campaigns: [AdoptionCampaign] = []
    /// In which era of ``ReplicationFeed`` an address came here.
    private var arrivals: [IPAddress: UInt32] = [:]
    /// Connections that workers may not have looked at yet.
    private var handedOn: [AdoptedClient] = []
    private var handedOnTimer: TimerID?
    /// Serves connections; without it nothing goes on here.
    var handOn: (([AdoptedClient]) -> Void)?
    /// `nil` where rules cannot be made.
    var silencer: (any ResetSilencing)?
    /// In which era this node's workers opened a connection; `nil` when they do not have it.
    var era: (ClientKey) -> UInt32? = { _ in nil }
    /// Begins an era and names it.
    var beginEra: () -> UInt32 = { 0 }
    /// Makes workers end connections without a word; what it returns says whether they have.
    var surrender: (Set<ClientKey>) -> (() -> Bool) = { _ in { true } }
    /// Ends connections that this host has from an earlier time.
    var endExisting: (Set<ClientKey>, Set<IPAddress>) -> Void = { _, _ in }
    /// Whether a connection without a shadow is to be reset.
    var isDoomed: (ClientKey) -> Bool = { _ in false }

    init(
        loop: EventLoop, sender: any SegmentSending, report: AdoptionReport, logger: Logger
    ) {
        self.loop = loop
        self.sender = sender
        self.report = report
        self.logger = logger
    }

    /// Goes on with idle connections alone: the peer cannot prove that it is the peer.
    func distrustRequests() {
        table.distrustRequests()
    }

    // MARK: - What the peer's workers say

    func shadowChannelBegan(worker: Int, incarnation: UInt64) {
        spentWorkers[worker] = nil
        if table.channelBegan(worker: worker, incarnation: incarnation) {
            openWorkers.insert(worker)
        }
        noteWhole(worker, false)
        noteTable()
    }

    func shadowChannelCounts(worker: Int, type: UInt8) -> Bool {
        guard type != ShadowFrame.snapshotBeganType, let end = spentWorkers[worker] else {
            return true
        }
        return Clock.now() < end
    }

    func shadowChannelReceived(worker: Int, type: UInt8, payload: [UInt8]) -> Bool {
        heardAt = Clock.now()
        if type == ShadowFrame.snapshotBeganType {
            spentWorkers[worker] = nil
        } else if spentWorkers[worker] != nil {
            return true
        }
        switch type {
        case ShadowFrame.recordsType:
            guard apply(payload, worker) else { return false }
        case ShadowFrame.snapshotBeganType:
            table.snapshotBegan(worker: worker)
            noteWhole(worker, false)
        case ShadowFrame.snapshotEndedType:
            var reader = ByteReader(payload.span.bytes)
            guard let count = reader.readUInt32() else { return false }
            table.snapshotEnded(worker: worker, openCount: count)
            noteWhole(worker, true)
        default:
            // Standing, and what later versions say.
            forgetMoved()
        }
        noteTable()
        return true
    }

    /// Whether all connections of a worker of the peer are known.
    private func noteWhole(_ worker: Int, _ isWhole: Bool) {
        if isWhole { wholeWorkers.insert(worker) } else { wholeWorkers.remove(worker) }
        report.wholeChannels.set(Int64(wholeWorkers.count))
    }

    func shadowChannelEnded(worker: Int, _ ending: ShadowChannelEnding) {
        openWorkers.remove(worker)
        noteWhole(worker, false)
        switch ending {
        case .endOfStream, .replaced, .stopped: table.channelEnded(worker: worker, .complete)
        case .reset, .fault: table.channelEnded(worker: worker, .givenUp)
        }
        noteTable()
    }

    private func apply(_ payload: [UInt8], _ worker: Int) -> Bool {
        let now = Clock.now()
        do throws(ShadowRecordFault) {
            try ShadowRecord.forEach(in: payload.span.bytes) { id, record in
                table.apply(record, of: id, worker: worker, now: now)
            }
        } catch {
            return false
        }
        takeMoved()
        return true
    }

    private func noteTable() {
        report.shadows.set(Int64(table.count))
        report.omitted.set(Int64(clamping: table.omittedCount))
        report.mismatches.set(Int64(clamping: table.mismatchCount))
    }

    // MARK: - What happens to addresses

    /// The addresses are this node's; the channels have been read as far as they came.
    func takeOver(_ addresses: Set<IPAddress>, at instant: Instant) {
        // Campaigns on these addresses go on: nobody else knows of their connections any more.
        noteArrival(of: addresses)
        let isPlanned = addresses.isSubset(of: preparedAddresses)
        preparedAddresses.subtract(addresses)
        guard isPlanned, !openWorkers.isEmpty else {
            takeAll(addresses, at: instant)
            return
        }
        takeMoved()
        pendingAddresses.formUnion(addresses)
        pendingKeys.formUnion(table.keys(addresses))
        pendingTimer.map(loop.cancel)
        pendingTimer = loop.schedule(after: Self.lastWordsSpan) { [weak self] in
            self?.lastWordsCame(at: instant)
        }
    }

    private func lastWordsCame(at instant: Instant) {
        pendingTimer = nil
        let (addresses, keys) = (pendingAddresses, pendingKeys)
        (pendingAddresses, pendingKeys) = ([], [])
        // A channel that was given up meanwhile took its shadows along; their clients are reset.
        strandedKeys.formUnion(keys.subtracting(table.keys(addresses)).subtracting(adoptedKeys))
        takeAll(addresses, at: instant, patience: .zero)
    }

    private func takeAll(
        _ addresses: Set<IPAddress>, at instant: Instant,
        patience: TimeSpan = newBeginningSpan
    ) {
        let shadows = table.take(addresses)
        noteTable()
        if !shadows.isEmpty { spendChannels(for: patience) }
        // Of what goes on here already the peer says nothing new, unless it has just left it.
        let fresh = shadows.filter {
            $0.isMoved || !(isAdopting($0.key) || isCurrent($0.key))
        }
        guard !fresh.isEmpty else {
            silencer?.release(addresses)
            return
        }
        begin(addresses, fresh, at: instant, isTakeover: true)
    }

    /// The addresses are here while the peer has them, too: what it leaves goes on here.
    func prepare(_ addresses: Set<IPAddress>) {
        noteArrival(of: addresses)
        preparedAddresses.formUnion(addresses)
        takeMoved()
    }

    private func noteArrival(of addresses: Set<IPAddress>) {
        let new = addresses.subtracting(heldAddresses)
        guard !new.isEmpty else { return }
        heldAddresses.formUnion(new)
        let era = beginEra()
        for address in new { arrivals[address] = era }
    }

    /// The addresses are the peer's.
    func lose(_ addresses: Set<IPAddress>) {
        heldAddresses.subtract(addresses)
        preparedAddresses.subtract(addresses)
        pendingAddresses.subtract(addresses)
        func remains(_ key: ClientKey) -> Bool { !addresses.contains(key.localAddress) }
        pendingKeys = pendingKeys.filter(remains)
        adoptedKeys = adoptedKeys.filter(remains)
        strandedKeys = strandedKeys.filter(remains)
        cancel(addresses)
        withdraw(addresses)
        let end = Clock.now() + Self.newBeginningSpanOfActive
        spentWorkers = spentWorkers.mapValues { min($0, end) }
        silencer?.silence(addresses)
    }

    /// Takes back what no worker has looked at: it would be served beside the other node.
    private func withdraw(_ addresses: Set<IPAddress>) {
        for client in handedOn where addresses.contains(client.local.address) {
            if let socket = client.takeDescriptor() { ConnectionRepair.closeSilently(socket) }
            if let socket = client.tunnel?.takeDescriptor() {
                ConnectionRepair.closeSilently(socket)
            }
        }
    }

    /// What this node's workers have of a connection.
    func holding(_ key: ClientKey) -> OwnHolding {
        guard let era = era(key) else { return .none }
        return arrivals[key.localAddress].map { era >= $0 } ?? false ? .current : .former
    }

    /// Whether the connection began here, or went on here, since its address came.
    func isCurrent(_ key: ClientKey) -> Bool { holding(key) == .current }

    /// Those of `addresses` on which the peer has connections.
    func peerAddresses(among addresses: Set<IPAddress>) -> Set<IPAddress> {
        Set(table.keys(addresses).map(\.localAddress))
    }

    /// Whether the connection goes on here, as far as is known yet.
    ///
    /// Few connections are made, asked and handed on before anybody else gets a turn, and before
    /// the workers have said that they have them.
    func isAdopting(_ key: ClientKey) -> Bool {
        pendingKeys.contains(key) || adoptedKeys.contains(key)
            || campaigns.contains { $0.contains(key) }
    }

    /// Connections known by their shadows that do not go on and were not reset yet.
    func takeRefused(_ addresses: Set<IPAddress>) -> [ClientKey] {
        for campaign in campaigns where !campaign.addresses.isDisjoint(with: addresses) {
            strandedKeys.formUnion(campaign.takeRefused())
        }
        let taken = strandedKeys.filter { addresses.contains($0.localAddress) }
        strandedKeys.subtract(taken)
        return taken.filter { !isAdopting($0) }
    }

    /// Ends everything.
    func stop() {
        pendingTimer.map(loop.cancel)
        handedOnTimer.map(loop.cancel)
        for campaign in campaigns { campaign.cancel() }
        campaigns = []
    }

    private func cancel(_ addresses: Set<IPAddress>) {
        for campaign in campaigns where !campaign.addresses.isDisjoint(with: addresses) {
            campaign.cancel()
        }
        campaigns.removeAll(where: \.isOver)
    }

    /// A peer that lives on goes on talking about connections that were taken out: if they become
    /// its own again, only a new beginning tells them all.
    ///
    /// - Parameter patience: how long it may take to begin anew by itself; a peer that left in
    ///   order does not.
    private func spendChannels(for patience: TimeSpan) {
        let end = Clock.now() + patience
        for worker in openWorkers {
            spentWorkers[worker] = end
            noteWhole(worker, false)
        }
    }

    private func takeMoved() {
        guard table.movedCount > 0 else { return }
        let moved = table.takeMoved(heldAddresses)
        guard !moved.isEmpty else { return }
        begin(
            Set(moved.map(\.key.localAddress)), moved, at: Clock.now(), isTakeover: false)
    }

    private func forgetMoved() {
        guard table.movedCount > 0 else { return }
        let now = Clock.now()
        let limit = Instant(nanoseconds: 0) + (now - Instant(nanoseconds: 0) - Self.movedSpan)
        let count = table.forgetMoved(before: limit)
        guard count > 0 else { return }
        logger.warning(
            "connections the peer handed over are lost: their addresses did not come",
            ["count": "\(count)"])
    }

    private func begin(
        _ addresses: Set<IPAddress>, _ shadows: [ConnectionShadow], at instant: Instant,
        isTakeover: Bool
    ) {
        guard let handOn else { return }
        // Connections that were moved come while more are to come.
        let silencer = isTakeover ? self.silencer : nil
        let campaign = AdoptionCampaign(
            addresses: addresses, shadows: shadows, takenAt: instant,
            environment: AdoptionCampaign.Environment(
                loop: loop, sender: sender, report: report, logger: logger,
                expectationSpan: expectationSpan(at: Clock.now()),
                handOn: { [weak self] in
                    self?.note($0)
                    handOn($0)
                },
                allMade: { silencer?.release($0) },
                holding: { [weak self] in self?.holding($0) ?? .none },
                surrender: { [weak self] in self?.surrender($0) ?? { true } },
                endExisting: { [weak self] in self?.endExisting($0, $1) },
                isDoomed: { [weak self] in self?.isDoomed($0) ?? false }))
        campaign.onOver = { [weak self, weak campaign] in
            guard let self, let campaign else { return }
            strandedKeys.formUnion(campaign.takeRefused())
            campaigns.removeAll { $0 === campaign }
        }
        campaigns.append(campaign)
        campaign.start()
    }

    /// How long bytes may take that a client has sent and must send again: its kernel waits about
    /// as long until the next repetition as it has tried in vain (RFC 6298 §5.5).
    private func expectationSpan(at now: Instant) -> TimeSpan {
        let outage = heardAt.map { now - $0 } ?? .zero
        return min(AdoptionCampaign.silenceSpan + outage, AdoptionCampaign.expectationMax)
    }

    private func note(_ clients: [AdoptedClient]) {
        handedOn += clients
        handedOnTimer.map(loop.cancel)
        handedOnTimer = loop.schedule(after: Self.handedOnSpan) { [weak self] in
            self?.handedOn = []
        }
        for client in clients {
            adoptedKeys.insert(Self.key(client.local, client.remote))
            guard let tunnel = client.tunnel else { continue }
            adoptedKeys.insert(Self.key(tunnel.local, tunnel.remote))
        }
    }

    private static func key(_ local: Endpoint, _ remote: Endpoint) -> ClientKey {
        ClientKey(
            localAddress: local.address, localPort: local.port,
            remoteAddress: remote.address, remotePort: remote.port)
    }
}
