// SPDX-License-Identifier: Apache-2.0
//
// What happens to a simulated pool: its size and rules, the faults of its backends, what the
// operator does. Everything follows from a seed.

import BalancerCore
import WireCore

/// What a backend does for a while.
enum BackendMode: Hashable {
    case healthy
    /// Nothing listens.
    case crashed
    /// Answers 500 at once, to checks as well.
    case failing
    /// Answers 503 at once, but checks pass.
    case lying
    /// Accepts and never answers.
    case hung
    /// Ten times slower; checks pass.
    case slow
    /// Its readiness check fails, traffic is served.
    case notReady
}

/// The whole of a run.
struct BalancerPlan {
    struct Fault {
        var mode: BackendMode
        var backends: [Int]
        var begin: Instant
        var end: Instant
    }

    enum Deed {
        case admin(Int, AdminState)
        case weight(Int, Int?)
        case forced(Int, Bool?)
        case reload
    }

    static let start = Instant(nanoseconds: 3_600_000_000_000)
    /// After the last fault: the longest ejection with its jitter, and a slow start.
    static let calm = TimeSpan.seconds(900)

    let seed: UInt64
    var weights: [Int] = []
    var settings = GovernorSettings()
    var sharing = PoolSharing()
    var policy = SelectionPolicy.leastTime
    var check = HealthCheckPlan(interval: .seconds(5), timeout: .seconds(3), fall: 3, rise: 2)
    var requestsPerSecond = 5.0
    /// Faults and deeds end here.
    var unrest = TimeSpan.seconds(3_600)
    var budgetPercent = 20
    var floorPerSecond = 0
    var faults: [Fault] = []
    var deeds: [(at: Instant, deed: Deed)] = []

    var calmFrom: Instant { Self.start + unrest }
    var end: Instant { calmFrom + Self.calm }

    init(seed: UInt64) {
        self.seed = seed
        var generator = SeededGenerator(seed: seed &* 0x9E37 &+ 1)
        drawPool(&generator)
        drawRules(&generator)
        let faultCount = Int.random(in: 4...14, using: &generator)
        for _ in 0..<faultCount { drawFault(&generator) }
        for _ in 0..<Int.random(in: 0...8, using: &generator) { drawDeed(&generator) }
    }

    private mutating func drawPool(_ generator: inout SeededGenerator) {
        let count: Int
        switch seed % 12 {
        case 11:
            count = Int.random(in: 300...1_000, using: &generator)
            check = HealthCheckPlan(
                interval: .seconds(60), timeout: .seconds(3), fall: 2, rise: 2)
            unrest = .seconds(900)
        case 10:
            count = Int.random(in: 60...120, using: &generator)
            unrest = .seconds(3_600)
        case 9:
            // Dense enough for rates.
            count = Int.random(in: 5...12, using: &generator)
            requestsPerSecond = Double(count) * 14
            unrest = .seconds(300)
        default:
            count = Int.random(in: 1...20, using: &generator)
            unrest = .seconds(UInt64.random(in: 3_600...10_800, using: &generator))
        }
        let isWeighted = Bool.random(using: &generator)
        weights = (0..<count).map { _ in
            isWeighted ? Int.random(in: 1...8, using: &generator) : 1
        }
        policy =
            SelectionPolicy.allCases.filter { !$0.usesHash }.randomElement(using: &generator)
            ?? .leastTime
    }

    private mutating func drawRules(_ generator: inout SeededGenerator) {
        if Bool.random(using: &generator) { settings.slowStart = SlowStartSettings() }
        if Int.random(in: 0..<4, using: &generator) == 0 { settings.cascade = nil }
        if Bool.random(using: &generator) { settings.outlier?.growth = .doubling }
        if Bool.random(using: &generator) { settings.outlier?.failurePercent = 85 }
        settings.outlier?.ejectedPercentMax =
            [10, 50, 50, 50, 100].randomElement(using: &generator) ?? 50
        sharing.panicPercent = [0, 50, 50].randomElement(using: &generator) ?? 50
        settings.sharing = sharing
        floorPerSecond = [0, 0, 10].randomElement(using: &generator) ?? 0
    }

    private mutating func drawFault(_ generator: inout SeededGenerator) {
        let modes: [BackendMode] = [.crashed, .failing, .lying, .hung, .slow, .notReady]
        let mode = modes.randomElement(using: &generator) ?? .crashed
        let begin = Self.start + generator.span(upTo: unrest)
        let length = TimeSpan.seconds(5) + generator.span(upTo: .seconds(400))
        let indexes = Array(weights.indices)
        let share: Int
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: share = indexes.count
        case 1: share = indexes.count / 2 + 1
        default: share = 1 + Int.random(in: 0...2, using: &generator) * indexes.count / 10
        }
        faults.append(
            Fault(
                mode: mode,
                backends: Array(indexes.shuffled(using: &generator).prefix(max(1, share))),
                begin: begin, end: min(begin + length, calmFrom)))
    }

    private mutating func drawDeed(_ generator: inout SeededGenerator) {
        let index = Int.random(in: weights.indices, using: &generator)
        let at = Self.start + generator.span(upTo: unrest)
        let undoneAt = min(at + generator.span(upTo: .seconds(600)), calmFrom)
        switch Int.random(in: 0..<5, using: &generator) {
        case 0:
            deeds.append((at, .admin(index, .drain)))
            deeds.append((undoneAt, .admin(index, .ready)))
        case 1:
            deeds.append((at, .admin(index, .maintenance)))
            deeds.append((undoneAt, .admin(index, .ready)))
        case 2:
            deeds.append((at, .weight(index, Int.random(in: 0...20, using: &generator))))
            deeds.append((undoneAt, .weight(index, nil)))
        case 3:
            deeds.append((at, .forced(index, Bool.random(using: &generator))))
            deeds.append((undoneAt, .forced(index, nil)))
        default:
            deeds.append((at, .reload))
        }
    }
}
