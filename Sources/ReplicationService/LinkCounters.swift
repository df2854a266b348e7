// SPDX-License-Identifier: Apache-2.0
//
// The pair link's counters; any thread may read them.

public import ReplicationCore
public import Telemetry

/// One counter for each ``LinkCounter``.
public final class LinkCounters: MetricSource {
    private let counters: [LinkCounter: Counter]

    init() {
        counters = Dictionary(
            uniqueKeysWithValues: LinkCounter.allCases.map { ($0, Counter()) })
    }

    func count(_ counter: LinkCounter) {
        counters[counter]?.add()
    }

    /// The number counted so far.
    public func value(of counter: LinkCounter) -> UInt64 {
        counters[counter]?.value ?? 0
    }

    /// Writes every counter as one family with the event as label.
    public func collect(into text: inout MetricsText) {
        for counter in LinkCounter.allCases {
            text.add(
                "tandem_pair_link_events_total", .counter,
                help: "Events on the pair link by kind.",
                labels: ["event": counter.rawValue], Double(value(of: counter)))
        }
    }
}
