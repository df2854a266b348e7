// SPDX-License-Identifier: Apache-2.0
//
// Goal: the witness is asked at its rate, each question has one result, and a thread that was late
// itself does not count that against the witness. Method: a stand-in for the probe on a real loop.

import ConfigurationCore
import EventLoop
import LinuxIO
import NetlinkIO
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

/// A witness that answers as told.
private final class FakeWitness: WitnessProbe {
    enum Manner {
        case answers
        case silent
        case refusesQuestions
        /// Answers on a descriptor's turn, after the timers of a late loop.
        case answersLate(EventLoop, TimeSpan)
    }

    var manner: Manner
    var onAnswer: ((HardwareAddress) -> Void)?
    private(set) var questions = 0
    private(set) var isClosed = false
    static let address = HardwareAddress(rawValue: 0x0200_0000_0001)

    init(_ manner: Manner) {
        self.manner = manner
    }

    func probe() -> Bool {
        questions += 1
        switch manner {
        case .answers:
            onAnswer?(Self.address)
            return true
        case .silent:
            return true
        case .refusesQuestions:
            return false
        case .answersLate(let loop, let delay):
            loop.schedule(at: Clock.now() + delay) { [weak self] in
                self?.onAnswer?(Self.address)
            }
            return true
        }
    }

    func close() {
        isClosed = true
    }
}

@Suite struct GatewayTrackerTests {
    static let interval = TimeSpan.milliseconds(20)
    static let link = NetworkLink(
        index: 7, name: "eth0", hardwareAddress: [2, 0, 0, 0, 0, 9], mtuByteCount: 1_500,
        isUp: true, hasCarrier: true)

    /// What a tracker tells of a witness in `span`.
    private func results(
        of witness: FakeWitness?, on loop: EventLoop, for span: TimeSpan,
        interval: TimeSpan = Self.interval, _ meanwhile: (GatewayTracker) -> Void = { _ in }
    ) -> [TrackedResult] {
        var results: [TrackedResult] = []
        let tracker = GatewayTracker(
            gateway: TrackedGateway(
                address: IPAddress(10, 0, 0, 1), interface: "eth0", interval: interval),
            loop: loop,
            open: { _ throws(Errno) in
                guard let witness else { throw Errno.notPermitted }
                return witness
            },
            report: { results.append($0) })
        tracker.update(link: Self.link)
        tracker.start()
        loop.run(for: span)
        meanwhile(tracker)
        tracker.stop()
        return results
    }

    @Test func anAnswerIsOneGoodResult() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let witness = FakeWitness(.answers)
        let results = results(of: witness, on: loop, for: .milliseconds(200))
        #expect(results.allSatisfy { $0.isGood })
        #expect((5...11).contains(results.count), "\(results.count) results at 20 ms")
        #expect(witness.questions == results.count)
        #expect(witness.isClosed)
        #expect(results.first?.identity == TrackerIdentity(.gateway, "10.0.0.1"))
    }

    @Test func silenceIsABadResultPerQuestion() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let witness = FakeWitness(.silent)
        let results = results(of: witness, on: loop, for: .milliseconds(200))
        #expect((4...10).contains(results.count))
        #expect(results.allSatisfy { !$0.isGood && $0.detail == "no answer" })
        #expect(witness.questions - results.count <= 1)
    }

    @Test func aQuestionThatCannotBeSentIsABadResult() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let results = results(
            of: FakeWitness(.refusesQuestions), on: loop, for: .milliseconds(100))
        #expect((2...6).contains(results.count))
        #expect(results.allSatisfy { !$0.isGood && $0.detail == "cannot ask it" })
    }

    @Test func aSocketThatIsRefusedIsABadResult() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let results = results(of: nil, on: loop, for: .milliseconds(100))
        #expect((2...6).contains(results.count))
        #expect(results.allSatisfy { $0.detail == "its interface cannot be used" })
    }

    /// The thread sleeps through the deadline; the answer lies behind the timers of its next turn.
    @Test func aLateThreadLooksForTheAnswerFirst() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let witness = FakeWitness(.answersLate(loop, .milliseconds(21)))
        var isSlept = false
        loop.schedule(after: .milliseconds(10)) {
            KernelThread.pause(milliseconds: 80)
            isSlept = true
        }
        let results = results(
            of: witness, on: loop, for: .milliseconds(95), interval: .milliseconds(20)
        ) { _ in #expect(loop.poll { isSlept && witness.questions > 1 }) }
        #expect(results.first?.isGood == true)
    }

    /// Sockets name the interface by number: another one under the old name needs a new probe.
    @Test func aNewInterfaceGetsANewProbe() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let witness = FakeWitness(.answers)
        _ = results(of: witness, on: loop, for: .milliseconds(50)) { tracker in
            var other = Self.link
            other.index = 8
            #expect(!witness.isClosed)
            tracker.update(link: other)
            #expect(witness.isClosed)
        }
    }
}
