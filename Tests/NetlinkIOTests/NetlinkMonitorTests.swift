// SPDX-License-Identifier: Apache-2.0
//
// Goal: changes made by anybody arrive as typed events, and lost events are noticed. Method: an
// own namespace per test; the kernel queues an event before the request that caused it returns.

import LinuxIO
import NamespaceLaboratory
import Testing
import WireCore

@testable import NetlinkIO

@Suite(.enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct NetlinkMonitorTests {
    private let address = IPAddress(192, 0, 2, 1)

    @Test func addedAndRemovedAddressesAreReported() throws {
        try Laboratory.inNewNamespace {
            let monitor = try NetlinkMonitor()
            #expect(monitor.receive().isEmpty)
            let socket = try NetlinkSocket()
            let request = try AddressRequest(address, prefixLength: 32, interfaceIndex: 1)
            try socket.put(request)
            #expect(
                monitor.receive() == [
                    .addressAdded(interfaceIndex: 1, address: address, prefixLength: 32)
                ])
            try socket.delete(request)
            #expect(
                monitor.receive() == [
                    .addressRemoved(interfaceIndex: 1, address: address, prefixLength: 32)
                ])
        }
    }

    @Test func linksThatComeChangeAndGoAreReported() throws {
        try Laboratory.inNewNamespace {
            let monitor = try NetlinkMonitor()
            try Laboratory.ip("link add a0 type veth peer name b0")
            let index = try NetlinkSocket().link(named: "a0").index
            #expect(monitor.receive().contains { isChange($0, of: index, isUp: false) })
            try Laboratory.ip("link set a0 up")
            try Laboratory.ip("link set b0 up")
            // The kernel reports the carrier a moment later than the switch.
            let up = NetlinkEvent.linkChanged(
                interfaceIndex: index, name: "a0", isUp: true, hasCarrier: true)
            #expect(try arrives(up, at: monitor))
            try Laboratory.ip("link del a0")
            #expect(monitor.receive().contains(.linkRemoved(interfaceIndex: index, name: "a0")))
        }
    }

    @Test func lostEventsAreNoticed() throws {
        try Laboratory.inNewNamespace {
            let monitor = try NetlinkMonitor()
            let socket = try NetlinkSocket()
            let request = try AddressRequest(address, prefixLength: 32, interfaceIndex: 1)
            // Each renewal is an event; nobody reads until the queue has overflowed.
            for _ in 0..<4_000 { try socket.put(request) }
            var events: [NetlinkEvent] = []
            while case let more = monitor.receive(), !more.isEmpty { events += more }
            #expect(events.contains(.overrun))
            #expect(monitor.overrunCount >= 1)
            try socket.delete(request)
            #expect(monitor.receive().count == 1)
        }
    }

    private func arrives(_ event: NetlinkEvent, at monitor: NetlinkMonitor) throws -> Bool {
        let epoll = try Epoll()
        try epoll.add(monitor.descriptor, .readable, token: 0)
        let deadline = Clock.now() + .seconds(5)
        while Clock.now() < deadline {
            if monitor.receive().contains(event) { return true }
            _ = try epoll.wait(timeout: deadline - Clock.now())
        }
        return false
    }

    private func isChange(_ event: NetlinkEvent, of index: Int, isUp: Bool) -> Bool {
        guard case .linkChanged(index, "a0", isUp, _) = event else { return false }
        return true
    }
}
