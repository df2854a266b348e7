// SPDX-License-Identifier: Apache-2.0
//
// What workers tell the control thread about backends without being asked.

public import BalancerCore

/// Something that traffic showed about one backend.
public struct TrafficEvent: Hashable, Sendable {
    /// What it showed.
    public enum Finding: Hashable, Sendable {
        /// As many failures in a row as the pool's configuration takes for too many.
        case failedInARow(EjectionCause)
        /// The one request of a trial is on its way.
        case trialBegan
        /// The one request of a trial is over.
        case trialEnded(TrialOutcome)
    }

    /// The pool's name.
    public var pool: String
    /// The backend's name.
    public var backend: String
    /// What was found.
    public var finding: Finding

    /// Makes an event.
    public init(pool: String, backend: String, finding: Finding) {
        self.pool = pool
        self.backend = backend
        self.finding = finding
    }
}

/// An event on its way, with the backend it is about: by the time it is read, the name may belong
/// to another one.
struct TrafficReport: Sendable {
    let backend: SharedBackend
    let finding: TrafficEvent.Finding
}
