// SPDX-License-Identifier: Apache-2.0
//
// Whether an Active is too late to call itself one. Asks only; the next event makes it give up.

import WireCore

extension VirtualRouterStateMachine.State {
    /// An Active that was silent for as long as a peer waits was replaced.
    func hasOverslept(now: Instant, terms: VirtualRouterTerms) -> Bool {
        switch self {
        case .initialize: false
        case .backup: false
        case .active(let active): now - active.advertisedAt >= terms.settings.silenceMax
        }
    }
}
