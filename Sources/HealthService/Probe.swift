// SPDX-License-Identifier: Apache-2.0
//
// A running probe, whatever it asks.

/// A running probe; reports once and holds no descriptor then.
protocol Probe: AnyObject {
    /// Begins; the report may come before this returns.
    func start()
    /// Looks once more for an answer that arrived unnoticed, then gives up.
    func abandon()
    /// Ends without a report.
    func cancel()
}
