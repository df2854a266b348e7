// SPDX-License-Identifier: Apache-2.0
//
// Names of backends and what they stand for, as values. Asking is DNSIO's, keeping BalancerCore's.

/// A name that stands for backends.
public enum UpstreamName: Hashable, Sendable {
    /// A host: its A and AAAA records are addresses of backends.
    case host(String)
    /// A service: its SRV records name hosts and ports of backends (RFC 2782).
    case service(String)

    /// The name without its kind.
    public var text: String {
        switch self {
        case .host(let name), .service(let name): name
        }
    }
}

extension UpstreamName: Comparable, CustomStringConvertible {
    /// Hosts before services, each by name.
    public static func < (left: UpstreamName, right: UpstreamName) -> Bool {
        switch (left, right) {
        case (.host(let left), .host(let right)): left < right
        case (.service(let left), .service(let right)): left < right
        case (.host, .service): true
        case (.service, .host): false
        }
    }

    /// The name as it is written in a configuration.
    public var description: String {
        switch self {
        case .host(let name): name
        case .service(let name): "srv:\(name)"
        }
    }
}

/// One backend that a name stands for.
public struct UpstreamTarget: Hashable, Sendable {
    /// The largest weight.
    public static let weightMax = 256
    /// The largest priority.
    public static let priorityMax = 7

    /// Where it is.
    public var address: IPAddress
    /// Where it listens; `nil` for a host, whose port the configuration says.
    public var port: UInt16?
    /// Share relative to its siblings, 1 to `weightMax`; 1 for a host.
    public var weight: Int
    /// 0 serves first, up to `priorityMax`; 0 for a host.
    public var priority: Int

    /// Makes a target.
    public init(address: IPAddress, port: UInt16? = nil, weight: Int = 1, priority: Int = 0) {
        self.address = address
        self.port = port
        self.weight = weight
        self.priority = priority
    }
}

extension UpstreamTarget: Comparable, CustomStringConvertible {
    /// By priority, then by address, then by port.
    public static func < (left: UpstreamTarget, right: UpstreamTarget) -> Bool {
        if left.priority != right.priority { return left.priority < right.priority }
        if left.address != right.address { return left.address.precedes(right.address) }
        if left.port != right.port { return (left.port ?? 0) < (right.port ?? 0) }
        return left.weight < right.weight
    }

    /// `10.0.0.1`, or `10.0.0.1:8080` where the port is known.
    public var description: String {
        guard let port else { return address.description }
        return Endpoint(address: address, port: port).description
    }
}

extension IPAddress {
    /// An order that is the same on every node: IPv4 first, each family by number.
    public func precedes(_ other: IPAddress) -> Bool {
        switch (self, other) {
        case (.v4(let left), .v4(let right)): left < right
        case (.v6(let left), .v6(let right)): (left.high, left.low) < (right.high, right.low)
        case (.v4, .v6): true
        case (.v6, .v4): false
        }
    }
}

/// What all names stand for now; a name without an entry stands for nothing yet.
public struct ResolvedNames: Hashable, Sendable {
    /// The backends of each name, in the order of `UpstreamTarget`, each once.
    public private(set) var targets: [UpstreamName: [UpstreamTarget]]

    /// Makes a set of answers.
    public init(_ targets: [UpstreamName: [UpstreamTarget]] = [:]) {
        self.targets = targets
    }

    /// What a name stands for; empty while nobody knows.
    public subscript(_ name: UpstreamName) -> [UpstreamTarget] {
        get { targets[name] ?? [] }
        set { targets[name] = newValue.isEmpty ? nil : newValue }
    }
}
