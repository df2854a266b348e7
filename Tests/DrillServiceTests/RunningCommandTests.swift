// SPDX-License-Identifier: Apache-2.0
//
// Shell commands on a loop: output, exit code, time limit, children that outlive them.

import EventLoop
import LinuxIO
import Testing
import WireCore

@testable import DrillService

@Suite struct RunningCommandTests {
    private func run(
        _ command: String, timeout: TimeSpan = .seconds(10)
    ) throws -> (result: CommandResult, took: TimeSpan) {
        let loop = try EventLoop()
        defer { loop.close() }
        var result: CommandResult?
        let start = Clock.now()
        let running = try RunningCommand(command, timeout: timeout, on: loop) { result = $0 }
        #expect(loop.run(until: Clock.now() + .seconds(20)) { result != nil })
        withExtendedLifetime(running) {}
        return (try #require(result), Clock.now() - start)
    }

    @Test func outputAndExitCodeArrive() throws {
        let (result, _) = try run("echo out; echo err >&2; exit 3")
        #expect(result.output == Array("out\n".utf8))
        #expect(result.errorOutput == Array("err\n".utf8))
        #expect(result.ending == .exited(code: 3))
        #expect(!result.isSuccess)
        #expect(result.reason == "ended with code 3")
    }

    @Test func outputBeyondTheBoundIsDroppedWithoutBlockingTheCommand() throws {
        let (result, _) = try run("head -c 3000000 /dev/zero; echo done >&2")
        #expect(result.isSuccess)
        #expect(result.output.count == RunningCommand.outputByteCountMax)
        #expect(result.errorOutput == Array("done\n".utf8))
    }

    @Test func commandBeyondItsTimeIsKilled() throws {
        let (result, took) = try run("cat /dev/zero >/dev/null", timeout: .milliseconds(100))
        #expect(result.ending == nil)
        #expect(result.reason == "did not end in time")
        #expect(took < .seconds(10))
    }

    @Test func childThatKeepsTheOutputOpenIsNotWaitedFor() throws {
        // The pid on the output ends the left-over child in the second command.
        let (result, took) = try run("tail -f /dev/null & echo $!")
        #expect(result.isSuccess)
        #expect(took < .seconds(10))
        let pid = String(decoding: result.output, as: UTF8.self)
        #expect(try run("kill \(pid)").result.isSuccess)
    }

    @Test func signalsOfTheProcessDoNotReachTheCommand() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let signals = try SignalReader([.user1], on: loop) { _ in }
        // With the inherited mask the signal would stay pending and the shell would go on.
        let (result, _) = try run("kill -USR1 $$; echo survived")
        #expect(result.output.isEmpty)
        #expect(result.ending == .killed(signal: 10))
        withExtendedLifetime(signals) {}
    }
}
