// SPDX-License-Identifier: Apache-2.0
//
// Goal: what the reference and the messages tell people to write about a pair can be written.
// Method: the example of every key in a file of its own.

import ConfigurationService
import Testing

@testable import ConfigurationCore

@Suite struct PairExampleTests {
    private static let keys = (KeyTable.tracking + KeyTable.virtualRouters).filter {
        $0.path != "pair.virtual_routers[].id" && $0.path != "pair.virtual_routers[].addresses"
    }

    /// What else must be written for the key to have a meaning.
    private static func file(_ key: KeyDescription) -> String {
        let example = key.example
        switch key.parent {
        case "pair.track": return text(track: example)
        case "pair.track.interfaces.NAME":
            return text(track: "interfaces: { eth1: { \(example) } }")
        case "pair.track.gateway":
            let address = key.name == "address" ? "" : "address: 10.0.0.254, "
            return text(track: "gateway: { \(address)\(example) }")
        case "pair.track.backends": return text(track: "backends: { \(example) }")
        case "pair.track.scripts.NAME":
            let command = key.name == "command" ? "" : "command: [/bin/true], "
            return text(track: "scripts: { a: { \(command)\(example) } }")
        case "pair.virtual_routers[].nodes.NAME":
            return PairFile.text(
                router: ["nodes: { lb1: { \(example) } }", "preempt: true"])
        case "pair.virtual_routers[]": break
        default: Issue.record("no file for \(key.path)")
        }
        switch key.name {
        case "interface":
            return PairFile.text(
                router: [
                    example,
                    "nodes: { lb1: { address: 10.0.1.1 }, lb2: { address: 10.0.1.2 } }",
                ])
        case "preempt_delay": return PairFile.text(router: [example, "preempt: true"])
        case "group":
            return PairFile.text(
                router: [example], routers: ["{ id: 52, addresses: [10.0.0.101], \(example) }"])
        default: return PairFile.text(router: [example])
        }
    }

    /// A file with trackers whose penalties are more than the difference of the priorities.
    private static func text(track: String) -> String {
        PairFile.text(
            pair: ["track: { \(track) }"],
            nodes: "{ lb1: { address: 10.0.0.1, priority: 120 }, "
                + "lb2: { address: 10.0.0.2, priority: 100 } }")
    }

    @Test(arguments: keys.map(\.path)) func theExampleOfEveryKeyCanBeWritten(path: String) throws {
        try #require(GoldenFile.hasSecretFile)
        let text = Self.file(KeyTable.key(path))
        let (exitCode, output) = ConfigurationLoader.check(Array(text.utf8), name: "t")
        #expect(exitCode == 0, "\(text)\n\(output)")
        let hasWarning = output.contains(": warning: ")
        // A priority of one node alone may equal the other's.
        #expect(!hasWarning || path.hasSuffix("nodes.NAME.priority"), "\(text)\n\(output)")
    }

    @Test(arguments: ["id: 51", "addresses: [10.0.0.100, \"fd00::100\"]"])
    func theExamplesOfTheRequiredKeysCanBeWritten(example: String) throws {
        try #require(GoldenFile.hasSecretFile)
        #expect(KeyTable.virtualRouters.contains { $0.example == example })
        let text = PairFile.text(router: [example])
        let (_, output) = ConfigurationLoader.check(Array(text.utf8), name: "t")
        #expect(output.hasPrefix("t: ok:"), "\(text)\n\(output)")
    }
}
