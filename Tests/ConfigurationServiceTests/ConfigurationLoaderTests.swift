// SPDX-License-Identifier: Apache-2.0
//
// Files from disk to a configuration: what is read, refused, and reported.

import ConfigurationCore
import Glibc
import LinuxIO
import Testing
import WireCore
import YAMLIO

@testable import ConfigurationService

@Suite final class ConfigurationLoaderTests {
    private let folder: String

    init() throws {
        folder = "/tmp/tandem-loader-\(RandomBytes.seed())"
        try FileSystem.makeDirectory(path: folder)
    }

    deinit {
        for name in ["tandem.yaml", "large.yaml", "empty.yaml", "pair.key", "huge.key"] {
            unlink("\(folder)/\(name)")
        }
        rmdir(folder)
    }

    private func write(_ text: String, _ name: String, mode: UInt32 = 0o600) throws -> String {
        let path = "\(folder)/\(name)"
        try FileSystem.write(Array(text.utf8), path: path, mode: mode)
        return path
    }

    private func pair(secretPath: String) throws -> String {
        let text = try GoldenFile(name: "ok-pair").input
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.contains("secret_file") ? "  link: { secret_file: \(secretPath) }" : String(line)
        }.joined(separator: "\n")
    }

    private func load(secretPath: String) throws -> Result<
        LoadedConfiguration, RejectedConfiguration
    > {
        let text = try pair(secretPath: secretPath)
        return ConfigurationLoader.load(Array(text.utf8), name: "t", node: .named("lb2"))
    }

    @Test func missingFileIsSaidInPlainWords() {
        let path = "\(folder)/none.yaml"
        let (exitCode, text) = ConfigurationLoader.check(path: path)
        #expect(exitCode == 1)
        #expect(text == "\(path): error: no such file\n")
    }

    @Test func directoryIsSaidInPlainWords() {
        let (exitCode, text) = ConfigurationLoader.check(path: folder)
        #expect(exitCode == 1)
        #expect(text == "\(folder): error: this is a directory, not a file\n")
    }

    @Test func fileAboveTheLimitIsRefused() throws {
        let spaces = String(repeating: " ", count: ConfigurationLoader.byteCountMax + 1)
        let (exitCode, text) = ConfigurationLoader.check(path: try write(spaces, "large.yaml"))
        #expect(exitCode == 1)
        #expect(text.contains("larger than 4096 KiB"))
    }

    @Test func emptyFileIsRefused() throws {
        let (exitCode, text) = ConfigurationLoader.check(path: try write("", "empty.yaml"))
        #expect(exitCode == 1)
        #expect(text.contains("empty.yaml:1:1: error: the file has no configuration"))
    }

    @Test func loadedNodeKnowsItsPeerAndTheSecret() throws {
        let secret = try write("0123456789abcdef\n", "pair.key")
        let loaded = try load(secretPath: secret).get()
        #expect(loaded.localNode?.name == "lb2")
        #expect(loaded.peerNode?.name == "lb1")
        #expect(loaded.secret == Array("0123456789abcdef".utf8))
        #expect(loaded.warnings.isEmpty)
    }

    @Test func shortSecretIsRefused() throws {
        let secret = try write("0123456789abcde\n", "pair.key")
        #expect(throws: RejectedConfiguration.self) { try load(secretPath: secret).get() }
    }

    @Test func secretThatOthersCanReadIsAWarning() throws {
        let secret = try write("0123456789abcdef", "pair.key", mode: 0o644)
        let loaded = try load(secretPath: secret).get()
        #expect(loaded.warningText.contains("can be read by others (mode 644)"))
        #expect(loaded.secret != nil)
    }

    @Test func secretThatIsADirectoryOrMissingOrHugeIsRefused() throws {
        let huge = try write(String(repeating: "x", count: 5_000), "huge.key")
        for path in [folder, "\(folder)/none.key", huge] {
            #expect(throws: RejectedConfiguration.self) { try load(secretPath: path).get() }
        }
    }

    @Test func checkOnlyWarnsAboutASecretOnAnotherHost() throws {
        let text = try pair(secretPath: "\(folder)/none.key")
        let (exitCode, output) = ConfigurationLoader.check(Array(text.utf8), name: "t")
        #expect(exitCode == 0)
        #expect(output.contains("warning: secret_file"))
    }

    @Test(arguments: [("lb1", "lb1"), ("lb2.example.org", "lb2"), ("web7.example.org", nil)])
    func hostNameFindsANodeByItsFirstLabel(hostName: String, node: String?) throws {
        let bytes = Array(try GoldenFile(name: "ok-pair").input.utf8)
        let events = YAMLParser.parse(bytes).events.map { ConfigurationEvent($0) }
        let reading = ConfigurationReader.read(events, node: .hostName(hostName))
        #expect(reading.localNode?.name == node)
        #expect((reading.configuration == nil) == (node == nil))
        if node == nil {
            let message = reading.diagnostics.first?.message ?? ""
            #expect(message.hasPrefix("this host is called \"web7.example.org\""))
        }
    }

    @Test func theExampleMeansWhatItSays() throws {
        let root = GoldenFile.folder.split(separator: "/").dropLast(2).map { "/\($0)" }.joined()
        let example = try FileSystem.read(path: "\(root)/netns/pair.yaml", byteCountMax: 1 << 20)
        let events = YAMLParser.parse(example).events.map { ConfigurationEvent($0) }
        let reading = ConfigurationReader.read(events, node: .named("lb1"))
        #expect(reading.diagnostics == [])
        #expect(reading.configuration == Self.example)
        #expect(reading.localNode == Self.example.pair?.nodes.first)
        #expect(reading.secretFile == "/etc/tandem/pair.key")
    }

    @Test(
        arguments: [
            "edge", "pool", "active-active", "dual-stack", "keepalived-peer", "route",
        ])
    func theExamplesHaveNoWarnings(name: String) throws {
        try #require(GoldenFile.hasSecretFile)
        let root = GoldenFile.folder.split(separator: "/").dropLast(2).map { "/\($0)" }.joined()
        let bytes = try FileSystem.read(
            path: "\(root)/examples/\(name).yaml", byteCountMax: 1 << 20)
        // The secret is on the nodes, not where the tests run.
        let example = String(decoding: bytes, as: UTF8.self).split(
            separator: "/etc/tandem/pair.key", omittingEmptySubsequences: false
        ).joined(separator: GoldenFile.secretPath)
        let (exitCode, text) = ConfigurationLoader.check(Array(example.utf8), name: "t")
        #expect(exitCode == 0)
        #expect(text.hasPrefix("t: ok:"), "\(text)")
    }

    private static let example: Configuration = {
        func endpoint(_ d: UInt8, _ port: UInt16) -> Endpoint {
            Endpoint(address: .v4(IPv4Address(10, 77, 0, d)), port: port)
        }
        let router = VirtualRouterConfiguration(
            id: 51, addresses: [IPAddress(10, 77, 0, 100)], interface: "eth0",
            advertiseInterval: .milliseconds(10), preempt: false, preemptDelay: .zero,
            lease: .seconds(2), transport: .multicast)
        let pair = PairConfiguration(
            interface: "eth0",
            nodes: [
                NodeConfiguration(
                    name: "lb1", address: IPv4Address(10, 77, 0, 11), priority: 200),
                NodeConfiguration(
                    name: "lb2", address: IPv4Address(10, 77, 0, 12), priority: 100),
            ],
            link: PairLinkConfiguration(
                port: 7946, secretFile: "/etc/tandem/pair.key",
                heartbeatInterval: .milliseconds(100)),
            virtualRouters: [router])
        let web = PoolConfiguration(
            name: "web", balance: .leastTime,
            backends: [
                BackendConfiguration(name: "be1", address: endpoint(21, 8080), weight: 1),
                BackendConfiguration(name: "be2", address: endpoint(22, 8080), weight: 2),
                BackendConfiguration(name: "be3", address: endpoint(23, 8080), weight: 1),
            ],
            healthCheck: HealthCheckConfiguration(
                probe: .http(HTTPProbe(path: "/healthz", host: nil)), interval: .seconds(5),
                timeout: .seconds(3), fall: 3, rise: 2))
        let api = PoolConfiguration(
            name: "api", balance: .leastTime,
            backends: [BackendConfiguration(name: "be1", address: endpoint(21, 8081), weight: 1)],
            healthCheck: nil)
        return Configuration(
            workers: .automatic, pair: pair,
            listeners: [
                ListenerConfiguration(
                    name: "web", bind: Endpoint(address: .v4(.any), port: 80),
                    service: .http(
                        HTTPListenerConfiguration(
                            routes: [
                                RouteConfiguration(host: nil, pathPrefix: "/api/", pool: "api"),
                                RouteConfiguration(host: nil, pathPrefix: nil, pool: "web"),
                            ], carryOver: .requests)))
            ],
            pools: [web, api],
            admin: AdminConfiguration(
                http: Endpoint(address: .v4(.loopback), port: 9900),
                socket: "/run/tandem/admin.sock"),
            timeouts: TimeoutConfiguration())
    }()

    @Test func reloadTellsApartUnchangedApplicableAndRefused() throws {
        let secret = try write("0123456789abcdef", "pair.key")
        let text = try pair(secretPath: secret)
        let path = try write(text, "tandem.yaml")
        let node = ConfigurationLoader.Node.named("lb1")
        let current = try ConfigurationLoader.load(path: path, node: node).get()

        _ = try write("# a comment\n" + text, "tandem.yaml")
        guard
            case .unchanged(let same) = ConfigurationLoader.reload(
                path: path, node: node, current: current)
        else {
            Issue.record("a comment changes nothing")
            return
        }
        #expect(same.hash == current.hash)

        _ = try write(text + "timeouts: { connect: 1s }\n", "tandem.yaml")
        guard
            case .applicable(let next, let difference) = ConfigurationLoader.reload(
                path: path, node: node, current: current)
        else {
            Issue.record("a timeout may change")
            return
        }
        #expect(difference.render() == "timeouts.connect: 3s -> 1s\n")
        #expect(next.configuration.timeouts.connect == .seconds(1))
        #expect(next.hash != current.hash)

        _ = try write("workers: 3\n" + text, "tandem.yaml")
        expectRefusal(path, node, current, naming: "workers: auto -> 3")
        _ = try write(text + "nonsense: 1\n", "tandem.yaml")
        expectRefusal(path, node, current, naming: "unknown key \"nonsense\"")
        _ = try write(text, "tandem.yaml")
        _ = try write("fedcba9876543210", "pair.key")
        expectRefusal(path, node, current, naming: "pair.link.secret_file")
    }

    private func expectRefusal(
        _ path: String, _ node: ConfigurationLoader.Node, _ current: LoadedConfiguration,
        naming words: String
    ) {
        let outcome = ConfigurationLoader.reload(path: path, node: node, current: current)
        guard case .refused(let text) = outcome else {
            Issue.record("not refused: \(words)")
            return
        }
        #expect(text.contains(words))
        #expect(text.contains("reload refused, the configuration in force stays"))
    }
}
