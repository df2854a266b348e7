// SPDX-License-Identifier: Apache-2.0
//
// The course of a drill: steady, fault, observe, restore, again. Written as one sequence; the loop
// turns while a step waits.

internal import EventLoop
internal import LinuxIO
internal import WireCore

/// Runs a drill on a loop and collects its runs.
final class DrillSession {
    /// Traffic without a failure for this long is steady.
    static let steadyTime = TimeSpan.seconds(1)
    /// A probe that is open for longer than this is not counted on.
    static let openLimit = TimeSpan.milliseconds(250)
    /// How long a pair may take to become steady.
    static let settleLimit = TimeSpan.seconds(60)
    /// How long a command may run.
    static let commandTimeLimit = TimeSpan.seconds(120)
    /// What is kept of the time before the fault.
    static let leadTime = TimeSpan.seconds(1)

    /// Why a drill stopped early.
    struct Failure: Error {
        let reason: String
    }

    private let options: DrillOptions
    private let loop: EventLoop
    private let load: LoadGenerator
    private let progress: any DrillProgress
    private var random: SeededGenerator
    private var isInterrupted = false
    /// The fault was injected and not yet repaired.
    private var needsRestore = false
    private(set) var results: [RunResult] = []

    init(_ options: DrillOptions, on loop: EventLoop, progress: any DrillProgress) {
        self.options = options
        self.loop = loop
        self.progress = progress
        load = LoadGenerator(options, on: loop)
        random = SeededGenerator(seed: options.seed)
    }

    /// Ends the drill as soon as possible; the pair is still repaired.
    func interrupt() {
        isInterrupted = true
    }

    /// Does all runs.
    func run() throws(Failure) {
        load.start()
        defer { load.stop() }
        do throws(Failure) {
            progress.step("waiting for a steady state", run: 1)
            try waitUntilPaired()
            try settle()
            for number in 1...options.runs { try runOnce(number) }
        } catch {
            if needsRestore {
                progress.step("restoring", run: results.count)
                isInterrupted = false
                _ = try? command(options.restoreCommand, "restore")
            }
            throw error
        }
    }

    private func runOnce(_ number: Int) throws(Failure) {
        let phase = random.span(upTo: options.advertInterval)
        progress.step("waiting for the phase", run: number)
        wait(phase) { false }
        try checkInterrupted()

        progress.step("injecting the fault", run: number)
        load.forgetRecords(before: SignedTime.earlier(Clock.now(), by: Self.leadTime))
        for client in load.clients { client.beginObservation(at: Clock.now()) }
        needsRestore = true
        let fault = try injectFault()

        progress.step("observing", run: number)
        let hasResumed = observe(fault.instant)
        let end = Clock.now()
        var result = RunResult(
            number: number, phase: phase, faultWallNanoseconds: fault.wallNanoseconds)
        if hasResumed {
            result.outage = OutageFinder.find(
                in: load.records, fault: fault.instant, window: options.duration)
        }
        for record in load.records where record.scheduled >= fault.instant {
            result.probes.add(record)
            result.ownLateness = max(result.ownLateness, record.ownLateness)
        }
        result.keepAlive = load.clients.map { $0.record(fault: fault.instant, now: end) }
        result.points = RunPoints.select(
            load.records, fault: fault.instant, outage: result.outage)
        if let statusCommand = options.statusCommand {
            let nodes = StatusDocument.read(try command(statusCommand, nil).output)
            result.failover =
                PairStatus.failover(in: nodes, faultWallNanoseconds: fault.wallNanoseconds)
                ?? FailoverTimes()
        }
        results.append(result)
        progress.finished(result, of: options.runs)
        try checkInterrupted()

        progress.step("restoring", run: number)
        _ = try command(options.restoreCommand, "restore")
        needsRestore = false
        try waitUntilPaired()
        try settle()
    }

    private func checkInterrupted() throws(Failure) {
        if isInterrupted { throw Failure(reason: "interrupted") }
    }

    // MARK: Steps

    private struct Fault {
        var instant: Instant
        var wallNanoseconds: UInt64
    }

    private func injectFault() throws(Failure) -> Fault {
        let result = try command(options.faultCommand, "fault")
        let now = Clock.now()
        let wallNow = Clock.wallNanoseconds()
        if let wall = FaultTime.read(result.output), wall <= wallNow,
            wallNow - wall <= (now - result.started).nanoseconds
        {
            let age = TimeSpan(nanoseconds: wallNow - wall)
            return Fault(
                instant: SignedTime.earlier(now, by: age),
                wallNanoseconds: wall)
        }
        return Fault(
            instant: result.started, wallNanoseconds: result.startedWallNanoseconds)
    }

    /// Waits until traffic is back and every client's fate is known.
    ///
    /// - Returns: whether traffic is back.
    private func observe(_ fault: Instant) -> Bool {
        let remaining = (fault + options.observationMax) - Clock.now()
        wait(remaining) {
            let now = Clock.now()
            return isSteady(since: fault, now: now) && now - fault >= options.duration
                && load.clients.allSatisfy { $0.isResolved(since: fault) }
        }
        return isSteady(since: fault, now: Clock.now())
    }

    /// No failure of a probe that was due in the last second, none open for long, answers coming.
    private func isSteady(since start: Instant, now: Instant) -> Bool {
        guard now - start >= Self.steadyTime,
            let success = load.lastSuccessScheduled, now - success <= Self.openLimit
        else { return false }
        if let failure = load.lastFailureScheduled, now - failure < Self.steadyTime {
            return false
        }
        if let open = load.oldestUndecided, now - open > Self.openLimit { return false }
        return true
    }

    private func settle() throws(Failure) {
        let start = Clock.now()
        var lastRenewal = Instant(nanoseconds: 0)
        wait(Self.settleLimit) {
            let now = Clock.now()
            if now - lastRenewal >= .milliseconds(100) {
                load.renewClients()
                lastRenewal = now
            }
            return isSteady(since: start, now: now) && load.areClientsReady
        }
        try checkInterrupted()
        guard isSteady(since: start, now: Clock.now()), load.areClientsReady else {
            throw Failure(
                reason: "traffic to \(options.target.url) did not become steady within "
                    + "\(Self.settleLimit): \(unsteadiness)")
        }
    }

    private var unsteadiness: String {
        var counts = ProbeCounts()
        for record in load.records.suffix(options.ratePerSecond) { counts.add(record) }
        let ready = load.clients.count { $0.isReady }
        let outcomes = ProbeOutcome.allCases.filter { counts[$0] > 0 }
            .map { "\(counts[$0]) \($0.name)" }.joined(separator: ", ")
        return "last probes: \(outcomes.isEmpty ? "none decided" : outcomes); "
            + "\(ready) of \(options.keepAliveClients) keep-alive clients answered"
    }

    private func waitUntilPaired() throws(Failure) {
        guard let statusCommand = options.statusCommand else { return }
        let deadline = Clock.now() + Self.settleLimit
        var isPaired = false
        while !isPaired {
            try checkInterrupted()
            guard Clock.now() < deadline else {
                throw Failure(
                    reason: "the status command did not report two paired nodes within "
                        + "\(Self.settleLimit)")
            }
            let result = try command(statusCommand, nil)
            isPaired = result.isSuccess && PairStatus.isPaired(StatusDocument.read(result.output))
            if !isPaired { wait(.milliseconds(100)) { false } }
        }
    }

    // MARK: Waiting

    private func wait(_ limit: TimeSpan, until condition: () -> Bool) {
        _ = loop.run(until: Clock.now() + limit) { isInterrupted || condition() }
    }

    /// Runs a command to its end; with a name, a failure ends the drill.
    private func command(_ text: String, _ name: String?) throws(Failure) -> CommandResult {
        var result: CommandResult?
        let running: RunningCommand
        do throws(Errno) {
            running = try RunningCommand(text, timeout: Self.commandTimeLimit, on: loop) {
                result = $0
            }
        } catch {
            throw Failure(reason: "cannot start '\(text)': \(error)")
        }
        // The command ends by itself or at its own limit.
        _ = loop.run(until: .distantFuture) { result != nil }
        withExtendedLifetime(running) {}
        guard let result else { throw Failure(reason: "'\(text)' vanished") }
        guard name == nil || result.isSuccess else {
            let words = String(decoding: result.errorOutput.prefix(2_000), as: UTF8.self)
            throw Failure(
                reason: "the \(name ?? "") command '\(text)' \(result.reason)\n\(words)")
        }
        return result
    }
}

/// The line a fault command may print to date the injection.
enum FaultTime {
    /// The number of the last `fault_at_wall_ns=N` line.
    static func read(_ output: [UInt8]) -> UInt64? {
        let key = Array("fault_at_wall_ns=".utf8)
        for line in output.split(separator: 0x0A).reversed() where line.starts(with: key) {
            let digits = line.dropFirst(key.count).prefix { (0x30...0x39).contains($0) }
            guard let text = String(validating: digits, as: UTF8.self) else { continue }
            if let number = UInt64(text) { return number }
        }
        return nil
    }
}

/// Which probes the plots show.
enum RunPoints {
    /// Shown before the fault.
    static let before = TimeSpan.milliseconds(100)
    /// Shown after traffic was back.
    static let after = TimeSpan.milliseconds(150)
    /// Points kept per run.
    static let countMax = 4_000

    static func select(
        _ records: [ProbeRecord], fault: Instant, outage: Outage?
    ) -> [ProbePoint] {
        let start = SignedTime.earlier(fault, by: before)
        let end = fault + (outage?.firstAnswer ?? .seconds(30)) + after
        let shown = records.filter { $0.scheduled >= start && $0.scheduled <= end }
        return shown.sorted { $0.scheduled < $1.scheduled }.prefix(countMax).map { record in
            ProbePoint(
                offsetNanoseconds: SignedTime.difference(record.scheduled, fault),
                latency: record.latency, outcome: record.outcome)
        }
    }
}
