// SPDX-License-Identifier: Apache-2.0
//
// From the pools of a file to the pools that serve: names become the addresses they stand for.

public import WireCore

/// Works out which backends there are.
public enum EffectivePools {
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

    private static func resolve(
        _ backend: BackendConfiguration, answers: ResolvedNames
    ) -> [BackendConfiguration] {
        guard let name = backend.location.upstreamName else { return [backend] }
        var writtenPort: UInt16?
        if case .host(_, let port) = backend.location { writtenPort = port }
        return answers[name].compactMap { target in
            guard let port = target.port ?? writtenPort else { return nil }
            let endpoint = Endpoint(address: target.address, port: port)
            var one = backend
            one.name = "\(backend.name)@\(endpoint)"
            one.location = .endpoint(endpoint)
            // Written weights count as well: weight 0 takes a whole name out.
            one.weight = min(backend.weight * target.weight, UpstreamTarget.weightMax)
            one.priority = min(backend.priority + target.priority, UpstreamTarget.priorityMax)
            return one
        }
    }
}
