// SPDX-License-Identifier: Apache-2.0
//
// Command lines: what they mean and what is refused in which words.

import Testing
import WireCore

@testable import DrillService

@Suite struct DrillArgumentsTests {
    private let needed = ["--vip", "http://10.77.0.100/", "--fault", "f", "--restore", "r"]

    @Test func defaultsAreThoseOfTheUsageText() throws {
        guard case .run(let options) = DrillArguments.parse(needed, seed: 42) else {
            Issue.record("not accepted")
            return
        }
        var expected = DrillOptions(
            target: DrillTarget(endpoint: try #require(Endpoint("10.77.0.100:80"))),
            faultCommand: "f", restoreCommand: "r")
        expected.seed = 42
        #expect(options == expected)
        #expect(options.probeInterval == .milliseconds(2))
    }

    @Test func everyOptionArrives() {
        let arguments =
            needed + [
                "--status", "s", "--runs=30", "--rate", "100", "--keep-alive-clients", "0",
                "--keep-alive-interval", "20ms", "--advert-interval=10ms", "--duration", "5m",
                "--timeout", "2s", "--limit", "10s", "--seed", "7", "--label", "x=y", "--json", "j",
                "--html", "h", "--bar-median", "10", "--bar-worst", "50ms",
            ]
        guard case .run(let options) = DrillArguments.parse(arguments) else {
            Issue.record("not accepted")
            return
        }
        #expect(options.statusCommand == "s")
        #expect(options.runs == 30)
        #expect(options.ratePerSecond == 100)
        #expect(options.keepAliveClients == 0)
        #expect(options.keepAliveInterval == .milliseconds(20))
        #expect(options.advertInterval == .milliseconds(10))
        #expect(options.duration == .seconds(300))
        #expect(options.probeTimeout == .seconds(2))
        #expect(options.resumeLimit == .seconds(10))
        #expect(options.observationMax == .seconds(302))
        #expect(options.seed == 7)
        #expect(options.label == "x=y")
        #expect(options.jsonPath == "j")
        #expect(options.htmlPath == "h")
        #expect(options.bars == DrillBars(median: .milliseconds(10), worst: .milliseconds(50)))
    }

    @Test(arguments: [
        (["--runs", "0"], "--runs wants a number in 1...10000, not '0'"),
        (["--runs", "many"], "--runs wants a number in 1...10000, not 'many'"),
        (["--rate", "9999999"], "--rate wants a number in 1...5000, not '9999999'"),
        (["--runs"], "--runs needs a value"),
        (["--runs", "1", "--runs", "2"], "--runs is given twice"),
        (["--speed", "1"], "unknown argument '--speed'"),
        (["fast"], "unknown argument 'fast'"),
        (
            ["--advert-interval", "10"],
            "--advert-interval wants a duration from 1ms to 3600s, such as 10ms, not '10'"
        ),
        (["--bar-median", "-1"], "--bar-median wants milliseconds, at most an hour, not '-1'"),
        (["--seed", "-1"], "--seed wants a number, not '-1'"),
    ])
    func saysWhatIsWrong(_ arguments: [String], _ reason: String) {
        #expect(DrillArguments.parse(needed + arguments) == .failure(reason))
    }

    @Test(arguments: [
        "https://10.77.0.100/", "http://lb.example/", "http://10.77.0.100:0/", "http://",
        "http://10.77.0.100:99999/", "http://10.77.0.100/a b", "10.77.0.100",
    ])
    func refusesOtherURLs(_ url: String) {
        let arguments = ["--vip", url, "--fault", "f", "--restore", "r"]
        #expect(
            DrillArguments.parse(arguments)
                == .failure("--vip wants http://ADDRESS[:PORT][/PATH], not '\(url)'"))
    }

    @Test(arguments: [
        ("http://10.0.0.1", "10.0.0.1:80", "/"),
        ("http://10.0.0.1:8080/x?y=1", "10.0.0.1:8080", "/x?y=1"),
        ("http://[::1]/", "[::1]:80", "/"), ("http://[fd00::1]:81", "[fd00::1]:81", "/"),
    ])
    func readsURLs(_ url: String, _ endpoint: String, _ path: String) throws {
        let target = try #require(DrillTarget(url))
        #expect(target.endpoint.description == endpoint)
        #expect(target.path == path)
    }

    @Test func missingOnesAreNamed() {
        #expect(DrillArguments.parse([]) == .failure("--vip is missing"))
        #expect(DrillArguments.parse(Array(needed.prefix(4))) == .failure("--restore is missing"))
        #expect(DrillArguments.parse(["--help"]) == .help)
        #expect(DrillArguments.parse(["--compare", "a", "b"]) == .compare("a", "b"))
        #expect(
            DrillArguments.parse(["--compare", "a"]) == .failure("--compare wants two JSON reports")
        )
    }

    @Test func backendArguments() throws {
        let endpoint = try #require(Endpoint("10.77.0.21:8080"))
        #expect(
            TestBackendArguments.parse(["--listen", "10.77.0.21:8080", "--name", "be1"])
                == .run(TestBackendOptions(listen: [endpoint], name: "be1")))
        #expect(TestBackendArguments.parse([]) == .failure("--listen ADDR:PORT is missing"))
        #expect(
            TestBackendArguments.parse(["--listen", "be1:80"])
                == .failure("--listen wants ADDR:PORT, not 'be1:80'"))
        #expect(
            TestBackendArguments.parse(["--listen", "1.2.3.4:5", "--name", "a\r\nb"])
                == .failure("--name wants visible ASCII characters"))
    }

    @Test(
        arguments: [
            (5_234_000, "5.23"), (9_999_000, "10.00"), (45_600_000, "45.6"),
            (2_980_400_000, "2980"),
            (0, "0.00"), (400, "0.00"),
        ] as [(UInt64, String)])
    func millisecondsKeepWhatMatters(_ nanoseconds: UInt64, _ text: String) {
        #expect(DurationText.milliseconds(TimeSpan(nanoseconds: nanoseconds)) == text)
    }

    @Test func decimalsDoNotTrap() {
        #expect(DurationText.decimal(-0.04, places: 1) == "0.0")
        #expect(DurationText.decimal(-1.25, places: 2) == "-1.25")
        #expect(DurationText.decimal(.infinity, places: 1) == "inf")
        #expect(DurationText.decimal(1e300, places: 1) == "inf")
        #expect(DurationText.decimal(.nan, places: 1) == "inf")
    }
}
