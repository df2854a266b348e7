// SPDX-License-Identifier: Apache-2.0
//
// From a pool's configuration to what a balancer is built from. Hash tables are made here, on the
// control thread, once for all workers; a reload that does not change a pool's members keeps them.

internal import BalancerCore
internal import ConfigurationCore

extension PoolShape {
    /// The shape of a pool whose `members` have addresses, on a node of this zone.
    static func make(
        _ pool: PoolConfiguration, members: [BackendConfiguration], zone: String?,
        previous: PoolPlan?
    ) -> PoolShape {
        let policy = SelectionPolicy(pool.balance)
        let names = members.map(\.name)
        let weights = members.map(\.weight)
        return PoolShape(
            policy: policy, weights: weights, placements: placements(members, zone: zone),
            sharing: PoolSharing(
                panicPercent: pool.sharing.panicPercent,
                overprovisionPercent: pool.sharing.overprovisionPercent,
                prefersLocalZone: pool.sharing.isZoneAware && zone != nil),
            hashTable: table(policy, names: names, weights: weights, previous: previous),
            loadBoundPercent: pool.hash.boundPercent)
    }

    /// Numbers zones by their names; 0 is the node's own.
    ///
    /// A backend without a zone belongs to everybody's.
    private static func placements(
        _ members: [BackendConfiguration], zone: String?
    ) -> [BackendPlacement] {
        let others = Set(members.compactMap(\.zone)).subtracting([zone].compactMap { $0 }).sorted()
        return members.map { member in
            let index = member.zone.flatMap { others.firstIndex(of: $0) }.map { $0 + 1 } ?? 0
            return BackendPlacement(
                zoneIndex: index, priority: member.priority, maxRequests: member.maxRequests)
        }
    }

    private static func table(
        _ policy: SelectionPolicy, names: [String], weights: [Int], previous: PoolPlan?
    ) -> HashTable? {
        guard policy.usesHash else { return nil }
        let isRing = policy == .ringHash
        if let previous, let table = previous.shape.hashTable, previous.shape.weights == weights,
            (previous.shape.policy == .ringHash) == isRing,
            previous.backends.map(\.identity.name) == names
        {
            return table
        }
        return isRing
            ? HashTable.ring(names: names, weights: weights)
            : HashTable.maglev(names: names, weights: weights)
    }
}

extension SelectionPolicy {
    /// The policy that key `balance` names.
    init(_ balance: BalancePolicy) {
        self =
            switch balance {
            case .leastTime: .leastTime
            case .leastRequests: .leastRequests
            case .roundRobin: .roundRobin
            case .random: .random
            case .maglev: .maglev
            case .ringHash: .ringHash
            case .ipHash: .ipHash
            }
    }
}
