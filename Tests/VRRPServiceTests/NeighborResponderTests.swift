// SPDX-License-Identifier: Apache-2.0
//
// Goal: an IPv6 address on our own device is reachable from the LAN for as long as this process
// wants, and not a moment longer. Method: two namespaces on a cable; the far end's kernel asks.

import EventLoop
import LinuxIO
import NamespaceLaboratory
import NetlinkIO
import Telemetry
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite(.serialized, .enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct NeighborResponderTests {
    /// A node that can hold the address, and a neighbour that asks for it.
    private final class Scene {
        let cable: Cable
        let holder: VirtualAddressHolder
        let announcer: Announcer
        let probe: NeighborProbe
        var answers: [HardwareAddress] = []

        init(_ cable: Cable) throws {
            self.cable = cable
            holder = try cable.a.inside { try VirtualAddressHolder(loop: cable.loop) }
            announcer = try cable.a.inside {
                try Announcer(
                    try cable.point(cable.a, .ipv6), loop: cable.loop,
                    logger: Logger("vrrp", sink: nil))
            }
            probe = try cable.b.inside {
                try NeighborProbe(
                    target: Cable.ipv6, link: cable.b.link(), ownAddress: .v6(cable.b.ipv6),
                    loop: cable.loop)
            }
            probe.onAnswer = { [weak self] in self?.answers.append($0) }
        }

        func hold() throws {
            try cable.a.inside {
                try holder.put([Cable.ipv6], lease: .seconds(2))
                announcer.hold([Cable.ipv6])
            }
        }

        /// Asks once and says who answered.
        func ask() -> [HardwareAddress] {
            answers.removeAll()
            #expect(probe.probe())
            cable.loop.run(for: .milliseconds(100))
            return answers
        }

        func close() {
            probe.close()
            announcer.close()
            holder.close()
        }
    }

    private func withScene(_ body: (Scene) throws -> Void) throws {
        try Cable.run { cable in
            let scene = try Scene(cable)
            defer { scene.close() }
            try body(scene)
        }
    }

    private func mac(_ end: CableEnd) throws -> HardwareAddress {
        try #require(HardwareAddress(bytes: end.link().hardwareAddress))
    }

    @Test func heldAddressIsAnsweredForWithTheInterfacesOwnAddress() throws {
        try withScene { scene in
            #expect(scene.ask().isEmpty)
            try scene.hold()
            let mac = try mac(scene.cable.a)
            #expect(scene.ask() == [mac])
            #expect(scene.announcer.answerCount == 1)
            scene.announcer.letGo()
            #expect(scene.ask().isEmpty)
        }
    }

    @Test func quietHolderAnswersNobody() throws {
        try withScene { scene in
            scene.announcer.isQuiet = true
            try scene.hold()
            #expect(scene.ask().isEmpty)
            scene.announcer.isQuiet = false
            #expect(scene.ask().count == 1)
            scene.announcer.isQuiet = true
            #expect(scene.ask().isEmpty)
        }
    }

    @Test func quietHolderAnnouncesNothing() throws {
        try withScene { scene in
            try scene.hold()
            scene.announcer.announce([Cable.ipv6])
            #expect(scene.announcer.sentCount.value == 1)
            scene.announcer.isQuiet = true
            scene.announcer.announce([Cable.ipv6])
            scene.cable.loop.run(for: .milliseconds(300))
            #expect(scene.announcer.sentCount.value == 1)
        }
    }

    @Test func frozenProcessAnswersNobody() throws {
        try withScene { scene in
            try scene.hold()
            // Another loop, as if the node's thread did not run.
            let other = try EventLoop()
            defer { other.close() }
            var answers = 0
            let probe = try scene.cable.b.inside {
                try NeighborProbe(
                    target: Cable.ipv6, link: scene.cable.b.link(),
                    ownAddress: .v6(scene.cable.b.ipv6), loop: other)
            }
            defer { probe.close() }
            probe.onAnswer = { _ in answers += 1 }
            #expect(probe.probe())
            other.run(for: .milliseconds(200))
            #expect(answers == 0)
            // The question has waited and is answered late.
            scene.cable.loop.run(for: .milliseconds(50))
            other.run(for: .milliseconds(50))
            #expect(answers == 1)
        }
    }

    @Test func solicitedNodeGroupIsJoinedWhileTheAddressIsHeld() throws {
        try withScene { scene in
            func isMember() throws -> Bool {
                let groups = try scene.cable.a.inside {
                    String(
                        decoding: try FileSystem.read(
                            path: "/proc/thread-self/net/igmp6", byteCountMax: 65_536),
                        as: UTF8.self)
                }
                return groups.contains("ff0200000000000000000001ff000100")
            }
            #expect(try !isMember())
            try scene.hold()
            #expect(try isMember())
            scene.announcer.letGo()
            #expect(try !isMember())
        }
    }

    @Test func clientReachesAServiceOnTheAddress() throws {
        try withScene { scene in
            let endpoint = Endpoint(address: Cable.ipv6, port: 8_080)
            var options = StreamSocket.ListenOptions()
            options.freeBind = true
            let listener = try scene.cable.a.inside {
                try StreamSocket.listen(on: endpoint, options: options)
            }
            try scene.hold()
            let client = try scene.cable.b.inside {
                try StreamSocket.connect(to: endpoint, options: .init())
            }
            var peer: Endpoint?
            #expect(
                scene.cable.loop.poll {
                    guard let accepted = try StreamSocket.accept(from: listener) else {
                        return false
                    }
                    peer = accepted.peer
                    return true
                })
            #expect(peer?.address == .v6(scene.cable.b.ipv6))
            _ = try StreamSocket.send(client, [1])
        }
    }

    @Test func ownConnectionsNeverComeFromTheAddress() throws {
        try withScene { scene in
            try scene.hold()
            let listener = try scene.cable.b.inside {
                try StreamSocket.listen(
                    on: Endpoint(address: .v6(scene.cable.b.ipv6), port: 8_080))
            }
            let client = try scene.cable.a.inside {
                try StreamSocket.connect(
                    to: Endpoint(address: .v6(scene.cable.b.ipv6), port: 8_080), options: .init())
            }
            var peer: Endpoint?
            #expect(
                scene.cable.loop.poll {
                    guard let accepted = try StreamSocket.accept(from: listener) else {
                        return false
                    }
                    peer = accepted.peer
                    return true
                })
            #expect(peer?.address == .v6(scene.cable.a.ipv6))
            _ = try StreamSocket.send(client, [1])
        }
    }
}
