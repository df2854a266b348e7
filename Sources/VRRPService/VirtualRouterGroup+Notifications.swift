// SPDX-License-Identifier: Apache-2.0
//
// The kernel's notifications, led to whom they concern.

public import EventLoop
public import LinuxIO
internal import NetlinkIO
internal import WireCore

extension VirtualRouterGroup: EventHandler {
    /// What a batch of notifications asks to look at.
    private struct Agenda {
        var interfaceNames: Set<String> = []
        var mustReviewAddresses = false
    }

    /// Takes the kernel's notifications.
    public func handle(_ events: EpollEvents, from source: EventSource) {
        var agenda = Agenda()
        for event in monitor.receive() { note(event, in: &agenda) }
        for interface in interfaces where agenda.interfaceNames.contains(interface.name) {
            review(interface)
        }
        if agenda.mustReviewAddresses { reviewAddresses() }
    }

    private func note(_ event: NetlinkEvent, in agenda: inout Agenda) {
        switch event {
        case .addressAdded(let index, let address, let prefixLength):
            noteAddressChange(address, index, in: &agenda)
            if !isOurDevice(index) {
                noticeAddress(address, prefixLength, interfaceIndex: index)
            }
        case .addressRemoved(let index, let address, _):
            strays.forget(address, interfaceIndex: index)
            noteAddressChange(address, index, in: &agenda)
            if isOurDevice(index) || isPlaced(address, on: index) {
                agenda.mustReviewAddresses = true
            }
        case .linkChanged(let index, let name, let isUp, _):
            for device in [holder, routeHolder] {
                device?.linkChanged(interfaceIndex: index, isUp: isUp)
            }
            noteLinkChange(index, name, in: &agenda)
            if isOurDevice(index) { agenda.mustReviewAddresses = true }
        case .linkRemoved(let index, let name):
            noteLinkChange(index, name, in: &agenda)
            for device in [holder, routeHolder] { device?.linkRemoved(interfaceIndex: index) }
        case .overrun:
            agenda.interfaceNames.formUnion(interfaces.map(\.name))
            agenda.mustReviewAddresses = true
        }
    }

    private func noteLinkChange(_ index: Int, _ name: String, in agenda: inout Agenda) {
        for interface in interfaces where interface.link.index == index || interface.name == name {
            agenda.interfaceNames.insert(interface.name)
        }
    }

    /// An own address came or went; virtual ones on the interface are not own.
    private func noteAddressChange(
        _ address: IPAddress, _ index: Int, in agenda: inout Agenda
    ) {
        for interface in interfaces
        where interface.link.index == index && interface.concerns(address) {
            agenda.interfaceNames.insert(interface.name)
        }
    }
}
