// SPDX-License-Identifier: Apache-2.0
//
// Whom one listener believes when it is told about clients.

internal import ConfigurationCore
internal import WireCore

/// The trusted proxies of a listener on one worker.
struct ListenerTrust: ~Copyable {
    /// Networks of proxies that speak for their clients.
    let networks: UnsafeBufferPointer<IPNetwork>
    /// Backends get `Forwarded` (RFC 7239) too.
    let sendsForwarded: Bool
    private let memory: UnsafeMutableBufferPointer<IPNetwork>

    /// Believes nobody.
    init() {
        self.init(networks: [], sendsForwarded: false)
    }

    /// What the configuration of a listener says; a TCP listener is told nothing.
    init(_ service: ListenerService) {
        switch service {
        case .http(let http):
            self.init(networks: http.trustedProxies, sendsForwarded: http.sendsForwarded)
        case .tcp:
            self.init(networks: [], sendsForwarded: false)
        }
    }

    private init(networks list: [IPNetwork], sendsForwarded: Bool) {
        memory = .allocate(capacity: list.count)
        _ = memory.initialize(from: list)
        networks = UnsafeBufferPointer(memory)
        self.sendsForwarded = sendsForwarded
    }

    deinit {
        memory.deinitialize()
        memory.deallocate()
    }

    /// True when `peer` may speak for clients.
    func includes(_ peer: IPAddress) -> Bool {
        networks.contains { $0.contains(peer) }
    }
}
