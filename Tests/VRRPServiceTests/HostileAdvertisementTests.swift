// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever arrives as protocol 112, it is counted by reason and the address stays.
// Method: the far end of the cable sends whole Ethernet frames to an Active node.

import ConfigurationCore
import LinuxIO
import NamespaceLaboratory
import NetlinkIO
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite(.serialized, .enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct HostileAdvertisementTests {
    /// Sends IPv4 packets as frames to 224.0.0.18.
    private final class Attacker {
        private let socket: PacketSocket

        init(_ pair: NodePair) throws {
            let home = try NetworkNamespace.current()
            try NetworkNamespace.enter(pair.b.namespace)
            defer { try? NetworkNamespace.enter(home) }
            socket = try PacketSocket(
                interfaceIndex: try NetlinkSocket().link(named: NodePair.interface).index)
        }

        func send(_ packet: [UInt8]) throws {
            let header: [UInt8] =
                [0x01, 0x00, 0x5E, 0, 0, 0x12] + [0x02, 0, 0, 0, 0, 0x66] + [0x08, 0x00]
            _ = try socket.send(header + packet)
        }
    }

    /// One kind of bad advert: a good one of priority 255, spoilt.
    struct Case: CustomTestStringConvertible {
        var reason: AdvertisementError.Reason
        var message: [UInt8]
        var timeToLive: UInt8 = 255
        var testDescription: String { "\(reason.rawValue) \(message.count)" }
    }

    private static func message(
        id: UInt8 = 51, _ spoil: (inout [UInt8]) -> Void = { _ in }
    ) -> [UInt8] {
        var bytes = Advertisement(
            virtualRouterID: id, priority: 255, intervalCentiseconds: 2,
            addresses: [NodePair.virtualAddress]
        ).encoded(
            checksum: .rfc9568, source: Packet.stranger, destination: Advertisement.multicastGroup)
        spoil(&bytes)
        return bytes
    }

    /// Repairs the checksum, so that only the intended fault is left.
    private static func sealed(_ spoil: (inout [UInt8]) -> Void) -> [UInt8] {
        message { bytes in
            spoil(&bytes)
            bytes[6] = 0
            bytes[7] = 0
            var sum = InternetChecksum()
            sum.add(bytes.span.bytes)
            bytes[6] = UInt8(truncatingIfNeeded: sum.value >> 8)
            bytes[7] = UInt8(truncatingIfNeeded: sum.value)
        }
    }

    static let cases: [Case] = [
        Case(reason: .timeToLive, message: message(), timeToLive: 254),
        Case(reason: .messageTruncated, message: [0x31, 51, 255, 1]),
        Case(reason: .messageTruncated, message: []),
        Case(reason: .version, message: sealed { $0[0] = 0x21 }),
        Case(reason: .type, message: sealed { $0[0] = 0x32 }),
        Case(reason: .virtualRouterID, message: message(id: 99)),
        Case(reason: .addressCount, message: sealed { $0[3] = 0 }),
        Case(reason: .messageLength, message: sealed { $0[3] = 255 }),
        Case(reason: .messageLength, message: sealed { $0 += [UInt8](repeating: 0, count: 8) }),
        Case(
            reason: .messageLength, message: sealed { $0 += [UInt8](repeating: 7, count: 1_300) }),
        Case(reason: .interval, message: sealed { $0[5] = 0 }),
        Case(reason: .checksum, message: message { $0[7] ^= 1 }),
    ]

    private func activeNode(_ pair: NodePair) throws -> VirtualRouterGroup {
        let group = try pair.makeGroup(pair.a)
        group.start()
        #expect(pair.wait { group.speakers[0].state == .active })
        return group
    }

    @Test(arguments: cases)
    func badAdvertIsCountedByReasonAndHarmless(bad: Case) throws {
        try NodePair.run { pair in
            let group = try activeNode(pair)
            let attacker = try Attacker(pair)
            let packet = Packet.ip(
                bad.message, from: Packet.stranger, to: Advertisement.multicastGroup,
                timeToLive: bad.timeToLive)
            for _ in 0..<5 { try attacker.send(packet) }
            let report = group.speakers[0].report
            #expect(pair.wait { report.droppedCount >= 5 })
            #expect(report.droppedCount(bad.reason) == 5)
            #expect(report.droppedCount == 5)
            #expect(group.speakers[0].state == .active)
            #expect(try pair.holdsAddress(pair.a))
        }
    }

    @Test func floodOfGarbageDoesNotDelayTheAdverts() throws {
        try NodePair.run { pair in
            let group = try activeNode(pair)
            let attacker = try Attacker(pair)
            var random = SeededGenerator(seed: 112)
            let report = group.speakers[0].report
            let before = try #require(report.status.counters).advertisementsSent
            let start = Clock.now()
            while Clock.now() - start < .seconds(1) {
                for _ in 0..<100 {
                    let count = Int.random(in: 0...40, using: &random)
                    let message = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
                    try attacker.send(
                        Packet.ip(
                            message, from: Packet.stranger, to: Advertisement.multicastGroup))
                }
                pair.loop.run(for: .milliseconds(1))
            }
            let planned =
                (Clock.now() - start).milliseconds / NodePair.advertiseInterval.milliseconds
            let sent = try #require(report.status.counters).advertisementsSent
            #expect(sent - before >= planned * 3 / 4)
            // Counted up to the point where the kernel is asked to drop them unseen.
            #expect(report.droppedCount > FloodGuard.burstCount)
            #expect(report.droppedCount < 5_000)
            #expect(group.speakers[0].state == .active)
            #expect(try pair.holdsAddress(pair.a))
        }
    }

    @Test func unicastNodeDoesNotHearStrangers() throws {
        try NodePair.run(NodePair.router(transport: .unicast)) { pair in
            let group = try activeNode(pair)
            try Laboratory.ip("addr add \(NodePair.virtualAddress)/32 dev lo")
            try pair.inNamespace(of: pair.b) {
                try Laboratory.ip("addr add \(Packet.stranger)/24 dev \(NodePair.interface)")
                let link = try NetlinkSocket().link(named: NodePair.interface)
                let socket = try RawIPSocket(
                    RawIPSocket.Options(
                        protocolNumber: 112, interfaceName: link.name, interfaceIndex: link.index,
                        source: IPv4Address(192, 0, 2, 66), group: nil))
                try socket.send(Self.message(), to: pair.a.configuration.address)
            }
            #expect(pair.wait { group.speakers[0].report.droppedCount(.foreignSource) == 1 })
            #expect(group.speakers[0].state == .active)
        }
    }
}
