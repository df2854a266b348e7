// SPDX-License-Identifier: Apache-2.0
//
// Goal: lines reach the file whole and in order, whatever the file does, and no producer waits.
// Method: threads that write numbered lines, a FIFO nobody reads, a full device, renamed files.

import Glibc
import LinuxIO
import Synchronization
import Telemetry
import Testing
import WireCore

/// A directory of its own for one test.
private final class Folder {
    let path: String

    init() throws {
        path = "/tmp/tandem-access-log-\(RandomBytes.seed())"
        try FileSystem.makeDirectory(path: path)
    }

    deinit {
        for name in ["log", "log.1", "fifo"] { try? FileSystem.remove(path: "\(path)/\(name)") }
        _ = try? shell("rmdir \(path)")
    }

    func lines(_ name: String) throws -> [String] {
        let content = try FileSystem.read(path: "\(path)/\(name)", byteCountMax: 64 << 20)
        #expect(content.isEmpty || content.last == UInt8(ascii: "\n"))
        return String(decoding: content, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

extension AccessLogBuffer {
    /// Writes one line of text; false when it was dropped.
    fileprivate mutating func write(_ text: String) -> Bool {
        guard let room = room() else { return false }
        let bytes = Array((text + "\n").utf8)
        room.copyBytes(from: bytes)
        commit(byteCount: bytes.count, now: Clock.now())
        return true
    }

    fileprivate mutating func expectWrite(_ text: String) {
        let isWritten = write(text)
        #expect(isWritten)
    }
}

/// Runs a command; true when it succeeded.
private func shell(_ command: String) throws -> Bool {
    let child = try ChildProcess.start(shellCommand: command)
    var ending: ChildProcess.Ending?
    _ = eventually {
        ending = child.reap()
        return ending != nil
    }
    return ending == .exited(code: 0)
}

private func eventually(_ condition: () -> Bool) -> Bool {
    let deadline = Clock.now() + .seconds(20)
    while !condition() {
        guard Clock.now() < deadline else { return false }
        KernelThread.pause(milliseconds: 1)
    }
    return true
}

@Suite(.serialized) struct AccessLogTests {
    @Test func manyLinesOfTwoWorkersArriveWholeAndInOrder() throws {
        let folder = try Folder()
        let log = try AccessLog(workerCount: 2, logger: Logger("test", sink: nil))
        try log.open(.file(folder.path + "/log"), format: .json)
        let lineCount = 50_000
        var threads: [KernelThread.Handle] = []
        for worker in 0..<2 {
            threads.append(
                try KernelThread.start(name: "producer") {
                    var buffer = AccessLogBuffer(log, worker: worker)
                    let filler = String(repeating: "x", count: 180)
                    var number = 0
                    while number < lineCount {
                        // Here a producer may wait: nothing is to be lost.
                        if buffer.write("\(worker) \(number) \(filler)") {
                            number += 1
                        } else {
                            KernelThread.pause(milliseconds: 1)
                        }
                    }
                    buffer.handOver()
                })
        }
        for thread in threads { thread.join() }
        log.stop()
        var next = [0, 0]
        let lines = try folder.lines("log")
        #expect(lines.count == 2 * lineCount)
        for line in lines {
            let parts = line.split(separator: " ")
            let worker = try #require(Int(parts[0]))
            guard parts.count == 3, parts[2].count == 180, Int(parts[1]) == next[worker] else {
                Issue.record("torn or out of order: \(line)")
                break
            }
            next[worker] += 1
        }
        #expect(next == [lineCount, lineCount])
        #expect(log.lineCount == UInt64(2 * lineCount))
        #expect(try FileSystem.permissions(path: folder.path + "/log").mode & 0o007 == 0)
    }

    @Test func linesAreDroppedAndCountedWhileNobodyReads() throws {
        let folder = try Folder()
        let path = folder.path + "/fifo"
        #expect(try shell("mkfifo \(path)"))
        let log = try AccessLog(workerCount: 1, logger: Logger("test", sink: nil))
        // Without a reader it cannot be opened, and nobody hangs in the attempt.
        #expect(throws: Errno(code: 6)) { try log.open(.file(path), format: .json) }
        let reader = FileDescriptor(owning: open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC))
        try log.open(.file(path), format: .json)
        var buffer = AccessLogBuffer(log, worker: 0)
        let filler = String(repeating: "y", count: 990)
        var written: [Int] = []
        let began = Clock.now()
        for number in 0..<2_000 where buffer.write("\(number) \(filler)") {
            written.append(number)
        }
        buffer.handOver()
        #expect(Clock.now() - began < .seconds(5))
        let dropped = 2_000 - written.count
        #expect(dropped > 1_000)
        #expect(log.droppedLineCount == UInt64(dropped))
        // Somebody reads at last: what was kept comes, line by line.
        var content: [UInt8] = []
        #expect(
            eventually {
                while let piece = try? reader.read(upTo: 65_536), !piece.isEmpty {
                    content += piece
                }
                return content.count { $0 == UInt8(ascii: "\n") } == written.count
            })
        let lines = String(decoding: content, as: UTF8.self).split(separator: "\n")
        #expect(lines.map { Int($0.split(separator: " ")[0]) } == written)
        #expect(lines.allSatisfy { $0.hasSuffix(" " + filler) })
        log.stop()
    }

    @Test func movedFileIsLeftAndANewOneBegun() throws {
        let folder = try Folder()
        let path = folder.path + "/log"
        let log = try AccessLog(workerCount: 1, logger: Logger("test", sink: nil))
        try log.open(.file(path), format: .json)
        var buffer = AccessLogBuffer(log, worker: 0)
        buffer.expectWrite("before")
        buffer.handOver()
        #expect(eventually { (try? folder.lines("log")) == ["before"] })
        #expect(try shell("mv \(path) \(path).1"))
        buffer.expectWrite("between")
        buffer.handOver()
        #expect(eventually { (try? folder.lines("log.1")) == ["before", "between"] })
        try log.open(.file(path), format: .json)
        #expect(eventually { (try? folder.lines("log")) == [] })
        buffer.expectWrite("after")
        buffer.handOver()
        log.stop()
        #expect(try folder.lines("log") == ["after"])
        #expect(try folder.lines("log.1") == ["before", "between"])
    }

    @Test func destinationThatCannotBeOpenedLeavesThePresentOne() throws {
        let folder = try Folder()
        let log = try AccessLog(workerCount: 1, logger: Logger("test", sink: nil))
        #expect(log.format == nil)
        try log.open(.file(folder.path + "/log"), format: .combined)
        #expect(throws: Errno.isDirectory) { try log.open(.file(folder.path), format: .json) }
        #expect(throws: Errno.noSuchFile) {
            try log.open(.file(folder.path + "/none/log"), format: .json)
        }
        #expect(log.format == .combined)
        var buffer = AccessLogBuffer(log, worker: 0)
        buffer.expectWrite("still here")
        buffer.handOver()
        log.close()
        #expect(log.format == nil)
        #expect(eventually { (try? folder.lines("log")) == ["still here"] })
        log.stop()
    }

    @Test func fullDeviceIsTriedAgainAndGivenUpAtTheEnd() throws {
        let folder = try Folder()
        let log = try AccessLog(workerCount: 1, logger: Logger("test", sink: nil))
        try log.open(.file("/dev/full"), format: .json)
        var buffer = AccessLogBuffer(log, worker: 0)
        buffer.expectWrite("one")
        buffer.handOver()
        var text = MetricsText()
        #expect(
            eventually {
                text = MetricsText()
                log.collect(into: &text)
                return !text.rendered.contains("tandem_access_log_write_errors_total 0")
            })
        // Another file takes over what waits.
        try log.open(.file(folder.path + "/log"), format: .json)
        #expect(eventually { (try? folder.lines("log")) == ["one"] })
        try log.open(.file("/dev/full"), format: .json)
        buffer.expectWrite("two")
        buffer.handOver()
        let began = Clock.now()
        log.stop()
        #expect(Clock.now() - began < AccessLog.stopTimeMax + .seconds(5))
        #expect(eventually { log.droppedLineCount == 1 })
    }

    private func expectDue(_ isDue: Bool, _ wanted: Bool) {
        #expect(isDue == wanted)
    }

    @Test func linesWaitNoLongerThanTheLimit() throws {
        let log = try AccessLog(workerCount: 1, logger: Logger("test", sink: nil))
        var buffer = AccessLogBuffer(log, worker: 0)
        let start = Instant(nanoseconds: 5_000_000_000)
        expectDue(buffer.isDue(now: start), false)
        _ = buffer.room()
        buffer.commit(byteCount: 10, now: start)
        expectDue(buffer.isDue(now: start), false)
        expectDue(buffer.isDue(now: start + AccessLogBuffer.waitMax), true)
        buffer.handOver()
        expectDue(buffer.isDue(now: start + .seconds(9)), false)
        #expect(log.lineCount == 1)
    }
}
