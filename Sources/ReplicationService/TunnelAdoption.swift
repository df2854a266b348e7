// SPDX-License-Identifier: Apache-2.0
//
// Goes on with the tunnels of the node that held some addresses before: makes both connections of
// each again, asks both ends where they are, and hands both on or resets both. A part of the
// campaign that makes, asks and overhears.
//
//     both made again, both asked --- both answered as told --> handed on as one
//                 |  |
//                 |  +--- any other answer --> reset: whoever has answered at once, with the
//                 |                            number it waits for; the other when it answers
//                 +--- 1 s --> reset
//
// A side that has sent a little more is waited for until it sends that again.

import LinuxIO
import ReplicationCore
import WireCore

/// The tunnels of one takeover.
final class TunnelAdoption {
    /// What it needs of its campaign.
    struct Environment {
        /// Sends a question to an end.
        var ask: (ClientKey, TickleQuestion) -> Void
        /// Sends a reset to an end that has answered.
        var reset: (ClientKey, ClientAnswer) -> Void
        /// Counts tunnels that do not go on.
        var countRefused: (AdoptionRefusal) -> Void
        /// Counts those whose client or backend had given them up.
        var countGone: () -> Void
    }

    private final class Side {
        let key: ClientKey
        let transport: TransportState
        var socket: FileDescriptor?
        var answer: ClientAnswer?

        init(_ key: ClientKey, _ transport: TransportState) {
            self.key = key
            self.transport = transport
        }

        /// Nothing is lost on this side.
        var isAsTold: Bool {
            TunnelJudge.isAsTold(
                answer,
                at: StreamPosition(
                    receive: transport.receiveSequence, send: transport.sendSequence))
        }

        /// Makes the connection again.
        func make() -> MakingOutcome { .make(key, transport, into: &socket) }

        /// What this end is asked.
        func question(isFirst: Bool) -> TickleQuestion {
            isFirst
                ? TickleQuestion(first: transport, sent: transport.sendSequence)
                : TickleQuestion(further: transport, sent: transport.sendSequence)
        }

        func closeSilently() {
            if let socket = socket.take() { ConnectionRepair.closeSilently(socket) }
        }
    }

    private final class Pair {
        let shadow: ConnectionShadow
        let pool: String
        let client: Side
        let backend: Side

        init?(_ shadow: ConnectionShadow, now: Instant) {
            guard let tunnel = shadow.tunnel else { return nil }
            self.shadow = shadow
            pool = tunnel.pool
            client = Side(shadow.key, shadow.transport(at: shadow.position, now: now))
            backend = Side(tunnel.key, tunnel.transport(now: now))
        }

        var sides: [Side] { [client, backend] }
    }

    private let environment: Environment
    private var waiting: [Pair]
    /// Pairs asked and not judged, by the key of each side.
    private var awaited: [ClientKey: Pair] = [:]
    /// Ends that are to hear a reset as soon as they answer.
    private var doomed: Set<ClientKey> = []
    private var known: Set<ClientKey> = []
    private var refusedKeys: [ClientKey] = []
    /// Pairs of which this host has a connection already.
    private var blocked: [Pair] = []
    /// Whoever is blocked now cannot go on.
    var isLastAttempt = false
    private var finished: [AdoptedClient] = []

    init(_ shadows: [ConnectionShadow], environment: Environment) {
        self.environment = environment
        let now = Clock.now()
        waiting = shadows.compactMap { Pair($0, now: now) }
        for pair in waiting { known.formUnion(pair.sides.map(\.key)) }
    }

    /// True when somebody has to be overheard.
    var wantsEars: Bool { waiting.contains { !$0.shadow.isMoved } }

    /// Addresses of this node that answers go to.
    var addresses: Set<IPAddress> {
        Set(waiting.flatMap { $0.sides.map(\.key.localAddress) })
    }

    /// The ends of all connections that are to be made.
    var keys: [ClientKey] { waiting.flatMap { $0.sides.map(\.key) } }

    /// Nobody is to be made, and nobody's answer is awaited.
    var isOver: Bool {
        waiting.isEmpty && blocked.isEmpty && awaited.isEmpty && doomed.isEmpty
    }

    /// Every end that has not answered.
    var awaitedKeys: [ClientKey] {
        awaited.compactMap { key, pair in
            pair.sides.contains { $0.key == key && $0.answer == nil } ? key : nil
        }
    }

    /// Whether the connection goes on here, as far as is known yet; of either end.
    func contains(_ key: ClientKey) -> Bool { known.contains(key) }

    /// Ends that did not hear a reset for certain: they are reset like those without a shadow.
    func takeRefused() -> [ClientKey] {
        defer { refusedKeys = [] }
        return refusedKeys
    }

    /// Those that go on, as long as nobody took them.
    func takeFinished() -> [AdoptedClient] {
        defer { finished = [] }
        return finished
    }

    /// Makes up to so many pairs and asks their ends.
    ///
    /// - Returns: true when there are more.
    func makeSome(_ countMax: Int) -> Bool {
        for pair in waiting.prefix(countMax) { make(pair) }
        waiting.removeFirst(min(countMax, waiting.count))
        return !waiting.isEmpty
    }

    /// What an end is asked again, if it is awaited.
    func furtherQuestion(to key: ClientKey) -> TickleQuestion? {
        awaited[key]?.sides.first { $0.key == key }?.question(isFirst: false)
    }

    /// Those that this host had already are to be made once more.
    ///
    /// - Returns: their ends.
    func retryBlocked() -> [ClientKey] {
        defer { blocked = [] }
        waiting += blocked
        return blocked.flatMap { $0.sides.map(\.key) }
    }

    /// Takes what an end said; false when it is none of these.
    func take(_ heard: OverheardSegment) -> Bool {
        guard let pair = awaited[heard.key] else {
            guard let answer = heard.answer, doomed.remove(heard.key) != nil else { return false }
            environment.reset(heard.key, answer)
            return true
        }
        guard let side = pair.sides.first(where: { $0.key == heard.key }) else { return false }
        if heard.endsConnection {
            side.closeSilently()
            environment.countGone()
            refuse(pair, except: side)
        } else if !side.isAsTold,
            let answer = heard.answer
                ?? heard.repetition(from: side.transport.receiveSequence),
            !answer.isProbe(at: side.transport.receiveSequence)
        {
            side.answer = answer
            conclude(
                pair,
                TunnelJudge.judge(
                    pair.shadow, client: pair.client.answer, backend: pair.backend.answer))
        }
        return true
    }

    /// No more answers come.
    func concludeSilent() {
        // Each is there under the keys of both sides.
        for pair in Array(awaited.values) where awaited[pair.client.key] === pair {
            conclude(pair, TunnelJudge.judgeSilent(pair.shadow))
        }
        doomed = []
    }

    /// Ends everything: the addresses are the peer's again.
    func cancel() {
        for pair in awaited.values { pair.sides.forEach { $0.closeSilently() } }
        for client in finished { Self.closeSilently(client) }
        waiting = []
        blocked = []
        awaited = [:]
        finished = []
        doomed = []
    }

    private static func closeSilently(_ client: AdoptedClient) {
        if let socket = client.takeDescriptor() { ConnectionRepair.closeSilently(socket) }
        if let socket = client.tunnel?.takeDescriptor() {
            ConnectionRepair.closeSilently(socket)
        }
    }

    // MARK: - One pair

    private func make(_ pair: Pair) {
        for side in pair.sides {
            let outcome = side.make()
            guard outcome != .made else { continue }
            pair.sides.forEach { $0.closeSilently() }
            if outcome == .exists, !isLastAttempt {
                blocked.append(pair)
            } else {
                environment.countRefused(.kernel)
                refuse(pair, except: nil)
            }
            return
        }
        for side in pair.sides { awaited[side.key] = pair }
        let verdict = TunnelJudge.judge(pair.shadow, client: nil, backend: nil)
        guard case .wait = verdict else {
            conclude(pair, verdict)
            return
        }
        for side in pair.sides { environment.ask(side.key, side.question(isFirst: true)) }
    }

    private func conclude(_ pair: Pair, _ verdict: TunnelVerdict) {
        switch verdict {
        case .wait: break
        case .resume: finish(pair)
        case .reset(let reason):
            environment.countRefused(reason)
            refuse(pair, except: nil)
        }
    }

    private func finish(_ pair: Pair) {
        for side in pair.sides { awaited[side.key] = nil }
        guard let client = pair.client.socket.take(), let backend = pair.backend.socket.take()
        else { return }
        finished.append(
            AdoptedClient(
                client, local: pair.client.key.localEndpoint,
                remote: pair.client.key.remoteEndpoint, transport: pair.client.transport,
                namedClient: pair.shadow.namedClient,
                tunnel: AdoptedTunnel(
                    backend, local: pair.backend.key.localEndpoint,
                    remote: pair.backend.key.remoteEndpoint, transport: pair.backend.transport,
                    pool: pair.pool)))
    }

    /// Both ends hear a reset, except one that has ended the connection itself.
    ///
    /// RFC 9293 §3.10.7.4: an end that was asked does not answer a reset that is off by a byte for
    /// a while, so it gets one that fits when it has said where it is.
    private func refuse(_ pair: Pair, except ended: Side?) {
        for side in pair.sides {
            awaited[side.key] = nil
            known.remove(side.key)
            side.closeSilently()
            guard side !== ended else { continue }
            if let answer = side.answer {
                environment.reset(side.key, answer)
            } else {
                doomed.insert(side.key)
                refusedKeys.append(side.key)
            }
        }
    }
}
