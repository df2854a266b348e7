// SPDX-License-Identifier: Apache-2.0
//
// The load over loopback against a test backend that goes and comes back in the same process, and
// whole drills with harmless faults.

import EventLoop
import LinuxIO
import Testing
import WireCore

@testable import DrillService

/// A backend on a free loopback port that can go away and return.
private final class Service {
    let loop: EventLoop
    let endpoint: Endpoint
    private var backend: TestBackend?

    init() throws {
        loop = try EventLoop()
        let any = Endpoint(address: .v4(.loopback), port: 0)
        let first = try TestBackend(TestBackendOptions(listen: [any]), on: loop)
        endpoint = try #require(first.endpoints.first)
        backend = first
    }

    deinit {
        loop.close()
    }

    func stop(abruptly: Bool) {
        backend?.stop(abruptly: abruptly)
        backend = nil
    }

    func start() throws {
        backend = try TestBackend(TestBackendOptions(listen: [endpoint]), on: loop)
    }

    var options: DrillOptions {
        var options = DrillOptions(
            target: DrillTarget(endpoint: endpoint), faultCommand: "true", restoreCommand: "true")
        options.keepAliveClients = 5
        options.keepAliveInterval = .milliseconds(20)
        options.advertInterval = .milliseconds(10)
        options.duration = .milliseconds(100)
        return options
    }

    func run(_ seconds: UInt64 = 15, until condition: () -> Bool) -> Bool {
        loop.run(until: Clock.now() + .seconds(seconds), condition)
    }
}

@Suite(.serialized) struct LoadGeneratorTests {
    private let service: Service

    init() throws {
        service = try Service()
    }

    private func startedLoad(_ options: DrillOptions) -> LoadGenerator {
        let load = LoadGenerator(options, on: service.loop)
        load.start()
        load.renewClients()
        #expect(service.run { load.areClientsReady && load.records.count > 20 })
        return load
    }

    @Test func everyDueProbeIsSentAndAnswered() {
        let load = startedLoad(service.options)
        #expect(service.run { load.records.count > 200 })
        load.stop()
        #expect(load.records.allSatisfy { $0.outcome == .answered })
        // Open loop: the due times are exactly one interval apart, whatever the answers took.
        let due = load.records.map(\.scheduled).sorted()
        let steps = zip(due, due.dropFirst()).map { $1 - $0 }
        #expect(steps.allSatisfy { $0 == .milliseconds(2) })
    }

    @Test func outageIsSeenAndMeasured() throws {
        let load = startedLoad(service.options)
        let fault = Clock.now()
        for client in load.clients { client.beginObservation(at: fault) }
        service.stop(abruptly: false)
        let stopped = Clock.now()
        #expect(service.run { Clock.now() - stopped > .milliseconds(60) })
        let down = Clock.now() - stopped
        try service.start()
        #expect(
            service.run { load.lastSuccessScheduled.map { $0 > stopped + down } ?? false })
        let outage = try #require(OutageFinder.find(in: load.records, fault: fault))
        #expect(outage.gap >= down)
        #expect(outage.gap < down + .seconds(2))
        #expect(load.records.contains { $0.outcome == .refused })
        for client in load.clients {
            #expect(client.isResolved(since: fault))
            // A request that nobody had read yet turns the FIN into a reset.
            let fate = client.record(fault: fault, now: Clock.now()).fate
            #expect(fate == .closed || fate == .reset)
        }
        load.stop()
    }

    @Test func resetClientsAreToldFromClosedOnes() {
        let load = startedLoad(service.options)
        let fault = Clock.now()
        service.stop(abruptly: true)
        #expect(service.run { load.clients.allSatisfy(\.isLost) })
        for client in load.clients {
            #expect(client.record(fault: fault, now: Clock.now()).fate == .reset)
        }
        load.stop()
    }

    @Test func lostClientsAreReplaced() throws {
        let load = startedLoad(service.options)
        service.stop(abruptly: true)
        #expect(service.run { load.clients.allSatisfy(\.isLost) })
        try service.start()
        load.renewClients()
        #expect(service.run { load.areClientsReady })
        load.stop()
    }

    @Test func silentServerTimesProbesOutAndHangsClients() throws {
        // It answers the first request of each client and then says nothing any more.
        var options = service.options
        options.target = DrillTarget(endpoint: service.endpoint, path: "/delay/20000")
        options.probeTimeout = .milliseconds(150)
        options.ratePerSecond = 50
        let load = LoadGenerator(options, on: service.loop)
        load.start()
        load.renewClients()
        let fault = Clock.now()
        #expect(
            service.run { load.records.count >= 5 && load.clients.allSatisfy(\.isLost) })
        #expect(load.records.allSatisfy { $0.outcome == .timedOut })
        #expect(load.records.allSatisfy { $0.latency >= .milliseconds(150) })
        for client in load.clients {
            #expect(client.record(fault: fault, now: Clock.now()).fate == .hung)
        }
        load.stop()
    }

    @Test func errorStatusIsAFailedProbe() {
        var options = service.options
        options.target = DrillTarget(endpoint: service.endpoint, path: "/status/503")
        options.keepAliveClients = 0
        let load = LoadGenerator(options, on: service.loop)
        load.start()
        #expect(service.run { load.records.count >= 10 })
        #expect(load.records.allSatisfy { $0.outcome == .errorStatus })
        #expect(load.lastSuccessScheduled == nil)
        load.stop()
    }
}

@Suite(.serialized) struct DrillSessionTests {
    private let service: Service

    init() throws {
        service = try Service()
    }

    @Test func harmlessFaultKeepsEveryClient() throws {
        var options = service.options
        options.runs = 2
        let session = DrillSession(options, on: service.loop, progress: SilentProgress())
        try session.run()
        let results = session.results
        #expect(results.map(\.number) == [1, 2])
        for result in results {
            #expect(result.outage != nil)
            #expect(result.probes.failed == 0)
            #expect(result.count(.kept) == 5)
            #expect(result.phase <= .milliseconds(10))
            #expect(!result.points.isEmpty)
        }
    }

    @Test func phasesFollowFromTheSeed() throws {
        var options = service.options
        options.seed = 11
        let session = DrillSession(options, on: service.loop, progress: SilentProgress())
        try session.run()
        var random = SeededGenerator(seed: 11)
        #expect(session.results.map(\.phase) == [random.span(upTo: options.advertInterval)])
    }

    @Test func timesComeFromTheStatusCommand() throws {
        var options = service.options
        // Dated in the year 2200: after any fault.
        options.statusCommand = """
            echo '{"node":"a","role":"active","link":{"state":"up"},"virtual_routers":[{\
            "last_failover":{"because":"x","detected_wall_ns":7258118400000000000,\
            "claimed_wall_ns":7258118400000000005}}]}'
            """
        let session = DrillSession(options, on: service.loop, progress: SilentProgress())
        try session.run()
        let times = try #require(session.results.first).failover
        #expect(times.because == "x")
        #expect(times.claim == .nanoseconds(5))
        #expect(times.announce == nil)
    }

    @Test func failingFaultCommandEndsTheDrillAndStillRestores() throws {
        let path = "/tmp/tandem-drill-test-\(ProcessLimits.processID)"
        defer { try? FileSystem.remove(path: path) }
        var options = service.options
        options.faultCommand = "echo no such node >&2; exit 1"
        options.restoreCommand = "echo restored > \(path)"
        let session = DrillSession(options, on: service.loop, progress: SilentProgress())
        let failure = #expect(throws: DrillSession.Failure.self) { try session.run() }
        #expect(failure?.reason.contains("no such node") == true)
        #expect(try FileSystem.read(path: path, byteCountMax: 100) == Array("restored\n".utf8))
    }
}
