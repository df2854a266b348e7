// SPDX-License-Identifier: Apache-2.0
//
// The rules between trackers, nodes and virtual routers.

import WireCore

/// Finds trackers that watch nothing new or that change nothing.
enum TrackingCheck {
    static func run(_ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList) {
        checkPools(facts, into: &diagnostics)
    }

    private static func checkPools(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        guard let pools = facts.pools?.map(\.value) else { return }
        for pool in facts.tracking.pools where !pools.contains(pool.value) {
            diagnostics.add(
                Diagnostic(
                    .error, pool.range, "no pool is called \(Quoted.text(pool.value))",
                    suggestion: Suggestion.text(for: pool.value, in: pools, listing: "pools")))
        }
    }
}
