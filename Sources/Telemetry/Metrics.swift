// SPDX-License-Identifier: Apache-2.0
//
// Counters that any thread may bump without a lock, and the Prometheus text they become.

internal import Synchronization

/// A number that only grows.
public final class Counter: Sendable {
    private let cell = Atomic<UInt64>(0)

    /// Starts at zero.
    public init() {}

    /// Adds `amount`.
    @inline(__always)
    public func add(_ amount: UInt64 = 1) {
        cell.wrappingAdd(amount, ordering: .relaxed)
    }

    /// The number now.
    public var value: UInt64 { cell.load(ordering: .relaxed) }
}

/// A number that goes up and down.
public final class Gauge: Sendable {
    private let cell = Atomic<Int64>(0)

    /// Starts at zero.
    public init() {}

    /// Replaces the number.
    public func set(_ value: Int64) {
        cell.store(value, ordering: .relaxed)
    }

    /// Adds `amount`, which may be negative.
    public func add(_ amount: Int64) {
        cell.wrappingAdd(amount, ordering: .relaxed)
    }

    /// The number now.
    public var value: Int64 { cell.load(ordering: .relaxed) }
}

/// Something that reports metrics when it is asked.
public protocol MetricSource: Sendable {
    /// Writes the present values.
    func collect(into text: inout MetricsText)
}

/// Prometheus text exposition format, version 0.0.4.
public struct MetricsText {
    /// The kinds a family may have.
    public enum Kind: String, Sendable {
        /// Only grows; the name ends in `_total`.
        case counter
        /// Goes up and down.
        case gauge
        /// How many observations were no larger than each of some bounds; see `addHistogram`.
        case histogram
    }

    private var families: [(name: String, header: String, samples: String)] = []
    private var indexes: [String: Int] = [:]

    /// Starts with nothing.
    public init() {}

    /// Adds one sample; samples of one name are kept together under one HELP and TYPE.
    public mutating func add(
        _ name: String, _ kind: Kind, help: String,
        labels: KeyValuePairs<String, String> = [:], _ value: Double
    ) {
        let index = family(name, kind, help: help)
        families[index].samples += name + Self.rendered(labels) + " " + Self.rendered(value) + "\n"
    }

    /// Adds one histogram: its buckets, the sum of what was observed, and how much that was.
    ///
    /// - Parameters:
    ///   - name: without the endings `_bucket`, `_sum` and `_count`, which are added.
    ///   - help: one sentence about what is observed.
    ///   - labels: of this histogram; `le` is added.
    ///   - bounds: rising bounds, each with the number of observations no larger than it. The
    ///     bucket without a bound is added.
    ///   - sum: of all observations.
    ///   - count: of all observations.
    public mutating func addHistogram(
        _ name: String, help: String, labels: KeyValuePairs<String, String> = [:],
        bounds: [(bound: Double, count: UInt64)], sum: Double, count: UInt64
    ) {
        let index = family(name, .histogram, help: help)
        let own = Self.rendered(labels)
        let start = own.isEmpty ? "{" : own.dropLast() + ","
        var samples = ""
        for (bound, count) in bounds {
            samples += "\(name)_bucket\(start)le=\"\(Self.rendered(bound))\"} \(count)\n"
        }
        samples += "\(name)_bucket\(start)le=\"+Inf\"} \(count)\n"
        samples += "\(name)_sum\(own) \(Self.rendered(sum))\n\(name)_count\(own) \(count)\n"
        families[index].samples += samples
    }

    private mutating func family(_ name: String, _ kind: Kind, help: String) -> Int {
        if let known = indexes[name] { return known }
        indexes[name] = families.count
        families.append((name, "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n", ""))
        return families.count - 1
    }

    /// All families in the order they first appeared.
    public var rendered: String {
        families.map { $0.header + $0.samples }.joined()
    }

    private static func rendered(_ value: Double) -> String {
        if let whole = Int64(exactly: value) { return String(whole) }
        return value.isNaN ? "NaN" : String(value)
    }

    private static func rendered(_ labels: KeyValuePairs<String, String>) -> String {
        guard !labels.isEmpty else { return "" }
        let pairs = labels.map { "\($0.key)=\"\(escaped($0.value))\"" }
        return "{" + pairs.joined(separator: ",") + "}"
    }

    private static func escaped(_ value: String) -> String {
        var result = ""
        for character in value {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
        return result
    }
}
