// SPDX-License-Identifier: Apache-2.0
//
// Goal: what the reference and the messages tell people to write can be written. Method: the
// example of every key of pools in a file of its own.

import ConfigurationService
import Testing

@testable import ConfigurationCore

@Suite struct PoolExampleTests {
    private static let keys = KeyTable.all.filter {
        $0.path.hasPrefix("pools.NAME.") || $0.path.hasPrefix("dns.")
    }

    /// What else must be written for the key to have a meaning.
    private static func context(_ key: KeyDescription) -> String {
        let section = key.parent.split(separator: ".").last.map(String.init) ?? ""
        switch section {
        case "health_check", "readiness_check":
            if key.name == "type" { return "" }
            let types = KeyTable.checkTypesOfKey.first { $0.key == key.name }?.types
            let type = types?.first ?? "http"
            return ", type: \(type)\(type == "udp" && key.name != "send" ? ", send: x" : "")"
        case "sticky":
            return ["entries", "expire"].contains(key.name) ? ", mode: learn, cookie: a" : ""
        case "outlier_detection":
            return key.name.hasPrefix("failure_percentage_") ? ", failure_percentage: 85" : ""
        case "NAME" where key.path.contains("backends."):
            return key.name == "address" ? "" : ", address: 10.0.0.1:80"
        default:
            return ""
        }
    }

    private static func file(_ key: KeyDescription) -> String {
        let inner = "\(key.example)\(context(key))"
        let path = key.path.split(separator: ".")
        let backends =
            "backends: { be1: { address: 10.0.0.1:80 }, be2: { address: 10.0.0.2:80 } }"
        let balance = key.path.contains(".hash") ? "balance: maglev, " : ""
        let pool: String
        switch path.count {
        case 2:
            pool = backends
        case 3 where key.name == "backends": pool = inner
        case 3 where key.name == "balance": pool = "\(inner), \(backends)"
        case 3: pool = "\(balance)\(inner), \(backends)"
        case 4: pool = "\(balance)\(path[2]): { \(inner) }, \(backends)"
        default: pool = "backends: { be1: { \(inner) } }"
        }
        guard key.name != "tunnel_source" else { return pair(pool: pool) }
        let dns = path[0] == "dns" && path.count == 2 ? "dns: { \(inner) }\n" : ""
        return """
            zone: east
            listeners: { web: { bind: 0.0.0.0:80, routes: [{ pool: web }] } }
            pools: { web: { \(pool) } }
            \(dns)
            """
    }

    private static func pair(pool: String) -> String {
        """
        pair:
          interface: eth0
          nodes: { a: { address: 10.0.0.2, priority: 2 }, b: { address: 10.0.0.3, priority: 1 } }
          link: { secret_file: /tmp/tandem-golden.key }
          virtual_routers: [{ id: 51, addresses: [10.0.0.100] }]
        listeners: { web: { bind: 0.0.0.0:80, carry_over: idle, routes: [{ pool: web }] } }
        pools: { web: { \(pool) } }

        """
    }

    @Test(arguments: keys.map(\.path)) func theExampleOfEveryKeyCanBeWritten(path: String) throws {
        try #require(GoldenFile.hasSecretFile)
        let text = Self.file(KeyTable.key(path))
        let (exitCode, output) = ConfigurationLoader.check(Array(text.utf8), name: "t")
        #expect(exitCode == 0, "\(text)\n\(output)")
        #expect(output.hasPrefix("t: ok:"), "\(text)\n\(output)")
    }

    @Test func thereAreExamplesOfEveryKey() { #expect(Self.keys.count > 100) }
}
