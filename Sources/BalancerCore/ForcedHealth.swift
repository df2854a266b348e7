// SPDX-License-Identifier: Apache-2.0
//
// What the operator says of a backend's health, whatever checks and traffic say.

/// The health that a backend is said to have.
public enum ForcedHealth: String, Hashable, Sendable, CaseIterable {
    /// It serves although a check fails, until a check changes its mind; ends the others.
    case up
    /// It gets nothing new, and what it has may go on, as if its readiness check failed.
    case stopping
    /// It gets nothing new, as if its liveness check failed.
    case down
}
