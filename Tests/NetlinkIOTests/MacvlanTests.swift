// SPDX-License-Identifier: Apache-2.0
//
// Goal: a macvlan is made as described, found again and removed; settings of an interface are read
// and changed. Method: an own network namespace per test.

import LinuxIO
import NamespaceLaboratory
import Testing
import WireCore

@testable import NetlinkIO

@Suite(.enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct MacvlanTests {
    @Test func macvlanIsMadeFoundAndRemoved() throws {
        try Laboratory.inNewNamespace {
            try Laboratory.ip("link add lan0 type veth peer name lan1")
            let socket = try NetlinkSocket()
            let parent = try socket.link(named: "lan0")
            let mac: [UInt8] = [0, 0, 0x5E, 0, 1, 51]
            try socket.add(
                MacvlanRequest(
                    name: "vmac4-51.2", parentIndex: parent.index, hardwareAddress: mac,
                    alias: "a note"))
            let link = try socket.link(named: "vmac4-51.2")
            #expect(link.hardwareAddress == mac)
            #expect(!link.isUp)
            let found = try socket.macvlans(named: "vmac")
            #expect(found == [MacvlanLink(index: link.index, name: link.name, alias: "a note")])
            #expect(try socket.macvlans(named: "other").isEmpty)
            try Laboratory.ip("link set lan0 up")
            try socket.omitLinkLocal(interfaceIndex: link.index)
            try socket.bringUp(interfaceIndex: link.index)
            #expect(try socket.link(index: link.index).isUp)
            #expect(try socket.addresses(interfaceIndex: link.index).isEmpty)
            try socket.takeDown(interfaceIndex: link.index)
            #expect(try !socket.link(index: link.index).isUp)
            try socket.deleteLink(interfaceIndex: link.index)
            #expect(try socket.macvlans(named: "vmac").isEmpty)
        }
    }

    @Test(arguments: InterfaceSetting.allCases)
    func settingIsChangedForOneInterface(setting: InterfaceSetting) throws {
        try Laboratory.inNewNamespace {
            try Laboratory.ip("link add lan0 type veth peer name lan1")
            let socket = try NetlinkSocket()
            let index = try socket.link(named: "lan0").index
            for value: UInt32 in [2, 0, 1] {
                try socket.set(setting, to: value, interfaceIndex: index)
                #expect(try socket.value(of: setting, interfaceIndex: index) == value)
                let path = "/proc/sys/net/ipv4/conf/lan0/\(setting.rawValue)"
                let text = try FileSystem.read(path: path, byteCountMax: 16)
                #expect(text.first == UInt8(ascii: "0") + UInt8(value))
            }
        }
    }

    @Test func linkLocalAddressIsKnownOnlyWhenItMayBeUsed() throws {
        try Laboratory.inNewNamespace {
            try Laboratory.ip("link add lan0 type veth peer name lan1")
            let socket = try NetlinkSocket()
            let index = try socket.link(named: "lan0").index
            #expect(try socket.linkLocalAddress(interfaceIndex: index) == nil)
            try Laboratory.ip("link set lan0 addrgenmode none up")
            try Laboratory.ip("link set lan1 up")
            let monitor = try NetlinkMonitor()
            try Laboratory.ip("addr add fe80::7/64 dev lan0")
            #expect(try socket.linkLocalAddress(interfaceIndex: index) == nil)
            let address = try #require(IPv6Address("fe80::7"))
            // Duplicate address detection takes a second or two; its end is an event.
            let epoll = try Epoll()
            try epoll.add(monitor.descriptor, .readable, token: 0)
            let deadline = Clock.now() + .seconds(10)
            var isTold = false
            while !isTold, Clock.now() < deadline {
                _ = try epoll.wait(timeout: deadline - Clock.now())
                isTold = monitor.receive().contains {
                    if case .addressAdded(index, .v6(address), 64) = $0 { return true }
                    return false
                }
                if isTold, try socket.linkLocalAddress(interfaceIndex: index) == nil {
                    isTold = false
                }
            }
            #expect(isTold)
            #expect(try socket.linkLocalAddress(interfaceIndex: index) == address)
        }
    }
}
