// SPDX-License-Identifier: Apache-2.0
//
// tandem check: every error of a file in one run, or a line that says it is well.

internal import ConfigurationCore
internal import ConfigurationService
internal import LinuxIO

enum CheckCommand {
    static func run(_ words: [String]) -> ExitCode {
        let arguments: Arguments
        do {
            arguments = try Arguments(
                words, options: ["--node", "--config"], flags: ["--explain"], wordCountMax: 1)
        } catch {
            return error.complain()
        }
        if arguments.has("--explain") {
            DescriptorOutput.print(Explanation.render())
            return .done
        }
        guard let path = arguments.words.first ?? arguments["--config"] else {
            return Usage.complain("check needs a file")
        }
        let (code, text) =
            if let node = arguments["--node"] {
                CheckCommand.check(path, node: node)
            } else {
                ConfigurationLoader.check(path: path)
            }
        if code == 0 {
            DescriptorOutput.print(text)
        } else {
            DescriptorOutput.printError(text)
        }
        return ExitCode(code)
    }

    /// Checks the file and whether it knows the node.
    private static func check(_ path: String, node: String) -> (exitCode: Int32, text: String) {
        let checked = ConfigurationLoader.check(path: path)
        guard checked.exitCode == 0,
            case .failure(let rejected) = ConfigurationLoader.load(path: path, node: .named(node))
        else { return checked }
        return (1, rejected.text)
    }
}
