// SPDX-License-Identifier: Apache-2.0
//
// From a path to a configuration in force or to the text that says why not. Every fault of the
// operator comes back as diagnostics; nothing here ends the process.

import ConfigurationCore
import LinuxIO
import YAMLIO

/// Loads, checks and reloads configuration files.
public enum ConfigurationLoader {
    /// The largest file that is read.
    public static let byteCountMax = YAMLLimits().byteCountMax

    /// Which node the process is.
    public enum Node: Hashable, Sendable {
        /// As `--node` says.
        case named(String)
        /// The one that is called like this host.
        case hostName
        /// None.
        case unchecked
    }

    /// Loads the file at `path` for a process that is about to serve.
    public static func load(
        path: String, node: Node
    ) -> Result<LoadedConfiguration, RejectedConfiguration> {
        switch read(path) {
        case .success(let bytes): load(bytes, name: path, node: node)
        case .failure(let rejected): .failure(rejected)
        }
    }

    /// Loads a file's content; `name` is what diagnostics call it.
    public static func load(
        _ bytes: [UInt8], name: String, node: Node
    ) -> Result<LoadedConfiguration, RejectedConfiguration> {
        evaluate(bytes, name: name, node: choice(node), mustHaveSecret: true)
    }

    /// What `tandem check` prints and the exit status: 0 for a usable file, 1 otherwise.
    ///
    /// A secret file that is missing or closed to this user is only a warning here, since a
    /// check may run on another host.
    public static func check(path: String) -> (exitCode: Int32, text: String) {
        switch read(path) {
        case .success(let bytes): check(bytes, name: path)
        case .failure(let rejected): (1, rejected.text)
        }
    }

    /// As `check(path:)`, for a file's content.
    public static func check(_ bytes: [UInt8], name: String) -> (exitCode: Int32, text: String) {
        switch evaluate(bytes, name: name, node: .unchecked, mustHaveSecret: false) {
        case .success(let loaded):
            let summary = summary(of: loaded.configuration)
            let warnings = DiagnosticRenderer.summary(of: loaded.warnings)
            let tail = warnings.isEmpty ? "" : " (\(warnings))"
            return (0, "\(loaded.warningText)\(name): ok: \(summary)\(tail)\n")
        case .failure(let rejected):
            return (1, rejected.text)
        }
    }

    /// Loads the file at `path` and compares it with what `current` put in force.
    public static func reload(
        path: String, node: Node, current: LoadedConfiguration
    ) -> ReloadOutcome {
        switch load(path: path, node: node) {
        case .failure(let rejected):
            return .refused("\(rejected.text)reload refused, the configuration in force stays\n")
        case .success(let loaded):
            return compare(loaded, with: current)
        }
    }

    private static func compare(
        _ loaded: LoadedConfiguration, with current: LoadedConfiguration
    ) -> ReloadOutcome {
        let difference = ConfigurationDifference(
            from: current.configuration, to: loaded.configuration)
        if let refusal = difference.refusal { return .refused(loaded.warningText + refusal) }
        if loaded.secret != current.secret {
            return .refused(
                "reload refused, the configuration in force stays: the content of "
                    + "pair.link.secret_file changed, which needs a restart\n")
        }
        return difference.isEmpty ? .unchanged(loaded) : .applicable(loaded, difference)
    }

    private static func choice(_ node: Node) -> LocalNodeChoice {
        switch node {
        case .named(let name): .named(name)
        case .hostName: .hostName(FileSystem.hostName())
        case .unchecked: .unchecked
        }
    }

    private static func evaluate(
        _ bytes: [UInt8], name: String, node: LocalNodeChoice, mustHaveSecret: Bool
    ) -> Result<LoadedConfiguration, RejectedConfiguration> {
        // A byte order mark stands in no column.
        let hasMark = bytes.starts(with: [0xEF, 0xBB, 0xBF])
        let text = String(decoding: hasMark ? bytes.dropFirst(3) : bytes[...], as: UTF8.self)
        let source = SourceText(text)
        let renderer = DiagnosticRenderer(fileName: name, source: source)
        let document = YAMLParser.parse(bytes)
        var diagnostics = document.problems.map { Diagnostic($0, in: source) }
        guard document.isComplete else {
            return .failure(rejected(diagnostics, name: name, renderer))
        }
        let reading = ConfigurationReader.read(
            document.events.map { ConfigurationEvent($0) }, node: node)
        diagnostics += reading.diagnostics
        var secret: [UInt8]?
        if let path = reading.secretFile {
            let file = SecretFile(
                path: path, range: reading.secretFileRange, mustExist: mustHaveSecret)
            secret = file.secret
            diagnostics += file.diagnostics
        }
        diagnostics = Diagnostic.inFileOrder(diagnostics)
        let hasErrors = diagnostics.contains { $0.severity == .error }
        guard !hasErrors, let configuration = reading.configuration else {
            return .failure(rejected(diagnostics, name: name, renderer))
        }
        return .success(
            LoadedConfiguration(
                configuration: configuration, localNode: reading.localNode, secret: secret,
                warnings: diagnostics, warningText: renderer.render(diagnostics),
                hash: ConfigurationHash(configuration)))
    }

    private static func rejected(
        _ diagnostics: [Diagnostic], name: String, _ renderer: DiagnosticRenderer
    ) -> RejectedConfiguration {
        let count = DiagnosticRenderer.summary(of: diagnostics)
        return RejectedConfiguration(
            diagnostics: diagnostics, text: "\(renderer.render(diagnostics))\(name): \(count)\n")
    }

    private static func read(_ path: String) -> Result<[UInt8], RejectedConfiguration> {
        let problem: String
        do throws(Errno) {
            return .success(try FileSystem.read(path: path, byteCountMax: byteCountMax))
        } catch {
            problem =
                switch error {
                case .noSuchFile: "no such file"
                case .isDirectory: "this is a directory, not a file"
                case .accessDenied, .notPermitted: "this user may not read it"
                case .tooLarge: "the file is larger than \(byteCountMax >> 10) KiB"
                default: "cannot be read: \(error)"
                }
        }
        let diagnostic = Diagnostic(.error, nil, problem)
        let renderer = DiagnosticRenderer(fileName: path, source: SourceText(""))
        return .failure(
            RejectedConfiguration(
                diagnostics: [diagnostic], text: renderer.render([diagnostic])))
    }

    /// `1 listener, 2 pools, 4 backends, 1 virtual router`.
    private static func summary(of configuration: Configuration) -> String {
        let backendCount = configuration.pools.reduce(0) { $0 + $1.backends.count }
        let routerCount = configuration.pair?.virtualRouters.count ?? 0
        let counts = [
            (configuration.listeners.count, "listener"), (configuration.pools.count, "pool"),
            (backendCount, "backend"), (routerCount, "virtual router"),
        ]
        return counts.map { count, noun in
            count == 1 ? "1 \(noun)" : "\(count) \(noun)s"
        }.joined(separator: ", ")
    }
}
