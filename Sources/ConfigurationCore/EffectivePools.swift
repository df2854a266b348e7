// SPDX-License-Identifier: Apache-2.0
//
// From the pools of a file to the pools that serve: names become the addresses they stand for.

public import WireCore

/// Works out which backends there are.
public enum EffectivePools {
    /// The most backends that one name stands for.
    public static let addressesMax = 64
    private static let separator: Character = "@"

    /// Replaces each backend that a name stands for by one backend for each address.
    ///
    /// Such a backend is called `NAME@ADDRESS:PORT`, also when there is only one: another address
    /// renames nothing, so what is known about a backend stays with it, on both nodes. A name that
    /// nobody has resolved yet stands for no backend.
    public static func resolve(
        _ pools: [PoolConfiguration], answers: ResolvedNames
    ) -> [PoolConfiguration] {
        pools.map { pool in
            guard pool.backends.contains(where: { $0.address == nil }) else { return pool }
            var resolved = pool
            resolved.backends = pool.backends.flatMap { resolve($0, answers: answers) }
            return resolved
        }
    }

    /// Puts addresses in force that were set at run time.
    public static func apply(
        _ overrides: RuntimeOverrides, to pools: [PoolConfiguration]
    ) -> [PoolConfiguration] {
        var result = pools
        let moved = overrides.names.filter { overrides[$0].address != nil }
        guard !moved.isEmpty else { return result }
        for index in result.indices {
            let pool = result[index].name
            guard moved.contains(where: { $0.pool == pool }) else { continue }
            for place in result[index].backends.indices {
                let name = RuntimeOverrides.Name(
                    pool: pool, backend: result[index].backends[place].name)
                guard let address = overrides[name].address else { continue }
                result[index].backends[place].location = .endpoint(address)
            }
        }
        return result
    }

    /// The name in the file of a backend that stands for an address of it; any other name itself.
    public static func nameInFile(_ backend: String) -> String {
        // No name in a file has this character.
        guard let end = backend.firstIndex(of: separator) else { return backend }
        return String(backend[..<end])
    }

    /// What a backend is called that stands for one address of `name`.
    public static func name(_ name: String, at address: Endpoint) -> String {
        "\(name)\(separator)\(address)"
    }

    private static func resolve(
        _ backend: BackendConfiguration, answers: ResolvedNames
    ) -> [BackendConfiguration] {
        guard let name = backend.location.upstreamName else { return [backend] }
        var writtenPort: UInt16?
        if case .host(_, let port) = backend.location { writtenPort = port }
        let targets = answers[name].prefix(addressesMax)
        let largest = backend.weight * (targets.map(\.weight).max() ?? 0)
        return targets.compactMap { target in
            // RFC 2782 has no port 0, and a backend none either.
            guard let port = target.port ?? writtenPort, port > 0 else { return nil }
            let endpoint = Endpoint(address: target.address, port: port)
            var one = backend
            one.name = Self.name(backend.name, at: endpoint)
            one.location = .endpoint(endpoint)
            one.weight = weight(backend.weight * target.weight, ofLargest: largest)
            one.priority = min(backend.priority + target.priority, UpstreamTarget.priorityMax)
            return one
        }
    }

    /// A weight that counts what is written as well: weight 0 takes a whole name out.
    ///
    /// Beyond the largest, all weights of a name are made smaller, so that their shares stay.
    private static func weight(_ product: Int, ofLargest largest: Int) -> Int {
        guard product > 0, largest > UpstreamTarget.weightMax else { return product }
        return max(1, product * UpstreamTarget.weightMax / largest)
    }
}
