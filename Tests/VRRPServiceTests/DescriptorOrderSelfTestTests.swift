// SPDX-License-Identifier: Apache-2.0
//
// Goal: the self-test sees in which order a killed process loses its descriptors. Method: bash
// opens TCP connections on chosen numbers; the child's own code runs on a thread.

import EventLoop
import LinuxIO
import Testing
import WireCore

@testable import VRRPService

@Suite(.serialized) struct DescriptorOrderSelfTestTests {
    @Test func killedProcessLosesItsDescriptorsFromTheHighestDown() {
        let verdict = DescriptorOrderSelfTest.run { port in
            // 20 to 27 in an order that is not that of the numbers; each says its number.
            let opens = [20, 23, 26, 21, 24, 27, 22, 25].map { number in
                "exec \(number)<>/dev/tcp/127.0.0.1/\(port); "
                    + "printf '\\\\x\(String(number, radix: 16))' >&\(number); "
            }
            return "exec bash -c \"\(opens.joined())sleep 10\""
        }
        #expect(verdict == .proven)
    }

    @Test func childThatDiesAtOnceProvesNothing() {
        let verdict = DescriptorOrderSelfTest.run(timeout: .milliseconds(300)) { _ in "exit 0" }
        #expect(verdict == .inconclusive("the child made 0 connections"))
    }

    @Test(arguments: [
        ([CInt(3), 2, 1], DescriptorOrderSelfTest.Verdict.proven),
        ([1, 2, 3], .refuted(order: [1, 2, 3])), ([3, 1, 2], .refuted(order: [3, 1, 2])),
        ([2, 2], .refuted(order: [2, 2])),
    ])
    func onlyFallingNumbersAreAProof(order: [CInt], verdict: DescriptorOrderSelfTest.Verdict) {
        #expect(DescriptorOrderSelfTest.judge(order) == verdict)
    }

    @Test func childConnectsOnceForEachNumber() throws {
        let listener = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
        let port = try #require(try StreamSocket.localEndpoint(listener)?.port)
        // Far above the numbers that tests beside this one use. The child sends the low byte, 240
        // to 247.
        let firstNumber = CInt(ProcessLimits.raiseDescriptorLimit() - 256) / 256 * 256 + 240
        let thread = try KernelThread.start(name: "child") {
            DescriptorOrderSelfTest.runChild(
                port: port, firstNumber: firstNumber, lifetime: .milliseconds(200))
        }
        var numbers: [UInt8] = []
        let deadline = Clock.now() + .seconds(5)
        while numbers.count < DescriptorOrderSelfTest.descriptorCount, Clock.now() < deadline {
            guard let accepted = try StreamSocket.accept(from: listener) else { continue }
            let socket = accepted.takeSocket()
            let epoll = try Epoll()
            try epoll.add(socket, .readable, token: 0)
            _ = try epoll.wait(timeout: .seconds(1))
            numbers += try socket.read(upTo: 8) ?? []
        }
        thread.join()
        #expect(numbers.sorted() == Array(240...247))
        #expect(numbers != numbers.sorted())
    }
}
