// SPDX-License-Identifier: Apache-2.0
//
// Goal: what the workers of one node report is what the other node resets when the addresses come
// to it. Method: two replicators over loopback on one loop, packets caught instead of sent.

import EventLoop
import LinuxIO
import ReplicationCore
import Telemetry
import Testing
import WireCore

@testable import ReplicationService

/// Remembers packets; can be out of room.
private final class CaughtPackets: SegmentSending {
    private(set) var packets: [[UInt8]] = []
    var refusals = 0

    func send(_ packet: [UInt8], to destination: IPAddress) throws(Errno) -> IOOutcome {
        if refusals > 0 {
            refusals -= 1
            return .wouldBlock
        }
        packets.append(packet)
        return .bytes(packet.count)
    }

    /// The clients' ports, each once.
    var ports: Set<UInt16> {
        Set(
            packets.map { packet in
                let start = packet[0] >> 4 == 4 ? 20 : 40
                return UInt16(packet[start + 2]) << 8 | UInt16(packet[start + 3])
            })
    }
}

/// One node's replicator with what drives it.
private final class ReplicatingNode {
    let journal: Mailbox<ClientChangeBatch>
    let commands: Mailbox<ReplicationCommand>
    let caught = CaughtPackets()
    let replicator: ClientReplicator

    init(_ settings: PairLinkSettings, on loop: EventLoop) throws {
        journal = try Mailbox()
        commands = try Mailbox()
        replicator = ClientReplicator(
            loop: loop, settings: settings, journal: journal, commands: commands,
            logger: Logger("replication", sink: nil), sender: caught)
        try replicator.start()
    }

    func report(opened: [Int] = [], closed: [Int] = [], on address: IPAddress) {
        let remote: IPAddress =
            address.family == .ipv4
            ? IPAddress(198, 51, 100, 1) : .v6(IPv6Address(high: 0x2001_0DB8 << 32, low: 1))
        func key(_ port: Int) -> ClientKey {
            ClientKey(
                localAddress: address, localPort: 80,
                remoteAddress: remote, remotePort: UInt16(port))
        }
        let changes =
            opened.map { ClientChange(key($0), isOpen: true) }
            + closed.map { ClientChange(key($0), isOpen: false) }
        journal.post(ClientChangeBatch(worker: 0, isComplete: false, changes: changes))
    }

    var peerCount: Int64 { replicator.report.peerClients.value }

    func metrics() -> String {
        var text = MetricsText()
        replicator.report.collect(into: &text)
        return text.rendered
    }
}

@Suite struct ClientReplicatorTests {
    private let bench = LinkBench()
    private let vip = IPAddress(192, 0, 2, 1)
    private let otherVIP = IPAddress(192, 0, 2, 2)

    private func pair(
        on loop: EventLoop
    ) throws -> (left: ReplicatingNode, right: ReplicatingNode) {
        let left = try ReplicatingNode(bench.leftSettings(secret: try secret(7)), on: loop)
        let right = try ReplicatingNode(bench.rightSettings(secret: try secret(7)), on: loop)
        return (left, right)
    }

    @Test func clientsOfThePeerAreAskedWhenTheirAddressComes() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let (left, right) = try pair(on: loop)
        left.report(opened: [1, 2, 3], closed: [2], on: vip)
        left.report(opened: [9], on: otherVIP)
        #expect(eventually(loop) { right.peerCount == 3 })
        right.commands.post(.addressesTaken([vip], at: Clock.now()))
        #expect(eventually(loop) { right.caught.packets.count >= 2 })
        #expect(right.caught.ports == [1, 3])
        // From the virtual address to the client.
        #expect(right.caught.packets[0][12..<20] == [192, 0, 2, 1, 198, 51, 100, 1])
        // The clients of the other address are still the peer's; those of this one are not.
        #expect(eventually(loop) { right.peerCount == 1 })
        #expect(eventually(loop) { right.caught.packets.count == 2 * TickleCampaign.rounds.count })
        #expect(right.caught.ports == [1, 3])
        #expect(left.caught.packets.isEmpty)
    }

    @Test func clientsOfBothFamiliesAreAsked() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let (left, right) = try pair(on: loop)
        let vip6 = IPAddress.v6(IPv6Address(high: 0xFD00 << 48, low: 0x100))
        left.report(opened: [1], on: vip)
        left.report(opened: [6, 7], closed: [7], on: vip6)
        #expect(eventually(loop) { right.peerCount == 2 })
        right.commands.post(.addressesTaken([vip6], at: Clock.now()))
        #expect(eventually(loop) { right.caught.packets.count >= 1 })
        #expect(right.caught.ports == [6])
        // From the virtual address to the client.
        #expect(
            right.caught.packets[0][8..<40] == [
                0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
                0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            ])
        right.commands.post(.addressesTaken([vip], at: Clock.now()))
        #expect(eventually(loop) { right.caught.ports == [1, 6] })
        #expect(right.replicator.report.mismatches.value == 0)
    }

    @Test func snapshotReachesANodeThatComesLater() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try ReplicatingNode(bench.leftSettings(), on: loop)
        left.report(opened: Array(1...2_000), on: vip)
        #expect(eventually(loop) { left.replicator.report.ownClients.value == 2_000 })
        let right = try ReplicatingNode(bench.rightSettings(), on: loop)
        #expect(eventually(loop) { right.peerCount == 2_000 })
        left.report(opened: [3_000], on: vip)
        #expect(eventually(loop) { right.peerCount == 2_001 })
        #expect(right.replicator.report.mismatches.value == 0)
        #expect(right.metrics().contains("tandem_replication_peer_entries 2001"))
        #expect(left.metrics().contains("tandem_replication_lag_entries 0"))
    }

    @Test func clientsOfADeadPeerAreKeptUntilTheTakeover() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let (left, right) = try pair(on: loop)
        left.report(opened: [1, 2], on: vip)
        #expect(eventually(loop) { right.peerCount == 2 })
        left.replicator.stop()
        #expect(eventually(loop) { right.replicator.report.isReceiving.value == 0 })
        right.commands.post(.addressesTaken([vip], at: Clock.now()))
        #expect(eventually(loop) { right.caught.ports == [1, 2] })
    }

    @Test func clientsClosedAfterTheAddressesWentAreStillAsked() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let (left, right) = try pair(on: loop)
        left.report(opened: [1, 2], on: vip)
        #expect(eventually(loop) { right.peerCount == 2 })
        left.commands.post(.addressesLost([vip]))
        left.report(closed: [1, 2], on: vip)
        #expect(eventually(loop) { left.replicator.report.ownClients.value == 0 })
        right.commands.post(.addressesTaken([vip], at: Clock.now()))
        #expect(eventually(loop) { right.caught.ports == [1, 2] })
    }

    @Test func flappingNodeAsksAgain() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let (left, right) = try pair(on: loop)
        left.report(opened: [1], on: vip)
        #expect(eventually(loop) { right.peerCount == 1 })
        right.commands.post(.addressesTaken([vip], at: Clock.now()))
        #expect(eventually(loop) { right.caught.packets.count == 1 })
        right.commands.post(.addressesLost([vip]))
        #expect(eventually(loop) { right.peerCount == 1 })
        right.commands.post(.addressesTaken([vip], at: Clock.now()))
        #expect(eventually(loop) { right.caught.packets.count > TickleCampaign.rounds.count })
    }

    @Test func fullKernelDelaysPacketsAndLosesNone() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let (left, right) = try pair(on: loop)
        left.report(opened: Array(1...1_000), on: vip)
        #expect(eventually(loop) { right.peerCount == 1_000 })
        right.caught.refusals = 20
        right.commands.post(.addressesTaken([vip], at: Clock.now()))
        #expect(eventually(loop) { right.caught.ports.count == 1_000 })
        #expect(right.caught.refusals == 0)
    }

    @Test func nodesWithDifferentSecretsTellEachOtherNothing() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let left = try ReplicatingNode(bench.leftSettings(secret: try secret(7)), on: loop)
        let right = try ReplicatingNode(bench.rightSettings(secret: try secret(8)), on: loop)
        left.report(opened: [1], on: vip)
        #expect(eventually(loop) { left.replicator.report.ownClients.value == 1 })
        #expect(!loop.run(until: Clock.now() + .milliseconds(300)) { right.peerCount > 0 })
        #expect(left.replicator.report.isSending.value == 0)
    }
}
