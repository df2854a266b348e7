// SPDX-License-Identifier: Apache-2.0
//
// Where a backend stands in its pool: facts of the configuration that no event changes.

/// Static facts about one backend of a pool.
public struct BackendPlacement: Hashable, Sendable {
    /// The largest priority number; larger ones count as it.
    public static let priorityMax = 7
    /// The largest zone number; larger ones count as it.
    public static let zoneIndexMax = 63

    /// Its zone: 0 is the node's own zone, or none; others are numbered by the caller.
    public var zoneIndex: Int
    /// Smaller numbers serve first.
    public var priority: Int
    /// Requests it may have in flight; `nil` for any number.
    ///
    /// Choices ask `BackendLoads.isAtLimit(at:)`, which may know of further limits.
    public var maxRequests: Int?

    /// Makes a placement; by default the local zone, first priority and no limit.
    public init(zoneIndex: Int = 0, priority: Int = 0, maxRequests: Int? = nil) {
        self.zoneIndex = min(max(zoneIndex, 0), Self.zoneIndexMax)
        self.priority = min(max(priority, 0), Self.priorityMax)
        self.maxRequests = maxRequests
    }
}
