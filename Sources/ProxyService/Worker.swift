// SPDX-License-Identifier: Apache-2.0
//
// One thread of the data plane: its sockets, its connections, its loop. It shares nothing with
// other threads but immutable snapshots and a few atomics, takes no lock outside its mailbox, and
// never waits for anything but its epoll instance.

internal import BalancerCore
internal import ConfigurationCore
internal import EventLoop
internal import HTTPCore
internal import LinuxIO
internal import ReplicationCore
internal import Synchronization
internal import Telemetry
internal import WireCore

/// What a worker is given at its start.
struct WorkerSetup: Sendable {
    let index: Int
    /// Client and upstream connections together.
    let connectionMax: Int
    let workerCount: Int
    let mailbox: Mailbox<WorkerCommand>
    /// The mailboxes of all workers, this one's included.
    let peers: [Mailbox<WorkerCommand>]
    let tallies: WorkerTallies
    let logger: Logger
    let seed: UInt64
    /// Where connections of watched addresses are reported; `nil` reports nothing.
    let journal: ConnectionJournal?
    let accessLog: AccessLog
    let nodeName: String
    /// Where it tells what traffic shows about backends.
    let reports: Mailbox<TrafficReport>
    /// Told when its shadow channel ended and it wants another one.
    let shadowChannelLost: @Sendable (_ worker: Int) -> Void
    /// Where it tells which cookies it remembers; `nil` where there is no other node.
    let stickyJournal: StickyJournal?
    /// Whether the process runs and has its addresses.
    let life: LifeClock
}

/// The state of one worker; a local variable of its thread.
struct Worker: ~Copyable {
    /// Bytes moved for one connection before others get their turn.
    static let bytesPerTurnMax = 512 * 1_024
    /// Connections accepted from one listener before others get their turn.
    static let acceptsPerTurnMax = 64
    /// Turns of accepting that a listener gets before it is closed: its whole backlog.
    static let acceptRoundsMax = 64
    /// The worker turns at least this often, so that its heartbeat shows a stall.
    static let turnIntervalMax = TimeSpan.milliseconds(100)
    /// How long accepting rests when there are no descriptors left.
    static let acceptPause = TimeSpan.milliseconds(100)
    /// How long a closed connection is read on so that the client sees its last response.
    static let lingerSpan = TimeSpan.seconds(2)
    /// How long a connection without a request may still send one when the worker leaves.
    static let freshGrace = TimeSpan.seconds(1)
    /// Bytes thrown away on a closed connection before it is cut off.
    static let lingerByteCountMax = 8 << 20
    /// Payload that is put into one chunk; with the largest head before it, it fits a large buffer.
    static let chunkPayloadMax = 64 * 1_024
    /// Body bytes that are copied behind a head instead of being sent from where they are.
    static let joinedBodyMax = 4 * 1_024
    /// Room for a rewritten head of the largest size, which may repeat its authority twice.
    static let headScratchByteCount = 4 * HeadLimits().headByteCountMax

    let setup: WorkerSetup
    let epoll: Epoll
    let tallies: Unmanaged<WorkerTallies>

    // Time: read once a turn.
    var now: Instant
    /// The last time that this node was replaced, as far as was acted on.
    var heededDoubt: UInt64 = 0
    var timeouts: TimeoutConfiguration
    var limits = LimitConfiguration()

    // Connections.
    var clients: ConnectionTable<ClientConnection>
    var upstreams: ConnectionTable<UpstreamConnection>
    var timers: TimerWheel
    var buffers = BufferPool()
    /// Connections with more to do in this turn, as event tokens.
    var queue: [UInt64] = []

    // Parsed heads and heads being written: valid within one step only.
    var request = RequestHead()
    var response = ResponseHead()
    let headScratch: UnsafeMutableRawBufferPointer
    let chunkScratch: UnsafeMutableRawBufferPointer

    // Answers of our own and choices by weight.
    var dateText = DateText()
    var generator: SeededGenerator
    var mirrorsInFlight = 0
    var headLimits = HeadLimits()
    /// Bytes of a request body that are taken; more are 413.
    var bodyByteCountMax = UInt64.max

    /// Bytes sent since the sender last looked; for counting only.
    var sentByteCount = 0

    // The configuration in force.
    var listeners: [WorkerListener.Pointer?] = []
    var pools: [UnsafeMutablePointer<WorkerPool>] = []
    var backends: [WorkerBackend.Pointer] = []
    /// The same backends by what they stand for.
    var records: [ObjectIdentifier: WorkerBackend.Pointer] = [:]

    /// Upstream connections in the pools of all backends.
    var idleUpstreamCount = 0
    /// Counts offers to other workers.
    var offerTicket: UInt32 = 0
    /// Where the next look for one to give up begins.
    var evictionCursor = 0
    /// Events that the last wait did not report may be waiting.
    var isBatchFull = false

    // Accepting.
    var acceptResumes = Instant(nanoseconds: 0)
    var isAcceptBlocked = false
    /// Somebody who waits in a line of this worker may find room.
    var linesAreDue = false
    /// Counts turns, so that what happened in the present one is known.
    var turnNumber: UInt32 = 0

    // What the journal is told at the end of the turn.
    var journalChanges: [ClientChange] = []
    /// A report was refused: the journal is owed every open connection.
    var owesJournal = false
    var journalResumes = Instant(nanoseconds: 0)

    /// What the other node is told about connections.
    var shadows = ShadowDesk()
    /// Remembered cookies that the other node should hear of, of this turn.
    var stickyChanges: [StickyChange] = []
    /// When what was learned is made known next.
    var sharingDue = Instant(nanoseconds: 0)

    // Leaving.
    /// New clients are served, but each connection ends with its next response.
    var isSayingFarewell = false
    /// While the addresses move to the peer and back: since when, if so.
    var parting: Parting?
    var isDraining = false
    /// Clients on their way to the other node, as event tokens.
    var frozen: [UInt64] = []
    /// Responses end their connections, except for those that are moved.
    var isParting: Bool { isDraining || isSayingFarewell || parting != nil }
    var drainDeadline = Instant.distantFuture
    var isStopping = false

    /// Names for requests.
    var identities = RequestIdentities()
    /// Lines for the access log.
    var accessDesk: AccessDesk

    // What the log is told about peers.
    var faultLog = LogRateLimiter()
    var rateLog = LogRateLimiter()
    var acceptLog = LogRateLimiter()
    var memoryLog = LogRateLimiter()

    /// Sets up a worker without listeners; the first `adopt` brings them.
    ///
    /// `epoll` watches the mailbox already.
    init(_ setup: WorkerSetup, epoll: consuming Epoll) {
        self.setup = setup
        self.epoll = epoll
        tallies = Unmanaged.passUnretained(setup.tallies)
        now = Clock.now()
        accessDesk = AccessDesk(
            setup.accessLog, worker: setup.index, nodeName: setup.nodeName)
        timeouts = TimeoutConfiguration()
        generator = SeededGenerator(seed: setup.seed ^ UInt64(setup.index))
        clients = ConnectionTable(capacity: setup.connectionMax)
        upstreams = ConnectionTable(capacity: setup.connectionMax)
        timers = TimerWheel(capacity: 2 * setup.connectionMax, now: now)
        headScratch = .allocate(byteCount: Self.headScratchByteCount, alignment: 64)
        chunkScratch = .allocate(
            byteCount: Self.chunkPayloadMax + 2 * ChunkFramer.sizeLineByteCountMax
                + TrailerSection.byteCountMax, alignment: 64)
    }

    deinit {
        headScratch.deallocate()
        chunkScratch.deallocate()
    }

    /// Makes the epoll instance of a worker, which watches its mailbox.
    static func makeEpoll(_ setup: WorkerSetup) throws(Errno) -> Epoll {
        let epoll = try Epoll()
        try epoll.add(
            setup.mailbox.wakeUp.descriptor, .readable,
            token: EventToken(.mailbox, slot: 0, generation: 0).rawValue)
        return epoll
    }

    /// Serves until it is told to stop.
    mutating func run() {
        while !isStopping { turn() }
        settleMoves()
        closeEverything()
        commitShadows()
        accessDesk.buffer.handOver()
    }

    private mutating func turn() {
        let eventCount = waitForEvents()
        now = Clock.now()
        heedLife()
        setup.tallies.lastTurnNanoseconds.store(now.nanoseconds, ordering: .relaxed)
        dispatchAll(eventCount)
        if !queue.isEmpty { runQueue() }
        expireTimers()
        if linesAreDue { serveLines() }
        if isAcceptBlocked { resumeAccepting() }
        if !journalChanges.isEmpty || owesJournal { handOverJournal() }
        if !stickyChanges.isEmpty { handOverSticky() }
        if setup.stickyJournal != nil, now >= sharingDue { shareAverages() }
        if isDraining { checkDrain() }
        if parting != nil || !frozen.isEmpty { tendParting() }
        if shadows.needsTending { tendShadows() }
        setup.tallies.bufferByteCount.store(buffers.attachedByteCount, ordering: .relaxed)
        if buffers.isTrimDue { giveMemoryBack() }
        if accessDesk.buffer.isDue(now: now) { accessDesk.buffer.handOver() }
    }

    /// How long it may wait for events.
    private var turnIntervalMax: TimeSpan {
        guard shadows.needsTending else { return moveTurnSpan(limit: Self.turnIntervalMax) }
        return moveTurnSpan(limit: shadows.waitSpan(now: now))
    }

    private mutating func waitForEvents() -> Int {
        var timeout = TimeSpan.zero
        if queue.isEmpty, !linesAreDue, !isAcceptBlocked || !canResumeAccepting {
            timeout = timers.quietSpan(now: now, limit: turnIntervalMax)
        }
        do {
            return try epoll.wait(timeout: timeout)
        } catch {
            preconditionFailure("epoll_pwait2 failed on a live instance: \(error)")
        }
    }

    /// Deals with the events of one wait, in an order that matters.
    ///
    /// Idle upstream connections come first: one that speaks unasked, or ends, must be gone before
    /// a request of the same batch could be sent on it and its bytes be taken for the answer. Those
    /// with a request come last, so that what they put into the pool has been through a wait
    /// before it is used again.
    private mutating func dispatchAll(_ eventCount: Int) {
        isBatchFull = eventCount == Epoll.eventsPerWaitMax
        turnNumber &+= 1
        for index in 0..<eventCount {
            let (rawValue, events) = epoll.event(at: index)
            let token = EventToken(rawValue: rawValue)
            guard token.kind == .upstream,
                let upstream = upstreams.record(slot: token.slot, generation: token.generation),
                upstream.pointee.phase == .idle
            else { continue }
            upstream.pointee.readiness.note(events)
            checkIdle(upstream)
        }
        for index in 0..<eventCount {
            let (rawValue, events) = epoll.event(at: index)
            let token = EventToken(rawValue: rawValue)
            if token.kind != .upstream { dispatch(token, events) }
        }
        for index in 0..<eventCount {
            let (rawValue, events) = epoll.event(at: index)
            let token = EventToken(rawValue: rawValue)
            guard token.kind == .upstream else { continue }
            dispatch(token, events)
            if shadows.heldCount >= ShadowDesk.heldCountMax { commitShadows() }
        }
    }

    @inline(__always)
    private mutating func dispatch(_ token: EventToken, _ events: EpollEvents) {
        switch token.kind {
        case .client:
            // An event of an earlier connection in the slot finds no record and is dropped.
            guard
                let client = clients.record(slot: token.slot, generation: token.generation)
            else { return }
            client.pointee.readiness.note(events)
            clientIsReady(client)
        case .upstream:
            guard
                let upstream = upstreams.record(slot: token.slot, generation: token.generation)
            else { return }
            upstream.pointee.readiness.note(events)
            upstreamIsReady(upstream)
        case .listener:
            listenerIsReady(slot: token.slot)
        case .mailbox where token.slot == EventToken.shadowChannel.slot:
            shadowChannelIsReady(events)
        case .mailbox:
            obeyMailbox()
        }
    }

    mutating func obeyMailbox() {
        for command in setup.mailbox.drain() { obey(command) }
    }

    private mutating func obey(_ command: WorkerCommand) {
        // Whoever calls may have found the mailbox full. To be asked for a connection is no call:
        // workers whose lines find no room would ask each other without end.
        if case .yieldConnections = command {
            yieldConnections()
            return
        }
        linesAreDue = true
        switch command {
        case .lookForRoom, .yieldConnections: break
        case .adopt(let snapshot, let newSockets): adopt(snapshot, newSockets: newSockets)
        case .sayFarewell: sayFarewell()
        case .beginParting(let moving): beginParting(moving: moving)
        case .moveClients: moveClients()
        case .endParting: parting = nil
        case .adoptClients(let adopted): adoptClients(adopted)
        case .surrender(let order): surrender(order)
        case .openShadowChannel(let grant): openShadowChannel(grant)
        case .closeIdle(let backends): closeIdle(backends)
        case .cut(let backends, let tunnelsToo): cut(backends, tunnelsToo: tunnelsToo)
        case .drain(let deadline): beginDrain(deadline: deadline)
        case .listSessions(let collector): listSessions(for: collector)
        case .stop: isStopping = true
        }
    }

    // MARK: Connections with more to do

    /// Looks at a client again before the next wait.
    mutating func enqueue(_ client: ClientConnection.Pointer) {
        guard !client.pointee.isQueued else { return }
        client.pointee.isQueued = true
        queue.append(
            EventToken(
                .client, slot: clients.slot(of: client),
                generation: clients.generation(of: client)
            ).rawValue)
    }

    /// Looks at an upstream connection again before the next wait.
    mutating func enqueue(_ upstream: UpstreamConnection.Pointer) {
        guard !upstream.pointee.isQueued else { return }
        upstream.pointee.isQueued = true
        queue.append(
            EventToken(
                .upstream, slot: upstreams.slot(of: upstream),
                generation: upstreams.generation(of: upstream)
            ).rawValue)
    }

    /// Gives each listed connection one more turn; those listed meanwhile wait for the next wait.
    private mutating func runQueue() {
        let tokens = queue
        queue = []
        for rawValue in tokens {
            let token = EventToken(rawValue: rawValue)
            switch token.kind {
            case .client:
                guard
                    let client = clients.record(
                        slot: token.slot, generation: token.generation)
                else { continue }
                client.pointee.isQueued = false
                clientIsReady(client)
            case .upstream:
                guard
                    let upstream = upstreams.record(
                        slot: token.slot, generation: token.generation)
                else { continue }
                upstream.pointee.isQueued = false
                upstreamIsReady(upstream)
            case .listener, .mailbox:
                continue
            }
        }
    }

    // MARK: Readiness

    mutating func clientIsReady(_ client: ClientConnection.Pointer) {
        switch client.pointee.phase {
        case .readingProxyHeader: readProxyHeader(client)
        case .opening: watchOpening(client)
        case .waiting, .pausing: watchWaiting(client)
        case .tunnelling: driveTunnel(client)
        case .readingHead: serveHead(client)
        case .moving: break
        case .exchanging: driveExchange(client)
        case .finishing: finishWriting(client)
        case .discarding: discardBody(client)
        case .lingering: lingerOn(client)
        }
    }

    mutating func upstreamIsReady(_ upstream: UpstreamConnection.Pointer) {
        switch upstream.pointee.phase {
        case .connecting: checkConnecting(upstream)
        case .awaitingHead, .relayingBody: driveUpstream(upstream)
        case .idle: checkIdle(upstream)
        case .tunnelling: driveTunnel(upstream)
        case .mirroring: driveMirror(upstream)
        case .dropping: dropAnswer(upstream)
        }
    }

    // MARK: Timers

    @inline(__always)
    mutating func arm(_ client: ClientConnection.Pointer, after span: TimeSpan) {
        timers.arm(clients.slot(of: client), at: now + span)
    }

    @inline(__always)
    mutating func arm(_ upstream: UpstreamConnection.Pointer, after span: TimeSpan) {
        timers.arm(clients.capacity &+ upstreams.slot(of: upstream), at: now + span)
    }

    private mutating func expireTimers() {
        while let number = timers.popExpired(now: now) {
            if number < clients.capacity {
                if let client = clients.record(slot: number) { clientTimedOut(client) }
            } else if let upstream = upstreams.record(slot: number - clients.capacity) {
                upstreamTimedOut(upstream)
            }
        }
    }

    /// Counts for the whole worker.
    @inline(__always)
    func count(_ body: (WorkerTallies) -> Void) {
        tallies._withUnsafeGuaranteedRef(body)
    }
}
