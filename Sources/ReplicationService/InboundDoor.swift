// SPDX-License-Identifier: Apache-2.0
//
// Who may come in at a port of the pair: the listener, the filter by address, and the connections
// whose handshake is not finished. What an established connection is for is its owner's.

import ConfigurationCore
import EventLoop
import LinuxIO
import ReplicationCore
import TLSIO
import Telemetry
import WireCore

/// Accepts and filters the peer's connections.
final class InboundDoor {
    private let loop: EventLoop
    private let settings: PairLinkSettings
    private let identity: LinkIdentity
    private let counters: LinkCounters
    private let logger: Logger
    private var logLimiter = LogRateLimiter()
    private var listener: LinkListener?
    private var pending: [InboundLink] = []
    private var nextGeneration: UInt64 = 1
    private(set) var lastRefusal: LinkRefusal?
    /// Owns the connections; set before ``start()``.
    weak var owner: (any InboundLinkOwner)?

    init(
        loop: EventLoop, settings: PairLinkSettings, identity: LinkIdentity,
        counters: LinkCounters, logger: Logger
    ) {
        self.loop = loop
        self.settings = settings
        self.identity = identity
        self.counters = counters
        self.logger = logger
    }

    /// Begins to listen.
    func start() throws(Errno) {
        listener = try LinkListener(loop: loop, settings: settings) { [weak self] connection in
            self?.accepted(connection)
        }
    }

    /// Closes the listener.
    func closeListener() {
        listener?.close()
        listener = nil
    }

    /// Closes the unfinished connections.
    func closePending() {
        for link in pending { link.close() }
        pending = []
    }

    private func accepted(_ connection: consuming AcceptedConnection) {
        guard let owner else { return }
        guard connection.peer?.address == .v4(settings.peer.address) else {
            counters.count(.rejectedAddress)
            logRefusal("not the peer's address", from: connection.peer)
            return
        }
        if pending.count >= settings.traffic.pendingMax { pending[0].refuse(.tooManyPending) }
        let link = InboundLink(
            connection.takeSocket(), generation: LinkGeneration(number: nextGeneration),
            loop: loop, identity: identity, traffic: settings.traffic,
            nonce: SecureRandom.bytes(count: LinkProtocol.nonceByteCount), owner: owner)
        nextGeneration += 1
        pending.append(link)
        do throws(Errno) {
            try link.start()
        } catch {
            link.refuse(.unspecified)
        }
    }

    /// A connection is established: it is its owner's now.
    func admitted(_ link: InboundLink) {
        pending.removeAll { $0 === link }
        lastRefusal = nil
    }

    /// A connection ended before it was established.
    func failed(_ link: InboundLink, _ failure: InboundLink.Failure) {
        pending.removeAll { $0 === link }
        switch failure {
        case .refused(let refusal):
            counters.count(LinkCounter(refusal))
            lastRefusal = refusal
            logRefusal("\(refusal)", from: settings.peerListener)
        case .forged:
            counters.count(.forgedFrames)
            logRefusal("forged frame", from: settings.peerListener)
        case .endedBeforeHello:
            counters.count(.endedBeforeHello)
        case .endedInHandshake:
            counters.count(.endedInHandshake)
        }
    }

    /// An established connection was closed because of what came on it.
    func brokeProtocol() {
        counters.count(.forgedFrames)
        logRefusal("the connection broke the protocol", from: settings.peerListener)
    }

    private func logRefusal(_ reason: String, from peer: Endpoint?) {
        guard let heldBack = logLimiter.admit(now: loop.now) else { return }
        logger.warning(
            "connection refused",
            [
                "from": peer.map { "\($0.address)" } ?? "unknown", "reason": reason,
                "held_back": "\(heldBack)",
            ])
    }
}
