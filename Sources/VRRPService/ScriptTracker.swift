// SPDX-License-Identifier: Apache-2.0
//
// One check script: runs it at a fixed rate, at most once at a time, and says how each run ended.
// Waits for nothing: the script's end and its output are descriptors on the loop.

internal import ConfigurationCore
internal import EventLoop
internal import LinuxIO
internal import Telemetry
internal import VRRPCore
internal import WireCore

/// Runs one check script.
final class ScriptTracker: EventHandler {
    /// Bytes kept of what a run writes, for the log; the rest is read and dropped.
    static let outputByteCountMax = 256
    /// Bytes read of one run; what writes more is stopped by a full pipe, and then by its timeout.
    static let outputReadMax = 64 * 1_024
    /// Where a script finds its programs; all else of the node's environment stays here.
    static let searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// A run under way.
    private final class Run {
        let child: ChildProcess
        var ending: EventSource?
        var output: EventSource?
        var errorOutput: EventSource?
        var timeout: TimerID?
        var text: [UInt8] = []
        var readByteCount = 0
        /// Its result is not waited for any more; its end is, so that it can be reaped.
        var isKilled = false

        init(_ child: consuming ChildProcess) {
            self.child = child
        }
    }

    private let script: TrackedScript
    private let loop: EventLoop
    private let logger: Logger
    private let report: (TrackedResult) -> Void
    private var logLimiter = LogRateLimiter()
    private var run: Run?
    private var timer: TimerID?
    private var dueAt = Instant(nanoseconds: 0)

    init(
        script: TrackedScript, loop: EventLoop, logger: Logger,
        report: @escaping (TrackedResult) -> Void
    ) {
        self.script = script
        self.loop = loop
        self.logger = logger
        self.report = report
    }

    /// Runs the script for the first time and goes on.
    func start() {
        dueAt = Clock.now()
        due()
    }

    /// Kills what runs and runs nothing more; the loop keeps this tracker until what ran has ended.
    func stop() {
        if let timer { loop.cancel(timer) }
        timer = nil
        if let run { kill(run) }
    }

    /// Nothing runs, and nothing that was killed is still to be reaped.
    var isOver: Bool { run == nil }

    func handle(_ events: EpollEvents, from source: EventSource) {
        guard let run else { return }
        switch source {
        case run.output: read(run, isError: false)
        case run.errorOutput: read(run, isError: true)
        case run.ending: ended(run)
        default: break
        }
    }

    // MARK: Running

    private func due() {
        let now = Clock.now()
        // A fixed rate, but no burst after a delay.
        dueAt = max(dueAt + script.interval, now)
        timer = loop.schedule(at: dueAt) { [weak self] in self?.due() }
        // Its end could not be watched.
        if let run, run.ending == nil, run.child.reap() != nil { forget(run) }
        guard run == nil else {
            // A killed process that cannot die, for example on a dead file server.
            if run?.isKilled == true { tell(isGood: false, "the last run cannot be ended") }
            return
        }
        launch(now: now)
    }

    private func launch(now: Instant) {
        do throws(Errno) {
            let run = Run(
                try ChildProcess.start(
                    command: script.command,
                    environment: [Self.searchPath, "LANG=C", "TANDEM_TRACKER=\(script.name)"]))
            self.run = run
            do throws(Errno) {
                run.ending = try loop.add(run.child.ending, .readable, handler: self)
                run.output = try loop.add(run.child.output, .readable, handler: self)
                run.errorOutput = try loop.add(run.child.errorOutput, .readable, handler: self)
            } catch {
                kill(run)
                stopReading(run, isError: false)
                stopReading(run, isError: true)
                if run.child.reap() != nil { forget(run) }
                throw error
            }
            run.timeout = loop.schedule(at: now + script.timeout) { [weak self] in
                self?.timedOut(run)
            }
        } catch {
            failed("cannot be started: \(error)", output: [])
        }
    }

    private func timedOut(_ run: Run) {
        kill(run)
        failed("no end within \(script.timeout)", output: run.text)
    }

    private func kill(_ run: Run) {
        if let timeout = run.timeout { loop.cancel(timeout) }
        run.timeout = nil
        run.isKilled = true
        run.child.killGroup()
    }

    private func ended(_ run: Run) {
        read(run, isError: false)
        read(run, isError: true)
        // What it left running in its group goes with it; its number is its own until it is reaped.
        run.child.killGroup()
        guard let ending = run.child.reap() else { return }
        forget(run)
        guard !run.isKilled else { return }
        switch ending {
        case .exited(0): tell(isGood: true, "")
        case .exited(let code): failed("exit \(code)", output: run.text)
        case .killed(let signal): failed("killed by signal \(signal)", output: run.text)
        }
    }

    private func forget(_ run: Run) {
        if let timeout = run.timeout { loop.cancel(timeout) }
        run.timeout = nil
        stopReading(run, isError: false)
        stopReading(run, isError: true)
        if let source = run.ending { loop.remove(source, of: run.child.ending) }
        run.ending = nil
        self.run = nil
    }

    // MARK: Output

    private func read(_ run: Run, isError: Bool) {
        guard (isError ? run.errorOutput : run.output) != nil else { return }
        while run.readByteCount < Self.outputReadMax {
            let bytes =
                isError
                ? try? run.child.errorOutput.read(upTo: 4_096)
                : try? run.child.output.read(upTo: 4_096)
            guard let bytes else { return }
            if bytes.isEmpty { break }
            run.readByteCount += bytes.count
            run.text += bytes.prefix(Self.outputByteCountMax - run.text.count)
        }
        stopReading(run, isError: isError)
    }

    private func stopReading(_ run: Run, isError: Bool) {
        if isError {
            if let source = run.errorOutput { loop.remove(source, of: run.child.errorOutput) }
            run.errorOutput = nil
        } else {
            if let source = run.output { loop.remove(source, of: run.child.output) }
            run.output = nil
        }
    }

    // MARK: Telling

    private func failed(_ reason: String, output: [UInt8]) {
        tell(isGood: false, reason)
        guard let heldBack = logLimiter.admit(now: Clock.now()) else { return }
        logger.warning(
            "check script \(script.name) failed: \(reason)",
            ["output": Self.firstLine(of: output), "held_back": String(heldBack)])
    }

    private func tell(isGood: Bool, _ detail: String) {
        report(TrackedResult(TrackerIdentity(.script, script.name), isGood: isGood, detail: detail))
    }

    /// The first line that says anything, without what a terminal would obey.
    static func firstLine(of output: [UInt8]) -> String {
        let line =
            output.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }).first ?? []
        return String(
            decoding: line.map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 }, as: UTF8.self)
    }
}
