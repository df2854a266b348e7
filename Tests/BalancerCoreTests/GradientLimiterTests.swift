// SPDX-License-Identifier: Apache-2.0
//
// The adaptive limit against a simulated backend: so many servers, a queue in front of them, and
// more clients than it can take.

import BalancerCore
import Testing
import WireCore

/// Servers with a queue behind the limiter, and clients that always want something.
///
/// A fluid model: a request takes its service time, longer by as much as more requests are in
/// flight than there are servers.
private struct ServerSimulation {
    private static let ringCount = 4_096

    var limiter: GradientLimiter
    /// Requests served at once.
    var servers: Int
    /// Mean time of one, in milliseconds.
    var service: Double
    var clients: Int
    var now = Instant(nanoseconds: 1_000_000_000)
    var answered = 0
    var limits: [Int] = []
    var settledLimits: [Int] = []
    private var generator = SeededGenerator(seed: 11)
    /// Latencies in milliseconds, by the millisecond they end in.
    private var ring = [[Int]](repeating: [], count: ringCount)
    private var step = 0
    private var inFlight = 0

    init(settings: GradientSettings, servers: Int, service: Double, clients: Int) {
        limiter = GradientLimiter(settings: settings, seed: 5, now: now)
        self.servers = servers
        self.service = service
        self.clients = clients
    }

    /// Runs for so many seconds in steps of a millisecond.
    mutating func run(seconds: Double) {
        for _ in 0..<Int(seconds * 1_000) {
            now = now + .milliseconds(1)
            step = (step + 1) % Self.ringCount
            for latency in ring[step] {
                answered += 1
                limiter.answered(
                    latency: .milliseconds(UInt64(latency)), inFlight: inFlight, now: now)
                inFlight -= 1
            }
            ring[step].removeAll(keepingCapacity: true)
            while inFlight < min(limiter.limit, clients) { send() }
            guard now.nanoseconds % 100_000_000 == 0 else { continue }
            limits.append(limiter.limit)
            settledLimits.append(limiter.settledLimit)
        }
    }

    private mutating func send() {
        inFlight += 1
        let draw = Double(generator.next() >> 40) / Double(1 << 24)
        let wait = max(1, Double(inFlight) / Double(servers))
        let latency = max(1, Int(service * wait * (0.5 + draw)))
        ring[(step + min(latency, Self.ringCount - 1)) % Self.ringCount].append(latency)
    }

    mutating func forget() {
        answered = 0
        limits = []
        settledLimits = []
    }

    var mean: Double {
        Double(limits.reduce(0, +)) / Double(max(limits.count, 1))
    }
}

@Suite struct GradientLimiterTests {
    private static var settings: GradientSettings {
        var settings = GradientSettings()
        settings.limitMax = 1_000
        settings.limitMin = 3
        return settings
    }

    @Test func overloadBringsTheLimitNearWhatIsServed() {
        var simulation = ServerSimulation(
            settings: Self.settings, servers: 20, service: 50, clients: 200)
        // The first measurement is of a pool that is full: ten times too slow.
        simulation.run(seconds: 60)
        simulation.forget()
        simulation.run(seconds: 30)
        #expect(simulation.mean > 18)
        #expect(simulation.mean < 60)
        // Nothing of what the servers can do is lost: 400 a second.
        #expect(simulation.answered > 11_000)
    }

    @Test func aPoolThatIsNotFullKeepsItsLimit() {
        var simulation = ServerSimulation(
            settings: Self.settings, servers: 100, service: 50, clients: 20)
        simulation.run(seconds: 20)
        simulation.forget()
        simulation.run(seconds: 150)
        // Measuring takes nothing of it, since nothing speaks against the baseline.
        #expect(simulation.limits.allSatisfy { $0 > 900 })
    }

    @Test func theLimitNeverLeavesItsBounds() {
        var settings = Self.settings
        settings.limitMin = 25
        settings.limitMax = 100
        var simulation = ServerSimulation(
            settings: settings, servers: 2, service: 5, clients: 300)
        simulation.run(seconds: 90)
        #expect(simulation.limits.allSatisfy { (25...100).contains($0) })
        #expect(simulation.limits.contains(25))
    }

    @Test func theBaselineDoesNotDriftUnderSteadyOverload() {
        var simulation = ServerSimulation(
            settings: Self.settings, servers: 10, service: 50, clients: 100)
        simulation.run(seconds: 60)
        var baselines: [Double] = []
        for _ in 0..<8 {
            simulation.run(seconds: 65)
            baselines.append(simulation.limiter.baseline?.secondsAsDouble ?? 1)
        }
        // The true one is 1.4 times 50 ms.
        #expect(baselines.allSatisfy { $0 < 0.11 })
        #expect(simulation.limiter.settledLimit < 40)
    }

    @Test func aSlowerBackendIsMeasuredAnew() {
        var simulation = ServerSimulation(
            settings: Self.settings, servers: 30, service: 20, clients: 25)
        simulation.run(seconds: 20)
        simulation.service = 100
        simulation.run(seconds: 80)
        simulation.forget()
        simulation.run(seconds: 20)
        #expect(simulation.mean > 25)
        #expect((simulation.limiter.baseline ?? .zero) > .milliseconds(100))
    }

    @Test func aLimitThatWasLowRecovers() {
        var simulation = ServerSimulation(
            settings: Self.settings, servers: 10, service: 50, clients: 100)
        simulation.run(seconds: 60)
        let low = simulation.limiter.settledLimit
        simulation.servers = 200
        simulation.run(seconds: 10)
        #expect(low < 45)
        #expect(simulation.limiter.settledLimit > 200)
    }

    @Test func whoCannotWaitHasTheLimitOfBefore() {
        var simulation = ServerSimulation(
            settings: Self.settings, servers: 10, service: 50, clients: 100)
        var loweredCount = 0
        for _ in 0..<400 {
            simulation.run(seconds: 0.05)
            let limiter = simulation.limiter
            #expect(limiter.limit <= limiter.settledLimit)
            if limiter.limit < limiter.settledLimit {
                #expect(limiter.isMeasuring)
                loweredCount += 1
            }
        }
        #expect(loweredCount > 0)
    }

    @Test func aQuietPoolEndsItsMeasurement() {
        var limiter = GradientLimiter(
            settings: Self.settings, seed: 1, now: Instant(nanoseconds: 0))
        var now = Instant(nanoseconds: 0)
        for _ in 0..<400 {
            now = now + .milliseconds(700)
            limiter.answered(latency: .milliseconds(5), inFlight: 1, now: now)
        }
        #expect(limiter.settledLimit == 1_000)
        #expect(limiter.baseline != nil)
    }

    @Test func absurdLatenciesDoNotTrap() {
        var limiter = GradientLimiter(
            settings: Self.settings, seed: 1, now: Instant(nanoseconds: 0))
        var now = Instant(nanoseconds: 0)
        for latency in [0, 1, 1_023, 1_024, UInt64.max] {
            for _ in 0..<200 {
                now = now + .milliseconds(2)
                limiter.answered(
                    latency: TimeSpan(nanoseconds: latency), inFlight: .max, now: now)
            }
        }
        #expect((10...1_000).contains(limiter.limit))
    }
}
