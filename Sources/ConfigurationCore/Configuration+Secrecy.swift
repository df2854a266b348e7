// SPDX-License-Identifier: Apache-2.0
//
// What of a configuration holds for a pair without a secret. Whoever can use the peer's address on
// the pair's network can then say everything that the peer says, and read it: nothing is told or
// believed there that shows clients' requests or says where they are sent.

extension Configuration {
    /// The configuration with what may be told to a peer that has proven who it is, or has not.
    ///
    /// - Parameter isAuthenticated: whether the pair has a secret.
    /// - Returns: the same, but `carry_over: idle` in place of `requests` without one: the heads of
    ///   requests are told to nobody.
    public func confided(isAuthenticated: Bool) -> Configuration {
        guard !isAuthenticated else { return self }
        var configuration = self
        for index in configuration.listeners.indices {
            guard case .http(var http) = configuration.listeners[index].service,
                http.carryOver == .requests
            else { continue }
            http.carryOver = .idle
            configuration.listeners[index].service = .http(http)
        }
        return configuration
    }
}
