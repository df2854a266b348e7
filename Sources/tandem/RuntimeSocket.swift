// SPDX-License-Identifier: Apache-2.0
//
// The commands that ask a running node: status, switchover, ctl.

internal import AdminService
internal import ConfigurationCore
internal import ConfigurationService
internal import LinuxIO
internal import WireCore

enum StatusCommand {
    static func run(_ words: [String]) -> ExitCode {
        RuntimeSocket.ask(words, flags: ["--json"], wordCountMax: 0) { arguments in
            arguments.has("--json") ? "show status json" : "show status"
        }
    }
}

enum SwitchoverCommand {
    static func run(_ words: [String]) -> ExitCode {
        var answer = AdminReply("")
        let asked = RuntimeSocket.ask(words, answer: &answer) { _ in "switchover" }
        let began = Clock.now()
        while asked == .done, isPending(answer), Clock.now() < began + Self.timeMax {
            // Most are over at once; some wait for a long download.
            let isYoung = Clock.now() < began + .seconds(2)
            KernelThread.pause(milliseconds: isYoung ? 5 : 100)
            _ = RuntimeSocket.ask(words, answer: &answer) { _ in "show switchover" }
        }
        guard asked == .done else { return asked }
        DescriptorOutput.print(answer.text.trimmingEmptyLine)
        return isPending(answer) || answer.isFailure ? .failed : .done
    }

    private static func isPending(_ answer: AdminReply) -> Bool {
        answer.text.hasPrefix(Switchover.pendingMark)
    }

    /// The node itself gives up long before: when `timeouts.drain` is over.
    private static let timeMax = TimeSpan.seconds(24 * 3_600)
}

enum ControlCommand {
    static func run(_ words: [String]) -> ExitCode {
        RuntimeSocket.ask(words, flags: [], wordCountMax: .max) { arguments in
            arguments.words.isEmpty ? "help" : arguments.words.joined(separator: " ")
        }
    }
}

/// Finds the socket of the running node and asks it one line.
enum RuntimeSocket {
    /// Asks and prints the answer.
    static func ask(
        _ words: [String], flags: [String], wordCountMax: Int, line: (Arguments) -> String
    ) -> ExitCode {
        var answer = AdminReply("")
        let code = ask(
            words, flags: flags, wordCountMax: wordCountMax, answer: &answer, line: line)
        guard code == .done else { return code }
        DescriptorOutput.print(answer.text.trimmingEmptyLine)
        return answer.isFailure ? .failed : .done
    }

    /// Asks and hands the answer to the caller; complaints are printed here.
    static func ask(
        _ words: [String], flags: [String] = [], wordCountMax: Int = 0, answer: inout AdminReply,
        line: (Arguments) -> String
    ) -> ExitCode {
        let arguments: Arguments
        do {
            arguments = try Arguments(
                words, options: ["--socket", "--config", "--node"], flags: flags,
                wordCountMax: wordCountMax)
        } catch {
            return error.complain()
        }
        guard let path = socketPath(arguments) else { return .failed }
        do {
            answer = try AdminClient.ask(line(arguments), socketPath: path)
            return .done
        } catch {
            DescriptorOutput.printError(explanation(of: error, path: path))
            return .failed
        }
    }

    private static func socketPath(_ arguments: Arguments) -> String? {
        if let path = arguments["--socket"] { return path }
        let file = arguments["--config"] ?? Usage.defaultConfigurationPath
        switch ConfigurationLoader.load(path: file, node: nodeSelection(arguments["--node"])) {
        case .failure(let rejected):
            DescriptorOutput.printError(rejected.text)
            return nil
        case .success(let loaded):
            if let path = loaded.configuration.admin.socket { return path }
            DescriptorOutput.printError(
                "tandem: \(file) names no admin.socket, so there is no node to ask\n")
            return nil
        }
    }

    private static func explanation(of error: Errno, path: String) -> String {
        switch error {
        case .noSuchFile, .connectionRefused:
            "tandem: no node answers at \(path): is tandem running here?\n"
        case .accessDenied, .notPermitted:
            "tandem: may not open \(path): run this as root or as the service's user\n"
        default:
            "tandem: cannot ask \(path): \(error)\n"
        }
    }
}

extension String {
    /// The text without the empty line that ends an answer on the runtime socket.
    fileprivate var trimmingEmptyLine: String {
        self == "\n" || hasSuffix("\n\n") ? String(dropLast()) : self
    }
}

/// The node a command line means.
func nodeSelection(_ name: String?) -> ConfigurationLoader.Node {
    name.map { .named($0) } ?? .hostName
}
