// SPDX-License-Identifier: Apache-2.0
//
// The command line of `tandem drill`. Pure: words in, options or a reason out.

internal import WireCore

/// Reads the arguments of `tandem drill`.
public enum DrillArguments {
    /// What the arguments ask for.
    public enum Result: Hashable, Sendable {
        /// Run a drill.
        case run(DrillOptions)
        /// Print two JSON reports side by side.
        case compare(String, String)
        /// Print the usage text.
        case help
        /// The arguments make no sense; the text says why.
        case failure(String)
    }

    /// The usage text.
    public static let usage = """
        usage: tandem drill --vip URL --fault CMD --restore CMD [options]
               tandem drill --compare A.json B.json

        Keeps traffic on URL, injects a fault, measures how long traffic took to resume.

          --vip URL               http://ADDRESS[:PORT][/PATH], the address under test
          --fault CMD             shell command that injects the fault; a line
                                  fault_at_wall_ns=N on its output dates the injection
          --restore CMD           shell command that repairs the pair
          --status CMD            shell command that prints `tandem status --json`
          --runs N                faults to inject (1)
          --rate PER_SECOND       new connections a second (500)
          --keep-alive-clients N  clients that keep one connection (20)
          --keep-alive-interval D time between two requests of such a client (50ms)
          --advert-interval D     faults are spread over one such interval (1s)
          --duration D            observe at least D after the fault (1s)
          --timeout D             a probe without an answer after D has timed out (5s)
          --limit D               traffic not back after D has not resumed (30s)
          --seed N                seed of the random phases (random)
          --label TEXT            title of the report
          --json FILE             write the report as JSON
          --html FILE             write the report as one HTML page with a plot
          --bar-median MS         fail when the median gap is longer
          --bar-worst MS          fail when the worst gap is longer

        The gap is the longest time between two consecutive good answers to new connections,
        where the second came after the fault: without an outage it is the time between two
        probes (2 ms at 500 a second), so no outage shorter than that is seen.

        Durations carry a unit: 10ms, 1s. Exit code: 0 traffic resumed within the bars every
        time, 1 it did not, 2 usage.

        """

    /// Reads the arguments after `drill`; `seed` is used when none is given.
    public static func parse(_ arguments: [String], seed: UInt64 = 1) -> Result {
        if arguments.first == "--compare" {
            guard arguments.count == 3 else { return .failure("--compare wants two JSON reports") }
            return .compare(arguments[1], arguments[2])
        }
        var values: [String: String] = [:]
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--help" || argument == "-h" { return .help }
            var name = argument
            var value: String?
            if let equals = argument.firstIndex(of: "="), argument.hasPrefix("--") {
                name = String(argument[..<equals])
                value = String(argument[argument.index(after: equals)...])
            }
            guard known.contains(name) else { return .failure("unknown argument '\(name)'") }
            guard let value = value ?? rest.popFirst() else {
                return .failure("\(name) needs a value")
            }
            guard values.updateValue(value, forKey: name) == nil else {
                return .failure("\(name) is given twice")
            }
        }
        do throws(Failure) {
            return .run(try options(values, seed))
        } catch {
            return .failure(error.reason)
        }
    }

    private struct Failure: Error {
        let reason: String
    }

    private static let known: Set<String> = [
        "--vip", "--fault", "--restore", "--status", "--runs", "--rate", "--keep-alive-clients",
        "--keep-alive-interval", "--advert-interval", "--duration", "--timeout", "--limit",
        "--seed", "--label", "--json", "--html", "--bar-median", "--bar-worst",
    ]

    private static func options(
        _ values: [String: String], _ seed: UInt64
    ) throws(Failure) -> DrillOptions {
        for name in ["--vip", "--fault", "--restore"] where values[name] == nil {
            throw Failure(reason: "\(name) is missing")
        }
        let url = values["--vip"] ?? ""
        guard let target = DrillTarget(url) else {
            throw Failure(reason: "--vip wants http://ADDRESS[:PORT][/PATH], not '\(url)'")
        }
        var options = DrillOptions(
            target: target, faultCommand: values["--fault"] ?? "",
            restoreCommand: values["--restore"] ?? "")
        options.statusCommand = values["--status"]
        options.label = values["--label"] ?? options.label
        options.jsonPath = values["--json"]
        options.htmlPath = values["--html"]
        options.runs = try count(values, "--runs", 1...DrillOptions.runsMax) ?? options.runs
        options.ratePerSecond =
            try count(values, "--rate", 1...DrillOptions.ratePerSecondMax)
            ?? options.ratePerSecond
        options.keepAliveClients =
            try count(values, "--keep-alive-clients", 0...DrillOptions.keepAliveClientsMax)
            ?? options.keepAliveClients
        options.seed = try count(values, "--seed", 0...Int.max).map { UInt64($0) } ?? seed
        try readDurations(values, into: &options)
        options.bars.median = try milliseconds(values, "--bar-median")
        options.bars.worst = try milliseconds(values, "--bar-worst")
        return options
    }

    private static func readDurations(
        _ values: [String: String], into options: inout DrillOptions
    ) throws(Failure) {
        let hour = TimeSpan.seconds(3_600)
        let millisecond = TimeSpan.milliseconds(1)
        options.keepAliveInterval =
            try span(values, "--keep-alive-interval", millisecond...hour)
            ?? options.keepAliveInterval
        options.advertInterval =
            try span(values, "--advert-interval", millisecond...hour) ?? options.advertInterval
        options.duration =
            try span(values, "--duration", millisecond...hour.multiplied(by: 24))
            ?? options.duration
        options.probeTimeout =
            try span(values, "--timeout", .milliseconds(10)...hour) ?? options.probeTimeout
        options.resumeLimit =
            try span(values, "--limit", .milliseconds(10)...hour) ?? options.resumeLimit
    }

    private static func count(
        _ values: [String: String], _ name: String, _ range: ClosedRange<Int>
    ) throws(Failure) -> Int? {
        guard let text = values[name] else { return nil }
        guard let number = Decimal.parse(text.utf8), let value = Int(exactly: number),
            range.contains(value)
        else {
            let limits = range.upperBound == .max ? "a number" : "a number in \(range)"
            throw Failure(reason: "\(name) wants \(limits), not '\(text)'")
        }
        return value
    }

    private static func span(
        _ values: [String: String], _ name: String, _ range: ClosedRange<TimeSpan>
    ) throws(Failure) -> TimeSpan? {
        guard let text = values[name] else { return nil }
        guard let value = DurationText.parse(text), range.contains(value) else {
            throw Failure(
                reason: "\(name) wants a duration from \(range.lowerBound) to "
                    + "\(range.upperBound), such as 10ms, not '\(text)'")
        }
        return value
    }

    private static func milliseconds(
        _ values: [String: String], _ name: String
    ) throws(Failure) -> TimeSpan? {
        guard let text = values[name] else { return nil }
        let value = Decimal.parse(text.utf8).map { .milliseconds($0) } ?? DurationText.parse(text)
        guard let value, value <= .seconds(3_600) else {
            throw Failure(reason: "\(name) wants milliseconds, at most an hour, not '\(text)'")
        }
        return value
    }
}

/// Durations with a unit.
enum DurationText {
    private static let units: [(name: String, nanoseconds: UInt64)] = [
        ("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000),
        ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]

    /// Reads `10ms`, `1s`, `5m`; `nil` without a unit.
    static func parse(_ text: String) -> TimeSpan? {
        let digits = text.utf8.prefix { (0x30...0x39).contains($0) }
        let name = String(text.dropFirst(digits.count))
        guard let number = Decimal.parse(digits),
            let unit = units.first(where: { $0.name == name })
        else { return nil }
        return TimeSpan(nanoseconds: unit.nanoseconds).multiplied(by: number)
    }

    /// Milliseconds with enough digits to tell runs apart: `5.23 ms`, `2980 ms`.
    static func milliseconds(_ span: TimeSpan) -> String {
        let milliseconds = Double(span.nanoseconds) / 1e6
        return decimal(milliseconds, places: milliseconds < 10 ? 2 : milliseconds < 1_000 ? 1 : 0)
    }

    /// A number with a fixed count of digits after the point, at most six.
    static func decimal(_ value: Double, places: Int) -> String {
        let powers: [Double] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]
        let places = min(max(places, 0), 6)
        let scaled = (value.magnitude * powers[places]).rounded()
        // Beyond 2^62 digits after the point mean nothing.
        guard scaled < 4e18 else { return value < 0 ? "-inf" : "inf" }
        let digits = String(UInt64(scaled))
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard places > 0 else { return sign + digits }
        let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
        return sign + padded.dropLast(places) + "." + padded.suffix(places)
    }
}
