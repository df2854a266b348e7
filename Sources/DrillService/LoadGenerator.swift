// SPDX-License-Identifier: Apache-2.0
//
// Open-loop load: new connections at fixed times, whatever became of earlier ones, and keep-alive
// clients. Records what happened; judges nothing.

internal import EventLoop
internal import HTTPCore
internal import LinuxIO
internal import WireCore

/// Sends probes at a fixed rate and keeps their records.
final class LoadGenerator {
    /// Probes in flight at once; further ones are recorded as unsent.
    static let inFlightMax = 32_768
    /// Records kept; the oldest half goes when there are more.
    static let recordsMax = 400_000
    /// Probes started per timer, so that a late loop catches up without starving answers.
    static let startsPerTimerMax = 64
    /// How long a decided probe waits for the other end to close first.
    static let drainTime = TimeSpan.milliseconds(500)

    let loop: EventLoop
    let target: DrillTarget
    let probeTimeout: TimeSpan
    let keepAliveInterval: TimeSpan
    let probeRequest: [UInt8]
    let keepAliveRequest: [UInt8]
    /// What every response is parsed with; one for all, as its slots are large.
    var responseHead = ResponseHead()

    private let probeInterval: TimeSpan
    private let clientCount: Int
    private var nextDue = Instant.distantFuture
    private var nextNumber: UInt64 = 0
    private var inFlight: [UInt64: Probe] = [:]
    private var deadlines = TimerQueue<UInt64>()
    private var isRunning = false

    /// Decided probes since `forgetRecords`, in the order they were decided.
    private(set) var records: [ProbeRecord] = []
    private(set) var clients: [KeepAliveClient] = []
    /// When the latest failed probe was due.
    private(set) var lastFailureScheduled: Instant?
    /// When the latest successful probe was due.
    private(set) var lastSuccessScheduled: Instant?

    init(_ options: DrillOptions, on loop: EventLoop) {
        self.loop = loop
        target = options.target
        probeTimeout = options.probeTimeout
        keepAliveInterval = options.keepAliveInterval
        probeInterval = options.probeInterval
        clientCount = options.keepAliveClients
        let head = "GET \(target.path) HTTP/1.1\r\nHost: \(target.endpoint)\r\n"
        let agent = "User-Agent: tandem-drill\r\n"
        probeRequest = Array((head + agent + "Connection: close\r\n\r\n").utf8)
        keepAliveRequest = Array((head + agent + "\r\n").utf8)
    }

    func start() {
        isRunning = true
        nextDue = Clock.now() + probeInterval
        arm()
        loop.schedule(after: .milliseconds(10)) { [weak self] in self?.sweep() }
    }

    func stop() {
        isRunning = false
        for probe in inFlight.values { probe.close() }
        inFlight = [:]
        for client in clients { client.close() }
        clients = []
    }

    /// Replaces keep-alive clients that were lost; spreads the requests over the interval.
    func renewClients() {
        clients.removeAll { $0.isLost }
        while clients.count < clientCount {
            let share = UInt64(clients.count + 1)
            let offset = keepAliveInterval.multiplied(by: share).divided(
                by: UInt64(clientCount + 1))
            do throws(Errno) {
                clients.append(
                    try KeepAliveClient(
                        firstDue: Clock.now() + .milliseconds(5) + offset, load: self))
            } catch {
                return
            }
        }
    }

    var areClientsReady: Bool {
        clients.count == clientCount && clients.allSatisfy(\.isReady)
    }

    /// When the oldest probe that is not decided yet was due.
    var oldestUndecided: Instant? {
        inFlight.values.lazy.filter { !$0.isDecided }.map(\.scheduled).min()
    }

    func forgetRecords(before instant: Instant) {
        records.removeAll { $0.scheduled < instant }
    }

    // MARK: Probes

    private func arm() {
        guard isRunning else { return }
        loop.schedule(at: nextDue) { [weak self] in self?.startDue() }
    }

    private func startDue() {
        guard isRunning else { return }
        let now = Clock.now()
        for _ in 0..<Self.startsPerTimerMax where nextDue <= now {
            startProbe(due: nextDue)
            nextDue = nextDue + probeInterval
        }
        arm()
    }

    private func startProbe(due: Instant) {
        guard inFlight.count < Self.inFlightMax else { return record(due, .unsent) }
        let number = nextNumber
        nextNumber &+= 1
        do throws(Errno) {
            inFlight[number] = try Probe(number: number, scheduled: due, load: self)
            _ = deadlines.schedule(at: due + probeTimeout, number)
        } catch {
            record(due, ProbeOutcome(error))
        }
    }

    func decided(_ probe: Probe, _ outcome: ProbeOutcome) {
        record(probe.scheduled, outcome, probe.ownLateness)
        _ = deadlines.schedule(at: Clock.now() + Self.drainTime, probe.number)
    }

    func drained(_ probe: Probe) {
        probe.close()
        inFlight[probe.number] = nil
    }

    /// Ends probes that took too long, and decided ones whose other end does not close.
    private func sweep() {
        guard isRunning else { return }
        let now = Clock.now()
        while let due = deadlines.popDue(now: now) {
            guard let probe = inFlight[due.payload] else { continue }
            if !probe.isDecided { record(probe.scheduled, .timedOut, probe.ownLateness) }
            drained(probe)
        }
        loop.schedule(after: .milliseconds(10)) { [weak self] in self?.sweep() }
    }

    private func record(
        _ scheduled: Instant, _ outcome: ProbeOutcome, _ ownLateness: TimeSpan = .zero
    ) {
        if records.count >= Self.recordsMax { records.removeFirst(Self.recordsMax / 2) }
        records.append(
            ProbeRecord(
                scheduled: scheduled, completed: Clock.now(), outcome: outcome,
                ownLateness: ownLateness))
        if outcome == .answered {
            lastSuccessScheduled = max(lastSuccessScheduled ?? scheduled, scheduled)
        } else {
            lastFailureScheduled = max(lastFailureScheduled ?? scheduled, scheduled)
        }
    }
}
