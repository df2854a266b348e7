// SPDX-License-Identifier: Apache-2.0
//
// What must hold in every run, with its bounds and where they come from.
//
// I1  At most one node answers clients for the addresses. Two may, while
//     - adverts between them are hindered, and in `safe` mode the pair link too; or
//     - one of them is frozen or dead: its kernel answers until the lease is over (`leaseMax`), or
//       until its device is torn down (8 ms).
//     Once the path is clear the worse one hears the better one's next advert or heartbeat: one
//     advert interval, the way there (`turn`), and 100 ms in which the last words of a router
//     believed dead are not heard (`quarantine`), after which it must speak again: one more
//     interval. See `severalMax`. A member of a group that does not decide leaves a tie to the one
//     that does for one Active_Down_Interval, when that one is deaf: see `deferralMax`.
// I2  Whenever some node runs, is plugged in, healthy and not held, somebody answers: at the
//     latest one Active_Down_Interval of the worst priority after the last change of any fault,
//     because the one that nobody hears is waited for so long, and no wait follows another: a
//     node that gave up by hearing a better one restarts its wait, but then that one serves. In a
//     group all members must have waited. See `nobodyMax`. Not while loss or a busy core is left
//     to chance.
// I3  No flapping: each change of a fault (begin or end) moves the addresses at most once away and
//     once back. See `takeoversMax`.
// I4  In the end one node is Active, for all families, of the highest priority when preemption is
//     on and no operator said otherwise, and every client's cache points to it.
// I5  Nobody takes over from an Active that lives. `takeover: safe`: not because of silence while
//     the peer runs, is Active and is heard on the link, however long the own process slept. And
//     nobody ever takes a process for dead that runs.

import VRRPCore
import WireCore

/// Watches a run after every event.
struct InvariantChecker {
    /// A run that goes wrong stops after so many findings.
    static let violationsMax = 3

    private let plan: SimulationPlan
    private(set) var violations: [String] = []

    /// Two nodes in order.
    private struct Couple {
        var first: Int
        var second: Int
        /// Since when adverts of a family pass without hindrance, both ways; `nil` if they do not.
        var advertsClearSince: [Instant?]
        var bothHoldSince: [Instant?]
    }

    private var couples: [Couple] = []
    private var nobodyHoldsSince: [Instant?]
    private var notRunningSince: [Instant?]
    private var lastNotRunningAt: [Instant]
    private var linkWholeSince: Instant?
    /// Since when each node of a pair could hear its running peer on the link.
    private var peerAudibleSince: [Instant?]
    /// When the process of each node started that runs now.
    private var startedAt: [Instant]
    private var incarnations: [Int]
    private var calmSince = Instant(nanoseconds: 0)
    private var lastBusyAt = Instant(nanoseconds: 0)
    /// Whether a core was busy at the last look.
    private var isBusy = false
    private var wereNodesRunning: [Bool]
    private var networkVersion = 0
    private var takeoverCount = 0
    /// How often faults began, ended, and processes started.
    private var changeCount = 0
    /// The longest times seen, for the curious and to see how tight the bounds are.
    private(set) var longestDouble = TimeSpan.zero
    private(set) var longestNobody = TimeSpan.zero
    private(set) var takeoverRatio = 0.0

    init(plan: SimulationPlan) {
        self.plan = plan
        let zero = Instant(nanoseconds: 0)
        let families = plan.families
        for first in 0..<plan.nodeCount {
            for second in (first + 1)..<max(plan.nodeCount, first + 1) {
                couples.append(
                    Couple(
                        first: first, second: second, advertsClearSince: families.map { _ in zero },
                        bothHoldSince: families.map { _ in nil }))
            }
        }
        nobodyHoldsSince = families.map { _ in nil }
        notRunningSince = Array(repeating: zero, count: plan.nodeCount)
        lastNotRunningAt = Array(repeating: zero, count: plan.nodeCount)
        peerAudibleSince = Array(repeating: nil, count: plan.nodeCount)
        startedAt = Array(repeating: zero, count: plan.nodeCount)
        incarnations = Array(repeating: 0, count: plan.nodeCount)
        wereNodesRunning = Array(repeating: false, count: plan.nodeCount)
    }

    // MARK: - Bounds

    /// From SIGKILL to the peer's claim: EOF within 3 ms, refusal, one turn.
    static func provenTakeoverMax(_ plan: SimulationPlan) -> TimeSpan {
        .milliseconds(3) + plan.turn
    }

    /// Two holders between whom the way is clear.
    private var severalMax: TimeSpan {
        plan.drifted(plan.interval.multiplied(by: 2)) + plan.turn.multiplied(by: 2)
            + .milliseconds(100)
    }

    /// How much longer two may hold while the member that decides for the group is deaf.
    private func deferralMax(_ couple: Couple, _ family: Int) -> TimeSpan {
        let isDeciderDeaf = family > 0 && couple.advertsClearSince[0] == nil
        return isDeciderDeaf ? plan.activeDownIntervalMax : .zero
    }

    /// No holder although somebody could.
    private var nobodyMax: TimeSpan {
        plan.activeDownIntervalMax + plan.turn.multiplied(by: 3)
    }

    /// Takeovers of all families together.
    private var takeoversMax: Int {
        plan.families.count * (plan.nodeCount + 2 * changeCount)
    }

    // MARK: - What happens

    /// A fault began or ended at this instant.
    mutating func faultChanged(at instant: Instant) {
        if instant > calmSince {
            formerCalmSince = calmSince
            calmSince = instant
        }
        changeCount += 1
    }

    /// Whether nothing changed for so long before the fault that asks, which begins just now.
    func hasBeenCalm(for span: TimeSpan, now: Instant) -> Bool {
        let since = calmSince == now ? formerCalmSince : calmSince
        return since <= now && now - since >= span
    }

    private var formerCalmSince = Instant(nanoseconds: 0)

    mutating func observe(_ world: ClusterSimulation) {
        let now = world.now
        // Judge the time that just passed before noting what is new.
        judge(now: now)
        noteNodes(world)
        if networkVersion != world.network.version {
            networkVersion = world.network.version
            noteNetwork(world)
        }
        for family in plan.families.indices { noteHolders(world, family) }
    }

    private mutating func noteNodes(_ world: ClusterSimulation) {
        let now = world.now
        isBusy = false
        for node in world.nodes {
            let isRunning = node.isRunning
            if isRunning != wereNodesRunning[node.index] {
                wereNodesRunning[node.index] = isRunning
                faultChanged(at: now)
            }
            if isRunning {
                notRunningSince[node.index] = nil
            } else {
                notRunningSince[node.index] = notRunningSince[node.index] ?? now
                lastNotRunningAt[node.index] = now
            }
            if incarnations[node.index] != node.incarnation {
                incarnations[node.index] = node.incarnation
                startedAt[node.index] = now
            }
            if world.network.lateness(of: node.index) > .zero {
                lastBusyAt = now
                isBusy = true
            }
        }
        guard plan.hasLink else { return }
        let isWhole =
            world.nodes.allSatisfy { $0.isRunning && ($0.process?.isLinkUp ?? false) }
            && !world.network.disturbs(from: 0, to: 1, .link)
            && !world.network.disturbs(from: 1, to: 0, .link)
        linkWholeSince = isWhole ? linkWholeSince ?? now : nil
        for node in 0...1 {
            let isAudible =
                world.nodes[1 - node].isRunning && (world.nodes[node].process?.isLinkUp ?? false)
                && !world.network.disturbs(from: 1 - node, to: node, .link)
                && !world.network.disturbs(from: node, to: 1 - node, .link)
            peerAudibleSince[node] = isAudible ? peerAudibleSince[node] ?? now : nil
        }
    }

    private mutating func noteNetwork(_ world: ClusterSimulation) {
        for index in couples.indices {
            let (first, second) = (couples[index].first, couples[index].second)
            for (family, name) in plan.families.enumerated() {
                let isClear =
                    !world.network.disturbs(from: first, to: second, .adverts(name))
                    && !world.network.disturbs(from: second, to: first, .adverts(name))
                couples[index].advertsClearSince[family] =
                    isClear ? couples[index].advertsClearSince[family] ?? world.now : nil
            }
        }
    }

    private mutating func noteHolders(_ world: ClusterSimulation, _ family: Int) {
        let now = world.now
        let holders = world.holdersMask(family)
        let couldServe = world.nodes.contains { node in
            node.isRunning && !world.network.isUnplugged(node.index)
                && node.process?.mayServe ?? false
        }
        nobodyHoldsSince[family] =
            holders.bits == 0 && couldServe ? nobodyHoldsSince[family] ?? now : nil
        for index in couples.indices {
            let bothHold =
                holders.contains(couples[index].first) && holders.contains(couples[index].second)
            couples[index].bothHoldSince[family] =
                bothHold ? couples[index].bothHoldSince[family] ?? now : nil
        }
    }

    // MARK: - Judgement

    private mutating func judge(now: Instant) {
        for index in couples.indices {
            for family in plan.families.indices where couples[index].bothHoldSince[family] != nil {
                judge(couple: index, family, now: now)
            }
        }
        for (node, since) in notRunningSince.enumerated() {
            guard let since, now - since > plan.leaseMax + .milliseconds(8) else { continue }
            for family in plan.families.indices
            where couples.contains(where: {
                ($0.first == node || $0.second == node) && $0.bothHoldSince[family] != nil
                    && $0.bothHoldSince[family] ?? now > since + plan.leaseMax
            }) {
                report("I1: node \(node) outlived its lease", now: now)
            }
        }
        guard nobodyHoldsSince.contains(where: { $0 != nil }) else { return }
        let isRandom = plan.faults.contains {
            $0.isRandom && $0.start <= now && now <= $0.end + plan.activeDownIntervalMax
        }
        guard !isRandom else { return }
        for family in plan.families.indices {
            guard let since = nobodyHoldsSince[family] else { continue }
            let start = max(since, calmSince)
            longestNobody = max(longestNobody, now - start)
            if now - start > nobodyMax {
                report("I2: nobody served \(plan.families[family]) for \(now - start)", now: now)
                nobodyHoldsSince[family] = now
            }
        }
    }

    private mutating func judge(couple index: Int, _ family: Int, now: Instant) {
        let couple = couples[index]
        guard let since = couple.bothHoldSince[family] else { return }
        var clearSince = couple.advertsClearSince[family]
        if clearSince == nil, plan.silenceRule == .advertsAndLink { clearSince = linkWholeSince }
        guard let clearSince else { return }
        // What was so at the last look was so until now: there is a look at each change.
        guard notRunningSince[couple.first] == nil, notRunningSince[couple.second] == nil,
            !isBusy
        else { return }
        let runningSince = max(lastNotRunningAt[couple.first], lastNotRunningAt[couple.second])
        let start = max(max(since, clearSince), max(runningSince, max(lastBusyAt, calmSince)))
        longestDouble = max(longestDouble, now - start)
        if now - start > severalMax + deferralMax(couple, family) {
            report(
                "I1: nodes \(couple.first) and \(couple.second) both answered for \(now - start)",
                now: now)
            couples[index].bothHoldSince[family] = now
        }
    }

    /// After a process was killed on a healthy network its peer holds the address.
    mutating func checkTakeover(
        from victim: Int, killedAt: Instant, now: Instant, holders: [Int]
    ) {
        if holders.allSatisfy({ $0 == victim }) {
            report("I2: no takeover within \(now - killedAt) after a kill", now: now)
        }
    }

    /// I3 and I5.
    mutating func checkTransition(
        _ transition: VirtualRouterTransition, of node: Int, _ family: AddressFamily,
        in world: ClusterSimulation
    ) {
        guard transition.to == .active else { return }
        takeoverCount += 1
        let now = world.now
        guard plan.hasLink else { return }
        let peer = world.nodes[1 - node]
        if transition.cause == .peerDeathProven, peer.isRunning,
            now - startedAt[1 - node] > .milliseconds(500)
        {
            report("I5: node \(node) took a living peer for dead", now: now)
        }
        let router = plan.families.firstIndex(of: family) ?? 0
        let needed = plan.activeDownIntervalMax + plan.heartbeatInterval
        guard transition.cause == .activeDownTimerFired, plan.silenceRule == .advertsAndLink,
            let audibleSince = peerAudibleSince[node], now - audibleSince > needed,
            now - lastBusyAt > needed, peer.state(of: router) == .active
        else { return }
        // Preemption lets the timer run (B5); that is no failure of the peer.
        let own = world.nodes[node].process?.priority(of: router) ?? 0
        let others = peer.process?.priority(of: router) ?? 0
        if own > others, plan.preempts || own == 255 { return }
        report("I5: node \(node) took over from an Active that the link hears", now: now)
    }

    /// I4: a run ends in peace.
    mutating func checkEnd(_ world: ClusterSimulation) {
        let now = world.now
        for (router, family) in plan.families.enumerated() {
            let holders = world.holders(router)
            let actives = world.nodes.indices.filter {
                world.nodes[$0].state(of: router) == .active
            }
            if holders.count != 1 || holders != actives {
                report("I4: at the end \(holders) answer, \(actives) are Active", now: now)
            }
            for (client, entry) in (world.caches[family] ?? []).enumerated()
            where entry != holders.first {
                report(
                    "I4: client \(client) talks to \(entry.map(String.init) ?? "nobody")", now: now)
            }
            if world.nodes.contains(where: { $0.state(of: router) == .initialize }) {
                report("I4: a node is out of service at the end", now: now)
            }
            checkBest(actives, world)
        }
        let settled = plan.lastFaultEnd + plan.settlingTime
        if let last = world.transitions.last?.time, last > settled, plan.end > settled {
            report("I4: still changing at \(last.nanoseconds / 1_000) us", now: now)
        }
        takeoverRatio = Double(takeoverCount) / Double(max(takeoversMax, 1))
        let hasLoss = plan.faults.contains(where: \.isRandom)
        if takeoverCount > takeoversMax, !hasLoss {
            report("I3: \(takeoverCount) takeovers for \(changeCount) changes", now: now)
        }
    }

    private mutating func checkBest(_ actives: [Int], _ world: ClusterSimulation) {
        let mayPreempt = world.nodes.indices.filter { node in
            (plan.preempts || plan.priorities[node] == 255)
                && !(world.nodes[node].process?.hasYielded ?? false)
        }
        guard let best = mayPreempt.map({ plan.priorities[$0] }).max(), let active = actives.first,
            plan.priorities[active] < best
        else { return }
        report("I4: node \(active) is Active, a node of priority \(best) is not", now: world.now)
    }

    mutating func report(_ text: String, now: Instant) {
        violations.append("\(now.nanoseconds / 1_000) us: \(text)")
    }
}
