// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever clients and backends do to each other, and whatever becomes of channels, the other
// node is told nothing that is wrong, and a worker keeps nothing. Method: the misdeeds of
// ChaosTests on a data plane that tells of its connections, with channels that end and reloads that
// change what is carried over, while well-behaved clients compare each answer with what was told.

import ConfigurationCore
import LinuxIO
import ProxyService
import ReplicationCore
import Synchronization
import Testing
import WireCore

@Suite(.serialized, .enabled(if: ConnectionRepair.isPermitted()))
struct ShadowChaosTests {
    /// What must hold of the records of one connection, however it behaves.
    private func faults(in heard: ShadowReceiver.Heard) -> [String] {
        struct Known {
            var receive: UInt32
            var send: UInt32
            var isIdle = true
            /// A request may have been in flight when its numbers were told.
            var isVague = false
        }
        var faults = heard.faults
        var known: [UInt32: Known] = [:]
        func check(_ id: UInt32, _ record: ShadowRecord) {
            if case .opened(_, _, let state, _) = record {
                known[id] = Known(
                    receive: state.receiveSequence, send: state.sendSequence, isVague: true)
                return
            }
            guard var shadow = known[id] else {
                faults.append("\(record.kind) of nobody")
                return
            }
            switch record {
            case .asked(let receive, let head):
                if receive != shadow.receive &+ UInt32(head.count), shadow.isIdle {
                    faults.append("asked up to \(receive), before \(shadow.receive)")
                }
                shadow.isIdle = false
            case .busy, .tunnelled, .rested: shadow.isIdle = false
            case .answered(let receive, let send):
                if shadow.isIdle { faults.append("answered twice") }
                let progress = min(
                    Int32(bitPattern: receive &- shadow.receive),
                    Int32(bitPattern: send &- shadow.send))
                if progress < (shadow.isVague ? 0 : 1) {
                    faults.append("answered without progress")
                }
                shadow = Known(receive: receive, send: send)
            case .closed, .moved, .movedTunnel, .opened:
                known[id] = nil
                return
            }
            known[id] = shadow
        }
        for event in heard.events {
            switch event {
            case .snapshotBegan: known = [:]
            case .record(let id, let record): check(id, record)
            case .snapshotEnded, .standing: break
            }
        }
        return faults
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func nothingWrongIsTold(seed: UInt64) throws {
        let backends = try (0..<3).map { _ in try TestBackend(ChaosTests.reply) }
        let tandem = try ShadowPlane(
            backends.map(\.endpoint), level: .requests,
            timeouts: TimeoutConfiguration(
                requestHead: .milliseconds(200), keepAlive: .seconds(20),
                bodyIdle: .milliseconds(200), responseHead: .milliseconds(300),
                streamIdle: .milliseconds(300)),
            limits: LimitConfiguration(bodyByteCount: 30_000, requestsPerConnection: 20))
        let remaining = Atomic<Int>(5)
        let threads = try (0..<5).map { number in
            let endpoint = tandem.endpoint
            return try KernelThread.start(name: "chaos") {
                var generator = SeededGenerator(seed: seed &* 1_000 &+ UInt64(number))
                for _ in 0..<30 { try? ChaosTests.misbehave(&generator, endpoint) }
                remaining.subtract(1, ordering: .relaxed)
            }
        }
        var generator = SeededGenerator(seed: seed)
        var channels = 1
        var rounds = 0
        let isOver = try eventually(within: .seconds(120)) {
            rounds += 1
            if rounds % 100 == 0, channels < 20 {
                let found = faults(in: tandem.receiver.heard())
                #expect(found.isEmpty)
                if generator.next() % 2 == 0 {
                    tandem.receiver.close()
                    let isGone = eventually { tandem.plane.shadowStatistics.channelsOpen == 0 }
                    #expect(isGone)
                }
                try tandem.reopen()
                channels += 1
            }
            if rounds % 70 == 0 {
                try tandem.carryOver(CarryOver.allCases[Int(generator.next() % 3)])
            }
            return remaining.load(ordering: .relaxed) == 0
        }
        #expect(isOver)
        for thread in threads { thread.join() }
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
        #expect(eventually { tandem.receiver.heard().openPorts.isEmpty })
        #expect(faults(in: tandem.receiver.heard()).isEmpty)
        #expect(tandem.plane.shadowStatistics.open == 0)
        #expect(eventually { tandem.plane.statistics().bufferByteCount == 0 })
        try tandem.carryOver(.requests)
        let client = try tandem.knownClient()
        #expect(try client.exchange("/10").text == "xxxxxxxxxx")
        #expect(try tandem.last(client) == tandem.answered(client))
    }

    /// Clients that behave, each on its own thread, beside one another: every answer is told before
    /// its client has all of it.
    @Test func everyAnswerIsToldFirst() throws {
        let backend = try TestBackend(ShadowTests.reply)
        let tandem = try ShadowPlane([backend.endpoint], level: .requests)
        let receiver = tandem.receiver
        let endpoint = tandem.endpoint
        let failures = Mutex<[String]>([])
        let targets = [
            "/", "/empty", "/chunked", "/slow-chunks", "/until-close", "/late-length", "/medium",
            "/interim", "/large-chunk", "/not-modified",
        ]
        let threads = try (0..<8).map { number in
            try KernelThread.start(name: "client") {
                var generator = SeededGenerator(seed: UInt64(number) &+ 1)
                do {
                    let client = try TestClient(endpoint)
                    _ = eventually { !receiver.records(ofPort: client.localPort).isEmpty }
                    for round in 0..<40 {
                        let target = targets[Int(generator.next() % UInt64(targets.count))]
                        let isPost = generator.next() % 3 == 0
                        _ = try client.exchange(
                            target, method: isPost ? "POST" : "GET", body: isPost ? "abc" : "")
                        let last = receiver.records(ofPort: client.localPort).last
                        let own = try client.transport()
                        let wanted = ShadowRecord.answered(
                            receiveSequence: own.sendSequence, sendSequence: own.receiveSequence)
                        guard last == wanted else {
                            let text = "\(number)/\(round) \(target): \(String(describing: last))"
                            failures.withLock { $0.append(text) }
                            return
                        }
                    }
                } catch {
                    failures.withLock { $0.append("\(number): \(error)") }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(failures.withLock { $0 } == [])
        #expect(tandem.receiver.heard().faults.isEmpty)
        #expect(tandem.plane.shadowStatistics.heldAnswers == 320)
    }
}
