// SPDX-License-Identifier: Apache-2.0
//
// Asks the witness on the LAN at a fixed rate and says which questions were answered. How many of
// them count is decided in VRRPCore.

internal import ConfigurationCore
internal import EventLoop
internal import LinuxIO
internal import NetlinkIO
internal import VRRPCore
internal import WireCore

/// Asks one neighbour whether it is there, by ARP or neighbour solicitation.
protocol WitnessProbe: AnyObject {
    /// Called for every answer of the neighbour.
    var onAnswer: ((HardwareAddress) -> Void)? { get set }
    /// Asks once.
    ///
    /// - Returns: false when the question could not be sent.
    func probe() -> Bool
    /// Takes the probe off its loop.
    func close()
}

extension NeighborProbe: WitnessProbe {}

/// Keeps asking the witness.
final class GatewayTracker {
    /// An answer that takes longer is none, however rarely is asked.
    static let answerTimeMax = TimeSpan.seconds(1)
    /// At most one attempt in this time to open a socket that was refused.
    static let reopenDelay = TimeSpan.seconds(1)

    /// Makes the probe on an interface as it is now.
    typealias Opening = (NetworkLink) throws(Errno) -> any WitnessProbe

    private let gateway: TrackedGateway
    private let loop: EventLoop
    private let open: Opening
    private let report: (TrackedResult) -> Void
    private var link: NetworkLink?
    private var probe: (any WitnessProbe)?
    private var timer: TimerID?
    private var openedAt: Instant?
    /// When the unanswered question was asked.
    private var askedAt: Instant?

    init(
        gateway: TrackedGateway, loop: EventLoop, open: @escaping Opening,
        report: @escaping (TrackedResult) -> Void
    ) {
        self.gateway = gateway
        self.loop = loop
        self.open = open
        self.report = report
    }

    /// Begins to ask.
    func start() {
        ask()
    }

    /// Asks no more.
    func stop() {
        if let timer { loop.cancel(timer) }
        timer = nil
        closeProbe()
    }

    /// The interface is another one, has another MAC, or is gone; the probe names both.
    func update(link: NetworkLink?) {
        if link?.index != self.link?.index || link?.hardwareAddress != self.link?.hardwareAddress {
            closeProbe()
            openedAt = nil
        }
        self.link = link
    }

    // MARK: Asking

    private var answerTime: TimeSpan { min(gateway.interval, Self.answerTimeMax) }

    private func ask() {
        openIfNeeded()
        // The present, not the turn's begin: what a late loop finds waiting must still count.
        let now = Clock.now()
        askedAt = now
        timer = loop.schedule(at: now + answerTime) { [weak self] in self?.answerTimePassed() }
        if let probe, probe.probe() { return }
        askedAt = nil
        if let timer { loop.cancel(timer) }
        tell(isGood: false, probe == nil ? "its interface cannot be used" : "cannot ask it")
        scheduleNext(after: now + gateway.interval)
    }

    private func answerTimePassed() {
        let now = Clock.now()
        guard let askedAt else {
            scheduleNext(after: now)
            return
        }
        // Timers come before descriptors: after a stall of this thread the answer may be waiting.
        if now - askedAt > answerTime.multiplied(by: 2) {
            self.askedAt = now
            timer = loop.schedule(at: now) { [weak self] in self?.answerTimePassed() }
            return
        }
        self.askedAt = nil
        tell(isGood: false, "no answer")
        scheduleNext(after: askedAt + gateway.interval)
    }

    private func answered() {
        guard let askedAt else { return }
        self.askedAt = nil
        tell(isGood: true, "")
        if let timer { loop.cancel(timer) }
        scheduleNext(after: askedAt + gateway.interval)
    }

    private func scheduleNext(after deadline: Instant) {
        timer = loop.schedule(at: deadline) { [weak self] in self?.ask() }
    }

    private func tell(isGood: Bool, _ detail: String) {
        report(TrackedResult(gateway.identity, isGood: isGood, detail: detail))
    }

    // MARK: The socket

    private func openIfNeeded() {
        guard probe == nil, let link else { return }
        let now = Clock.now()
        if let openedAt, now - openedAt < Self.reopenDelay { return }
        openedAt = now
        probe = try? open(link)
        probe?.onAnswer = { [weak self] _ in self?.answered() }
    }

    private func closeProbe() {
        probe?.close()
        probe = nil
        askedAt = nil
    }
}
