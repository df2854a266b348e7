// SPDX-License-Identifier: Apache-2.0
//
// Goal: whoever else has our address is found, and our own answers are never taken for his.
// Method: two namespaces on a cable; the far end's kernel has the address, or has not.

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
struct AddressProberTests {
    private struct Conflict: Hashable {
        var address: IPAddress
        var mac: HardwareAddress
    }

    /// A node that holds the address of `family` and watches it.
    private final class Scene {
        let cable: Cable
        let address: IPAddress
        let holder: VirtualAddressHolder
        let announcer: Announcer
        let prober: AddressProber
        var conflicts: [Conflict] = []

        init(_ cable: Cable, _ family: AddressFamily) throws {
            self.cable = cable
            let address = family == .ipv4 ? Cable.ipv4 : Cable.ipv6
            self.address = address
            let point = try cable.point(cable.a, family)
            (holder, announcer, prober) = try cable.a.inside {
                let holder = try VirtualAddressHolder(loop: cable.loop)
                let announcer = try Announcer(
                    point, loop: cable.loop, logger: Logger("vrrp", sink: nil))
                try holder.put([address], lease: .seconds(2))
                announcer.hold([address])
                return (holder, announcer, try AddressProber(point, loop: cable.loop))
            }
            prober.onConflict = { [weak self] in
                self?.conflicts.append(Conflict(address: $0, mac: $1))
            }
            prober.watch([address])
        }

        func probe() {
            prober.probe()
            cable.loop.run(for: .milliseconds(100))
        }

        var prefixLength: Int { address.bitWidth }

        func close() {
            prober.close()
            announcer.close()
            holder.close()
        }
    }

    private func withScene(_ family: AddressFamily, _ body: (Scene) throws -> Void) throws {
        try Cable.run { cable in
            let scene = try Scene(cable, family)
            defer { scene.close() }
            try body(scene)
        }
    }

    private func mac(_ end: CableEnd) throws -> HardwareAddress {
        try #require(HardwareAddress(bytes: end.link().hardwareAddress))
    }

    @Test(arguments: AddressFamily.allCases)
    func addressThatNobodyElseHasIsVerified(family: AddressFamily) throws {
        try withScene(family) { scene in
            #expect(!scene.prober.verdict.isVerified)
            scene.probe()
            #expect(scene.prober.verdict.isVerified)
            #expect(scene.prober.verdict.probedAt != nil)
            #expect(scene.conflicts.isEmpty)
        }
    }

    @Test(arguments: AddressFamily.allCases)
    func otherHolderIsReportedUntilItLetsGo(family: AddressFamily) throws {
        try withScene(family) { scene in
            let end = scene.cable.b
            let words = "\(scene.address)/\(scene.prefixLength) dev \(Cable.interface)"
            try end.ip("addr add \(words)" + (family == .ipv6 ? " nodad" : ""))
            let address = scene.address
            #expect(scene.cable.loop.poll { try end.canUse(address) })
            let mac = try mac(end)
            // The kernel joins the group that it is asked in a moment after the address is there.
            #expect(
                scene.cable.loop.poll {
                    scene.probe()
                    return !scene.conflicts.isEmpty
                })
            #expect(scene.conflicts.contains(Conflict(address: scene.address, mac: mac)))
            #expect(scene.prober.verdict.foreign == [scene.address: mac])
            #expect(!scene.prober.verdict.isVerified)
            try end.ip("addr del \(words)")
            scene.probe()
            #expect(scene.prober.verdict.foreign.isEmpty)
            #expect(scene.prober.verdict.isVerified)
        }
    }

    @Test(arguments: AddressFamily.allCases)
    func announcementOfAnotherIsOverheardAtALimitedRate(family: AddressFamily) throws {
        try withScene(family) { scene in
            let stranger = HardwareAddress(rawValue: 0x0200_0000_0066)
            let frame =
                switch scene.address {
                case .v4(let address): GratuitousARP.frame(mac: stranger, address: address)
                case .v6(let address):
                    NeighborAdvertisement.unsolicitedFrame(mac: stranger, address: address)
                }
            let sender = try scene.cable.b.inside {
                try PacketSocket(interfaceIndex: scene.cable.b.link().index)
            }
            for _ in 0..<20 { _ = try sender.send(frame) }
            scene.cable.loop.run(for: .milliseconds(50))
            #expect(scene.conflicts == [Conflict(address: scene.address, mac: stranger)])
            #expect(scene.prober.claimCount == 20)
            scene.cable.loop.run(for: .milliseconds(100))
            _ = try sender.send(frame)
            scene.cable.loop.run(for: .milliseconds(50))
            #expect(scene.conflicts.count == 2)
        }
    }

    @Test(arguments: AddressFamily.allCases)
    func nothingIsHeardWhenNothingIsWatched(family: AddressFamily) throws {
        try withScene(family) { scene in
            scene.prober.watch([])
            let end = scene.cable.b
            try end.ip(
                "addr add \(scene.address)/\(scene.prefixLength) dev \(Cable.interface)"
                    + (family == .ipv6 ? " nodad" : ""))
            scene.probe()
            #expect(scene.conflicts.isEmpty)
            #expect(scene.prober.verdict.probedAt == nil)
        }
    }

    @Test func floodOfClaimsDoesNotTakeTheThread() throws {
        try withScene(.ipv4) { scene in
            let frame = GratuitousARP.frame(
                mac: HardwareAddress(rawValue: 0x0200_0000_0066),
                address: try #require(scene.address.ipv4))
            let sender = try scene.cable.b.inside {
                try PacketSocket(interfaceIndex: scene.cable.b.link().index)
            }
            for _ in 0..<20 {
                for _ in 0..<1_000 { _ = try sender.send(frame) }
                scene.cable.loop.run(for: .milliseconds(5))
            }
            #expect(scene.prober.claimCount < 1_500)
            #expect(scene.conflicts.count <= 10)
        }
    }

    @Test(arguments: AddressFamily.allCases)
    func witnessAnswersWhileItIsThere(family: AddressFamily) throws {
        try Cable.run { cable in
            let target: IPAddress = family == .ipv4 ? .v4(cable.b.ipv4) : .v6(cable.b.ipv6)
            let own: IPAddress = family == .ipv4 ? .v4(cable.a.ipv4) : .v6(cable.a.ipv6)
            let probe = try cable.a.inside {
                try NeighborProbe(
                    target: target, link: cable.a.link(), ownAddress: own, loop: cable.loop)
            }
            defer { probe.close() }
            var answers: [HardwareAddress] = []
            probe.onAnswer = { answers.append($0) }
            let mac = try mac(cable.b)
            // The kernel answers only when it has noticed that the cable is in.
            #expect(
                cable.loop.poll {
                    _ = probe.probe()
                    return !answers.isEmpty
                })
            cable.loop.run(for: .milliseconds(100))
            #expect(Set(answers) == [mac])
            answers.removeAll()
            let length = family == .ipv4 ? 24 : 64
            try cable.b.ip("addr del \(target)/\(length) dev \(Cable.interface)")
            #expect(probe.probe())
            cable.loop.run(for: .milliseconds(100))
            #expect(answers.isEmpty)
        }
    }
}
