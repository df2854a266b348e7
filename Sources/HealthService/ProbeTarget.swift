// SPDX-License-Identifier: Apache-2.0
//
// What a probe asks and of whom.

import ConfigurationCore
import WireCore

/// One backend's address and the question that is put to it.
struct ProbeTarget: Hashable, Sendable {
    let address: Endpoint
    let probe: HealthCheckConfiguration.Probe
    /// What each connection to the pool begins with.
    var proxyHeader: ProxyHeaderVersion?

    /// The header of a connection that stands for itself, between its two `ends`.
    ///
    /// Version 2 has a command for that. The text of version 1 advises senders of checks against
    /// UNKNOWN, which some receivers refuse: the probe's own addresses are said instead.
    func header(for ends: ProxyHeader.Connection?) -> [UInt8] {
        switch proxyHeader {
        case .v1: ProxyHeader.line(for: ends)
        case .v2: ProxyHeader.binary(for: nil)
        case nil: []
        }
    }

    /// The bytes to send once connected; `nil` when the connection itself is the answer.
    var request: [UInt8]? {
        guard case .http(let http) = probe else { return nil }
        // RFC 9112 §9.6: the connection is not used again. A probe that reused one would miss a
        // backend that no longer accepts.
        let lines = [
            "GET \(http.path) HTTP/1.1", "Host: \(http.host ?? address.description)",
            "User-Agent: tandem-health-check", "Accept: */*", "Connection: close", "", "",
        ]
        return Array(lines.joined(separator: "\r\n").utf8)
    }
}
