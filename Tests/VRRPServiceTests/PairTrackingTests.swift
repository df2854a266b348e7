// SPDX-License-Identifier: Apache-2.0
//
// Goal: interfaces, workers, witness and the control thread's results become verdicts. Method: real
// interfaces in an own namespace; backends and workers are values.

import ConfigurationCore
import EventLoop
import LinuxIO
import NamespaceLaboratory
import NetlinkIO
import Telemetry
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

/// A witness that answers while told to.
private final class SwitchedWitness: WitnessProbe {
    var onAnswer: ((HardwareAddress) -> Void)?
    var answers = true
    let own: IPAddress?

    init(own: IPAddress?) {
        self.own = own
    }

    func probe() -> Bool {
        if answers { onAnswer?(HardwareAddress(rawValue: 0x0200_0000_0001)) }
        return true
    }

    func close() {}
}

@Suite(.serialized, .enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct PairTrackingTests {
    private func makeTracking(
        _ track: TrackingConfiguration, on loop: EventLoop,
        isStalled: @escaping (TimeSpan) -> Bool = { _ in false },
        witness: @escaping (SwitchedWitness) -> Void = { _ in }
    ) -> PairTracking {
        PairTracking(
            track: track, loop: loop, logger: Logger("track", sink: nil),
            isDataPlaneStalled: isStalled
        ) { _, _, own throws(Errno) in
            let probe = SwitchedWitness(own: own)
            witness(probe)
            return probe
        }
    }

    private func inNamespaceWithCable(_ body: () throws -> Void) throws {
        try Laboratory.inNewNamespace {
            try Laboratory.ip("link add t0 type veth peer name t1")
            try Laboratory.ip("link set t0 up")
            try Laboratory.ip("link set t1 up")
            try body()
        }
    }

    @Test func aLostCarrierIsAFaultUntilItIsBackForItsDelay() throws {
        try inNamespaceWithCable {
            let loop = try EventLoop()
            defer { loop.close() }
            let tracking = makeTracking(
                TrackingConfiguration(
                    interfaces: [TrackedInterface(name: "t0", upDelay: .milliseconds(300))]),
                on: loop)
            var verdicts: [TrackingVerdict] = []
            tracking.onVerdict = { verdicts.append($0) }
            try tracking.start()
            #expect(verdicts.isEmpty)
            try Laboratory.ip("link set t1 down")
            #expect(loop.poll { tracking.verdict.hasTrackerFault })
            #expect(tracking.verdict.faults == [TrackerIdentity(.interface, "t0")])
            let status = try #require(tracking.statuses.first { $0.identity.kind == .interface })
            #expect(status.state == .failing && status.detail == "no carrier")
            try Laboratory.ip("link set t1 up")
            let back = Clock.now()
            #expect(loop.poll { !tracking.verdict.hasTrackerFault })
            #expect(Clock.now() - back >= .milliseconds(290))
            #expect(verdicts.count == 2)
            tracking.stop()
        }
    }

    @Test func aMissingInterfaceFailsAndMayComeLater() throws {
        try Laboratory.inNewNamespace {
            let loop = try EventLoop()
            defer { loop.close() }
            let tracking = makeTracking(
                TrackingConfiguration(
                    interfaces: [
                        TrackedInterface(name: "t0", penalty: .points(40), upDelay: .zero)
                    ]), on: loop)
            try tracking.start()
            #expect(tracking.verdict.penaltyPoints == 40)
            try Laboratory.ip("link add t0 type veth peer name t1")
            try Laboratory.ip("link set t0 up")
            try Laboratory.ip("link set t1 up")
            #expect(loop.poll { tracking.verdict.penaltyPoints == 0 })
            try Laboratory.ip("link del t0")
            #expect(loop.poll { tracking.verdict.penaltyPoints == 40 })
            tracking.stop()
        }
    }

    @Test func theWitnessIsAskedFromTheAddressNextToIt() throws {
        try inNamespaceWithCable {
            try Laboratory.ip("address add 192.0.2.9/24 dev t0")
            try Laboratory.ip("address add 198.51.100.9/24 dev t0")
            let loop = try EventLoop()
            defer { loop.close() }
            var probe: SwitchedWitness?
            let tracking = makeTracking(
                TrackingConfiguration(
                    gateway: TrackedGateway(
                        address: IPAddress(198, 51, 100, 1), interface: "t0",
                        interval: .milliseconds(20))), on: loop, witness: { probe = $0 })
            var verdicts: [TrackingVerdict] = []
            tracking.onVerdict = { verdicts.append($0) }
            try tracking.start()
            #expect(verdicts.first?.isWitnessMissing == true, "unknown is as bad as missing")
            #expect(loop.poll { !tracking.verdict.isWitnessMissing })
            #expect(probe?.own == IPAddress(198, 51, 100, 9))
            probe?.answers = false
            #expect(loop.poll { tracking.verdict.isWitnessMissing })
            #expect(tracking.verdict.faults.isEmpty)
            tracking.stop()
        }
    }

    @Test func stalledWorkersAreAFaultAfterThreeLooks() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        var isStalled = false
        var limits: Set<TimeSpan> = []
        let tracking = makeTracking(
            TrackingConfiguration(workerStall: .milliseconds(100)), on: loop,
            isStalled: {
                limits.insert($0)
                return isStalled
            })
        try tracking.start()
        loop.run(for: .milliseconds(250))
        #expect(tracking.verdict == TrackingVerdict())
        isStalled = true
        let begin = Clock.now()
        #expect(loop.poll { tracking.verdict.isDataPlaneStalled })
        #expect(Clock.now() - begin >= .milliseconds(190))
        #expect(!tracking.verdict.hasTrackerFault)
        isStalled = false
        #expect(loop.poll { !tracking.verdict.isDataPlaneStalled })
        #expect(limits == [PairTracking.workerStallMin], "an idle worker turns every 100 ms")
        tracking.stop()
    }

    @Test func resultsOfTheControlThreadCount() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let tracking = makeTracking(
            TrackingConfiguration(
                backends: TrackedBackends(penalty: .points(50)),
                scripts: [TrackedScript(name: "disk", command: ["/bin/true"], fall: 2)]), on: loop)
        try tracking.start()
        let disk = TrackerIdentity(.script, "disk")
        tracking.take(TrackedResult(disk, isGood: true))
        tracking.take(TrackedResult(disk, isGood: false))
        #expect(tracking.verdict == TrackingVerdict())
        tracking.take(TrackedResult(disk, isGood: false, detail: "exit 1"))
        tracking.take(TrackedResult(.backends, isGood: false))
        tracking.take(TrackedResult(TrackerIdentity(.script, "gone"), isGood: false))
        #expect(tracking.verdict.faults == [disk])
        #expect(tracking.verdict.penaltyPoints == 50)
        var text = MetricsText()
        tracking.report.collect(into: &text)
        for line in [
            #"tandem_tracker_failing{kind="script",name="disk"} 1"#,
            #"tandem_tracker_results_total{kind="script",name="disk",result="bad"} 2"#,
            "tandem_tracking_penalty_points 50", "tandem_tracking_witness_missing 0",
        ] {
            #expect(text.rendered.contains(line + "\n"))
        }
        #expect(!text.rendered.contains("gone"))
        tracking.stop()
    }
}

@Suite struct ControlTrackingTests {
    static func web(_ serving: Int) -> ServingShare {
        ServingShare(pool: "web", servingCount: serving, totalCount: 4)
    }
    static let api = ServingShare(pool: "api", servingCount: 1, totalCount: 1)

    /// Serving backends of 4, limits in percent; the result if there is one.
    @Test(
        arguments: [
            (4, 50, 50, true), (2, 50, 50, true), (1, 50, 50, false), (0, 1, 1, false),
            (2, 50, 75, nil), (3, 50, 75, true), (1, 50, 75, false),
        ] as [(Int, Int, Int, Bool?)])
    func theLeastShareDecides(_ serving: Int, _ below: Int, _ above: Int, _ wanted: Bool?) {
        let backends = TrackedBackends(below: below * 100, above: above * 100)
        let result = ControlTracking.result(of: [Self.api, Self.web(serving)], for: backends)
        #expect(result?.isGood == wanted)
        if wanted == false { #expect(result?.detail == "\(serving) of 4 of pool web serve") }
    }

    @Test func onlyNamedPoolsCount() {
        let backends = TrackedBackends(pools: ["api"])
        #expect(ControlTracking.result(of: [Self.web(0), Self.api], for: backends)?.isGood == true)
        #expect(ControlTracking.result(of: [Self.web(0)], for: backends) == nil)
    }

    @Test func aPoolWithoutBackendsServesNothing() {
        let empty = ServingShare(pool: "web", servingCount: 0, totalCount: 0)
        #expect(ControlTracking.result(of: [empty], for: TrackedBackends())?.isGood == false)
    }

    @Test func changesAreToldAtOnceAndRepeatedNowAndThen() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        var serving = 4
        var results: [TrackedResult] = []
        let tracking = ControlTracking(
            track: TrackingConfiguration(backends: TrackedBackends()), loop: loop,
            logger: Logger("track", sink: nil), shares: { [Self.web(serving)] },
            report: { results.append($0) })
        tracking.start()
        #expect(results.map(\.isGood) == [true])
        serving = 1
        #expect(loop.poll { results.count >= 2 })
        #expect(results.last?.isGood == false)
        let changed = Clock.now()
        #expect(loop.poll { results.count >= 3 })
        #expect(Clock.now() - changed >= .milliseconds(900))
        tracking.stop()
        loop.run(for: .milliseconds(300))
        #expect(results.count == 3)
    }
}
