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
    /// This node serves a younger connection with the same ends.
    var outdated = 0
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

    /// Tells what became of every connection, once nobody is awaited any more.
    ///
    /// `known` = `adopted` + `gone` + `outdated` + `reset`. Of the adopted: `tunnels`, `reissued`
    /// (an answer was owed), `expected` (the client repeats what the dead node never acknowledged;
    /// after a power loss that is whoever asked between the loss and the takeover) and `silent`
    /// (the client did not answer for a second and nothing was owed). `first` and `last` are when
    /// connections were handed to workers, counted from the takeover.
    func log(_ logger: Logger, since takenAt: Instant) {
        func after(_ instant: Instant?) -> String {
            instant.map { "\(($0 - takenAt).microseconds)us" } ?? "never"
        }
        logger.info(
            "clients of the peer go on here",
            [
                "known": "\(known)", "adopted": "\(adopted)", "tunnels": "\(tunnels)",
                "reissued": "\(reissued)", "expected": "\(expected)", "silent": "\(silent)",
                "gone": "\(gone)", "outdated": "\(outdated)", "reset": "\(refusedCount)",
                "reasons": refusals, "first": after(first), "last": after(last),
            ])
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
    let outdated = Counter()
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
        counter("outdated", "Those of which this node had younger ones.", outdated)
        for (reason, counter) in zip(AdoptionRefusal.allCases, refused) {
            text.add(
                "tandem_carry_over_reset_total", .counter,
                help: "Client connections of the peer that were reset, by reason.",
                labels: ["reason": reason.rawValue], Double(counter.value))
        }
    }
}
