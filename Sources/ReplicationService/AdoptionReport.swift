// SPDX-License-Identifier: Apache-2.0
//
// What became of the other node's connections here; any thread may read the numbers.

import LinuxIO
import ReplicationCore
import Synchronization
public import Telemetry
import WireCore

/// What one takeover did to the connections that were known beyond their addresses.
struct AdoptionTally: Hashable {
    /// Shadows on the addresses.
    var known = 0
    /// Connections that go on, all kinds together.
    var adopted = 0
    /// Of these: bytes pass unread between them and a backend.
    var tunnels = 0
    /// Of these: their request was issued again.
    var reissued = 0
    /// Of these: the client has sent something that must come again.
    var expected = 0
    /// Of these: the client did not answer.
    var silent = 0
    /// The client had given the connection up itself.
    var gone = 0
    /// Reset, by reason.
    var refused: [AdoptionRefusal: Int] = [:]
    /// When the first and the last connection was handed on.
    var first: Instant?
    var last: Instant?

    var refusedCount: Int { refused.values.reduce(0, +) }

    /// The reasons and how often each, in a fixed order.
    var refusals: String {
        AdoptionRefusal.allCases
            .compactMap { reason in refused[reason].map { "\(reason.rawValue):\($0)" } }
            .joined(separator: " ")
    }
}

/// Counters and gauges of carrying connections over.
public final class AdoptionReport: MetricSource {
    let shadows = Gauge()
    let wholeChannels = Gauge()
    let omitted = Gauge()
    let mismatches = Gauge()
    let adopted = Counter()
    let moved = Counter()
    let tunnels = Counter()
    let reissued = Counter()
    let expected = Counter()
    let silent = Counter()
    let gone = Counter()
    private let refused = AdoptionRefusal.allCases.map { _ in Counter() }

    init() {}

    func countRefused(_ reason: AdoptionRefusal) {
        guard let index = AdoptionRefusal.allCases.firstIndex(of: reason) else { return }
        refused[index].add()
    }

    /// Writes the present values.
    public func collect(into text: inout MetricsText) {
        func gauge(_ name: String, _ help: String, _ value: Gauge) {
            text.add("tandem_carry_over_\(name)", .gauge, help: help, Double(value.value))
        }
        func counter(_ name: String, _ help: String, _ value: Counter) {
            text.add(
                "tandem_carry_over_\(name)_total", .counter, help: help, Double(value.value))
        }
        gauge("shadows", "Client connections of the peer that could go on here.", shadows)
        gauge("shadows_left_out", "Those left out: a table was full.", omitted)
        gauge("shadow_mismatches", "Times both ends counted differently.", mismatches)
        counter("adopted", "Client connections of the peer that went on here.", adopted)
        counter("moved_in", "Those that the peer handed over.", moved)
        counter("tunnels", "Those that are tunnels, with their backends.", tunnels)
        counter("reissued", "Requests issued again after a takeover.", reissued)
        counter("expected", "Clients that had to repeat what they sent.", expected)
        counter("silent", "Clients that did not answer and go on.", silent)
        counter("gone", "Clients that had given up.", gone)
        for (reason, counter) in zip(AdoptionRefusal.allCases, refused) {
            text.add(
                "tandem_carry_over_reset_total", .counter,
                help: "Client connections of the peer that were reset, by reason.",
                labels: ["reason": reason.rawValue], Double(counter.value))
        }
    }
}
