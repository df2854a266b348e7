// SPDX-License-Identifier: Apache-2.0
//
// tandem run: reads the configuration and starts the node on this thread.

internal import ConfigurationService
internal import EventLoop
internal import LinuxIO
internal import Telemetry

enum RunCommand {
    static func run(_ words: [String]) -> ExitCode {
        let arguments: Arguments
        do {
            arguments = try Arguments(
                words, options: ["--config", "--node", "--log-format", "--log-level"])
        } catch {
            return error.complain()
        }
        guard let format = logFormat(arguments["--log-format"]) else {
            return Usage.complain("--log-format is logfmt or json")
        }
        guard let level = logLevel(arguments["--log-level"]) else {
            let names = LogLevel.allCases.map(\.name).joined(separator: ", ")
            return Usage.complain("--log-level is one of \(names)")
        }
        let path = arguments["--config"] ?? Usage.defaultConfigurationPath
        let selection = nodeSelection(arguments["--node"])
        switch ConfigurationLoader.load(path: path, node: selection) {
        case .failure(let rejected):
            DescriptorOutput.printError(rejected.text)
            return .failed
        case .success(let loaded):
            DescriptorOutput.printError(loaded.warningText)
            return serve(loaded, path: path, selection: selection, format: format, level: level)
        }
    }

    private static func serve(
        _ loaded: LoadedConfiguration, path: String, selection: ConfigurationLoader.Node,
        format: LogFormat, level: LogLevel
    ) -> ExitCode {
        do {
            let loop = try EventLoop()
            var node: Node?
            // Signals are blocked here, before any thread exists, so that all inherit the block.
            let signals = try SignalReader([.hangUp, .terminate, .interrupt], on: loop) {
                node?.handle($0)
            }
            let sink = try LogSink(format: format, minimumLevel: level)
            defer { sink.flush() }
            let running = Node(
                loaded, source: Node.Source(path: path, selection: selection), loop: loop,
                logger: Logger("node", sink: sink))
            node = running
            return withExtendedLifetime(signals) { running.run() }
        } catch {
            DescriptorOutput.printError("tandem: cannot start: \(error)\n")
            return .failed
        }
    }

    private static func logFormat(_ name: String?) -> LogFormat? {
        switch name {
        case nil, "logfmt": .logfmt
        case "json": .json
        default: nil
        }
    }

    private static func logLevel(_ name: String?) -> LogLevel? {
        guard let name else { return .info }
        return LogLevel.allCases.first { $0.name == name }
    }
}
