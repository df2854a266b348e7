// SPDX-License-Identifier: Apache-2.0
//
// The access log as a whole: where its lines go, the one thread that writes them, and what is
// counted. Workers never wait for it.

public import LinuxIO
internal import Synchronization
public import WireCore

/// Where lines go.
public enum AccessLogDestination: Hashable, Sendable {
    /// The standard error stream.
    case standardError
    /// A file, appended to; made with mode 0640 when it does not exist.
    case file(String)
}

/// Writes the lines of all workers.
public final class AccessLog: Sendable {
    /// How long `stop` waits for lines to be written.
    public static let stopTimeMax = TimeSpan.seconds(2)

    /// How long workers may hand over lines after `close`.
    static let closeDelay = TimeSpan.seconds(1)

    struct State {
        /// A target that the writing thread has not taken over yet.
        var nextTarget: AccessLogTarget?
        /// The destination is to be closed once workers have heard of it.
        var mustClose = false
        var isRunning = false
        var isStopping = false
    }

    let state = Mutex(State())
    let lanes: [AccessLogLane]
    let wakeUp: WakeUp
    let logger: Logger
    /// Writes that failed.
    let failures = Counter()
    private let hasEnded = Atomic<Bool>(true)
    /// The raw value of the format, or `noFormat`.
    private let formatCell = Atomic<UInt8>(AccessLog.noFormat)
    private static let noFormat = UInt8.max

    /// Prepares a log for so many workers; nothing is opened or started yet.
    ///
    /// - Throws: when no descriptor can be had.
    public init(workerCount: Int, logger: Logger) throws(Errno) {
        self.logger = logger
        lanes = (0..<workerCount).map { _ in AccessLogLane() }
        wakeUp = try WakeUp()
    }

    func lane(_ index: Int) -> AccessLogLane { lanes[index] }

    /// The form of the lines to write; `nil` while there is no destination.
    public var format: AccessLogFormat? {
        AccessLogFormat(rawValue: formatCell.load(ordering: .relaxed))
    }

    /// Opens a destination anew and writes there from the next chunk on.
    ///
    /// Workers are to be told to look at `format` again.
    ///
    /// - Throws: why it cannot be opened; the present one stays in use then.
    public func open(
        _ destination: AccessLogDestination, format: AccessLogFormat
    ) throws(Errno) {
        let target = try AccessLogTarget(destination)
        let mustStart = state.withLock { state in
            state.nextTarget = target
            state.mustClose = false
            defer { state.isRunning = true }
            return !state.isRunning
        }
        if mustStart {
            hasEnded.store(false, ordering: .relaxed)
            do throws(Errno) {
                try KernelThread.start(name: "access-log") { [self] in
                    var writer = AccessLogWriter(self)
                    writer.run()
                    hasEnded.store(true, ordering: .releasing)
                }
            } catch {
                state.withLock { $0.isRunning = false }
                hasEnded.store(true, ordering: .relaxed)
                throw error
            }
        }
        formatCell.store(format.rawValue, ordering: .relaxed)
        wake()
    }

    /// Writes what workers still hand over, for `closeDelay`, and closes the destination.
    public func close() {
        formatCell.store(Self.noFormat, ordering: .relaxed)
        state.withLock { $0.mustClose = true }
        wake()
    }

    /// Writes what waits, as far as the destination takes it in `stopTimeMax`, and ends the thread.
    ///
    /// A thread that hangs in a write to a stalled terminal or pipe is left behind.
    public func stop() {
        state.withLock { $0.isStopping = true }
        wake()
        let deadline = Clock.now() + Self.stopTimeMax
        while !hasEnded.load(ordering: .acquiring), Clock.now() < deadline {
            KernelThread.pause(milliseconds: 1)
        }
    }

    func wake() {
        wakeUp.signal()
    }

    /// Lines that were handed over to be written.
    public var lineCount: UInt64 { lanes.reduce(0) { $0 &+ $1.lineCount } }

    /// Lines that were lost: the writer had not caught up, or could not write before the end.
    public var droppedLineCount: UInt64 { lanes.reduce(0) { $0 &+ $1.droppedLineCount } }
}

extension AccessLog: MetricSource {
    /// Writes the numbers of this moment in Prometheus form.
    public func collect(into text: inout MetricsText) {
        text.add(
            "tandem_access_log_lines_total", .counter,
            help: "Lines handed over to the access log's writer.", Double(lineCount))
        text.add(
            "tandem_access_log_dropped_total", .counter,
            help: "Access log lines lost because they could not be written in time.",
            Double(droppedLineCount))
        text.add(
            "tandem_access_log_write_errors_total", .counter,
            help: "Writes to the access log that failed and were tried again.",
            Double(failures.value))
    }
}

/// An open destination.
final class AccessLogTarget: Sendable {
    let descriptor: FileDescriptor
    /// Others write to it too: pieces must be whole lines that the kernel takes at once.
    let isShared: Bool

    init(_ destination: AccessLogDestination) throws(Errno) {
        switch destination {
        case .standardError:
            descriptor = try FileDescriptor.standardError()
            isShared = true
        case .file(let path):
            // Clients' addresses are nobody's business but the operator's group's.
            descriptor = try FileDescriptor.appending(toPath: path, mode: 0o640)
            isShared = false
        }
    }
}
