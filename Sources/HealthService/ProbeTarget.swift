// SPDX-License-Identifier: Apache-2.0
//
// What a probe asks and of whom.

import ConfigurationCore
import WireCore

/// One backend's address and the question that is put to it.
struct ProbeTarget: Hashable, Sendable {
    /// Where the probe goes, the check's own port included.
    let address: Endpoint
    let probe: HealthCheckConfiguration.Probe
    /// What each connection to the pool begins with.
    var proxyHeader: ProxyHeaderVersion?
    /// Whether a connection is used for several probes.
    var reusesConnection = false

    init(
        address: Endpoint, probe: HealthCheckConfiguration.Probe,
        proxyHeader: ProxyHeaderVersion? = nil, reusesConnection: Bool = false
    ) {
        self.address = address
        self.probe = probe
        self.proxyHeader = proxyHeader
        self.reusesConnection = reusesConnection
    }

    /// The target of a pool's check.
    ///
    /// A port of the check's own is not the one that the pool's PROXY header is meant for.
    init(_ check: HealthCheckConfiguration, of pool: PoolConfiguration, at address: Endpoint) {
        self.init(
            address: check.port.map { Endpoint(address: address.address, port: $0) } ?? address,
            probe: check.probe,
            proxyHeader: check.port == nil ? pool.sendsProxyHeader : nil,
            reusesConnection: check.reusesConnection)
    }

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

    /// What is said over a new connection; `nil` for probes without one.
    func makeDialogue() -> (any ProbeDialogue)? {
        switch probe {
        case .http(let http): HTTPDialogue(http, host: http.host ?? address.description)
        case .tcp(let payload): PayloadDialogue(payload)
        case .grpc(let service): GRPCDialogue(service: service, authority: address.description)
        case .udp: nil
        }
    }
}
