// SPDX-License-Identifier: Apache-2.0
//
// Goal: descriptors, limits, files and clocks behave. Method: the real kernel, small cases.

import LinuxIO
import Testing
import WireCore

@Suite struct ProcessTests {
    @Test func descriptorPlanPutsTheListenerHighest() throws {
        let plan = try #require(DescriptorPlan(descriptorLimit: 1_024))
        #expect(plan.listener == 1_023)
        #expect(plan.link == 1_022)
        #expect(plan.clientListeners == 894..<1_022)
        #expect(plan.tunnel == 893)
        #expect(plan.ordinaryCount == 893)
    }

    @Test func descriptorPlanStaysModestOnHugeLimits() throws {
        let plan = try #require(DescriptorPlan(descriptorLimit: 1 << 30))
        #expect(Int(plan.listener) == DescriptorPlan.numberMax)
    }

    @Test func descriptorPlanNeedsRoom() {
        #expect(DescriptorPlan(descriptorLimit: 63) == nil)
    }

    @Test func movedDescriptorHasTheNumberAskedFor() throws {
        let socket = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
        // Far above what tests beside this one open.
        let number = CInt(ProcessLimits.raiseDescriptorLimit() - 1_000)
        let moved = try socket.moved(to: number)
        #expect(moved.rawValue == number)
        #expect(try StreamSocket.localEndpoint(moved) != nil)
    }

    @Test func nobodyLosesTheirDescriptorToOneThatMoves() throws {
        let first = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
        let endpoint = try StreamSocket.localEndpoint(first)
        let second = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
        let refusal: Errno?
        do throws(Errno) {
            _ = try second.moved(to: first.rawValue)
            refusal = nil
        } catch {
            refusal = error
        }
        #expect(refusal == .busy)
        #expect(try StreamSocket.localEndpoint(first) == endpoint)
    }

    @Test func droppedDescriptorIsClosed() throws {
        let endpoint = try {
            let listener = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
            return try #require(try StreamSocket.localEndpoint(listener))
        }()
        // The port is free again only when the first owner closed its descriptor.
        let again = try StreamSocket.listen(on: endpoint)
        #expect(try StreamSocket.localEndpoint(again) == endpoint)
    }

    @Test func monotonicClockDoesNotGoBack() {
        var last = Clock.now()
        for _ in 0..<1_000 {
            let now = Clock.now()
            #expect(last <= now)
            last = now
        }
    }

    @Test func fileIsReplacedWholeAndReadBack() throws {
        let path = "/tmp/tandem-linuxio-\(ProcessLimits.processID)"
        try FileSystem.write([1, 2, 3], path: path, mode: 0o600)
        defer { try? FileSystem.remove(path: path) }
        #expect(try FileSystem.read(path: path, byteCountMax: 3) == [1, 2, 3])
        #expect(try FileSystem.permissions(path: path).mode == 0o600)
        #expect(throws: Errno.tooLarge) { try FileSystem.read(path: path, byteCountMax: 2) }
    }

    @Test func directoryAndMissingFileHaveTheirOwnErrors() {
        #expect(throws: Errno.isDirectory) {
            try FileSystem.read(path: "/tmp", byteCountMax: 10)
        }
        #expect(throws: Errno.noSuchFile) {
            try FileSystem.read(path: "/nonexistent/file", byteCountMax: 10)
        }
    }

    @Test func randomBytesDiffer() {
        #expect(RandomBytes.make(count: 32) != RandomBytes.make(count: 32))
        #expect(RandomBytes.make(count: 0).isEmpty)
    }
}
