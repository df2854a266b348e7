// SPDX-License-Identifier: Apache-2.0
//
// Whom a resolver asks and how long it waits.

public import WireCore

/// The settings of a resolver.
public struct ResolverSettings: Hashable, Sendable {
    /// Whom to ask; empty asks the servers of `serversPath`.
    public var servers: [Endpoint]
    /// Time of the first try at a server; each round of tries doubles it.
    public var tryTimeout: TimeSpan
    /// Tries at each server.
    public var tries: Int
    /// Names the servers and the domains that short names are searched in (resolv.conf(5)).
    public var serversPath = "/etc/resolv.conf"
    /// That file is looked at again at most once in this time.
    public var serversAgeMax = TimeSpan.seconds(5)
    /// Names hosts that no server is asked for (hosts(5)).
    public var hostsPath = "/etc/hosts"

    /// Makes settings.
    public init(
        servers: [Endpoint] = [], tryTimeout: TimeSpan = .seconds(2), tries: Int = 3
    ) {
        self.servers = servers
        self.tryTimeout = tryTimeout
        self.tries = tries
    }
}

/// A resolver that could not be made.
public struct ResolverError: Error, Hashable, Sendable, CustomStringConvertible {
    /// c-ares's words.
    public let description: String
}
