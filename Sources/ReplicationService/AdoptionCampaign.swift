// SPDX-License-Identifier: Apache-2.0
//
// Goes on with the connections of the node that held some addresses before: makes them again, asks
// their clients where they are, and judges each by its client's answer. Which connections those are
// and who serves them is the owner's.
//
//     made again, asked --- answered -----> judged: handed on, or reset with the number that the
//          |   ^                            client waits for
//          |   | 50, 100, 250, 500 ms
//          +---+
//          | 1 s
//          v
//     judged as silent: handed on when nothing is owed, reset otherwise
//
// What this host has of a connection from an earlier time is ended first, without a word: the
// kernel would not make it a second time, and nobody may hear of the old one.
//
//     this node's workers have it --- surrendered ---> made
//     the kernel has it nevertheless --- surrendered, then ended in the kernel ---> made, or reset

import EventLoop
import LinuxIO
import ReplicationCore
import Telemetry
import WireCore

/// The connections of one takeover.
final class AdoptionCampaign {
    /// Connections made before the loop gets its turn: about a millisecond.
    static let madePerTurnMax = 64
    /// Idle clients asked in the same turn: what a client says before its connection is made is
    /// lost, what it says before it was asked is not.
    static let askedWhileMakingMax = 16
    /// Questions sent before the loop gets its turn, once all are made.
    static let askedPerTurnMax = 256
    /// When those who have not answered are asked again, counted from the first question to the
    /// last of them.
    ///
    /// Packets may be lost, neighbours learn late where an address is, and a client that was asked
    /// by another node half a second ago answers only the further questions.
    static let repetitions: [TimeSpan] = [
        .milliseconds(50), .milliseconds(100), .milliseconds(250), .milliseconds(500),
    ]
    /// When those who have not answered are judged as silent.
    static let silenceSpan = TimeSpan.seconds(1)
    /// The longest that a client's repetition is waited for.
    static let expectationMax = TimeSpan.seconds(30)
    /// How often it is asked whether workers have let go of connections.
    static let surrenderPause = TimeSpan.milliseconds(1)
    /// How long that is waited for: longer than a worker waits to know whose they are.
    static let surrenderPatience = TimeSpan.milliseconds(500)

    /// What is done about connections that this host still has.
    private enum Clearing {
        /// Workers end what they have.
        case surrendering
        /// Workers were asked about those whom the kernel refused.
        case surrenderingAgain
        /// The kernel ended them.
        case ended
    }

    let addresses: Set<IPAddress>
    private let takenAt: Instant
    private let environment: Environment
    private var candidates: [AdoptionCandidate] = []
    private var awaited: [ClientKey: AdoptionCandidate] = [:]
    /// Those that were made and not asked, first the oldest.
    private var unasked: ArraySlice<AdoptionCandidate> = []
    private var tunnels: TunnelAdoption?
    private var known: Set<ClientKey> = []
    private var refusedKeys: [ClientKey] = []
    /// Refused ones that are asked until they say which reset fits.
    private var doomed: [ClientKey: TickleQuestion] = [:]
    /// Those that the kernel has already.
    private var blocked: [AdoptionCandidate] = []
    private var clearing = Clearing.surrendering
    private var isSurrendered: () -> Bool = { true }
    private var surrenderEnd = Instant(nanoseconds: 0)
    private var next = 0
    private let ears: AdoptionEars
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
        ears = AdoptionEars(environment.loop)
        tally.known = shadows.count
        addTunnels(shadows.filter { $0.tunnel != nil })
        for shadow in shadows where shadow.tunnel == nil { add(shadow) }
        // Who waits for an answer is served first, then who was opened last: it is the busiest.
        // Workers need a moment to let go of what they have.
        let free = candidates.filter { !$0.isHeldHere }
        let waiting = free.filter { $0.shadow.phase == .asked }
        let idle = free.filter { $0.shadow.phase != .asked }
        candidates = waiting + idle.reversed() + candidates.filter(\.isHeldHere)
    }

    private func add(_ shadow: ConnectionShadow) {
        guard let position = AdoptionJudge.likelyPosition(shadow) else {
            refuse(shadow, AdoptionJudge.refusal(shadow) ?? .numbers)
            return
        }
        candidates.append(
            AdoptionCandidate(
                shadow, at: position, isHeldHere: environment.holding(shadow.key) != .none))
        known.insert(shadow.key)
    }

    private func addTunnels(_ shadows: [ConnectionShadow]) {
        guard !shadows.isEmpty else { return }
        tunnels = TunnelAdoption(
            shadows,
            environment: TunnelAdoption.Environment(
                ask: { [unowned self] in ask($0, $1) },
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
        let isAsking = !doomed.isEmpty || candidates.contains { !$0.shadow.isMoved }
        if isAsking || tunnels?.wantsEars ?? false {
            ears.onReadable = { [unowned self] in heard() }
            ears.open(to: addresses.union(tunnels?.addresses ?? []), logger: environment.logger)
        }
        let held =
            candidates.filter(\.isHeldHere).map(\.key)
            + (tunnels?.keys.filter { environment.holding($0) != .none } ?? [])
        surrender(Set(held))
        makeSome()
    }

    /// Ends everything: the addresses are the peer's again, and so are the connections.
    func cancel() {
        for candidate in candidates { candidate.closeSilently() }
        tunnels?.cancel()
        awaited = [:]
        unasked = []
        doomed = [:]
        end()
    }

    // MARK: - Making

    private func makeSome() {
        let end = min(next + Self.madePerTurnMax, candidates.count)
        while next < end, !candidates[next].isHeldHere || mayMakeHeld {
            make(candidates[next])
            next += 1
        }
        askSome(Self.askedWhileMakingMax)
        var hasMoreTunnels = false
        if next == candidates.count, let tunnels {
            hasMoreTunnels = !mayMakeHeld || tunnels.makeSome(Self.madePerTurnMax / 2)
        }
        overhear()
        handOnFinished()
        guard next < candidates.count || hasMoreTunnels || clearBlocked() else { return allMade() }
        later(mayMakeHeld ? .zero : Self.surrenderPause) { $0.makeSome() }
    }

    private func make(_ candidate: AdoptionCandidate) {
        switch candidate.make() {
        case .made: break
        case .exists where clearing != .ended:
            blocked.append(candidate)
            return
        case .exists, .refused:
            refuse(candidate.shadow, .kernel)
            return
        }
        guard !candidate.shadow.isMoved else {
            // Its numbers are exact: nobody needs to be asked.
            conclude(candidate, AdoptionJudge.judgeSilent(candidate.shadow), nil)
            return
        }
        awaited[candidate.key] = candidate
        if candidate.shadow.phase == .asked {
            ask(candidate.key, candidate.question(isFirst: true))
        } else {
            unasked.append(candidate)
        }
    }

    // MARK: - What this host still has

    /// Whether workers have let go of what they had, or take too long.
    private var mayMakeHeld: Bool { isSurrendered() || Clock.now() >= surrenderEnd }

    private func surrender(_ keys: Set<ClientKey>) {
        guard !keys.isEmpty else { return }
        isSurrendered = environment.surrender(keys)
        surrenderEnd = Clock.now() + Self.surrenderPatience
    }

    /// Does something about those whom the kernel refused because it has them; they come once more.
    ///
    /// - Returns: false when nobody is left.
    private func clearBlocked() -> Bool {
        let current = blocked.filter { environment.holding($0.key) == .current }
        for candidate in current {
            // A connection that is served here is younger than its shadow.
            known.remove(candidate.key)
            tally.outdated += 1
            environment.report.outdated.add()
        }
        blocked.removeAll { environment.holding($0.key) == .current }
        let keys = Set(blocked.map(\.key)).union(tunnels?.retryBlocked() ?? [])
        guard !keys.isEmpty else { return false }
        switch clearing {
        case .surrendering:
            clearing = .surrenderingAgain
            surrender(keys)
        case .surrenderingAgain, .ended:
            clearing = .ended
            tunnels?.isLastAttempt = true
            environment.endExisting(keys, Set(keys.map(\.localAddress)))
        }
        for candidate in blocked { candidate.isHeldHere = true }
        candidates += blocked
        blocked = []
        return true
    }

    // MARK: - Asking

    private func allMade() {
        environment.allMade(addresses)
        askRest()
    }

    /// Asks those who were not asked, as many as is good for a turn of the loop.
    private func askSome(_ countMax: Int) {
        for candidate in unasked.prefix(countMax) where awaited[candidate.key] != nil {
            ask(candidate.key, candidate.question(isFirst: true))
        }
        unasked = unasked.dropFirst(countMax)
    }

    private func askRest() {
        askSome(Self.askedPerTurnMax)
        heard()
        guard !isOver else { return }
        guard unasked.isEmpty else { return later(.zero) { $0.askRest() } }
        allAsked()
    }

    private func allAsked() {
        for span in Self.repetitions {
            later(span) { campaign in
                let waiting =
                    Array(campaign.awaited.keys) + (campaign.tunnels?.awaitedKeys ?? [])
                    + Array(campaign.doomed.keys)
                campaign.askAgain(waiting[...])
            }
        }
        later(Self.silenceSpan) { $0.concludeSilent() }
        endIfDone()
    }

    private func askAgain(_ keys: ArraySlice<ClientKey>) {
        for key in keys.prefix(Self.askedPerTurnMax) {
            let question =
                awaited[key]?.question(isFirst: false) ?? doomed[key]
                ?? tunnels?.furtherQuestion(to: key)
            if let question { ask(key, question) }
        }
        let rest = keys.dropFirst(Self.askedPerTurnMax)
        if !rest.isEmpty { later(.zero) { $0.askAgain(rest) } }
    }

    private func ask(_ key: ClientKey, _ question: TickleQuestion) {
        segment.address(to: key, question)
        send(to: key)
    }

    /// What does not leave is sent again with the next repetition.
    private func send(to key: ClientKey) {
        _ = try? environment.sender.send(segment.bytes, to: key.remoteAddress)
    }

    // MARK: - Hearing

    private func heard() {
        overhear()
        handOnFinished()
        endIfDone()
    }

    private func overhear() {
        ears.overhear { take($0) }
    }

    private func take(_ heard: OverheardSegment) {
        guard let candidate = awaited[heard.key] else {
            if tunnels?.take(heard) ?? false { return }
            let isRefused = doomed.removeValue(forKey: heard.key) != nil
            // The kernel may have been silent when it came, or not: a second reset harms nobody.
            guard let answer = heard.answer, isRefused || environment.isDoomed(heard.key) else {
                return
            }
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
        doomed = [:]
        handOnFinished()
        endIfDone()
    }

    private func conclude(
        _ candidate: AdoptionCandidate, _ verdict: AdoptionVerdict, _ answer: ClientAnswer?
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
        _ candidate: AdoptionCandidate, _ position: StreamPosition, _ input: AdoptedClient.Input,
        _ expectsBytes: Bool, _ answer: ClientAnswer?
    ) {
        candidate.move(to: position)
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
                socket, local: key.localEndpoint, remote: key.remoteEndpoint,
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
        _ candidate: AdoptionCandidate, _ reason: AdoptionRefusal, _ answer: ClientAnswer?
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
    private func refuse(_ shadow: ConnectionShadow, _ reason: AdoptionRefusal) {
        known.remove(shadow.key)
        refusedKeys.append(shadow.key)
        doomed[shadow.key] = TickleQuestion(
            further: shadow.transport(at: shadow.position, now: Clock.now()),
            sent: shadow.deliveredSequence)
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
        guard !isOver, next == candidates.count, blocked.isEmpty, awaited.isEmpty,
            doomed.isEmpty, tunnels?.isOver ?? true
        else { return }
        end()
        if tally.known > 0 { tally.log(environment.logger, since: takenAt) }
        onOver()
    }

    private func end() {
        isOver = true
        for timer in timers { environment.loop.cancel(timer) }
        timers = []
        ears.close()
    }

    private func later(_ span: TimeSpan, _ body: @escaping (AdoptionCampaign) -> Void) {
        timers.append(
            environment.loop.schedule(after: span) { [weak self] in
                guard let self, !isOver else { return }
                body(self)
            })
    }
}
