// SPDX-License-Identifier: Apache-2.0
//
// Goal: requests do to the kernel what they say. Method: an own network namespace per test, the
// kernel asked back through the same socket.

import LinuxIO
import NamespaceLaboratory
import Testing
import WireCore

@testable import NetlinkIO

@Suite(.enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct NetlinkSocketTests {
    private let address = IPAddress(192, 0, 2, 1)

    @Test func linkIsFoundByNameAndNumber() throws {
        try Laboratory.inNewNamespace {
            let socket = try NetlinkSocket()
            let link = try socket.link(named: "lo")
            #expect(link.index == 1)
            #expect(link.isUp && link.hasCarrier)
            #expect(link.hardwareAddress == [0, 0, 0, 0, 0, 0])
            #expect(link.mtuByteCount == 65_536)
            #expect(try socket.link(index: 1) == link)
        }
    }

    @Test func missingLinkIsATypedErrorInPlainWords() throws {
        try Laboratory.inNewNamespace {
            let socket = try NetlinkSocket()
            let error = #expect(throws: NetlinkError.self) { try socket.link(named: "nowhere0") }
            #expect(error?.isMissing == true)
            #expect(error?.description.hasPrefix("find interface nowhere0: ") == true)
        }
    }

    @Test func linkIsSwitchedOnAndRemoved() throws {
        try Laboratory.inNewNamespace {
            try Laboratory.ip("link add a0 type veth peer name b0")
            let socket = try NetlinkSocket()
            let link = try socket.link(named: "a0")
            #expect(!link.isUp && !link.hasCarrier)
            #expect(link.hardwareAddress.count == 6)
            try socket.bringUp(interfaceIndex: link.index)
            try socket.bringUp(interfaceIndex: try socket.link(named: "b0").index)
            let now = try socket.link(named: "a0")
            #expect(now.isUp && now.hasCarrier)
            try socket.deleteLink(interfaceIndex: link.index)
            #expect(throws: NetlinkError.self) { try socket.link(named: "b0") }
        }
    }

    @Test func addressIsAddedRenewedListedAndRemoved() throws {
        try Laboratory.inNewNamespace {
            let socket = try NetlinkSocket()
            var options = AddressRequest.Options()
            options.validSeconds = 60
            options.preferredSeconds = 60
            options.hasNoPrefixRoute = true
            let request = try AddressRequest(
                address, prefixLength: 32, interfaceIndex: 1, options: options)
            try socket.put(request)
            try socket.put(request)
            let found = try #require(
                try socket.addresses(interfaceIndex: 1).first { $0.address == address })
            #expect(found.prefixLength == 32)
            #expect((58...60).contains(found.validSeconds ?? 0))
            #expect(try socket.addresses(interfaceIndex: 7).isEmpty)
            #expect(try socket.delete(request))
            #expect(try !socket.delete(request))
            #expect(try !socket.addresses().contains { $0.address == address })
        }
    }

    @Test func permanentAddressHasNoEnd() throws {
        try Laboratory.inNewNamespace {
            let socket = try NetlinkSocket()
            try socket.put(try AddressRequest(address, prefixLength: 24, interfaceIndex: 1))
            let found = try socket.addresses().first { $0.address == address }
            #expect(found?.validSeconds == nil)
            #expect(found?.prefixLength == 24)
        }
    }

    @Test func primaryAddressIsTheFirstOfItsNetwork() throws {
        try Laboratory.inNewNamespace {
            try Laboratory.ip("link add a0 type veth peer name b0")
            try Laboratory.ip("addr add 192.0.2.9/24 dev a0")
            try Laboratory.ip("addr add 192.0.2.4/24 dev a0")
            let socket = try NetlinkSocket()
            let index = try socket.link(named: "a0").index
            #expect(
                try socket.primaryAddress(interfaceIndex: index) == IPv4Address(192, 0, 2, 9))
            let all = try socket.addresses(interfaceIndex: index)
            #expect(all.map(\.isSecondary) == [false, true])
        }
    }

    @Test func addressOnAMissingInterfaceIsRefused() throws {
        try Laboratory.inNewNamespace {
            let socket = try NetlinkSocket()
            let request = try AddressRequest(address, prefixLength: 32, interfaceIndex: 99)
            let error = #expect(throws: NetlinkError.self) { try socket.put(request) }
            #expect(error?.isMissing == true)
            #expect(try !socket.delete(request))
        }
    }
}
