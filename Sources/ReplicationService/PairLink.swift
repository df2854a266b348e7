// SPDX-License-Identifier: Apache-2.0
//
// The pair link of one node: what the owner sees of it. Belongs to one loop's thread.
//
// Two connections, one per direction: each node dials the other, and the dialler alone writes once
// the handshake is over. So the last thing a dying process sends on its own connection is a FIN,
// never a reset caused by unread bytes, and the end of the stream means what it says.

import ConfigurationCore
public import EventLoop
public import LinuxIO
public import ReplicationCore
public import Telemetry
public import WireCore

/// The link to the other node.
public final class PairLink: InboundLinksOwner {
    /// The shortest time between two heartbeats: the shortest advert interval (RFC 9568 §5.2.7).
    public static let beatIntervalMin = TimeSpan.milliseconds(10)

    private let loop: EventLoop
    private let settings: PairLinkSettings
    private let logger: Logger
    /// What happened so far, by kind.
    public let counters = LinkCounters()
    /// Hears what happens; set before ``start()``.
    public weak var owner: (any PairLinkOwner)?

    private let inbound: InboundLinks
    private let outbound: OutboundLink
    private var watch: PeerWatch?
    private var heartbeatTimer: TimerID?
    private var nextHeartbeatAt = Instant.distantFuture
    /// Time between two heartbeats now; never longer than the configured one.
    private var beatInterval: TimeSpan
    private var timerLateness = TimeSpan.zero
    /// Ups and downs may come often; they must not use up the lines of what matters more.
    private var flapLogLimiter = LogRateLimiter()
    private var verdictLogLimiter = LogRateLimiter(burstCount: 20)
    private var configurationLogLimiter = LogRateLimiter()
    private var isPeerHeard = false
    private var lastHeard: (heartbeat: Heartbeat, at: Instant)?
    private var isConfigurationEqual: Bool?
    /// The peer's last heartbeat that the owner acted on, by the peer's clock.
    private var answeredAt: Instant?

    /// Makes a link that does nothing yet.
    public init(loop: EventLoop, settings: PairLinkSettings, logger: Logger) {
        self.loop = loop
        self.settings = settings
        self.logger = logger
        beatInterval = settings.heartbeatInterval
        let identity = LinkIdentity(
            ownName: settings.own.name, peerName: settings.peer.name, secret: settings.secret,
            cryptography: .openSSL)
        inbound = InboundLinks(
            loop: loop, settings: settings, identity: identity, counters: counters,
            logger: logger)
        outbound = OutboundLink(
            loop: loop, settings: settings, identity: identity, counters: counters,
            logger: logger)
    }

    deinit {
        stop()
    }

    /// Listens, dials and starts to beat.
    ///
    /// - Throws: when the node's own address cannot be bound.
    public func start() throws(Errno) {
        precondition(watch == nil, "the pair link is started once")
        inbound.owner = self
        try inbound.start()
        watch = PeerWatch(
            loop: loop, settings: settings,
            readWaitingFrames: { [weak self] in self?.inbound.readNow() },
            report: { [weak self] event in self?.watchReported(event) })
        if settings.secret == nil {
            logger.warning("the pair link is not authenticated: there is no shared secret")
        }
        outbound.onEstablished = { [weak self] in self?.beat() }
        outbound.start()
        nextHeartbeatAt = loop.now + beatInterval
        scheduleHeartbeat()
    }

    /// Beats more often than configured from now on, or again as configured.
    ///
    /// While this node is Active for a virtual router whose Backup listens to the link too, each
    /// heartbeat stands for an advert there. The peer's own rule, that the link is down after three
    /// intervals of silence, stays with the configured interval: how often a busy node beats beside
    /// that says nothing about the link.
    ///
    /// - Parameter interval: `nil`, and anything longer than the configured interval, means that
    ///   one; anything shorter than ``beatIntervalMin`` means that.
    public func beat(every interval: TimeSpan?) {
        let configured = settings.heartbeatInterval
        let wanted = min(configured, max(interval ?? configured, Self.beatIntervalMin))
        guard wanted != beatInterval else { return }
        beatInterval = wanted
        guard let heartbeatTimer else { return }
        loop.cancel(heartbeatTimer)
        nextHeartbeatAt = min(nextHeartbeatAt, Clock.now() + wanted)
        scheduleHeartbeat()
    }

    /// Sends a heartbeat now, because what it says has changed.
    public func beat() {
        guard case .established = outbound.status, let report = owner?.pairLinkReport() else {
            return
        }
        outbound.send(
            Heartbeat(
                sentAt: Clock.now(), configurationHash: report.configurationHash,
                isDataPlaneHealthy: report.isDataPlaneHealthy, timerLateness: timerLateness,
                routers: report.routers, bootNonce: report.bootNonce, answeredAt: answeredAt))
        timerLateness = .zero
    }

    /// Sends a message of a planned switchover.
    ///
    /// - Returns: false when it was not taken: no connection, or an earlier message still waits.
    public func send(_ message: HandoverMessage) -> Bool {
        outbound.send(message)
    }

    /// Tells the peer that this node has given up its addresses and goes; the link is done.
    public func leave() {
        outbound.leave()
        stop()
    }

    /// Ends the link without a goodbye; the peer takes it for a broken link, not for a death.
    public func stop() {
        outbound.stop()
        inbound.stop()
        watch?.stop()
        heartbeatTimer.map(loop.cancel)
        heartbeatTimer = nil
    }

    /// The link as the operator sees it.
    public var status: LinkStatus {
        LinkStatus(
            peerName: settings.peer.name, isAuthenticated: settings.secret != nil,
            downReason: watch.map(\.downReason) ?? .neverUp, lastHeardAt: lastHeard?.at,
            lastHeartbeat: lastHeard?.heartbeat, isConfigurationEqual: isConfigurationEqual,
            dial: outbound.status, lastInboundRefusal: inbound.lastRefusal)
    }

    // MARK: - Heartbeats

    private func scheduleHeartbeat() {
        heartbeatTimer = loop.schedule(at: nextHeartbeatAt) { [weak self] in
            self?.heartbeatTimerFired()
        }
    }

    private func heartbeatTimerFired() {
        timerLateness = max(timerLateness, loop.now - nextHeartbeatAt)
        // A fixed rate, but no burst after an oversleep.
        nextHeartbeatAt = nextHeartbeatAt + beatInterval
        if nextHeartbeatAt <= loop.now {
            nextHeartbeatAt = loop.now + beatInterval
        }
        scheduleHeartbeat()
        owner?.pairLinkWillBeat()
        beat()
    }

    private func heard(_ heartbeat: Heartbeat) {
        lastHeard = (heartbeat, loop.now)
        counters.count(.heartbeatsReceived)
        if let own = owner?.pairLinkReport().configurationHash {
            compare(own, heartbeat.configurationHash)
        }
        owner?.pairLinkHeard(heartbeat, at: loop.now)
        answeredAt = heartbeat.sentAt
        // It does not know whether it was replaced, and says nothing until it does.
        if heartbeat.routers.contains(where: \.isDoubtful) { beat() }
    }

    private func compare(_ own: UInt64, _ peer: UInt64) {
        let isEqual = own == peer
        defer { isConfigurationEqual = isEqual }
        guard isEqual != isConfigurationEqual else { return }
        if !isEqual {
            log(
                .warning, "the nodes run from different configurations", &configurationLogLimiter)
        } else if isConfigurationEqual != nil {
            log(
                .info, "the nodes run from the same configuration again",
                &configurationLogLimiter)
        }
    }

    // MARK: - From the peer's connections

    func peerLinkEstablished(_ link: LinkGeneration) {
        // Another process there has another clock.
        answeredAt = nil
        watch?.established(link)
        outbound.peerIsThere()
    }

    func peerLinkReceived(_ message: LinkMessage, on link: LinkGeneration) {
        switch message {
        case .heartbeat(let heartbeat):
            watch?.heartbeat(on: link)
            heard(heartbeat)
        case .goodbye:
            watch?.goodbye(on: link)
        case .handover(let message):
            owner?.pairLinkReceived(message, at: loop.now)
        case .unknown:
            break
        }
    }

    func peerLinkEnded(_ link: LinkGeneration, _ ending: LinkEnding) {
        watch?.ended(link, ending)
    }

    private func watchReported(_ event: PeerWatchEvent) {
        switch event {
        case .linkUp:
            isPeerHeard = true
            counters.count(.linkUps)
            log(.info, "the peer is heard", &flapLogLimiter)
            owner?.pairLinkCameUp()
        case .linkDown(let reason):
            // A silent link that ends went down before.
            guard isPeerHeard else { return }
            isPeerHeard = false
            counters.count(.linkDowns)
            owner?.pairLinkWentDown(reason)
            log(.warning, "the peer is not heard", &flapLogLimiter, reason: reason.rawValue)
        case .died:
            counters.count(.deathCertificates)
            owner?.pairLinkPeerProcessDied(at: Clock.now())
            log(
                .warning, "the peer's process is dead: its kernel closed the link and refuses",
                &verdictLogLimiter)
        case .left:
            isPeerHeard = false
            counters.count(.goodbyes)
            owner?.pairLinkPeerLeft(at: Clock.now())
            log(.info, "the peer left", &verdictLogLimiter)
        case .alive:
            counters.count(.probesAlive)
            log(.info, "the peer lives, only the link broke", &verdictLogLimiter)
        case .noVerdict:
            counters.count(.probesWithoutVerdict)
            log(.warning, "the peer does not answer: adverts decide", &verdictLogLimiter)
        case .probing:
            counters.count(.probes)
        }
    }

    private func log(
        _ level: LogLevel, _ message: String, _ limiter: inout LogRateLimiter,
        reason: String = "-"
    ) {
        guard let heldBack = limiter.admit(now: loop.now) else { return }
        logger.log(
            level, message,
            ["peer": settings.peer.name, "reason": reason, "held_back": "\(heldBack)"])
    }
}
