// SPDX-License-Identifier: Apache-2.0
//
// The table of keys agrees with itself: defaults lie in range, every key says what it means.

import Testing
import WireCore

@testable import ConfigurationCore

@Suite struct KeyTableTests {
    @Test(arguments: KeyTable.all) func defaultsLieInTheirRange(key: KeyDescription) {
        switch (key.form, key.presence) {
        case (.duration(let range, let step), .duration(let span)):
            #expect(range.contains(span))
            if let step { #expect(span.nanoseconds.isMultiple(of: step.nanoseconds)) }
        case (.integer(let range), .integer(let number)):
            #expect(range.contains(number))
        case (.size(let range), .size(let byteCount)):
            #expect(range.contains(byteCount))
        case (.percent(let range), .percent(let hundredths)):
            #expect(range.contains(hundredths))
        case (.integerOrOff(let range), .integer(let number)):
            #expect(range.contains(number))
        case (.decimal(let range, _), .decimal(let number)):
            #expect(range.contains(number))
        case (.integerOrOff, .word(let word)):
            #expect(word == "off")
        case (.durationOrAuto, .word(let word)):
            #expect(word == "auto")
        case (.choice(let words), .word(let word)):
            #expect(words.contains(word))
        case (.duration, .integer), (.duration, .boolean), (.duration, .word),
            (.integer, .duration), (.integer, .boolean), (.integer, .word),
            (.boolean, .duration), (.boolean, .integer), (.boolean, .word):
            Issue.record("\(key.path): the default has another form")
        default:
            break
        }
    }

    @Test(arguments: KeyTable.all) func numbersSayWhatGoesWrongAtBothEnds(key: KeyDescription) {
        #expect(key.meaning.hasSuffix("."))
        switch key.form {
        case .duration, .integer, .integerOrAuto, .integerOrOff, .durationOrAuto, .decimal,
            .size, .percent:
            #expect(key.tooSmall != nil, "\(key.path)")
            #expect(key.tooLarge != nil, "\(key.path)")
        default:
            break
        }
    }

    @Test func pathsAreUnique() {
        #expect(Set(KeyTable.all.map(\.path)).count == KeyTable.all.count)
    }

    @Test func timeLimitsHaveTheDefaultsOfTheType() {
        let type = TimeoutConfiguration().settings.map { "\($0.path) \($0.value)" }
        let table = KeyTable.all.compactMap { key -> String? in
            guard key.parent == "timeouts", case .duration(let span) = key.presence else {
                return nil
            }
            return "\(key.path) \(DurationText.render(span))"
        }
        #expect(type == table)
    }

    @Test func sizeLimitsHaveTheDefaultsOfTheType() {
        let type = LimitConfiguration().settings.map { "\($0.path) \($0.value)" }
        let table = KeyTable.all.compactMap { key -> String? in
            guard key.parent == "limits" else { return nil }
            switch key.presence {
            case .size(let byteCount): return "\(key.path) \(SizeText.render(byteCount))"
            case .integer(let number): return "\(key.path) \(number)"
            default: return "\(key.path) any"
            }
        }
        #expect(type == table)
    }

    @Test func listenersAndRoutesShareTheirKeysForEditsAndRates() {
        for name in ["request_headers", "response_headers"] {
            let keys = ["listeners.NAME", "listeners.NAME.routes[]"].map {
                KeyTable.names(under: "\($0).\(name)")
            }
            #expect(keys == [["remove", "set", "add"], ["remove", "set", "add"]])
        }
        let rates = ["listeners.NAME", "listeners.NAME.routes[]"].map {
            KeyTable.names(under: "\($0).rate_limits[]")
        }
        #expect(rates[0] == rates[1])
        #expect(rates[0] == ["requests", "per", "burst", "key"])
    }

    @Test func keysOfHTTPListenersAreKeysOfListeners() {
        let names = KeyTable.names(under: "listeners.NAME")
        #expect(KeyTable.httpListenerKeys.allSatisfy(names.contains))
        let routeNames = KeyTable.names(under: KeyTable.routePath)
        #expect(KeyTable.routeActions.allSatisfy(routeNames.contains))
    }

    @Test(arguments: KeyTable.all) func explanationHasEveryKey(key: KeyDescription) {
        let text = "\n" + Explanation.render()
        #expect(text.contains("\n\(key.path)\n    "))
        #expect(text.contains(key.meaning))
        #expect(text.contains("    example: \(key.example)\n"))
    }

    @Test func bothChecksHaveTheSameKeys() {
        #expect(
            KeyTable.names(under: "pools.NAME.health_check")
                == KeyTable.names(under: "pools.NAME.readiness_check"))
        let names = KeyTable.names(under: "pools.NAME.health_check")
        #expect(KeyTable.checkTypesOfKey.map(\.key).allSatisfy(names.contains))
    }

    @Test func explanationPrintsOffAndDecimals() {
        let text = Explanation.render()
        #expect(text.contains("\n    off or integer, 100 to 1000; default 125\n"))
        #expect(text.contains("\n    number, 0.1 to 10, at most two decimals; default 1\n"))
        #expect(text.contains("\n    auto or duration, 1ms to 60s; default auto\n"))
        #expect(text.contains("\n    mapping, on or off; default: off\n"))
        #expect(text.contains("\n    text of at most 256B; default \"\"\n"))
    }

    @Test func explanationPrintsRangeDefaultAndConsequences() {
        #expect(
            Explanation.render().contains(
                """
                pair.virtual_routers[].advertise_interval
                    duration, 10ms to 40.95s in steps of 10ms; default 1s
                    Time between adverts; the backup waits a little more than three of them.
                    too small: a stall of 30 ms on a busy host looks like a dead node
                    too large: after a power loss nobody serves for more than three intervals
                    example: advertise_interval: 10ms

                """))
    }
}
