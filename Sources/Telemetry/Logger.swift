// SPDX-License-Identifier: Apache-2.0
//
// Logging that never blocks the caller: lines go to a bounded queue, one thread writes them.

public import LinuxIO
internal import Synchronization

/// Takes lines from any thread and writes them to a descriptor from a thread of its own.
///
/// A stalled reader of our standard error must not stall the thread that moves an address: lines
/// beyond the queue's limit are dropped and counted, and the count is written later.
public final class LogSink: Sendable {
    /// Bytes that may wait to be written.
    public static let pendingByteCountMax = 1 << 20

    private struct State {
        var pending: [UInt8] = []
        var droppedCount = 0
        var isFlushing = false
    }

    private let format: LogFormat
    private let minimumLevel: LogLevel
    private let output: CInt
    private let wakeUp: WakeUp
    private let state = Mutex(State())

    /// Starts the writing thread.
    ///
    /// - Parameters:
    ///   - format: how lines look.
    ///   - minimumLevel: less grave lines are not made.
    ///   - output: descriptor number to write to, by default standard error.
    /// - Throws: when a descriptor or a thread cannot be had.
    public init(
        format: LogFormat = .logfmt, minimumLevel: LogLevel = .info, output: CInt = 2
    ) throws(Errno) {
        self.format = format
        self.minimumLevel = minimumLevel
        self.output = output
        wakeUp = try WakeUp(blocking: true)
        try KernelThread.start(name: "log") { [self] in writeForEver() }
    }

    func isEnabled(_ level: LogLevel) -> Bool {
        level >= minimumLevel
    }

    func submit(_ line: LogLine) {
        let bytes = Array((line.rendered(as: format) + "\n").utf8)
        let mustWake = state.withLock { state -> Bool in
            guard state.pending.count + bytes.count <= Self.pendingByteCountMax else {
                state.droppedCount += 1
                return false
            }
            let wasEmpty = state.pending.isEmpty
            state.pending += bytes
            return wasEmpty
        }
        if mustWake { wakeUp.signal() }
    }

    /// Waits, at most `attempts` times a millisecond, until all lines are written.
    public func flush(attempts: Int = 500) {
        for _ in 0..<attempts {
            let isIdle = state.withLock { $0.pending.isEmpty && !$0.isFlushing }
            if isIdle { return }
            KernelThread.pause(milliseconds: 1)
        }
    }

    private func writeForEver() {
        while true {
            wakeUp.acknowledge()
            let (batch, dropped) = state.withLock { state in
                defer {
                    state.pending = []
                    state.droppedCount = 0
                    state.isFlushing = true
                }
                return (state.pending, state.droppedCount)
            }
            DescriptorOutput.writeAll(batch, to: output)
            if dropped > 0 {
                let note = "level=warning part=log msg=\"log queue full\" dropped=\(dropped)\n"
                DescriptorOutput.writeAll(Array(note.utf8), to: output)
            }
            state.withLock { $0.isFlushing = false }
        }
    }
}

/// A part's own voice in the log.
public struct Logger: Sendable {
    private let sink: LogSink?
    private let component: String

    /// Speaks as `component` through `sink`; without a sink it is silent, for tests.
    public init(_ component: String, sink: LogSink?) {
        self.component = component
        self.sink = sink
    }

    /// The same sink under another name.
    public func named(_ component: String) -> Logger {
        Logger(component, sink: sink)
    }

    /// Writes one event.
    public func log(
        _ level: LogLevel, _ message: @autoclosure () -> String,
        _ fields: KeyValuePairs<String, String> = [:]
    ) {
        guard let sink, sink.isEnabled(level) else { return }
        sink.submit(
            LogLine(
                wallNanoseconds: Clock.wallNanoseconds(), level: level, component: component,
                message: message(), fields: fields))
    }

    /// For developers.
    public func debug(
        _ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, String> = [:]
    ) {
        log(.debug, message(), fields)
    }

    /// Normal life.
    public func info(
        _ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, String> = [:]
    ) {
        log(.info, message(), fields)
    }

    /// Look at this soon.
    public func warning(
        _ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, String> = [:]
    ) {
        log(.warning, message(), fields)
    }

    /// Look at this now.
    public func error(
        _ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, String> = [:]
    ) {
        log(.error, message(), fields)
    }
}
