// SPDX-License-Identifier: Apache-2.0
//
// Goal: every worker gets a channel, what it seals arrives whole and in order, and how a channel
// ended is told as it was. Method: two replicators over loopback; the workers are the test's.

import EventLoop
import LinuxIO
import ReplicationCore
import Telemetry
import Testing
import WireCore

@testable import ReplicationService

@Suite struct ShadowChannelTests {
    private let bench = LinkBench()

    private func pair(
        on loop: EventLoop, workers: Int
    ) throws -> (left: BenchedReplicator, right: BenchedReplicator, heard: ShadowListener) {
        let secret = try secret(7)
        let left = try BenchedReplicator(
            bench.leftSettings(secret: secret), on: loop, workers: workers)
        let right = try BenchedReplicator(bench.rightSettings(secret: secret), on: loop)
        let heard = ShadowListener()
        try left.replicator.start()
        try right.replicator.start()
        right.replicator.shadowReceiver = heard
        return (left, right, heard)
    }

    @Test func everyWorkerGetsAChannelOfItsOwn() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let (left, right, heard) = try pair(on: loop, workers: 5)
        #expect(eventually(loop) { left.writers.count == 5 && heard.beganCount == 5 })
        for worker in 0..<5 {
            left.writers[worker]?.send(type: 32, [UInt8(worker)])
            left.writers[worker]?.send(type: 35, [])
        }
        #expect(eventually(loop) { heard.events.count == 15 })
        for worker in 0..<5 {
            #expect(heard.events.contains(.received(worker: worker, type: 32, [UInt8(worker)])))
        }
        // Told by the timer of the pump, at most a second later.
        #expect(eventually(loop) { left.status.shadowChannelsOut == 5 })
        #expect(eventually(loop) { right.status.shadowChannelsIn == 5 })
        #expect(left.grantCount == 5)
    }

    @Test func longFramesInAHurryArriveInOrder() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let (left, _, heard) = try pair(on: loop, workers: 1)
        #expect(eventually(loop) { left.writers[0] != nil })
        let writer = try #require(left.writers[0])
        var sent: [ShadowEvent] = []
        for number in 0..<40 {
            let payload = [UInt8](
                repeating: UInt8(number), count: number % 2 == 0 ? 60_000 : number)
            sent.append(.received(worker: 0, type: 32, payload))
            let frame = writer.frame(type: 32, payload)
            #expect(eventually(loop) { writer.write(frame) })
        }
        #expect(eventually(loop) { heard.events.count == 41 })
        #expect(Array(heard.events.dropFirst()) == sent)
    }

    @Test func endOfTheProcessAndGivingUpAreToldApart() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let (left, _, heard) = try pair(on: loop, workers: 2)
        #expect(eventually(loop) { left.writers.count == 2 && heard.beganCount == 2 })
        left.writers[0]?.send(type: 32, [1])
        left.writers[0]?.close(reset: false)
        left.writers[1]?.close(reset: true)
        #expect(eventually(loop) { heard.events.contains(.ended(worker: 0, .endOfStream)) })
        #expect(eventually(loop) { heard.events.contains(.ended(worker: 1, .reset)) })
        #expect(heard.events.contains(.received(worker: 0, type: 32, [1])))
        // A worker that says so gets a new one.
        left.commands.post(.shadowChannelLost(worker: 1))
        #expect(eventually(loop) { left.grantCount == 3 })
        left.writers[1]?.send(type: 32, [2])
        #expect(eventually(loop) { heard.events.contains(.received(worker: 1, type: 32, [2])) })
    }

    @Test func grantThatNobodyTakesIsDialledAgain() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let secret = try secret(7)
        let left = try BenchedReplicator(
            bench.leftSettings(secret: secret), on: loop, workers: 1)
        let right = try BenchedReplicator(bench.rightSettings(secret: secret), on: loop)
        left.dropsGrants = true
        try left.replicator.start()
        try right.replicator.start()
        #expect(eventually(loop) { left.grantCount >= 2 })
        left.dropsGrants = false
        #expect(eventually(loop) { left.writers[0] != nil })
    }

    @Test func replayedAlteredAndMissingFramesEndTheChannel() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let (left, _, heard) = try pair(on: loop, workers: 3)
        #expect(eventually(loop) { left.writers.count == 3 && heard.beganCount == 3 })
        let first = try #require(left.writers[0]?.frame(type: 32, [1]))
        #expect(left.writers[0]?.write(first + first) == true)
        var altered = try #require(left.writers[1]?.frame(type: 32, [1, 2, 3]))
        altered[13] ^= 1
        #expect(left.writers[1]?.write(altered) == true)
        _ = left.writers[2]?.frame(type: 32, [1])
        left.writers[2]?.send(type: 32, [2])
        for worker in 0..<3 {
            #expect(eventually(loop) { heard.events.contains(.ended(worker: worker, .fault)) })
        }
        let received = heard.events.filter { if case .received = $0 { true } else { false } }
        #expect(received == [.received(worker: 0, type: 32, [1])])
    }

    @Test func readerThatRefusesAFrameEndsTheChannel() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let (left, _, heard) = try pair(on: loop, workers: 1)
        heard.refusesType = 32
        #expect(eventually(loop) { left.writers[0] != nil && heard.beganCount == 1 })
        left.writers[0]?.send(type: 32, [1])
        left.writers[0]?.send(type: 33, [2])
        #expect(eventually(loop) { heard.events.last == .ended(worker: 0, .fault) })
        #expect(heard.events.count == 3)
    }

    /// After a takeover a thawed worker may go on telling on a channel that no longer counts.
    @Test func channelThatNoLongerCountsEndsAndAnotherIsDialled() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let (left, _, heard) = try pair(on: loop, workers: 1)
        #expect(eventually(loop) { left.writers[0] != nil && heard.beganCount == 1 })
        heard.spentWorkers = [0]
        left.writers[0]?.send(type: 32, [1])
        #expect(eventually(loop) { heard.events.last == .ended(worker: 0, .reset) })
        heard.spentWorkers = []
        left.commands.post(.shadowChannelLost(worker: 0))
        #expect(eventually(loop) { heard.beganCount == 2 && left.grantCount == 2 })
        left.writers[0]?.send(type: 32, [2])
        #expect(eventually(loop) { heard.events.last == .received(worker: 0, type: 32, [2]) })
    }

    @Test func newProcessEndsTheChannelsOfTheOldOneAfterItsLastWords() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let (left, _, heard) = try pair(on: loop, workers: 2)
        #expect(eventually(loop) { left.writers.count == 2 && heard.beganCount == 2 })
        // The old process keeps its sockets open: only the newer incarnation tells.
        left.writers[1]?.send(type: 32, [9])
        left.replicator.stop()
        let newer = try BenchedReplicator(
            bench.leftSettings(secret: try secret(7)), on: loop, workers: 1)
        try newer.replicator.start()
        #expect(eventually(loop) { heard.beganCount == 3 })
        let last = try #require(
            heard.events.firstIndex(of: .received(worker: 1, type: 32, [9])))
        let end = try #require(heard.events.firstIndex(of: .ended(worker: 1, .replaced)))
        #expect(last < end)
        #expect(heard.events.contains(.ended(worker: 0, .replaced)))
        let incarnations = Set(
            heard.events.compactMap { if case .began(_, let number) = $0 { number } else { nil } })
        #expect(incarnations.count == 2)
    }
}
