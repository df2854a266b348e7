// SPDX-License-Identifier: Apache-2.0
//
// The writing thread: takes chunks from the workers' lanes in turn and writes them whole. What the
// file does not take now is tried again, from the byte where it stopped, so that no line is torn.

internal import LinuxIO
internal import Synchronization
internal import WireCore

/// The state of the writing thread; a local variable of it.
struct AccessLogWriter: ~Copyable {
    /// How long a full disk or a failing device is left alone.
    static let retryInterval = TimeSpan.milliseconds(100)
    /// How long a full pipe is left alone when the kernel does not tell that it was emptied.
    static let blockedInterval = TimeSpan.milliseconds(10)
    /// Bytes written at once where others write too (PIPE_BUF of pipe(7)).
    static let sharedPieceMax = 4_096

    private let log: AccessLog
    private var target: AccessLogTarget?
    /// Bytes of the oldest chunk of the lane in turn that were written.
    private var offset = 0
    /// The lane whose oldest chunk is being written.
    private var turn = 0
    private var closeDue = Instant.distantFuture
    private var isStopping = false
    private var stopDeadline = Instant.distantFuture
    private var reportedDropCount: UInt64 = 0
    private var dropLimiter = LogRateLimiter(burstCount: 1, interval: .seconds(10))
    private var errorLimiter = LogRateLimiter(burstCount: 1, interval: .seconds(10))

    init(_ log: AccessLog) {
        self.log = log
    }

    /// Writes until it is told to stop.
    mutating func run() {
        guard let epoll = makeEpoll() else { return }
        var wait: TimeSpan?
        while true {
            _ = try? epoll.wait(timeout: wait)
            log.wakeUp.acknowledge()
            takeOrders(epoll)
            wait = writeAll()
            wait = closeIfDue(wait)
            reportDrops()
            guard isStopping else { continue }
            if wait == nil { break }
            if Clock.now() >= stopDeadline {
                giveUp()
                break
            }
        }
        reportDrops()
    }

    private func makeEpoll() -> Epoll? {
        do {
            let epoll = try Epoll()
            try epoll.add(log.wakeUp.descriptor, .readable, token: 0)
            return epoll
        } catch {
            log.logger.error("access log: cannot start its writer", ["reason": "\(error)"])
            return nil
        }
    }

    /// Learns of another destination and of the end.
    private mutating func takeOrders(_ epoll: borrowing Epoll) {
        let (next, mustClose, mustStop) = log.state.withLock { state in
            defer {
                state.nextTarget = nil
                state.mustClose = false
            }
            return (state.nextTarget, state.mustClose, state.isStopping)
        }
        if let next {
            // A pipe or a terminal tells when it takes more; the kernel refuses to watch files.
            try? epoll.add(next.descriptor, [.writable, .edgeTriggered], token: 1)
            target = next
            closeDue = .distantFuture
            backToLineStart()
        }
        if mustClose { closeDue = Clock.now() + AccessLog.closeDelay }
        if mustStop, !isStopping {
            isStopping = true
            stopDeadline = Clock.now() + AccessLog.stopTimeMax
        }
    }

    /// Closes the destination once its time has come; returns how long to wait for that.
    private mutating func closeIfDue(_ wait: TimeSpan?) -> TimeSpan? {
        guard closeDue < .distantFuture else { return wait }
        let now = Clock.now()
        guard now >= closeDue || isStopping else { return min(wait ?? .seconds(1), closeDue - now) }
        closeDue = .distantFuture
        target = nil
        return writeAll()
    }

    /// A new file begins with a whole line, even if the old one got the beginning of it.
    private mutating func backToLineStart() {
        guard offset > 0, let chunk = log.lane(turn).filledChunk() else { return }
        while offset > 0, chunk.bytes[offset - 1] != UInt8(ascii: "\n") { offset -= 1 }
    }

    /// Writes all chunks; returns how long to wait when the destination takes no more.
    private mutating func writeAll() -> TimeSpan? {
        var emptyLaneCount = 0
        while emptyLaneCount < log.lanes.count {
            let lane = log.lane(turn)
            guard let chunk = lane.filledChunk() else {
                turn = (turn + 1) % log.lanes.count
                emptyLaneCount += 1
                continue
            }
            emptyLaneCount = 0
            guard let target else {
                lane.releaseUnwritten(lineCount: chunk.lineCount)
                offset = 0
                continue
            }
            if let wait = write(chunk.bytes, to: target) { return wait }
            lane.release()
            offset = 0
            turn = (turn + 1) % log.lanes.count
        }
        return nil
    }

    private mutating func write(
        _ bytes: UnsafeRawBufferPointer, to target: AccessLogTarget
    ) -> TimeSpan? {
        while offset < bytes.count {
            let end = target.isShared ? pieceEnd(bytes) : bytes.count
            let piece = UnsafeRawBufferPointer(rebasing: bytes[offset..<end])
            do throws(Errno) {
                switch try target.descriptor.write(piece) {
                case .bytes(let count): offset += count
                case .wouldBlock: return Self.blockedInterval
                }
            } catch {
                log.failures.add()
                if let suppressed = errorLimiter.admit(now: Clock.now()) {
                    log.logger.warning(
                        "access log: cannot write, trying again",
                        ["reason": "\(error)", "suppressed": "\(suppressed)"])
                }
                return Self.retryInterval
            }
        }
        return nil
    }

    /// As many whole lines as one write takes, at least one.
    private func pieceEnd(_ bytes: UnsafeRawBufferPointer) -> Int {
        let limit = min(bytes.count, offset + Self.sharedPieceMax)
        var end = limit
        while end > offset, bytes[end - 1] != UInt8(ascii: "\n") { end -= 1 }
        return end > offset ? end : limit
    }

    /// Counts what is left as dropped.
    private mutating func giveUp() {
        for lane in log.lanes {
            while let chunk = lane.filledChunk() {
                lane.releaseUnwritten(lineCount: chunk.lineCount)
            }
        }
    }

    private mutating func reportDrops() {
        let count = log.droppedLineCount
        guard count != reportedDropCount,
            dropLimiter.admit(now: Clock.now()) != nil
        else { return }
        log.logger.warning(
            "access log: lines dropped, the destination does not keep up",
            ["lines": "\(count &- reportedDropCount)", "total": "\(count)"])
        reportedDropCount = count
    }
}
