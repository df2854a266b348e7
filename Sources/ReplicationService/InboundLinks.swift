// SPDX-License-Identifier: Apache-2.0
//
// The connections the peer dials: which are let in, how many may be unfinished, which one counts.

import ConfigurationCore
import EventLoop
import LinuxIO
import ReplicationCore
import TLSIO
import Telemetry
import WireCore

/// What the connections from the peer tell the pair link.
protocol InboundLinksOwner: AnyObject {
    /// A new link counts from now on; an older one is closed.
    func peerLinkEstablished(_ link: LinkGeneration)
    /// An authenticated frame came on the link that counts.
    func peerLinkReceived(_ message: LinkMessage, on link: LinkGeneration)
    /// The link that counted ended.
    func peerLinkEnded(_ link: LinkGeneration, _ ending: LinkEnding)
}

/// Accepts, filters and holds the peer's connections.
final class InboundLinks: InboundLinkOwner {
    /// Unfinished handshakes kept at once; one more costs the oldest its place, so that somebody
    /// who holds connections open cannot keep the peer out.
    static let pendingMax = 8

    private let loop: EventLoop
    private let settings: PairLinkSettings
    private let identity: LinkIdentity
    private let counters: LinkCounters
    private let logger: Logger
    private var logLimiter = LogRateLimiter()
    private var listener: LinkListener?
    private var pending: [InboundLink] = []
    private var current: InboundLink?
    private var nextGeneration: UInt64 = 1
    private(set) var lastRefusal: LinkRefusal?
    weak var owner: (any InboundLinksOwner)?

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

    /// Closes everything, the listener first.
    func stop() {
        listener?.close()
        listener = nil
        current?.close()
        current = nil
        for link in pending { link.close() }
        pending = []
    }

    /// Takes what has arrived on the link that counts but was not handled yet.
    func readNow() {
        current?.readFrames()
    }

    private func accepted(_ connection: consuming AcceptedConnection) {
        guard connection.peer?.address == .v4(settings.peer.address) else {
            counters.count(.rejectedAddress)
            logRefusal("not the peer's address", from: connection.peer)
            return
        }
        if pending.count >= Self.pendingMax { pending[0].refuse(.tooManyPending) }
        let link = InboundLink(
            connection.takeSocket(), generation: LinkGeneration(number: nextGeneration),
            loop: loop, identity: identity,
            nonce: SecureRandom.bytes(count: LinkProtocol.nonceByteCount), owner: self)
        nextGeneration += 1
        pending.append(link)
        do throws(Errno) {
            try link.start()
        } catch {
            link.refuse(.unspecified)
        }
    }

    // MARK: - From the connections

    func inboundEstablished(_ link: InboundLink) {
        pending.removeAll { $0 === link }
        current?.close()
        current = link
        lastRefusal = nil
        owner?.peerLinkEstablished(link.generation)
    }

    func inboundReceived(_ message: LinkMessage, on link: InboundLink) {
        if case .unknown = message { counters.count(.unknownFramesSkipped) }
        owner?.peerLinkReceived(message, on: link.generation)
    }

    func inboundEnded(_ link: InboundLink, _ ending: LinkEnding) {
        if ending == .fault {
            counters.count(.forgedFrames)
            logRefusal("the connection broke the protocol", from: settings.peerListener)
        }
        if current === link { current = nil }
        owner?.peerLinkEnded(link.generation, ending)
    }

    func inboundFailed(_ link: InboundLink, _ failure: InboundLink.Failure) {
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
