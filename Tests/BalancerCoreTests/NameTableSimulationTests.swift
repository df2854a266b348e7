// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever servers answer and in whatever order, no address goes without evidence and nobody
// is asked too often. Method: seeded servers that fail, lie low and change their minds, against a
// plain model of what each host stands for.

import BalancerCore
import Testing
import WireCore

@Suite struct NameTableSimulationTests {
    /// What the test knows of one host.
    private struct Model {
        var targets: [IPAddress] = []
        /// When the servers began to say that there is nothing, without a good answer since.
        var negativeSince: Instant?
        var askedAt: Instant?
        var isOpen = false
    }

    private struct World {
        var table: NameTable
        var now = Instant(nanoseconds: 1_000_000_000)
        var generator: SeededGenerator
        var models: [String: Model] = [:]
        let plan: NameResolutionPlan

        init(seed: UInt64) {
            generator = SeededGenerator(seed: seed)
            var plan = NameResolutionPlan(
                ttlMin: .seconds(2), ttlMax: .seconds(60), hold: .seconds(20))
            plan.lookupsAtOnceMax = 3
            self.plan = plan
            table = NameTable(plan: plan, seed: seed)
            let names = (0..<8).map { "h\($0)" }
            for name in names { models[name] = Model() }
            _ = table.want(Set(names.map { .host($0) }), now: now)
        }

        mutating func roll(_ sides: Int) -> Int { Int.random(in: 0..<sides, using: &generator) }

        /// Time goes on, or one of the open questions ends.
        mutating func step() {
            let open = models.filter { $0.value.isOpen }.keys.sorted()
            if !open.isEmpty, roll(3) > 0 {
                end(open[roll(open.count)])
            } else {
                now = now + .milliseconds(UInt64(roll(4_000)))
                begin()
            }
            check()
        }

        mutating func begin() {
            for name in table.takeDue(now: now) {
                guard case .host(let text) = name, var model = models[text] else { continue }
                #expect(!model.isOpen, "asked twice at once")
                if let askedAt = model.askedAt {
                    // Failures are asked for again after 900 ms or more, answers after ttlMin;
                    // only the end of the hold time may come sooner.
                    let gap = now - askedAt
                    #expect(gap >= .milliseconds(900) || model.negativeSince != nil)
                }
                model.isOpen = true
                model.askedAt = now
                models[text] = model
            }
            #expect(models.values.filter(\.isOpen).count <= plan.lookupsAtOnceMax)
        }

        mutating func end(_ text: String) {
            guard var model = models[text] else { return }
            model.isOpen = false
            let lookup: HostLookup
            switch roll(4) {
            case 0:
                let failure = NameLookupFailure.allCases[roll(NameLookupFailure.allCases.count)]
                lookup = HostLookup(v4: .failed(failure), v6: .failed(failure))
            case 1:
                lookup = HostLookup(v4: .noSuchName, v6: .noSuchName)
                let since = model.negativeSince ?? now
                model.negativeSince = since
                if model.targets.isEmpty || now >= since + plan.hold { model.targets = [] }
            default:
                let found = (0...roll(3)).map { _ in
                    IPAddress.v4(IPv4Address(10, 0, 0, UInt8(1 + roll(5))))
                }
                lookup = HostLookup(
                    v4: .records(found, ttl: .seconds(UInt64(roll(100)))), v6: .noRecords)
                model.targets = Set(found).sorted { $0.precedes($1) }
                model.negativeSince = nil
            }
            models[text] = model
            let before = table.answers
            let events = table.hostLookupEnded(text, lookup, now: now)
            let isChanged = before != table.answers
            #expect(events.contains(where: \.changesAnswers) == isChanged)
        }

        func check() {
            for (text, model) in models {
                #expect(table.answers[.host(text)].map(\.address) == model.targets)
            }
            // Nothing is ever forgotten: what is not open is due within the longest wait.
            for status in table.status() {
                guard let dueAt = status.dueAt else { continue }
                #expect(dueAt <= now + plan.ttlMax)
            }
        }
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func answersFollowTheEvidence(seed: UInt64) {
        var world = World(seed: seed)
        for _ in 0..<600 { world.step() }
    }
}
