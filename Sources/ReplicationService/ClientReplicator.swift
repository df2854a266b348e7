// SPDX-License-Identifier: Apache-2.0
//
// The replication stream of one node: tells the peer which clients this node has, remembers which
// the peer has, and resets those when their addresses come here. Belongs to the loop of the
// replication thread; what it knows grows with traffic, so it never runs on the pair thread.

import ConfigurationCore
public import EventLoop
public import LinuxIO
public import ReplicationCore
import TLSIO
public import Telemetry
import WireCore

/// Replicates client connections in both directions.
public final class ClientReplicator: StateChannelReceiver, EventHandler {
    /// Frames sent before the loop gets its turn.
    static let framesPerTurnMax = 64
    /// Reports of workers are taken at most this often, so that a busy node sends few frames.
    static let journalInterval = TimeSpan.milliseconds(1)
    /// How soon a connection without room is tried again.
    static let retryInterval = TimeSpan.milliseconds(5)
    /// How often the peer hears something while nothing changes.
    static let standingInterval = TimeSpan.seconds(1)
    /// How long the peer is left with what it knew when the addresses went to it: longer than any
    /// election takes.
    static let holdSpan = TimeSpan.seconds(5)

    private let loop: EventLoop
    private let settings: PairLinkSettings
    private let journal: Mailbox<ClientChangeBatch>
    private let commands: Mailbox<ReplicationCommand>
    private let logger: Logger
    private let sender: any SegmentSending
    private let inbound: InboundChannels
    private let outbound: OutboundLink
    private let shadows: ShadowChannels?
    private let state: StateReplicator
    /// The numbers, for the metrics.
    public let report = ReplicationReport()

    private var feed = ReplicationFeed()
    private var table = PeerClientTable()
    private var waitingMessage: ReplicationMessage?
    /// A peer that says nothing for so long on its state channel is not there.
    ///
    /// It says something ten times a second. For tests it may be shorter.
    var silenceMax = TimeSpan.seconds(6)
    private var peerHeardAt = Instant(nanoseconds: 0)
    private var isPumpScheduled = false
    private var behindSince: Instant?
    private var journalSource: EventSource?
    private var holdTimer: TimerID?
    private var lostAddresses: Set<IPAddress> = []
    private let staleConnections: StaleConnections?
    private var campaigns: [TickleCampaign] = []
    private let adopter: ConnectionAdopter
    /// Called when the addresses are here and what the peer had of their connections is known and
    /// surrendered by this node's workers.
    public var onTaken: () -> Void = {}

    /// Makes a replicator that does nothing yet.
    ///
    /// - Parameters:
    ///   - loop: the loop of the replication thread.
    ///   - settings: the pair link's settings; replication uses the next port.
    ///   - journal: what the workers report.
    ///   - commands: what the pair thread says.
    ///   - logger: where takeovers and faults are told.
    ///   - shadows: who writes shadows of its connections; `nil` when nobody does.
    ///   - tables: what else both nodes shall have.
    /// - Throws: EPERM when packets with a virtual address as source cannot be sent.
    public convenience init(
        loop: EventLoop, settings: PairLinkSettings, journal: Mailbox<ClientChangeBatch>,
        commands: Mailbox<ReplicationCommand>, logger: Logger,
        shadows: ShadowChannelSettings? = nil, tables: [any ReplicatedTable] = []
    ) throws(Errno) {
        self.init(
            loop: loop, settings: settings, journal: journal, commands: commands, logger: logger,
            sender: try SegmentSender(), shadows: shadows, tables: tables)
    }

    init(
        loop: EventLoop, settings: PairLinkSettings, journal: Mailbox<ClientChangeBatch>,
        commands: Mailbox<ReplicationCommand>, logger: Logger, sender: any SegmentSending,
        shadows: ShadowChannelSettings? = nil, tables: [any ReplicatedTable] = []
    ) {
        let cryptography = LinkCryptography.openSSL
        let settings = settings.forReplication(with: cryptography)
        let identity = LinkIdentity(
            ownName: settings.own.name, peerName: settings.peer.name, secret: settings.secret,
            cryptography: cryptography)
        let counters = LinkCounters()
        self.loop = loop
        self.settings = settings
        self.journal = journal
        self.commands = commands
        self.logger = logger
        self.sender = sender
        staleConnections = StaleConnections(logger: logger)
        adopter = ConnectionAdopter(
            loop: loop, sender: sender, report: report.adoption, logger: logger)
        if settings.secret == nil { adopter.distrustRequests() }
        inbound = InboundChannels(
            loop: loop, settings: settings, identity: identity, counters: counters,
            logger: logger)
        let incarnation = Self.makeIncarnation()
        outbound = OutboundLink(
            loop: loop, settings: settings, identity: identity, counters: counters,
            logger: logger, opening: ChannelOpening(.state, incarnation: incarnation))
        self.shadows = shadows.map {
            ShadowChannels(
                $0, incarnation: incarnation, loop: loop, commands: commands, settings: settings,
                identity: identity, counters: counters, logger: logger)
        }
        state = StateReplicator(
            tables: tables, incarnation: incarnation, loop: loop, report: report, logger: logger)
    }

    private static func makeIncarnation() -> UInt64 {
        SecureRandom.bytes(count: 8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Goes on with connections of the peer, on the replication thread; without it all of them are
    /// reset at a takeover.
    ///
    /// Set before ``start()``.
    ///
    /// - Parameters:
    ///   - silencer: keeps the kernel quiet meanwhile.
    ///   - surrender: makes workers end connections without a word; what it returns says whether
    ///     they have.
    ///   - handOn: serves connections.
    public func carryOver(
        silencer: (any ResetSilencing)?,
        surrendering surrender: @escaping (Set<ClientKey>) -> (() -> Bool),
        to handOn: @escaping ([AdoptedClient]) -> Void
    ) {
        adopter.silencer = silencer
        adopter.surrender = surrender
        adopter.handOn = handOn
    }

    /// Listens and dials.
    ///
    /// - Throws: when the port above the pair link's cannot be bound on the node's own address.
    public func start() throws(Errno) {
        inbound.stateReceiver = self
        inbound.shadowReceiver = adopter
        adopter.era = { [weak self] in self?.feed.era(of: $0) }
        adopter.beginEra = { [weak self] in
            self?.feed.beginEra()
            return self?.feed.era ?? 0
        }
        adopter.endExisting = { [weak self] clients, addresses in
            self?.staleConnections?.end(clients, on: addresses)
        }
        adopter.isDoomed = { [weak self] client in
            self?.campaigns.contains { $0.contains(client) } ?? false
        }
        try inbound.start()
        outbound.onEstablished = { [weak self] in self?.streamBegins() }
        outbound.onLost = { [weak self] in self?.state.outboundEnded() }
        outbound.start()
        state.onWork = { [weak self] in self?.pumpAgain(after: .zero) }
        state.onOverslept = { [weak self] in self?.inbound.endState() }
        state.start()
        journalSource = try loop.add(journal.wakeUp.descriptor, .readable, handler: self)
        try loop.attach(commands) { [weak self] in self?.obey($0) }
        beat()
    }

    /// Ends both streams.
    public func stop() {
        outbound.stop()
        shadows?.stop()
        inbound.stop()
        adopter.stop()
        for campaign in campaigns { campaign.cancel() }
        campaigns = []
    }

    /// For tests: hears the peer's workers instead of the adopter, when set after the start.
    weak var shadowReceiver: (any ShadowChannelReceiver)? {
        get { inbound.shadowReceiver }
        set { inbound.shadowReceiver = newValue }
    }

    /// For tests: ends the connection to the peer as a broken network does.
    func breakConnection() {
        outbound.breakConnection()
    }

    // MARK: - What this node tells

    /// The journal has reports: takes them, then leaves the workers alone for a moment.
    public func handle(_ events: EpollEvents, from source: EventSource) {
        takeJournal()
        pump()
        guard rearmJournal([]) else { return }
        loop.schedule(after: Self.journalInterval) { [weak self] in
            _ = self?.rearmJournal(.readable)
        }
    }

    private func rearmJournal(_ interest: EpollInterest) -> Bool {
        guard let journalSource else { return false }
        do throws(Errno) {
            try loop.modify(journalSource, of: journal.wakeUp.descriptor, interest)
            return true
        } catch {
            return false
        }
    }

    private func takeJournal() {
        // What the pair thread said first must count first: a loss of addresses precedes the
        // closing of their connections.
        for command in commands.drain() { obey(command) }
        for batch in journal.drain() { feed.apply(batch) }
        report.ownClients.set(Int64(feed.openCount))
        report.omittedHere.set(Int64(clamping: feed.omittedCount))
        report.reportsDropped.set(Int64(clamping: journal.droppedCount))
    }

    private func streamBegins() {
        waitingMessage = nil
        feed.connected()
        state.outboundBegan()
        pump()
        shadows?.peerIsThere()
    }

    /// Sends what the peer lacks, as far as connection and turn allow.
    private func pump() {
        guard outbound.isEstablished else {
            feed.disconnected()
            noteProgress()
            return
        }
        var budget = Self.framesPerTurnMax
        while budget > 0, let message = waitingMessage ?? feed.nextMessage() {
            guard outbound.send(message) else {
                waitingMessage = message
                break
            }
            waitingMessage = nil
            if case .changes(let changes) = message {
                report.changesSent.add(UInt64(changes.count))
            }
            budget -= 1
        }
        let hasMoreState = waitingMessage == nil && state.pump(on: outbound)
        let isFlushed = outbound.flush() && waitingMessage == nil
        if budget == 0 || hasMoreState || !isFlushed {
            pumpAgain(after: isFlushed ? .zero : Self.retryInterval)
        }
        noteProgress()
    }

    private func pumpAgain(after wait: TimeSpan) {
        guard !isPumpScheduled else { return }
        isPumpScheduled = true
        loop.schedule(after: wait) { [weak self] in
            self?.isPumpScheduled = false
            self?.pump()
        }
    }

    private func noteProgress() {
        report.isSending.set(outbound.isEstablished ? 1 : 0)
        report.snapshotsSent.set(Int64(clamping: feed.snapshotCount))
        report.waitingChanges.set(Int64(feed.waitingChangeCount))
        report.shadowChannelsOut.set(Int64(shadows?.lentCount ?? 0))
        report.shadowChannelsIn.set(Int64(inbound.shadowChannelCount))
        let isBehind = !outbound.isEstablished || isPumpScheduled || waitingMessage != nil
        behindSince = isBehind ? behindSince ?? loop.now : nil
        report.setBehind(since: behindSince)
    }

    /// A peer that died without a word is noticed by what it does not acknowledge.
    private func beat() {
        loop.schedule(after: Self.standingInterval) { [weak self] in self?.beat() }
        if waitingMessage == nil, outbound.isEstablished, let standing = feed.standing() {
            waitingMessage = standing
        }
        pump()
        endSilence()
    }

    // MARK: - What the peer tells

    /// A peer without power never ends its connection.
    private func endSilence() {
        guard report.isReceiving.value != 0, loop.now - peerHeardAt > silenceMax else { return }
        // This thread itself may have slept: what came meanwhile waits in the socket.
        inbound.readState()
        guard loop.now - peerHeardAt > silenceMax else { return }
        logger.info("the peer's state channel is silent and ends")
        inbound.endState()
    }

    func stateChannelBegan(incarnation: UInt64) {
        peerHeardAt = loop.now
        table.streamBegan()
        report.isReceiving.set(1)
        state.channelBegan(incarnation: incarnation)
        outbound.peerIsThere()
    }

    func stateChannelReceived(_ frame: OpenedLinkFrame) -> Bool {
        peerHeardAt = loop.now
        do {
            if let message = try ReplicationMessage(
                type: frame.type, payload: frame.payload.span.bytes)
            {
                peerTold(message)
            } else if let message = try StateMessage(frame) {
                return state.received(message)
            }
            return true
        } catch {
            return false
        }
    }

    private func peerTold(_ message: ReplicationMessage) {
        table.apply(message)
        if case .changes(let changes) = message {
            report.changesReceived.add(UInt64(changes.count))
            noticeSuccessor(changes)
        }
        noteTable()
    }

    func stateChannelEnded() {
        // What is known stays: the peer may just have died.
        report.isReceiving.set(0)
        state.channelEnded()
    }

    private func noteTable() {
        report.peerClients.set(Int64(table.count))
        report.mismatches.set(Int64(clamping: table.mismatchCount))
        report.omittedByPeer.set(
            Int64(clamping: table.omittedHereCount &+ table.omittedByPeerCount))
    }

    // MARK: - Takeovers

    private func obey(_ command: ReplicationCommand) {
        switch command {
        case .addressesTaken(let addresses, let instant):
            lostAddresses.subtract(addresses)
            endHold()
            takeOver(Set(addresses), at: instant)
        case .addressesPrepared(let addresses):
            lostAddresses.subtract(addresses)
            adopter.prepare(Set(addresses))
            endHold()
            pump()
        case .addressesLost(let addresses):
            let lost = Set(addresses)
            // A node that was frozen may hear of its successor's clients before its own loss.
            let moved = Set(table.clients(of: lost).map(\.localAddress))
                .union(adopter.peerAddresses(among: lost))
            cancelCampaigns(on: lost)
            adopter.lose(lost)
            lostAddresses.formUnion(lost)
            hold()
            findStaleConnections(of: moved)
        case .shadowChannelLost(let worker):
            shadows?.isLost(worker: worker)
        }
    }

    private func takeOver(_ addresses: Set<IPAddress>, at instant: Instant) {
        report.takeovers.add()
        staleConnections?.forget()
        // The peer's last words may still wait in the socket.
        inbound.readNow()
        state.noteTakeover()
        cancelCampaigns(on: addresses)
        adopter.takeOver(addresses, at: instant)
        let campaign = TickleCampaign(
            addresses: addresses, snapshotCount: table.snapshotCount, loop: loop, sender: sender,
            report: report)
        var isFirst = true
        campaign.newClients = { [weak self] in
            defer { isFirst = false }
            return self?.takeClients(of: addresses, isFirst: isFirst) ?? []
        }
        campaign.isBack = { [weak self] in self?.feed.contains($0) ?? false }
        campaign.onRoundEnded = { [weak self, weak campaign] round in
            guard let self, let campaign else { return }
            if round == 0 { logTakeover(campaign, at: instant) }
            if campaign.isOver { campaigns.removeAll { $0 === campaign } }
        }
        campaigns.append(campaign)
        campaign.start()
        onTaken()
    }

    /// Clients that were not asked often enough are remembered: a node that gives an address up by
    /// mistake and takes it again must not forget them.
    private func cancelCampaigns(on addresses: Set<IPAddress>) {
        for campaign in campaigns where !campaign.addresses.isDisjoint(with: addresses) {
            table.remember(campaign.clients, knownAt: campaign.snapshotCount)
            campaign.cancel()
        }
        campaigns.removeAll(where: \.isOver)
    }

    /// The peer's clients on `addresses`, which are the peer's no more.
    ///
    /// At first, what is here of them from an earlier time would answer in the place of a reset,
    /// and ends. Later the peer talks only of what it took by mistake.
    private func takeClients(of addresses: Set<IPAddress>, isFirst: Bool) -> [ClientKey] {
        let clients = table.clients(of: addresses)
        if !clients.isEmpty {
            table.forget(addresses)
            noteTable()
        }
        let refused = adopter.takeRefused(addresses)
        let reset = clients.filter { !adopter.isAdopting($0) } + refused
        guard isFirst else { return reset.filter { !feed.contains($0) } }
        let former = reset.filter { adopter.holding($0) == .former }
        if !former.isEmpty { _ = adopter.surrender(Set(former)) }
        return reset.filter { !adopter.isCurrent($0) }
    }

    private func logTakeover(_ campaign: TickleCampaign, at instant: Instant) {
        logger.info(
            "clients of the peer are reset",
            [
                "known": "\(campaign.clients.count)", "asked": "\(campaign.sentCount)",
                "failed": "\(campaign.failedCount)",
                "left_out": "\(table.omittedHereCount &+ table.omittedByPeerCount)",
                "after": "\((Clock.now() - instant).microseconds)us",
            ])
    }

    private func hold() {
        feed.hold()
        waitingMessage = nil
        holdTimer.map(loop.cancel)
        holdTimer = loop.schedule(after: Self.holdSpan) { [weak self] in
            self?.holdEnded()
        }
    }

    /// The addresses did not come back: nobody can be reached on what is left of them.
    private func holdEnded() {
        endHold()
        pump()
        findStaleConnections(of: lostAddresses)
    }

    /// A client of the peer on lost addresses tells that they moved and were not just away.
    ///
    /// If they come back soon, what is left here would answer clients that used the same port with
    /// both nodes.
    private func noticeSuccessor(_ changes: [ClientChange]) {
        guard !lostAddresses.isEmpty else { return }
        let moved = lostAddresses.intersection(
            changes.lazy.filter(\.isOpen).map(\.key.localAddress))
        findStaleConnections(of: moved)
    }

    private func findStaleConnections(of addresses: Set<IPAddress>) {
        guard !addresses.isEmpty else { return }
        lostAddresses.subtract(addresses)
        staleConnections?.find(addresses)
        endStaleConnections()
    }

    private func endStaleConnections() {
        guard let staleConnections, !staleConnections.endSome() else { return }
        loop.schedule(after: .zero) { [weak self] in self?.endStaleConnections() }
    }

    private func endHold() {
        holdTimer.map(loop.cancel)
        holdTimer = nil
        feed.resume()
    }
}
