// SPDX-License-Identifier: Apache-2.0
//
// TCP between the two nodes of a pair, as far as the pair link sees it: what kernels do with
// connections when paths break, processes die and hosts boot.

import ReplicationCore
import VRRPCore
import WireCore

extension ClusterSimulation {
    // MARK: - What a process asks for

    func dial(from node: Int) {
        queue.schedule(
            .dialled(node: node, incarnation: nodes[node].incarnation),
            at: now + randomDelay() + randomDelay())
    }

    func probe(from node: Int) {
        queue.schedule(
            .probed(node: node, incarnation: nodes[node].incarnation),
            at: now + randomDelay() + randomDelay())
    }

    func send(_ message: LinkMessage, on name: UInt64, from node: Int) {
        append(.message(message), to: name, after: randomDelay())
    }

    // MARK: - Events

    func handleLink(_ event: Event) {
        switch event {
        case .dialled(let node, let incarnation):
            guard nodes[node].incarnation == incarnation, nodes[node].process != nil else { return }
            finishDial(of: node)
        case .probed(let node, let incarnation):
            guard isReachable(from: node) else { return }
            let answer: ProbeResult = nodes[1 - node].process == nil ? .refused : .connected
            arrive(.probed(answer), at: node, incarnation)
        case .linkArrival(let node, let incarnation, let arrival):
            arrive(arrival, at: node, incarnation)
        case .segment(let name):
            deliverSegments(of: name)
        default:
            break
        }
    }

    private func arrive(_ arrival: LinkArrival, at node: Int, _ incarnation: Int) {
        guard nodes[node].incarnation == incarnation else { return }
        nodes[node].process?.enqueue(.link(arrival))
        wakeSoon(node)
    }

    /// Whether a connection attempt gets an answer at all.
    private func isReachable(from node: Int) -> Bool {
        nodes[1 - node].isPoweredOn && !network.isBlocked(from: node, to: 1 - node, .link)
            && !network.isBlocked(from: 1 - node, to: node, .link)
    }

    private func finishDial(of node: Int) {
        let incarnation = nodes[node].incarnation
        guard isReachable(from: node) else {
            queue.schedule(
                .linkArrival(node: node, incarnation: incarnation, .dialFailed),
                at: now + SimulatedConnection.attemptTimeout)
            return
        }
        // The kernel of a paused process still accepts.
        guard nodes[1 - node].process != nil else {
            arrive(.dialFailed, at: node, incarnation)
            return
        }
        connectionCount += 1
        let name = connectionCount
        connections[name] = SimulatedConnection(
            name: name, from: node, to: 1 - node, listener: nodes[1 - node].incarnation)
        outbound[node] = name
        arrive(
            .established(LinkGeneration(number: name)), at: 1 - node, nodes[1 - node].incarnation)
        arrive(.dialled(name), at: node, incarnation)
    }

    private func append(
        _ segment: SimulatedConnection.Segment, to name: UInt64, after delay: TimeSpan
    ) {
        guard connections[name] != nil else { return }
        var arrival = now + delay
        var timeout = SimulatedConnection.retransmissionTimeout
        let lossPercent = network.lossPercent
        while chance(lossPercent), timeout < SimulatedConnection.attemptTimeout {
            arrival = arrival + timeout
            timeout = timeout.multiplied(by: 2)
        }
        connections[name]?.append(segment, arrivingAt: arrival)
        scheduleDelivery(of: name)
    }

    private func scheduleDelivery(of name: UInt64) {
        guard let connection = connections[name], !connection.isDelivering,
            let arrival = connection.nextArrival
        else { return }
        connections[name]?.isDelivering = true
        queue.schedule(.segment(connection: name), at: max(arrival, now))
    }

    private func deliverSegments(of name: UInt64) {
        guard var connection = connections[name] else { return }
        connection.isDelivering = false
        let (from, to) = (connection.from, connection.to)
        while let arrival = connection.nextArrival, arrival <= now {
            if network.isBlocked(from: from, to: to, .link) || !nodes[to].isPoweredOn {
                let since = connection.stuckSince ?? now
                connection.stuckSince = since
                connection.isDelivering = true
                connections[name] = connection
                if now - since >= SimulatedConnection.userTimeout {
                    abort(name)
                } else {
                    queue.schedule(
                        .segment(connection: name),
                        at: now + SimulatedConnection.retransmissionTimeout)
                }
                return
            }
            // Data arrives, but its acknowledgements do not: the sender knows no better.
            let isDeaf = network.isBlocked(from: to, to: from, .link)
            connection.stuckSince = isDeaf ? connection.stuckSince ?? now : nil
            if let since = connection.stuckSince, now - since >= SimulatedConnection.userTimeout {
                connections[name] = connection
                abort(name)
                return
            }
            guard nodes[to].incarnation == connection.listener, nodes[to].process != nil else {
                // Another boot, or nobody: the kernel knows no such connection.
                connections[name] = connection
                abort(name)
                return
            }
            let generation = LinkGeneration(number: name)
            switch connection.removeFirst() {
            case .message(let message):
                arrive(.message(message, generation), at: to, connection.listener)
            case .end:
                connections[name] = nil
                arrive(.ended(generation, .endOfStream), at: to, connection.listener)
                return
            }
        }
        connections[name] = connection
        scheduleDelivery(of: name)
    }

    /// The sender's side gives the connection up.
    private func abort(_ name: UInt64) {
        guard let connection = connections.removeValue(forKey: name), !connection.isOrphan else {
            return
        }
        let from = connection.from
        if outbound[from] == name { outbound[from] = nil }
        arrive(.lost, at: from, nodes[from].incarnation)
        if !network.isBlocked(from: from, to: connection.to, .link) {
            queue.schedule(
                .linkArrival(
                    node: connection.to, incarnation: connection.listener,
                    .ended(LinkGeneration(number: name), .reset)),
                at: now + randomDelay())
        }
    }

    // MARK: - What kernels do

    /// Whether nothing of what a node said is late: after loss the end of its connection comes
    /// behind segments that TCP has to repeat.
    func isLinkPrompt(from node: Int) -> Bool {
        guard let name = outbound[node], let connection = connections[name] else { return false }
        return connection.lastArrival <= now + plan.delayMax
    }

    /// Both ends hear a reset.
    func resetConnection(of node: Int) {
        if let name = outbound[node] { abort(name) }
    }

    /// A process died: FIN on the connection it dialled, a reset for those who dialled it.
    func endConnections(of node: Int) {
        guard plan.hasLink else { return }
        if let name = outbound[node] {
            outbound[node] = nil
            connections[name]?.isOrphan = true
            append(
                .end, to: name, after: .milliseconds(1) + randomSpan(upTo: .milliseconds(2)))
        }
        let peer = 1 - node
        guard let name = outbound[peer], connections[name] != nil else { return }
        if !network.isBlocked(from: node, to: peer, .link) {
            connections[name] = nil
            outbound[peer] = nil
            queue.schedule(
                .linkArrival(node: peer, incarnation: nodes[peer].incarnation, .lost),
                at: now + .milliseconds(1) + randomDelay())
        }
    }

    /// A host died: nobody says anything.
    func forgetConnections(of node: Int) {
        guard plan.hasLink, let name = outbound[node] else { return }
        outbound[node] = nil
        connections[name] = nil
    }
}
