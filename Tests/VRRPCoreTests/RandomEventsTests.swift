// SPDX-License-Identifier: Apache-2.0
//
// A router under any events in any order: what its driver sees always makes sense. The machine's
// own invariants are checked after each event as well, in debug builds.

import Testing
import VRRPCore
import WireCore

@Suite("Any events in any order")
struct RandomEventsTests {
    /// What a driver knows from the actions alone.
    private struct Driver {
        enum Addresses { case absent, held, lingering }

        var addresses = Addresses.absent
        var state = VirtualRouterState.initialize
        var isReady = false
        var isSplitOpen = false

        mutating func perform(_ actions: [VirtualRouterAction]) -> String? {
            for action in actions {
                if let fault = perform(action) { return "\(fault) in \(actions)" }
            }
            return nil
        }

        private mutating func perform(_ action: VirtualRouterAction) -> String? {
            switch action {
            case .claimAddresses:
                if addresses == .held { return "claimed twice" }
                addresses = .held
            case .releaseAddresses(lingering: true):
                if addresses != .held { return "lingers without addresses" }
                addresses = .lingering
            case .releaseAddresses(lingering: false):
                if addresses == .absent { return "released twice" }
                addresses = .absent
            case .sendAdvertisement(let priority):
                if addresses != .held, priority != 0, state != .active { return "stray advert" }
            case .announceAddresses:
                if addresses != .held { return "announced what it does not hold" }
            case .recordTransition(let transition):
                if transition.from != state { return "a state went missing" }
                state = transition.to
                isReady = false
            case .readyToClaim:
                if isReady || state != .backup { return "ready at the wrong time" }
                isReady = true
            case .noLongerReady:
                if !isReady { return "was not ready" }
                isReady = false
            case .reportSplit(let report):
                switch report.event {
                case .began:
                    if isSplitOpen { return "a split in a split" }
                    isSplitOpen = true
                case .spread:
                    if !isSplitOpen { return "no split to spread" }
                case .ended:
                    if !isSplitOpen { return "no split to end" }
                    isSplitOpen = false
                }
            case .report, .askPeer: break
            }
            return nil
        }
    }

    private static let addresses = [
        RouterUnderTest.lowerAddress, RouterUnderTest.own, RouterUnderTest.higherAddress,
    ]
    private static let priorities: [UInt8] = [0, 1, 50, 100, 101, 200, 254, 255]

    private func event(
        on router: RouterUnderTest, at time: TimeSpan, _ random: inout SeededGenerator
    ) -> [VirtualRouterAction] {
        func pick<Value>(_ values: [Value], else other: Value) -> Value {
            values.randomElement(using: &random) ?? other
        }
        let address = pick(Self.addresses, else: RouterUnderTest.own)
        let priority = pick(Self.priorities, else: 1)
        switch Int.random(in: 0..<24, using: &random) {
        case 0: return router.startup(at: time)
        case 1: return Bool.random(using: &random) ? router.shutdown(at: time) : []
        case 2...8: return router.timer(at: time)
        case 9...11:
            return router.hear(
                priority: priority, from: address, centiseconds: pick([1, 10, 100], else: 1),
                at: time)
        case 12: return router.provePeerDeath(of: address, at: time)
        case 13: return router.handOver(from: address, at: time)
        case 14: return router.takeHandover(from: address, at: time)
        case 15: return router.yield(lingering: Bool.random(using: &random), at: time)
        case 16: return router.endLingering(at: time)
        case 17: return router.recover(at: time)
        case 18: return Bool.random(using: &random) ? router.fault(at: time) : []
        case 19: return router.setPriority(priority, at: time)
        case 20:
            let holds = ClaimHold.allCases.filter { _ in Bool.random(using: &random) }
            return router.hold(Set(holds), at: time)
        case 21:
            return router.hearOnLink(
                pick(VirtualRouterState.allCases, else: .backup), priority: max(priority, 1),
                from: address, at: time)
        case 22: return Bool.random(using: &random) ? router.loseLink(at: time) : []
        default:
            let cause = pick(VirtualRouterTransition.Cause.allCases, else: .startup)
            return Bool.random(using: &random)
                ? router.seeConflict(at: time)
                : router.obey(
                    pick(
                        [.mayClaim(0), .mustYield(0, because: cause, lingering: true)],
                        else: .mayClaim(0)), at: time)
        }
    }

    @Test("The driver's picture never contradicts the machine", arguments: 0..<64)
    func actionsAlwaysMakeSense(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let base: [UInt8] = [1, 100, 200, 254, 255]
        for _ in 0..<12 {
            let router = try RouterUnderTest(
                priority: base.randomElement(using: &random) ?? 100, interval: ms(10),
                preempts: Bool.random(using: &random),
                preemptDelay: Bool.random(using: &random) ? .zero : ms(200),
                silenceRule: Bool.random(using: &random) ? .adverts : .advertsAndLink,
                isGrouped: Bool.random(using: &random))
            var driver = Driver()
            var time = TimeSpan.zero
            for step in 0..<400 {
                let pauses: [TimeSpan] = [.zero, us(700), ms(4), ms(11), ms(90), ms(2_500)]
                time = time + (pauses.randomElement(using: &random) ?? .zero)
                let actions = event(on: router, at: time, &random)
                let place = "seed \(seed), step \(step)"
                if let fault = driver.perform(actions) { Issue.record("\(place): \(fault)") }
                #expect(driver.state == router.state, "\(place)")
                #expect((driver.addresses == .held) == (router.state == .active), "\(place)")
                #expect((driver.addresses == .lingering) == router.isLingering, "\(place)")
                #expect(driver.isReady == router.isReady, "\(place)")
                #expect(!driver.isSplitOpen || router.split != nil, "\(place)")
                #expect(
                    router.deadline == nil
                        ? router.state == .initialize || router.isReady : true, "\(place)")
            }
        }
    }
}
