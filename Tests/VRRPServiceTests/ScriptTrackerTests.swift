// SPDX-License-Identifier: Apache-2.0
//
// Goal: a check script can neither delay nor outlive nor flood the node, and its ending is told as
// it was. Method: real processes on one loop; every wait has a deadline.

import ConfigurationCore
import EventLoop
import Glibc
import LinuxIO
import Telemetry
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

/// One script on a loop of its own.
private final class ScriptBench {
    let loop: EventLoop
    let tracker: ScriptTracker
    private(set) var results: [TrackedResult] = []

    init(
        _ command: [String], interval: TimeSpan = .milliseconds(20),
        timeout: TimeSpan = .seconds(5)
    ) throws {
        loop = try EventLoop()
        var report: (TrackedResult) -> Void = { _ in }
        tracker = ScriptTracker(
            script: TrackedScript(
                name: "probe", command: command, interval: interval, timeout: timeout),
            loop: loop, logger: Logger("track", sink: nil)
        ) { report($0) }
        report = { [unowned self] in results.append($0) }
    }

    deinit {
        loop.close()
    }

    /// Leaves no process behind, not even a dead one.
    func stop() {
        tracker.stop()
        #expect(loop.poll { tracker.isOver })
    }

    func first(_ count: Int) -> [TrackedResult] {
        tracker.start()
        #expect(loop.poll { self.results.count >= count })
        stop()
        return Array(results.prefix(count))
    }
}

@Suite struct ScriptTrackerTests {
    static let identity = TrackerIdentity(.script, "probe")

    @Test(
        arguments: [
            (["/bin/true"], true, ""), (["/bin/false"], false, "exit 1"),
            (["/bin/sh", "-c", "exit 7"], false, "exit 7"),
            (["/bin/sh", "-c", "kill -TERM $$"], false, "killed by signal 15"),
            (["/nonexistent/check"], false, "cannot be started: no such file or directory"),
            (["/etc/passwd"], false, "cannot be started: permission denied"),
        ])
    func theEndingIsTheResult(_ command: [String], _ isGood: Bool, _ detail: String) throws {
        let bench = try ScriptBench(command)
        let wanted = TrackedResult(Self.identity, isGood: isGood, detail: detail)
        #expect(bench.first(3) == [wanted, wanted, wanted])
    }

    @Test func arguments() throws {
        let bench = try ScriptBench(["/usr/bin/test", "a b", "=", "a b"])
        #expect(bench.first(1).first?.isGood == true, "no shell splits words")
    }

    @Test func nothingOfTheNodesEnvironmentReachesTheScript() throws {
        setenv("TANDEM_TEST_SECRET", "hidden", 1)
        let check = """
            test -z "$TANDEM_TEST_SECRET" && test "$TANDEM_TRACKER" = probe && \
            test "$(env | wc -l)" -le 7
            """
        let bench = try ScriptBench(["/bin/sh", "-c", check])
        #expect(bench.first(1).first?.isGood == true)
    }

    @Test func aRunThatTakesTooLongIsKilledWithItsGroup() throws {
        let directory = "/tmp/tandem-script-\(ProcessLimits.processID)"
        mkdir(directory, 0o700)
        defer {
            unlink(directory + "/pid")
            rmdir(directory)
        }
        let bench = try ScriptBench(
            ["/bin/sh", "-c", "/bin/sleep 600 & echo $! > \(directory)/pid; wait"],
            interval: .seconds(60), timeout: .milliseconds(300))
        let begin = Clock.now()
        #expect(
            bench.first(1)
                == [TrackedResult(Self.identity, isGood: false, detail: "no end within 300ms")])
        #expect(Clock.now() - begin < .seconds(3))
        let child = try #require(try Self.number(in: directory + "/pid"))
        #expect(bench.loop.poll { kill(child, 0) != 0 || Self.isZombie(child) })
    }

    @Test func whatAScriptLeavesBehindEndsWithIt() throws {
        let directory = "/tmp/tandem-orphan-\(ProcessLimits.processID)"
        mkdir(directory, 0o700)
        defer {
            unlink(directory + "/pid")
            rmdir(directory)
        }
        let bench = try ScriptBench(
            ["/bin/sh", "-c", "/bin/sleep 600 & echo $! > \(directory)/pid; exit 0"],
            interval: .seconds(60))
        #expect(bench.first(1) == [TrackedResult(Self.identity, isGood: true)])
        let child = try #require(try Self.number(in: directory + "/pid"))
        #expect(bench.loop.poll { kill(child, 0) != 0 || Self.isZombie(child) })
    }

    /// A script that is slower than its interval runs alone: runs never pile up.
    @Test func atMostOneRunAtATime() throws {
        let directory = "/tmp/tandem-alone-\(ProcessLimits.processID)"
        mkdir(directory, 0o700)
        defer {
            rmdir(directory + "/lock")
            rmdir(directory)
        }
        let check =
            "/bin/mkdir \(directory)/lock || exit 9; /bin/sleep 0.1; /bin/rmdir \(directory)/lock"
        let bench = try ScriptBench(["/bin/sh", "-c", check], interval: .milliseconds(10))
        #expect(bench.first(5).allSatisfy { $0.isGood })
    }

    /// It is stopped by the full pipe and ends at its timeout; the loop stays free meanwhile.
    @Test func aFloodOfOutputDoesNotKeepTheLoopBusy() throws {
        let bench = try ScriptBench(
            ["/usr/bin/yes"], interval: .seconds(60), timeout: .milliseconds(300))
        bench.tracker.start()
        var turns = 0
        let end = Clock.now() + .milliseconds(200)
        while Clock.now() < end {
            _ = bench.loop.run(until: Clock.now() + .milliseconds(1)) { false }
            turns += 1
        }
        #expect(turns > 20)
        #expect(bench.loop.poll { !bench.results.isEmpty })
        bench.stop()
        #expect(bench.results.first?.detail == "no end within 300ms")
    }

    @Test func stoppingKillsAndReapsWhatRuns() throws {
        let bench = try ScriptBench(["/bin/sleep", "600"], interval: .seconds(60))
        bench.tracker.start()
        #expect(!bench.tracker.isOver)
        bench.stop()
        #expect(bench.results.isEmpty)
    }

    @Test(
        arguments: [
            ("", ""), ("one\ntwo\n", "one"), ("\n\r\n late\n", " late"), ("a\u{1B}[2Jb", "a [2Jb"),
            ("no end", "no end"),
        ])
    func theFirstLineIsWhatIsLogged(_ output: String, _ line: String) {
        #expect(ScriptTracker.firstLine(of: Array(output.utf8)) == line)
    }

    private static func number(in path: String) throws -> pid_t? {
        let text = String(
            decoding: try FileSystem.read(path: path, byteCountMax: 100), as: UTF8.self)
        return pid_t(text.filter(\.isNumber))
    }

    /// Killed, and waiting for a process that adopts it to look.
    private static func isZombie(_ process: pid_t) -> Bool {
        let bytes = (try? FileSystem.read(path: "/proc/\(process)/stat", byteCountMax: 1_000)) ?? []
        return String(decoding: bytes, as: UTF8.self).contains(") Z ")
    }
}
