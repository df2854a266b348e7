// SPDX-License-Identifier: Apache-2.0
//
// Goes on with the connections of the node that held some addresses before: makes them again, asks
// their clients where they are, and judges each by its client's answer. Which connections those are
// and who serves them is the owner's.
//
//     made again, asked --- answered -----> judged: handed on, or reset with the number that the
//          |   ^                            client waits for
//          |   | 50, 250 ms
//          +---+
//          | 1 s
//          v
//     judged as silent: handed on when nothing is owed, reset otherwise

import EventLoop
import LinuxIO
import ReplicationCore
import Telemetry
import WireCore

/// The connections of one takeover.
final class AdoptionCampaign: EventHandler {
    /// Connections made before the loop gets its turn: about a millisecond.
    static let madePerTurnMax = 64
    /// Questions sent again before the loop gets its turn.
    static let askedPerTurnMax = 256
    /// Segments read before the loop gets its turn.
    static let overheardPerTurnMax = 512
    /// When those who have not answered are asked again, counted from the first question to the
    /// last of them.
    ///
    /// Packets may be lost, and neighbours learn late where an address is.
    static let repetitions: [TimeSpan] = [.milliseconds(50), .milliseconds(250)]
    /// When those who have not answered are judged as silent.
    static let silenceSpan = TimeSpan.seconds(1)
    /// The longest that a client's repetition is waited for.
    static let expectationMax = TimeSpan.seconds(30)

    /// What a campaign needs of its owner.
    struct Environment {
        var loop: EventLoop
        var sender: any SegmentSending
        var report: AdoptionReport
        var logger: Logger
        /// How long bytes may take that a client must send again.
        var expectationSpan: TimeSpan
        /// Serves connections.
        var handOn: ([AdoptedClient]) -> Void
        /// All connections are made that will be: the kernel may refuse again what it does not
        /// know.
        var allMade: (Set<IPAddress>) -> Void
        /// Ends what this host has of such connections from an earlier time.
        var endExisting: (Set<ClientKey>, Set<IPAddress>) -> Void
        /// Whether a connection without a shadow is to be reset.
        var isDoomed: (ClientKey) -> Bool
    }

    private final class Candidate {
        let shadow: ConnectionShadow
        var socket: FileDescriptor?
        var position: StreamPosition

        init(_ shadow: ConnectionShadow, at position: StreamPosition) {
            self.shadow = shadow
            self.position = position
        }

        func closeSilently() {
            if let socket = socket.take() { ConnectionRepair.closeSilently(socket) }
        }
    }

    private final class Ear {
        let listener: SegmentListener
        var source: EventSource?

        init(_ listener: consuming SegmentListener) {
            self.listener = listener
        }
    }

    let addresses: Set<IPAddress>
    private let takenAt: Instant
    private let environment: Environment
    private var candidates: [Candidate] = []
    private var awaited: [ClientKey: Candidate] = [:]
    private var tunnels: TunnelAdoption?
    private var known: Set<ClientKey> = []
    private var refusedKeys: [ClientKey] = []
    private var existingKeys: Set<ClientKey> = []
    private var next = 0
    private var ears: [Ear] = []
    private var buffer = [UInt8](repeating: 0, count: OverheardSegment.byteCountMax)
    private var segment = TickleSegment()
    private var finished: [AdoptedClient] = []
    private var timers: [TimerID] = []
    private(set) var isOver = false
    private(set) var tally = AdoptionTally()
    /// Called once, when nobody is awaited any more.
    var onOver: () -> Void = {}

    init(
        addresses: Set<IPAddress>, shadows: [ConnectionShadow], takenAt: Instant,
        environment: Environment
    ) {
        self.addresses = addresses
        self.takenAt = takenAt
        self.environment = environment
        tally.known = shadows.count
        addTunnels(shadows.filter { $0.tunnel != nil })
        for shadow in shadows where shadow.tunnel == nil {
            if let position = AdoptionJudge.likelyPosition(shadow) {
                candidates.append(Candidate(shadow, at: position))
                known.insert(shadow.key)
            } else {
                refuse(shadow.key, AdoptionJudge.refusal(shadow) ?? .numbers)
            }
        }
        // Who waits for an answer is served first, then who was opened last: it is the busiest.
        let waiting = candidates.filter { $0.shadow.phase == .asked }
        let idle = candidates.filter { $0.shadow.phase != .asked }
        candidates = waiting + idle.reversed()
    }

    private func addTunnels(_ shadows: [ConnectionShadow]) {
        guard !shadows.isEmpty else { return }
        tunnels = TunnelAdoption(
            shadows,
            environment: TunnelAdoption.Environment(
                ask: { [unowned self] in ask($0, sequence: 0) },
                reset: { [unowned self] in sendReset(to: $0, for: $1) },
                countRefused: { [unowned self] in count($0) },
                countGone: { [unowned self] in countGone() }))
    }

    /// Whether the connection goes on here, as far as is known yet.
    func contains(_ key: ClientKey) -> Bool {
        known.contains(key) || tunnels?.contains(key) ?? false
    }

    /// Connections that turned out not to go on and have no socket here: they are reset like those
    /// without a shadow.
    func takeRefused() -> [ClientKey] {
        defer { refusedKeys = [] }
        return refusedKeys + (tunnels?.takeRefused() ?? [])
    }

    /// Begins.
    func start() {
        if candidates.contains(where: { !$0.shadow.isMoved }) || tunnels?.wantsEars ?? false {
            listen()
        }
        makeSome()
    }

    /// Ends everything: the addresses are the peer's again, and so are the connections.
    func cancel() {
        for candidate in candidates { candidate.closeSilently() }
        tunnels?.cancel()
        awaited = [:]
        end()
    }

    // MARK: - Making

    private func listen() {
        for family in [AddressFamily.ipv4, .ipv6] {
            let own = addresses.union(tunnels?.addresses ?? []).filter { $0.family == family }
            guard !own.isEmpty else { continue }
            do throws(Errno) {
                let ear = Ear(try SegmentListener(family, to: Array(own)))
                ear.source = try environment.loop.add(
                    ear.listener.descriptor, .readable, handler: self)
                ears.append(ear)
            } catch {
                environment.logger.warning(
                    "clients' answers cannot be heard: idle connections go on unasked",
                    ["error": error.description])
            }
        }
    }

    private func makeSome() {
        let end = min(next + Self.madePerTurnMax, candidates.count)
        while next < end {
            make(candidates[next])
            next += 1
        }
        let hasMoreTunnels =
            next == candidates.count
            && tunnels?.makeSome(Self.madePerTurnMax / 2) ?? false
        overhear()
        handOnFinished()
        guard next < candidates.count || hasMoreTunnels else {
            allMade()
            return
        }
        later(.zero) { $0.makeSome() }
    }

    private func make(_ candidate: Candidate) {
        let shadow = candidate.shadow
        guard connect(candidate, at: candidate.position) else {
            refuse(shadow.key, .kernel)
            return
        }
        guard !shadow.isMoved else {
            // Its numbers are exact: nobody needs to be asked.
            conclude(candidate, AdoptionJudge.judgeSilent(shadow), nil)
            return
        }
        awaited[shadow.key] = candidate
        ask(shadow.key, sequence: 0)
    }

    private func connect(_ candidate: Candidate, at position: StreamPosition) -> Bool {
        let key = candidate.shadow.key
        do throws(Errno) {
            candidate.socket = try ConnectionRepair.recreate(
                local: Endpoint(address: key.localAddress, port: key.localPort),
                remote: Endpoint(address: key.remoteAddress, port: key.remotePort),
                candidate.shadow.transport(at: position, now: Clock.now()))
            candidate.position = position
            return true
        } catch {
            return false
        }
    }

    private func allMade() {
        if tally.refused[.kernel] != nil {
            let keys = existingKeys.union(tunnels?.refusedKeys ?? [])
            environment.endExisting(keys, Set(keys.map(\.localAddress)))
        }
        environment.allMade(addresses)
        overhear()
        for (index, span) in Self.repetitions.enumerated() {
            later(span) { campaign in
                let waiting =
                    Array(campaign.awaited.keys) + (campaign.tunnels?.awaitedKeys ?? [])
                // Every second question reaches those whose window lies around the first number.
                campaign.askAgain(waiting[...], index % 2 == 0 ? TickleSegment.otherSequence : 0)
            }
        }
        later(Self.silenceSpan) { $0.concludeSilent() }
        endIfDone()
    }

    private func askAgain(_ keys: ArraySlice<ClientKey>, _ sequence: UInt32) {
        for key in keys.prefix(Self.askedPerTurnMax)
        where awaited[key] != nil || tunnels?.isAwaited(key) ?? false {
            ask(key, sequence: sequence)
        }
        let rest = keys.dropFirst(Self.askedPerTurnMax)
        if !rest.isEmpty { later(.zero) { $0.askAgain(rest, sequence) } }
    }

    private func ask(_ key: ClientKey, sequence: UInt32) {
        segment.address(to: key, sequence: sequence)
        send(to: key)
    }

    /// What does not leave is sent again with the next repetition.
    private func send(to key: ClientKey) {
        _ = try? environment.sender.send(segment.bytes, to: key.remoteAddress)
    }

    // MARK: - Hearing

    func handle(_ events: EpollEvents, from source: EventSource) {
        overhear()
        handOnFinished()
        endIfDone()
    }

    private func overhear() {
        for ear in ears {
            for _ in 0..<Self.overheardPerTurnMax {
                guard let segment = receive(from: ear) else { break }
                take(segment)
            }
        }
    }

    /// - Returns: `nil` when nothing waits; a packet that is no segment is skipped.
    private func receive(from ear: Ear) -> OverheardSegment? {
        while true {
            var byteCount = 0
            let outcome = try? buffer.withUnsafeMutableBytes { bytes in
                try ear.listener.receive(into: bytes)
            }
            guard case .bytes(let count) = outcome else { return nil }
            byteCount = min(count, buffer.count)
            if let heard = OverheardSegment(buffer.span.bytes.extracting(0..<byteCount)) {
                return heard
            }
        }
    }

    private func take(_ heard: OverheardSegment) {
        guard let candidate = awaited[heard.key] else {
            if tunnels?.take(heard) ?? false { return }
            // The kernel may have been silent when it came, or not: a second reset harms nobody.
            guard let answer = heard.answer, environment.isDoomed(heard.key) else { return }
            sendReset(to: heard.key, for: answer)
            return
        }
        if heard.endsConnection {
            awaited[heard.key] = nil
            candidate.closeSilently()
            countGone()
        } else if let answer = heard.answer, !AdoptionJudge.isProbe(answer, of: candidate.shadow) {
            conclude(candidate, AdoptionJudge.judge(candidate.shadow, answer), answer)
        }
    }

    private func sendReset(to key: ClientKey, for answer: ClientAnswer) {
        segment.addressReset(to: key, for: answer)
        send(to: key)
    }

    // MARK: - Judging

    private func concludeSilent() {
        let silent = Array(awaited.values)
        for candidate in silent {
            let verdict = AdoptionJudge.judgeSilent(candidate.shadow)
            if verdict.position != nil {
                tally.silent += 1
                environment.report.silent.add()
            }
            conclude(candidate, verdict, nil)
        }
        tunnels?.concludeSilent()
        handOnFinished()
        endIfDone()
    }

    private func conclude(
        _ candidate: Candidate, _ verdict: AdoptionVerdict, _ answer: ClientAnswer?
    ) {
        awaited[candidate.shadow.key] = nil
        switch verdict {
        case .resume(let position, let expectsBytes):
            var input = AdoptedClient.Input.none
            if case .moved(let unread) = candidate.shadow.phase, !unread.isEmpty {
                input = .unread(unread)
            }
            finish(candidate, position, input, expectsBytes, answer)
        case .reissue(let position, let head, let expectsBytes):
            finish(candidate, position, .reissued(head), expectsBytes, answer)
        case .reset(let reason):
            reset(candidate, reason, answer)
        }
    }

    private func finish(
        _ candidate: Candidate, _ position: StreamPosition, _ input: AdoptedClient.Input,
        _ expectsBytes: Bool, _ answer: ClientAnswer?
    ) {
        if candidate.position != position {
            candidate.closeSilently()
            _ = connect(candidate, at: position)
        }
        guard let socket = candidate.socket.take() else {
            reset(candidate, .kernel, answer)
            return
        }
        let shadow = candidate.shadow
        let key = shadow.key
        var transport = shadow.transport(at: position, now: Clock.now())
        // The word about its clock may be older than it seemed: this node may have been stopped.
        if transport.options.contains(.timestamps),
            let timestamp = answer?.correction(of: transport.timestamp)
        {
            transport.timestamp = timestamp
            try? ConnectionRepair.setTimestamp(socket, timestamp)
        }
        finished.append(
            AdoptedClient(
                socket, local: Endpoint(address: key.localAddress, port: key.localPort),
                remote: Endpoint(address: key.remoteAddress, port: key.remotePort),
                transport: transport, input: input,
                expectsBytesWithin: expectsBytes ? environment.expectationSpan : nil,
                namedClient: shadow.namedClient))
        note(input, expectsBytes, isMoved: shadow.isMoved)
    }

    private func note(_ input: AdoptedClient.Input, _ expectsBytes: Bool, isMoved: Bool) {
        tally.adopted += 1
        environment.report.adopted.add()
        if isMoved { environment.report.moved.add() }
        if case .reissued = input {
            tally.reissued += 1
            environment.report.reissued.add()
        }
        if expectsBytes {
            tally.expected += 1
            environment.report.expected.add()
        }
    }

    private func reset(
        _ candidate: Candidate, _ reason: AdoptionRefusal, _ answer: ClientAnswer?
    ) {
        known.remove(candidate.shadow.key)
        count(reason)
        if let answer {
            sendReset(to: candidate.shadow.key, for: answer)
            candidate.closeSilently()
        } else if let socket = candidate.socket.take() {
            StreamSocket.resetOnClose(socket)
        }
    }

    /// Not even a socket was made.
    private func refuse(_ key: ClientKey, _ reason: AdoptionRefusal) {
        known.remove(key)
        refusedKeys.append(key)
        if reason == .kernel { existingKeys.insert(key) }
        count(reason)
    }

    private func count(_ reason: AdoptionRefusal) {
        tally.refused[reason, default: 0] += 1
        environment.report.countRefused(reason)
    }

    private func countGone() {
        tally.gone += 1
        environment.report.gone.add()
    }

    private func takeTunnels() {
        guard let taken = tunnels?.takeFinished(), !taken.isEmpty else { return }
        finished += taken
        tally.adopted += taken.count
        tally.tunnels += taken.count
        environment.report.adopted.add(UInt64(taken.count))
        environment.report.tunnels.add(UInt64(taken.count))
    }

    private func handOnFinished() {
        takeTunnels()
        guard !finished.isEmpty else { return }
        let now = Clock.now()
        tally.first = tally.first ?? now
        tally.last = now
        environment.handOn(finished)
        finished = []
    }

    // MARK: - Ending

    private func endIfDone() {
        guard !isOver, next == candidates.count, awaited.isEmpty, tunnels?.isOver ?? true else {
            return
        }
        end()
        if tally.known > 0 { log() }
        onOver()
    }

    private func end() {
        isOver = true
        for timer in timers { environment.loop.cancel(timer) }
        timers = []
        for ear in ears {
            if let source = ear.source.take() {
                environment.loop.remove(source, of: ear.listener.descriptor)
            }
        }
        ears = []
    }

    private func later(_ span: TimeSpan, _ body: @escaping (AdoptionCampaign) -> Void) {
        timers.append(
            environment.loop.schedule(after: span) { [weak self] in
                guard let self, !isOver else { return }
                body(self)
            })
    }

    private func log() {
        func after(_ instant: Instant?) -> String {
            instant.map { "\(($0 - takenAt).microseconds)us" } ?? "never"
        }
        environment.logger.info(
            "clients of the peer go on here",
            [
                "known": "\(tally.known)", "adopted": "\(tally.adopted)",
                "tunnels": "\(tally.tunnels)", "reissued": "\(tally.reissued)",
                "expected": "\(tally.expected)",
                "silent": "\(tally.silent)", "gone": "\(tally.gone)",
                "reset": "\(tally.refusedCount)", "reasons": tally.refusals,
                "first": after(tally.first), "last": after(tally.last),
            ])
    }
}
