// SPDX-License-Identifier: Apache-2.0
//
// Many verdicts at once: the pool as a whole is looked at when the last one is in, so
// that a large pool costs what it has backends, not their square.

public import WireCore

extension PoolGovernor {
    /// Takes in several verdicts of checks and traffic as if they came at the same instant.
    ///
    /// What the methods called in `body` return is empty. A cause that they share is seen with the
    /// last of them: a backend may be told two standings then, of which the later one counts.
    ///
    /// - Parameters:
    ///   - now: the time.
    ///   - body: calls the methods for checks and for traffic, nothing else.
    /// - Returns: what is to be done.
    public mutating func together(
        now: Instant, _ body: (inout PoolGovernor) -> Void
    ) -> [GovernorAction] {
        isTogether = true
        body(&self)
        isTogether = false
        outCountTogether = nil
        if hasFallenTogether {
            hasFallenTogether = false
            if let settings = settings.cascade, !guardState.isActive {
                beginCascadeIfShared(settings, now: now)
            }
        }
        reviewCascade(now: now)
        return finish(now: now)
    }
}
