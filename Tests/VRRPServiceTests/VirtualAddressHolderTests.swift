// SPDX-License-Identifier: Apache-2.0
//
// Goal: an address lives as long as its process, its lease and nobody's interference allow.
// Method: a real TUN in an own namespace; the kernel is asked what is there.

import EventLoop
import Glibc
import LinuxIO
import NamespaceLaboratory
import NetlinkIO
import Testing
import WireCore

@testable import VRRPService

@Suite(.serialized, .enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct VirtualAddressHolderTests {
    private let addresses = [IPAddress(192, 0, 2, 100), IPAddress(192, 0, 2, 101)]

    private func present() throws -> [IPAddress] {
        try NetlinkSocket().addresses().map(\.address).filter(addresses.contains).sorted()
    }

    @Test func addressesAreAddedAsLeasedHostAddressesAndRemoved() throws {
        try Laboratory.inNewNamespace {
            let loop = try EventLoop()
            defer { loop.close() }
            let holder = try VirtualAddressHolder(loop: loop)
            #expect(holder.interfaceName == "tandem0")
            try holder.put(addresses, lease: .seconds(2))
            let found = try NetlinkSocket().addresses(interfaceIndex: holder.interfaceIndex ?? 0)
            #expect(found.map(\.address) == addresses)
            #expect(found.allSatisfy { $0.prefixLength == 32 && ($0.validSeconds ?? 99) <= 2 })
            #expect(holder.missing(among: addresses).isEmpty)
            try holder.remove([addresses[0]])
            #expect(try present() == [addresses[1]])
            #expect(holder.missing(among: addresses) == [addresses[0]])
            try holder.remove(addresses)
            try holder.remove(addresses)
            #expect(try present().isEmpty)
            holder.close()
        }
    }

    @Test func addressOfIPv6IsUsableAtOnceAndNeverPreferred() throws {
        try Laboratory.inNewNamespace {
            let holder = try VirtualAddressHolder(loop: EventLoop())
            let address = try #require(IPAddress("2001:db8::100"))
            try holder.put([address], lease: .seconds(2))
            let found = try NetlinkSocket().addresses(interfaceIndex: holder.interfaceIndex ?? 0)
            #expect(found.map(\.address) == [address])
            #expect(found.allSatisfy { $0.prefixLength == 128 && $0.isUsable })
            #expect(found.allSatisfy { ($0.validSeconds ?? 99) <= 2 })
            try holder.put([address], lease: .seconds(2))
            #expect(holder.missing(among: [address]).isEmpty)
            try holder.remove([address])
            #expect(holder.missing(among: [address]) == [address])
            holder.close()
        }
    }

    @Test func addressIsPutOnAnInterfaceOfTheLANWhereNobodyElseCanAnswer() throws {
        try Laboratory.inNewNamespace {
            try Laboratory.ip("link add lan0 type veth peer name lan1")
            let index = try NetlinkSocket().link(named: "lan0").index
            let holder = try VirtualAddressHolder(loop: EventLoop())
            let address = try #require(IPAddress("2001:db8::100"))
            func places() throws -> [Int] {
                try NetlinkSocket().addresses().filter { $0.address == address }
                    .map(\.interfaceIndex)
            }
            try holder.prepare([address], lease: .seconds(2))
            holder.place([address], onInterface: index)
            try holder.put([address], lease: .seconds(2))
            #expect(try places() == [index])
            #expect(holder.missing(among: [address]).isEmpty)
            holder.place([address], onInterface: nil)
            #expect(try places().isEmpty)
            #expect(holder.missing(among: [address]) == [address])
            try holder.put([address], lease: .seconds(2))
            #expect(try places() == [holder.interfaceIndex])
            try holder.remove([address])
            #expect(try places().isEmpty)
            holder.close()
        }
    }

    @Test func leaseThatNobodyRenewsEnds() throws {
        try Laboratory.inNewNamespace {
            let loop = try EventLoop()
            defer { loop.close() }
            let holder = try VirtualAddressHolder(loop: loop)
            let start = Clock.now()
            try holder.put(addresses, lease: .seconds(2))
            #expect(loop.poll { try present().isEmpty })
            let lasted = Clock.now() - start
            #expect(lasted > .milliseconds(1_500))
            #expect(lasted < .seconds(3))
            holder.close()
        }
    }

    @Test func leaseThatIsRenewedDoesNotEnd() throws {
        try Laboratory.inNewNamespace {
            let loop = try EventLoop()
            defer { loop.close() }
            let holder = try VirtualAddressHolder(loop: loop)
            try holder.put(addresses, lease: .seconds(2))
            let end = Clock.now() + .seconds(3)
            var isComplete = true
            while Clock.now() < end {
                loop.run(for: .milliseconds(400))
                isComplete = try isComplete && present() == addresses
                try holder.put(addresses, lease: .seconds(2))
            }
            #expect(isComplete)
            holder.close()
        }
    }

    @Test func closingTheDeviceRemovesItAndTheAddresses() throws {
        try Laboratory.inNewNamespace {
            let loop = try EventLoop()
            defer { loop.close() }
            let holder = try VirtualAddressHolder(loop: loop)
            try holder.put(addresses, lease: .seconds(60))
            let name = try #require(holder.interfaceName)
            holder.close()
            #expect(try present().isEmpty)
            #expect(throws: NetlinkError.self) { try NetlinkSocket().link(named: name) }
        }
    }

    @Test func deviceKeepsItsPlannedDescriptor() throws {
        try Laboratory.inNewNamespace {
            let loop = try EventLoop()
            defer { loop.close() }
            let plan = try #require(
                DescriptorPlan(descriptorLimit: ProcessLimits.raiseDescriptorLimit() / 2))
            let holder = try VirtualAddressHolder(loop: loop, descriptorNumber: plan.tunnel)
            var isHealed = false
            holder.onDeviceLost = {
                // At once, as a speaker does: the number is taken from the lost device.
                isHealed = (try? holder.put(addresses, lease: .seconds(5))) != nil
            }
            try Laboratory.ip("link del tandem0")
            #expect(loop.poll { isHealed })
            loop.run(for: .milliseconds(50))
            #expect(holder.interfaceName == "tandem0")
            #expect(try present() == addresses)
            #expect(fcntl(plan.tunnel, F_GETFD) == FD_CLOEXEC)
            holder.close()
        }
    }

    @Test func removedDeviceIsNoticedAndMadeAnew() throws {
        try Laboratory.inNewNamespace {
            let loop = try EventLoop()
            defer { loop.close() }
            let holder = try VirtualAddressHolder(loop: loop)
            var lostCount = 0
            holder.onDeviceLost = { lostCount += 1 }
            try holder.put(addresses, lease: .seconds(2))
            try Laboratory.ip("link del tandem0")
            #expect(loop.poll { lostCount == 1 })
            #expect(holder.missing(among: addresses) == addresses)
            try holder.put(addresses, lease: .seconds(2))
            #expect(try present() == addresses)
            #expect(holder.deviceLostCount == 1)
            holder.close()
        }
    }

    @Test func addressesPutBeforeTheDevicesEndIsKnownGoToANewDevice() throws {
        try Laboratory.inNewNamespace {
            let loop = try EventLoop()
            defer { loop.close() }
            let holder = try VirtualAddressHolder(loop: loop)
            var lostCount = 0
            holder.onDeviceLost = { lostCount += 1 }
            try holder.put(addresses, lease: .seconds(2))
            try Laboratory.ip("link del tandem0")
            // The loop has not run: the holder still believes in the device.
            try holder.put(addresses, lease: .seconds(2))
            #expect(try present() == addresses)
            #expect(holder.deviceLostCount == 1)
            #expect(loop.poll { lostCount == 1 })
            #expect(try present() == addresses)
            holder.close()
        }
    }

    @Test func devicesFloodedWithPacketsAreDrained() throws {
        try Laboratory.inNewNamespace {
            let loop = try EventLoop()
            defer { loop.close() }
            let holder = try VirtualAddressHolder(loop: loop)
            try holder.put(addresses, lease: .seconds(5))
            try Laboratory.ip("route add 198.51.100.0/24 dev tandem0")
            let sender = try RawIPSocket(
                RawIPSocket.Options(
                    protocolNumber: 253, interfaceName: "tandem0",
                    interfaceIndex: holder.interfaceIndex ?? 0, source: IPv4Address(192, 0, 2, 100),
                    group: nil))
            for _ in 0..<300 { try sender.send([1, 2, 3], to: IPv4Address(198, 51, 100, 1)) }
            loop.run(for: .milliseconds(50))
            #expect(try present() == addresses)
            #expect(holder.deviceLostCount == 0)
            holder.close()
        }
    }

    @Test(arguments: [
        (TimeSpan.milliseconds(1), UInt32(1)), (.seconds(1), 1), (.milliseconds(1_001), 2),
        (.seconds(2), 2), (.seconds(60), 60), (TimeSpan(nanoseconds: .max), UInt32.max - 1),
    ])
    func lifetimeIsTheLeaseInWholeSecondsRoundedUp(lease: TimeSpan, seconds: UInt32) {
        #expect(VirtualAddressHolder.validSeconds(lease) == seconds)
    }
}
