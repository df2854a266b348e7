// SPDX-License-Identifier: Apache-2.0
//
// The rules between trackers, nodes and virtual routers.

import WireCore

/// Finds trackers that watch nothing new or that change nothing.
enum TrackingCheck {
    static func run(_ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList) {
        checkPools(facts, into: &diagnostics)
        checkInterfaces(facts, into: &diagnostics)
        checkGateway(facts, into: &diagnostics)
        checkWitnessTime(facts, into: &diagnostics)
        checkSharedFaults(facts, into: &diagnostics)
        switch facts.hasElection {
        case true?: checkPoints(facts, into: &diagnostics)
        case false?: checkWithoutElection(facts, into: &diagnostics)
        case nil: break
        }
    }

    private static func checkPools(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        guard let pools = facts.pools?.map(\.value) else { return }
        for pool in facts.tracking.pools where !pools.contains(pool.value) {
            diagnostics.add(
                Diagnostic(
                    .error, pool.range, "no pool is called \(Quoted.text(pool.value))",
                    suggestion: Suggestion.text(for: pool.value, in: pools, listing: "pools")))
        }
    }

    /// Where a virtual router speaks, a missing carrier is a fault without being asked.
    private static func checkInterfaces(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        let spoken = facts.virtualRouters.filter { $0.settings.announce == .lan }
        for interface in facts.tracking.interfaces {
            guard let router = spoken.first(where: { $0.settings.interface == interface.value })
            else { continue }
            diagnostics.add(
                Diagnostic(
                    .warning, interface.range,
                    "\(interface.value) is the interface of \(router.title) and counts as a fault "
                        + "anyway",
                    suggestion: "remove it"))
        }
    }

    private static func checkGateway(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        guard let gateway = facts.tracking.gateway else { return }
        let address = gateway.value
        if let virtual = facts.virtualRouters.flatMap(\.addresses).first(where: {
            $0.value == address
        }) {
            diagnostics.add(
                Diagnostic(
                    .error, gateway.range,
                    "the witness \(address) is a virtual address of this pair",
                    suggestion: "a witness is somebody else, such as the router of the LAN",
                    notes: [
                        Diagnostic.Note(range: virtual.range, message: "the address is here")
                    ]))
        } else if let (name, own) = facts.owner(of: address) {
            diagnostics.add(
                Diagnostic(
                    .error, gateway.range,
                    "the witness \(address) is the own address of node \(Quoted.text(name))",
                    suggestion: "a witness is somebody else, such as the router of the LAN",
                    notes: [Diagnostic.Note(range: own, message: "the node is here")]))
        }
    }

    /// A node that is cut off hears nobody from that moment on; it must miss the witness before it
    /// takes over (Active_Down_Interval, RFC 9568 §6.1, is a little more than three intervals).
    private static func checkWitnessTime(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        let routers = facts.virtualRouters.filter { $0.settings.announce == .lan }
        guard let key = facts.tracking.gatewayKey, facts.tracking.gateway != nil,
            let router = routers.min(by: {
                $0.settings.advertiseInterval < $1.settings.advertiseInterval
            })
        else { return }
        let silence = router.settings.advertiseInterval.multiplied(by: 3)
        guard facts.tracking.gatewaySilence > silence else { return }
        diagnostics.add(
            Diagnostic(
                .warning, key,
                "the witness counts as gone after "
                    + "\(DurationText.render(facts.tracking.gatewaySilence)), but "
                    + "\(router.title) takes over after \(DurationText.render(silence))",
                suggestion: "lower interval or fall, or advertise less often"))
    }

    /// What both nodes see fail at once must not take both out of service.
    private static func checkSharedFaults(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        for fault in facts.tracking.sharedFaults {
            diagnostics.add(
                Diagnostic(
                    .warning, fault.range,
                    "when what \(fault.tracker) watches fails for both nodes, nobody serves",
                    suggestion: "write a number: the node that is better off then serves"))
        }
    }

    /// A penalty works by putting the node below the other one.
    private static func checkPoints(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        var sum = 0
        var first: SourceRange?
        for penalty in facts.tracking.penalties {
            guard case .points(let points) = penalty.penalty else { continue }
            sum += Int(points)
            first = first ?? penalty.range
        }
        guard let first, let (node, high, low) = unmoved(facts, by: sum) else { return }
        let name = Quoted.text(node.name.value)
        let left = max(1, high - sum)
        let notes = node.priority.map {
            [Diagnostic.Note(range: $0.range, message: "node \(name) is here")]
        }
        let message =
            high == 255
            ? "the priority 255 of node \(name) owns the addresses and is never lowered"
            : "a penalty of \(sum) leaves node \(name) at \(left), not below the other's \(low): "
                + "it changes nothing"
        diagnostics.add(
            Diagnostic(
                .warning, first, message,
                suggestion: high == 255
                    ? "write 254, or penalty: fault"
                    : "write more than \(high - low), or bring the priorities together",
                notes: notes ?? []))
    }

    /// The stronger node and both priorities of the first virtual router, when all penalties
    /// together move none.
    private static func unmoved(
        _ facts: ConfigurationFacts, by sum: Int
    ) -> (node: ConfigurationFacts.Node, high: Int, low: Int)? {
        var result: (ConfigurationFacts.Node, Int, Int)?
        for router in facts.virtualRouters where router.settings.announce == .lan {
            guard let (one, other) = facts.priorities(in: router) else { return nil }
            let (high, low) = (Int(max(one, other)), Int(min(one, other)))
            if one == other || (high < 255 && max(1, high - sum) < low) { return nil }
            result = result ?? (facts.nodes[one > other ? 0 : 1], high, low)
        }
        return result
    }

    /// Priorities and claims are matters of an election.
    private static func checkWithoutElection(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        for penalty in facts.tracking.penalties {
            guard case .points = penalty.penalty else { continue }
            diagnostics.add(
                Diagnostic(
                    .warning, penalty.range,
                    "the penalty of \(penalty.tracker) has no effect: with announce: route there "
                        + "are no priorities",
                    suggestion: "write penalty: fault, or remove the tracker"))
        }
        let hasPenalty = facts.tracking.penalties.contains { $0.tracker == "pair.track.gateway" }
        if let key = facts.tracking.gatewayKey, !hasPenalty {
            diagnostics.add(
                Diagnostic(
                    .warning, key,
                    "the witness has no effect: with announce: route nobody takes over",
                    suggestion: "write penalty: fault, or remove it"))
        }
        if let hold = facts.tracking.hold {
            diagnostics.add(
                Diagnostic(
                    .warning, hold,
                    "hold has no effect: with announce: route nobody takes over",
                    suggestion: "remove it"))
        }
    }
}
