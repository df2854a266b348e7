// SPDX-License-Identifier: Apache-2.0
//
// Which faults of the network are active, and what they do to one packet. Sends nothing itself.

import WireCore

/// The network between the nodes and to the clients.
struct SimulatedNetwork {
    /// What travels.
    enum Traffic {
        case adverts(AddressFamily)
        case link
    }

    private(set) var faults: [(number: Int, kind: PlannedFault.Kind)] = []

    /// Changes with every fault.
    private(set) var version = 1

    mutating func begin(_ number: Int, _ kind: PlannedFault.Kind) {
        version += 1
        faults.append((number, kind))
    }

    mutating func end(_ number: Int) {
        version += 1
        faults.removeAll { $0.number == number }
    }

    func isBlocked(from: Int, to: Int, _ traffic: Traffic) -> Bool {
        if faults.isEmpty { return false }
        return faults.contains { Self.blocks($0.kind, from: from, to: to, traffic) }
    }

    private static func blocks(
        _ kind: PlannedFault.Kind, from: Int, to: Int, _ traffic: Traffic
    ) -> Bool {
        switch kind {
        case .split(let side):
            return side.contains(from) != side.contains(to)
        case .unplug(let node):
            return node == from || node == to
        case .oneWay(let source, let target):
            return source == from && target == to
        case .adverts(let source, let target, let family):
            guard case .adverts(let travelling) = traffic, source == from else { return false }
            return (target ?? to) == to && (family ?? travelling) == travelling
        case .link:
            if case .link = traffic { return true }
            return false
        case .loss, .slow, .corrupt, .pause, .busy, .kill, .powerOff, .localFault, .shutdown,
            .hold, .penalty, .linkReset, .switchover:
            return false
        }
    }

    /// Whether anything hinders packets from one node to another.
    func disturbs(from: Int, to: Int, _ traffic: Traffic) -> Bool {
        if faults.isEmpty { return false }
        return faults.contains { fault in
            switch fault.kind {
            case .loss, .slow: true
            case .corrupt: if case .adverts = traffic { true } else { false }
            default: Self.blocks(fault.kind, from: from, to: to, traffic)
            }
        }
    }

    func isUnplugged(_ node: Int) -> Bool {
        if faults.isEmpty { return false }
        return faults.contains { fault in
            if case .unplug(node) = fault.kind { true } else { false }
        }
    }

    var lossPercent: Int {
        if faults.isEmpty { return 0 }
        return faults.reduce(0) { most, fault in
            if case .loss(let percent) = fault.kind { max(most, percent) } else { most }
        }
    }

    var corruptPercent: Int {
        if faults.isEmpty { return 0 }
        return faults.reduce(0) { most, fault in
            if case .corrupt(let percent) = fault.kind { max(most, percent) } else { most }
        }
    }

    /// How much longer a packet takes at most.
    var extraDelay: TimeSpan {
        if faults.isEmpty { return .zero }
        return faults.reduce(.zero) { sum, fault in
            if case .slow(let extra) = fault.kind { sum + extra } else { sum }
        }
    }

    /// How late a process of `node` wakes up beyond the ordinary.
    func lateness(of node: Int) -> TimeSpan {
        if faults.isEmpty { return .zero }
        return faults.reduce(.zero) { most, fault in
            if case .busy(node, let lateness) = fault.kind { max(most, lateness) } else { most }
        }
    }
}
