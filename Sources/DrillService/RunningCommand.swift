// SPDX-License-Identifier: Apache-2.0
//
// A shell command watched by a loop: bounded output, a time limit, one answer.

internal import EventLoop
internal import LinuxIO
internal import WireCore

/// What a command left behind.
struct CommandResult: Sendable {
    /// `nil` when it was killed at its time limit.
    var ending: ChildProcess.Ending?
    var output: [UInt8]
    var errorOutput: [UInt8]
    var started: Instant
    var startedWallNanoseconds: UInt64

    var isSuccess: Bool { ending == .exited(code: 0) }

    /// Why it failed, for people.
    var reason: String {
        switch ending {
        case nil: "did not end in time"
        case .exited(let code): "ended with code \(code)"
        case .killed(let signal): "was killed by signal \(signal)"
        }
    }
}

/// A command on its way; the loop keeps it until it ends.
final class RunningCommand: EventHandler {
    /// Bytes kept of each output; what exceeds them is read and dropped.
    static let outputByteCountMax = 1 << 20
    private static let readsPerWakeUpMax = 16

    private enum Stream: Int {
        case output
        case errorOutput
        case ending
    }

    private let loop: EventLoop
    private let child: ChildProcess
    private var sources: [EventSource?] = [nil, nil, nil]
    private var timer: TimerID?
    private var result: CommandResult
    private let completion: (CommandResult) -> Void

    /// Starts a command; `completion` is called once, on the loop.
    ///
    /// - Throws: what starting a process reports.
    init(
        _ command: String, timeout: TimeSpan, on loop: EventLoop,
        completion: @escaping (CommandResult) -> Void
    ) throws(Errno) {
        self.loop = loop
        self.completion = completion
        result = CommandResult(
            output: [], errorOutput: [], started: Clock.now(),
            startedWallNanoseconds: Clock.wallNanoseconds())
        child = try ChildProcess.start(shellCommand: command)
        sources[Stream.output.rawValue] = try loop.add(child.output, .readable, handler: self)
        sources[Stream.errorOutput.rawValue] = try loop.add(
            child.errorOutput, .readable, handler: self)
        sources[Stream.ending.rawValue] = try loop.add(child.ending, .readable, handler: self)
        timer = loop.schedule(at: Clock.now() + timeout) { [weak self] in self?.giveUp() }
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        switch sources.firstIndex(of: source).flatMap({ Stream(rawValue: $0) }) {
        case .output: drain(.output)
        case .errorOutput: drain(.errorOutput)
        case .ending: finish()
        case nil: break
        }
    }

    private func giveUp() {
        child.killGroup()
    }

    private func finish() {
        guard let ending = child.reap() else { return }
        // What it wrote last may still wait in the pipes. Its own children may keep them open, so
        // their end is not waited for.
        drain(.output)
        drain(.errorOutput)
        if ending != .killed(signal: 9) { result.ending = ending }
        if let timer { loop.cancel(timer) }
        stop(.output)
        stop(.errorOutput)
        stop(.ending)
        completion(result)
    }

    private func drain(_ stream: Stream) {
        for _ in 0..<Self.readsPerWakeUpMax {
            let bytes: [UInt8]?
            do throws(Errno) {
                bytes =
                    stream == .output
                    ? try child.output.read(upTo: 65_536)
                    : try child.errorOutput.read(upTo: 65_536)
            } catch {
                return stop(stream)
            }
            guard let bytes else { return }
            if bytes.isEmpty { return stop(stream) }
            if stream == .output {
                result.output += bytes.prefix(Self.outputByteCountMax - result.output.count)
            } else {
                result.errorOutput += bytes.prefix(
                    Self.outputByteCountMax - result.errorOutput.count)
            }
        }
    }

    private func stop(_ stream: Stream) {
        guard let source = sources[stream.rawValue] else { return }
        sources[stream.rawValue] = nil
        switch stream {
        case .output: loop.remove(source, of: child.output)
        case .errorOutput: loop.remove(source, of: child.errorOutput)
        case .ending: loop.remove(source, of: child.ending)
        }
    }
}
