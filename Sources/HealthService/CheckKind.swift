// SPDX-License-Identifier: Apache-2.0
//
// Stand-in until the governor's type is here.

enum CheckKind: Hashable, Sendable, CaseIterable {
    case liveness
    case readiness
}
