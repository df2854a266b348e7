// SPDX-License-Identifier: Apache-2.0
//
// Goal: a filter passes what its conditions say and nothing else, whatever a packet's length.
// Method: datagrams between two sockets on loopback, filtered by their payload.

import LinuxIO
import Testing
import WireCore

struct SocketFilterTests {
    /// UDP payload begins behind the 8 bytes of its header.
    private static let header: UInt32 = 8

    /// Which of the payloads pass `filter`.
    private func passing(_ filter: SocketFilter, _ payloads: [[UInt8]]) throws -> [[UInt8]] {
        let receiver = try DatagramSocket.bind(
            to: Endpoint(address: .v4(.loopback), port: 0))
        let endpoint = try #require(try StreamSocket.localEndpoint(receiver))
        try filter.attach(to: receiver)
        let sender = try DatagramSocket.connect(to: endpoint)
        for payload in payloads { _ = try DatagramSocket.send(sender, payload) }
        var passed: [[UInt8]] = []
        while let payload = try DatagramSocket.receive(receiver, upTo: 64) {
            passed.append(payload)
        }
        return passed
    }

    @Test func emptyFilterPassesEverything() throws {
        #expect(try passing(SocketFilter(), [[1], [], [2, 3]]) == [[1], [], [2, 3]])
    }

    @Test func nothingPassesNothing() throws {
        #expect(try passing(.nothing, [[1], [], [2, 3]]).isEmpty)
    }

    @Test func requiredValuesPassAndShortPacketsDoNot() throws {
        var filter = SocketFilter()
        filter.require(.half(Self.header + 1), isOneOf: [0x0102, 0x0304, 0xFFFF])
        let payloads: [[UInt8]] = [
            [9, 1, 2], [9, 3, 4, 5], [9, 0xFF, 0xFF], [9, 1, 3], [9, 1], [],
        ]
        #expect(try passing(filter, payloads) == [[9, 1, 2], [9, 3, 4, 5], [9, 0xFF, 0xFF]])
    }

    @Test func forbiddenValuesDoNotPass() throws {
        var filter = SocketFilter()
        filter.require(.byte(Self.header), isNoneOf: [1, 2, 3])
        #expect(try passing(filter, [[0], [1], [2], [3], [4]]) == [[0], [4]])
    }

    @Test func noForbiddenValuesForbidNothing() throws {
        var filter = SocketFilter()
        filter.require(.byte(Self.header), isNoneOf: [])
        #expect(try passing(filter, [[0], []]) == [[0], []])
    }

    @Test func longListsAreWalkedToTheirEnds() throws {
        var filter = SocketFilter()
        filter.require(
            .byte(Self.header), isNoneOf: Array(0..<UInt32(SocketFilter.valuesMax)))
        filter.require(.byte(Self.header + 1), isOneOf: Array(2...255))
        #expect(
            try passing(filter, [[253, 9], [254, 1], [254, 255], [255, 2], [0, 9]])
                == [[254, 255], [255, 2]])
    }

    @Test func runsOfWordsAreComparedWhole() throws {
        let runs: [[UInt32]] = [[0x0101_0101, 2], [0x0101_0101, 3], [4, 5]]
        var filter = SocketFilter()
        filter.require(Self.header, isOneOf: runs)
        filter.require(.byte(Self.header + 8), isOneOf: [7])
        let payloads: [[UInt8]] = [
            [1, 1, 1, 1, 0, 0, 0, 2, 7], [1, 1, 1, 1, 0, 0, 0, 3, 7], [0, 0, 0, 4, 0, 0, 0, 5, 7],
            [1, 1, 1, 1, 0, 0, 0, 5, 7], [0, 0, 0, 4, 0, 0, 0, 2, 7], [0, 0, 0, 4, 0, 0, 0, 5, 8],
        ]
        #expect(try passing(filter, payloads) == Array(payloads[..<3]))
    }

    @Test func conditionsMustAllHold() throws {
        var filter = SocketFilter()
        filter.require(.byte(Self.header), isOneOf: [1])
        filter.require(.byte(Self.header + 1), isNoneOf: [2])
        filter.require(.word(Self.header + 2), isOneOf: [0x0A0B_0C0D])
        let good: [UInt8] = [1, 3, 10, 11, 12, 13]
        #expect(
            try passing(filter, [good, [0] + good[1...], [1, 2] + good[2...], Array(good[..<5])])
                == [good])
    }

    @Test func laterFilterReplacesTheFormer() throws {
        let receiver = try DatagramSocket.bind(
            to: Endpoint(address: .v4(.loopback), port: 0))
        let endpoint = try #require(try StreamSocket.localEndpoint(receiver))
        let sender = try DatagramSocket.connect(to: endpoint)
        try SocketFilter.nothing.attach(to: receiver)
        _ = try DatagramSocket.send(sender, [1])
        try SocketFilter().attach(to: receiver)
        _ = try DatagramSocket.send(sender, [2])
        #expect(try DatagramSocket.receive(receiver, upTo: 8) == [2])
        #expect(try DatagramSocket.receive(receiver, upTo: 8) == nil)
    }

    @Test func claimedNameIsFreeAgainWhenItsOwnerIsGone() throws {
        let name = "tandem-test-claim-\(ProcessLimits.processID)"
        do {
            let claim = try NamespaceClaim(name)
            #expect(throws: Errno.addressInUse) { _ = try NamespaceClaim(name) }
            _ = consume claim
        }
        _ = try NamespaceClaim(name)
    }
}
