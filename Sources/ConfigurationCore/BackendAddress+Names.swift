// SPDX-License-Identifier: Apache-2.0
//
// Which names of a configuration must be asked for.

public import WireCore

extension BackendAddress {
    /// The name to ask for, in lower case; `nil` for a known address.
    public var upstreamName: UpstreamName? {
        switch self {
        case .endpoint: nil
        case .host(let name, _): .host(name.lowercased())
        case .service(let name): .service(name.lowercased())
        }
    }
}

extension Configuration {
    /// The names that stand for backends of any pool.
    public var upstreamNames: Set<UpstreamName> {
        Set(pools.flatMap(\.backends).compactMap(\.location.upstreamName))
    }
}
