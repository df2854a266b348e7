// SPDX-License-Identifier: Apache-2.0
//
// What a balancer is built from: the parts of a pool's configuration that choices depend on.

/// The configured facts about a pool, in the order of its backends.
public struct PoolShape: Sendable {
    /// How a backend is chosen.
    public var policy: SelectionPolicy
    /// Weights as configured; the standings replace them.
    public var weights: [Int]
    /// Zones and priorities; empty puts every backend in the same place.
    public var placements: [BackendPlacement]
    /// How zones and priorities share.
    public var sharing: PoolSharing
    /// The table of a hash policy; without one such a policy draws at random.
    public var hashTable: HashTable?
    /// Hash policies: no backend has more than this share of the mean load, in percent.
    ///
    /// `nil` sets no bound, and `ipHash` never has one.
    public var loadBoundPercent: Int?

    /// Makes a shape.
    public init(
        policy: SelectionPolicy, weights: [Int], placements: [BackendPlacement] = [],
        sharing: PoolSharing = PoolSharing(), hashTable: HashTable? = nil,
        loadBoundPercent: Int? = 125
    ) {
        self.policy = policy
        self.weights = weights
        self.placements = placements
        self.sharing = sharing
        self.hashTable = hashTable
        self.loadBoundPercent = loadBoundPercent
    }
}
