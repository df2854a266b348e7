// SPDX-License-Identifier: Apache-2.0
//
// Goal: without a secret no request is confided to the pair's network, and nothing else changes.

import ConfigurationCore
import Testing
import WireCore

@Suite struct SecrecyTests {
    private static func configuration(_ levels: [CarryOver]) -> Configuration {
        Configuration(
            workers: .exactly(1), pair: nil,
            listeners: levels.map { level in
                var listener = ListenerConfiguration(
                    name: "\(level)", bind: Endpoint(address: .v4(.loopback), port: 80), routes: [])
                if case .http(var http) = listener.service {
                    http.carryOver = level
                    listener.service = .http(http)
                }
                return listener
            }, pools: [], admin: AdminConfiguration(http: nil, socket: nil),
            timeouts: TimeoutConfiguration(), limits: LimitConfiguration(), zone: nil)
    }

    private static func levels(_ configuration: Configuration) -> [CarryOver] {
        configuration.listeners.compactMap {
            guard case .http(let http) = $0.service else { return nil }
            return http.carryOver
        }
    }

    @Test func headsOfRequestsAreConfidedOnlyToWhoHasTheSecret() {
        let configuration = Self.configuration([.off, .idle, .requests])
        let alone = configuration.confided(isAuthenticated: false)
        #expect(Self.levels(alone) == [.off, .idle, .idle])
        #expect(configuration.confided(isAuthenticated: true) == configuration)
        #expect(alone.listeners.map(\.name) == configuration.listeners.map(\.name))
    }
}
