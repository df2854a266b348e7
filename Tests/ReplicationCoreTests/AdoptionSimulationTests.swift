// SPDX-License-Identifier: Apache-2.0
//
// Goal: whenever a node dies, a client that goes on at the other one gets every answer once and
// whole, no request that must not be repeated is executed twice, and nobody waits for ever.
// Method: one connection as a client, a node with its kernel and a program, and a network, all
// seeded; the node dies at a random step and the rules of the two-node contract decide.

import ReplicationCore
import Testing
import WireCore

/// One connection and all that happens to it.
private struct DyingConnection {
    struct Request {
        var isRepeatable: Bool
        var byteCount: Int
        var answerByteCount: Int
        var executions = 0
    }

    enum Outcome: Hashable {
        case wentOn
        case reset
    }

    private var generator: SeededGenerator
    private let origin: StreamPosition
    private(set) var requests: [Request]
    private var table = PeerShadowTable()
    private let level: ShadowLevel
    /// Requests the client may have under way at once.
    private let depth: Int

    // Byte counts from the connection's beginning.
    private var sentByClient = 0
    private var acknowledged = 0
    private var receivedByClient = 0
    private var receivedByKernel = 0
    private var consumed = 0
    private var given = 0
    private var sentCount = 0
    /// Requests read by the program, and those whose answer was given whole.
    private var readCount = 0
    private var answeredCount = 0
    private var isTold = true
    private var isExecuted = false
    private var isAnswerTold = false

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        origin = StreamPosition(
            receive: 0 &- UInt32(generator.next() % 2_000),
            send: 0 &- UInt32(generator.next() % 4_000))
        level = generator.next() % 4 == 0 ? .idle : .requests
        depth = generator.next() % 3 == 0 ? 3 : 1
        requests = []
        for _ in 0..<8 {
            requests.append(
                Request(
                    isRepeatable: generator.next() % 3 > 0,
                    byteCount: 20 + Int(generator.next() % 200),
                    answerByteCount: 1 + Int(generator.next() % 900)))
        }
        let isKept = table.channelBegan(worker: 0, incarnation: 1)
        precondition(isKept)
        tell(ShadowSamples.opened(1, receive: origin.receive, send: origin.send, level: level))
    }

    private mutating func tell(_ record: ShadowRecord) {
        table.apply(record, of: 1, worker: 0, now: ShadowSamples.instant(0))
    }

    private mutating func chance(_ one: UInt64, in many: UInt64) -> Bool {
        generator.next() % many < one
    }

    private func end(ofRequest index: Int) -> Int {
        requests[...index].reduce(0) { $0 + $1.byteCount }
    }

    private func end(ofAnswer index: Int) -> Int {
        requests[...index].reduce(0) { $0 + $1.answerByteCount }
    }

    /// Answers the client has whole.
    private var answersAtClient: Int {
        requests.indices.prefix { end(ofAnswer: $0) <= receivedByClient }.count
    }

    private func receive(_ byteCount: Int) -> UInt32 {
        origin.receive &+ UInt32(byteCount)
    }

    private func send(_ byteCount: Int) -> UInt32 {
        origin.send &+ UInt32(byteCount)
    }

    private func head(_ index: Int) -> [UInt8] {
        [UInt8](repeating: UInt8(index), count: requests[index].byteCount)
    }

    // MARK: - While the node lives

    /// One thing happens.
    mutating func step() {
        switch generator.next() % 7 {
        case 0 where sentCount < requests.count && sentCount - answersAtClient < depth:
            sentByClient = end(ofRequest: sentCount)
            sentCount += 1
        case 1: receivedByKernel = sentByClient
        case 2 where chance(1, in: 3): acknowledged = receivedByKernel
        case 3: runProgram()
        case 4: runProgram()
        case 5, 6: deliver()
        default: break
        }
    }

    /// Answers travel with the kernel's acknowledgement of what it had received.
    private mutating func deliver() {
        guard receivedByClient < given else { return }
        let waiting = UInt64(given - receivedByClient)
        receivedByClient += 1 + Int(generator.next() % waiting)
        acknowledged = receivedByKernel
    }

    private mutating func runProgram() {
        guard readCount > answeredCount else {
            guard readCount < requests.count, end(ofRequest: readCount) <= receivedByKernel else {
                return
            }
            consumed = end(ofRequest: readCount)
            readCount += 1
            isTold = false
            isExecuted = false
            isAnswerTold = false
            // What must not be repeated is told before anybody can execute it.
            if !isRepeatable { tellRequest() }
            return
        }
        let index = answeredCount
        if !isExecuted {
            requests[index].executions += 1
            isExecuted = true
        } else if !isTold {
            tellRequest()
        } else if !isAnswerTold {
            // A part may leave early; the rest only after the peer was told.
            let begun = index == 0 ? 0 : end(ofAnswer: index - 1)
            if requests[index].answerByteCount > 1, chance(1, in: 2) {
                given = max(given, begun + requests[index].answerByteCount / 2)
            } else {
                tell(
                    .answered(
                        receiveSequence: receive(consumed),
                        sendSequence: send(end(ofAnswer: index))))
                isAnswerTold = true
            }
        } else {
            given = end(ofAnswer: index)
            answeredCount += 1
        }
    }

    private var isRepeatable: Bool { level == .requests && requests[readCount - 1].isRepeatable }

    private mutating func tellRequest() {
        isTold = true
        let index = readCount - 1
        tell(
            isRepeatable
                ? .asked(receiveSequence: receive(consumed), head: head(index)) : .busy)
    }

    // MARK: - After its death

    /// Goes on at the other node.
    ///
    /// - Returns: how, or what went wrong.
    mutating func takeOver() -> (outcome: Outcome, fault: String?) {
        // What was on its way to the client may still arrive.
        if chance(1, in: 2) { deliver() }
        guard let shadow = table.take([ShadowSamples.address]).first else {
            return (.reset, nil)
        }
        let answer = ClientAnswer(sent: receive(sentByClient), received: send(receivedByClient))
        switch AdoptionJudge.judge(shadow, answer) {
        case .reset:
            return (.reset, nil)
        case .resume(let position, let expectsBytes):
            return goOn(position, expectsBytes, reissued: nil)
        case .reissue(let position, let head, let expectsBytes):
            return goOn(position, expectsBytes, reissued: head)
        }
    }

    private mutating func goOn(
        _ position: StreamPosition, _ expectsBytes: Bool, reissued: [UInt8]?
    ) -> (outcome: Outcome, fault: String?) {
        guard position.send == send(receivedByClient) else {
            return (.wentOn, "answer bytes lost or doubled")
        }
        var index = answersAtClient
        let boundary = index == 0 ? 0 : end(ofAnswer: index - 1)
        guard boundary == receivedByClient else { return (.wentOn, "inside an answer") }
        if let reissued {
            guard reissued == head(index) else { return (.wentOn, "another request") }
            if let fault = execute(index) { return (.wentOn, fault) }
            index += 1
        }
        let consumedHere = index == 0 ? 0 : end(ofRequest: index - 1)
        guard position.receive == receive(consumedHere) else {
            return (.wentOn, "not between two requests")
        }
        guard sentByClient > consumedHere else { return (.wentOn, nil) }
        guard expectsBytes else { return (.wentOn, "a client waits for ever") }
        // What was acknowledged is not sent again: the worker's patience ends in a reset.
        guard acknowledged <= consumedHere else { return (.reset, nil) }
        while index < sentCount {
            if let fault = execute(index) { return (.wentOn, fault) }
            index += 1
        }
        return (.wentOn, nil)
    }

    private mutating func execute(_ index: Int) -> String? {
        requests[index].executions += 1
        let isOnce = requests[index].executions == 1
        return isOnce || requests[index].isRepeatable ? nil : "request \(index) executed twice"
    }

    /// Whether nothing was under way when the node died.
    var isIdle: Bool {
        receivedByClient == given && sentByClient == consumed && answeredCount == readCount
    }
}

struct AdoptionSimulationTests {
    @Test func deathAtAnyStepHarmsNoClient() {
        var wentOn = 0
        var resets = 0
        for seed in UInt64(1)...10_000 {
            var connection = DyingConnection(seed: seed)
            for _ in 0..<(seed % 151) { connection.step() }
            let wasIdle = connection.isIdle
            let (outcome, fault) = connection.takeOver()
            #expect(fault == nil, "seed \(seed): \(fault ?? "")")
            #expect(!wasIdle || outcome == .wentOn, "seed \(seed): idle and reset")
            if fault != nil { return }
            if outcome == .wentOn { wentOn += 1 } else { resets += 1 }
        }
        // Neither way of going on is rare: the simulation looks at both.
        #expect(wentOn > 2_500)
        #expect(resets > 750)
    }
}
