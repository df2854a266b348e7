// SPDX-License-Identifier: Apache-2.0
//
// How faults of a plan begin and end in the world.

import ReplicationCore
import VRRPCore
import WireCore

extension ClusterSimulation {
    func begin(_ number: Int) {
        let fault = plan.faults[number]
        trace("fault \(number) begins: \(fault.kind) until \(fault.end.nanoseconds / 1_000) us")
        beginCount += 1
        activeFaults.insert(number)
        network.begin(number, fault.kind)
        checker.faultChanged(at: now)
        let incarnation = fault.kind.node.map { nodes[$0].incarnation } ?? 0
        switch fault.kind {
        case .split, .oneWay, .adverts, .link, .loss, .slow, .corrupt, .busy:
            break
        case .unplug(let node):
            tell(node, .localFault(true))
        case .pause(let node):
            nodes[node].setPaused(true)
            for router in plan.families.indices {
                if let end = nodes[node].leaseEnd(of: router) { queue.schedule(.look, at: end) }
            }
        case .kill(let node):
            kill(node)
        case .powerOff(let node):
            nodes[node].powerOff()
            forgetConnections(of: node)
        case .localFault(let node):
            tell(node, .localFault(true))
        case .hold(let node):
            tell(node, .hold(true))
        case .penalty(let node, let points):
            tell(node, .penalty(Int(points)))
        case .shutdown(let node):
            nodes[node].process?.enqueue(.shutdown)
            wake(node)
        case .switchover(let lingering):
            for node in nodes.indices { tell(node, .switchover(lingering: lingering)) }
        case .linkReset(let node):
            resetConnection(of: node)
        }
        queue.schedule(.endFault(number, incarnation: incarnation), at: fault.end)
    }

    func end(_ number: Int, incarnation: Int) {
        trace("fault \(number) ends")
        activeFaults.remove(number)
        network.end(number)
        checker.faultChanged(at: now)
        switch plan.faults[number].kind {
        case .split, .oneWay, .adverts, .link, .loss, .corrupt, .busy, .switchover, .linkReset:
            break
        case .slow(let extra):
            // Packets may still be under way.
            checker.faultChanged(at: now + extra)
        case .unplug(let node):
            nodes[node].process?.carrierReturned(at: now)
            clear(node, .localFault(false), incarnation)
        case .pause(let node):
            guard nodes[node].incarnation == incarnation else { return }
            nodes[node].setPaused(false)
            wakeSoon(node)
        case .powerOff(let node):
            nodes[node].isPoweredOn = true
            restart(node)
        case .kill(let node):
            restart(node)
        case .shutdown(let node):
            // A paused process has not read the signal yet; let it live.
            nodes[node].process?.forgetShutdown()
            restart(node)
        case .localFault(let node):
            clear(node, .localFault(false), incarnation)
        case .hold(let node):
            clear(node, .hold(false), incarnation)
        case .penalty(let node, let points):
            clear(node, .penalty(-Int(points)), incarnation)
        }
    }

    private func tell(_ node: Int, _ command: SimulatedProcess.Command) {
        nodes[node].process?.enqueue(command)
        wakeSoon(node)
    }

    /// A new process knows nothing of what its predecessor was told.
    private func clear(_ node: Int, _ command: SimulatedProcess.Command, _ incarnation: Int) {
        guard nodes[node].incarnation == incarnation else { return }
        tell(node, command)
    }

    private func kill(_ node: Int) {
        guard nodes[node].process != nil else { return }
        let wasSoleHolder = holders() == [node]
        // The process that dies takes what it knew of its peer with it; what counts is the peer's.
        let wasLinked =
            plan.hasLink && nodes[node].isRunning && (nodes[1 - node].process?.isLinkUp ?? false)
            && isLinkPrompt(from: node)
        endProcess(of: node)
        let isCalm = checker.hasBeenCalm(for: plan.interval.multiplied(by: 8), now: now)
        if wasSoleHolder, wasLinked, activeFaults.count == 1, isCalm {
            queue.schedule(
                .expectTakeover(from: node, killedAt: now, faultCount: beginCount),
                at: now + InvariantChecker.provenTakeoverMax(plan))
        }
    }

    /// The process is gone: its kernel closes its connections, then its device.
    func endProcess(of node: Int) {
        nodes[node].killProcess()
        for router in plan.families.indices {
            queue.schedule(
                .tearDown(
                    node: node, router: router, claim: nodes[node].claimCount(of: router)),
                at: now + .milliseconds(5) + randomSpan(upTo: .milliseconds(3)))
        }
        endConnections(of: node)
    }

    private func restart(_ node: Int) {
        nodes[node].startProcess(at: now)
        scheduleWake(of: node)
    }
}

extension PlannedFault.Kind {
    /// The node whose process it is about.
    var node: Int? {
        switch self {
        case .unplug(let node), .pause(let node), .kill(let node), .powerOff(let node),
            .localFault(let node), .shutdown(let node), .hold(let node), .linkReset(let node):
            node
        case .busy(let node, _), .penalty(let node, _): node
        case .split, .oneWay, .adverts, .link, .loss, .slow, .corrupt, .switchover: nil
        }
    }
}
